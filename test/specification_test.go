package test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunction  = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	namedTest     = regexp.MustCompile("`(Test\\w+)`")
	deviationName = regexp.MustCompile(`\bD[1-9][0-9]*\b`)
)

// TestSpecificationRows demands that each row of docs/remote-write.md names a test that exists, that each such test has a row, that
// the rows are numbered in order, and that the deviations that rows name are listed.
func TestSpecificationRows(t *testing.T) {
	text := documents(t)["docs/remote-write.md"]
	there := map[string]bool{}
	err := fs.WalkDir(repositoryFS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		code, err := fs.ReadFile(repositoryFS(), p)
		for _, f := range testFunction.FindAllStringSubmatch(string(code), -1) {
			there[f[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named, deviations, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	section, rows := "", map[string]int{}
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[0]) == "no." {
			continue
		}
		number := strings.TrimSpace(cells[0])
		rows[section]++
		want := fmt.Sprint(rows[section])
		if section == "Deliberate deviations" {
			want = "D" + want
			deviations[number] = true
		} else {
			for _, d := range deviationName.FindAllString(line, -1) {
				used[d] = true
			}
		}
		if number != want || len(cells) != 6 {
			t.Errorf("%s: row %s has %d cells, want number %s and 6", section, number, len(cells), want)
		}
		tests := namedTest.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(tests) == 0 {
			t.Errorf("%s: row %s names no test", section, number)
		}
		for _, f := range tests {
			named[f[1]] = true
			if !there[f[1]] {
				t.Errorf("%s: row %s names %s, which there is not", section, number, f[1])
			}
		}
	}
	if rows["1.0"] < 30 || rows["2.0"] < 60 || rows["Deliberate deviations"] < 10 {
		t.Errorf("rows by section: %v", rows)
	}
	for name := range there {
		if regexp.MustCompile(`^Test(Spec[12]|Deviation)_`).MatchString(name) && !named[name] {
			t.Errorf("%s has no row in docs/remote-write.md", name)
		}
	}
	for d := range used {
		if !deviations[d] {
			t.Errorf("a row names %s, which is not among the deviations", d)
		}
	}
}
