package relay

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the table of scenarios in place of comparing it")

const (
	tableBegin = "<!-- scenarios: go test ./relay -run TestScenarioTable -update -->\n"
	tableEnd   = "<!-- end of scenarios -->"
)

// TestScenarioTable compares the table of docs/receivers.md with the scenarios.
func TestScenarioTable(t *testing.T) {
	file := filepath.Join("..", "docs", "receivers.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegin)
	table, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the scenarios", file)
	}
	want := scenarioTable(scenarios())
	if table == want {
		return
	}
	if !*update {
		t.Fatalf("the scenarios of %s are stale: go test ./relay -run TestScenarioTable -update", file)
	}
	if err := os.WriteFile(file, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestScenarioCells has each kind of cell, and rows that become one.
func TestScenarioCells(t *testing.T) {
	bad := func(string) bool { return true }
	got := scenarioTable([]scenario{
		{receiver: "answers 400 to | 2.0", live: 2 * time.Second, version: version1},
		{receiver: "answers 405 to | 2.0", live: 2 * time.Second, version: version1},
		{receiver: "answers 405 to | 2.0", live: 90 * time.Second, more: v1, bad: bad, reason: dropRefused},
		{receiver: "late", live: 1500 * time.Millisecond, reason: dropOutOfOrder, upTo: true, repeated: true},
		{receiver: "a few", live: time.Second, lost: 1, repeated: true},
		{receiver: "many", live: time.Second, lost: 1560, bad: bad, reason: dropRefused, upTo: true},
		{receiver: "says that it has all", live: time.Second, bad: bad, unclear: true},
	})
	want := tableHead +
		"| answers 400, 405 to \\| 2.0 | all | nothing | no | 2 s | 1.0 |\n" +
		"| answers 405 to \\| 2.0 | all but the bad series | `refused` | no | 90 s | 1.0 |\n" +
		"| late | all | `out_of_order_at_most`, at most | some | 1.5 s | |\n" +
		"| a few | all but 1 sample | each of them | some | 1 s | |\n" +
		"| many | all but the bad series and 1,560 samples at most | `refused`, at most | no | 1 s | |\n" +
		"| says that it has all | all but the bad series | `unclear_refusals_total` | no | 1 s | |\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

const tableHead = "| receiver | what arrives | what is counted | twice | live data again within | version |\n|---|---|---|---|---|---|\n"

var statusNumber = regexp.MustCompile(`\b[1-5]\d\d\b`)

// scenarioTable renders scenarios. Those next to each other that differ in a status of HTTP alone share a row.
func scenarioTable(all []scenario) string {
	type row struct {
		receiver, shape, cells string
		statuses               []string
	}
	var rows []row
	for _, s := range all {
		r := row{receiver: s.receiver, shape: s.receiver, cells: strings.Join([]string{arrives(s), countedAs(s), twice(s), liveWithin(s), spoken(s)}, " | ")}
		if r.statuses = statusNumber.FindAllString(s.receiver, -1); len(r.statuses) == 1 {
			r.shape = statusNumber.ReplaceAllString(s.receiver, "000")
		}
		if n := len(rows); n > 0 && len(r.statuses) == 1 && rows[n-1].shape == r.shape && rows[n-1].cells == r.cells {
			if last := &rows[n-1]; !slices.Contains(last.statuses, r.statuses[0]) {
				last.statuses = append(last.statuses, r.statuses[0])
			}
			continue
		}
		rows = append(rows, r)
	}
	var b strings.Builder
	b.WriteString(tableHead)
	for _, r := range rows {
		if r.shape != r.receiver {
			r.receiver = strings.Replace(r.shape, "000", strings.Join(r.statuses, ", "), 1)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.ReplaceAll(r.receiver, "|", `\|`), r.cells)
	}
	return strings.ReplaceAll(b.String(), "|  |\n", "| |\n")
}

func arrives(s scenario) string {
	var but []string
	if s.bad != nil {
		but = append(but, "the bad series")
	}
	switch {
	case s.lost == 1:
		but = append(but, "1 sample")
	case s.lost > 1:
		but = append(but, grouped(s.lost)+" samples at most")
	}
	if len(but) == 0 {
		return "all"
	}
	return "all but " + strings.Join(but, " and ")
}

func countedAs(s scenario) string {
	switch {
	case s.unclear:
		return "`unclear_refusals_total`"
	case s.reason != "" && s.upTo:
		return "`" + s.reason + "`, at most"
	case s.reason != "":
		return "`" + s.reason + "`"
	case s.lost > 0 || s.bad != nil:
		return "each of them"
	}
	return "nothing"
}

func twice(s scenario) string {
	if s.repeated {
		return "some"
	}
	return "no"
}

func liveWithin(s scenario) string { return fmt.Sprintf("%g s", s.live.Seconds()) }

// spoken is the version of remote write, empty where it does not matter.
func spoken(s scenario) string {
	switch {
	case s.version != 0:
		return fmt.Sprintf("%d.0", s.version)
	case strings.Contains(s.more, "prometheus.WriteRequest"):
		return "1.0"
	case strings.Contains(s.more, "io.prometheus.write.v2.Request"):
		return "2.0"
	}
	return ""
}

// grouped writes a number with separators.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
