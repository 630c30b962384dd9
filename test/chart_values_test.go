package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	chartReadme = chart + "/README.md"
	valuesBegin = "<!-- What follows is written by \"make update-deploy\" from values.yaml. -->\n"
	valuesEnd   = "<!-- What was written ends here. -->\n"
)

// value is a value of the chart: its path, its default, and the comment above it.
type value struct{ path, def, meaning string }

// chartDefaults returns the values of values.yaml: those with a comment, and those that hold no others with one.
func chartDefaults(t *testing.T) (out []value) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return valuesOf(t, "", doc.Content[0])
}

func valuesOf(t *testing.T, prefix string, m *yaml.Node) (out []value) {
	t.Helper()
	for i := 0; i < len(m.Content); i += 2 {
		key, v := m.Content[i], m.Content[i+1]
		comment := strings.TrimPrefix(strings.ReplaceAll(strings.TrimPrefix(key.HeadComment, "# "), "\n# ", " "), "#")
		path := prefix + key.Value
		if v.Kind == yaml.MappingNode && commented(v) {
			if comment != "" {
				out = append(out, value{path: path, meaning: comment})
			}
			out = append(out, valuesOf(t, path+".", v)...)
			continue
		}
		var plain any
		if err := v.Decode(&plain); err != nil {
			t.Fatal(err)
		}
		def, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, value{path, string(def), comment})
	}
	return out
}

// commented tells whether values of a map have comments, or are such maps.
func commented(m *yaml.Node) bool {
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].HeadComment != "" {
			return true
		}
	}
	return false
}

// TestChartReadme demands that the table of values in the chart's README is that of values.yaml.
func TestChartReadme(t *testing.T) {
	table := "| value | default | meaning |\n|---|---|---|\n"
	for _, v := range chartDefaults(t) {
		def := ""
		if v.def != "" {
			def = "`" + v.def + "`"
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", v.path, def, strings.ReplaceAll(v.meaning, "|", `\|`))
	}
	text, err := os.ReadFile(filepath.Join(repository, chartReadme))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), valuesBegin)
	_, after, end := strings.Cut(rest, valuesEnd)
	if !ok || !end {
		t.Fatalf("%s has no %q, or no %q after it", chartReadme, valuesBegin, valuesEnd)
	}
	generated(t, chartReadme, []byte(before+valuesBegin+"\n"+table+"\n"+valuesEnd+after), chartMake)
	for _, block := range yamlBlock.FindAllStringSubmatch(before, -1) {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(block[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		helmTemplate(t, "--values="+file)
	}
}

// schema is what this test reads of values.schema.json.
type schema struct {
	Properties           map[string]schema
	AdditionalProperties any
}

// TestChartSchema demands that the schema has the values of values.yaml and no others, and takes no unknown ones where it lists some.
func TestChartSchema(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	var have, known []string
	var walk func(prefix string, s schema)
	walk = func(prefix string, s schema) {
		if s.AdditionalProperties != false {
			t.Errorf("the schema takes unknown values in %q", prefix)
		}
		for name, p := range s.Properties {
			if len(p.Properties) > 0 {
				walk(prefix+name+".", p)
			} else if prefix+name != "global" { // which Helm adds
				have = append(have, prefix+name)
			}
		}
	}
	walk("", s)
	for _, v := range chartDefaults(t) {
		if v.def != "" {
			known = append(known, v.path)
		}
	}
	slices.Sort(have)
	slices.Sort(known)
	if !slices.Equal(have, known) {
		t.Errorf("the schema has   %q\nvalues.yaml has  %q", have, known)
	}
}
