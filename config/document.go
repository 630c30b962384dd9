package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type labelSelector = metav1.LabelSelector

// The keys at the top of the file.
var (
	ownKeys        = []string{"kubernetes", "monitors", "nodes", "manifests", "scrape", "wal", "relay"}
	prometheusKeys = []string{
		"global", "runtime", "alerting", "rule_files", "scrape_config_files", "scrape_configs", "storage", "tracing",
		"remote_write", "remote_read", "otlp",
	}
)

// document is the file's YAML: its text, and where things stand in it.
type document struct {
	text string
	root *yaml.Node // the mapping at the top; nil for an empty file
}

func parse(text []byte) (document, error) {
	d := document{text: string(text)}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var node yaml.Node
	switch err := dec.Decode(&node); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return d, readable(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return d, errors.New("the file holds more than one YAML document")
	}
	d.root = node.Content[0]
	if d.root.Kind == yaml.ScalarNode && d.root.Tag == "!!null" {
		d.root = nil
		return d, nil
	}
	if d.root.Kind != yaml.MappingNode {
		return d, fmt.Errorf("line %d: want a mapping such as \"scrape_configs:\"", d.root.Line)
	}
	var errs []error
	for i := 0; i < len(d.root.Content); i += 2 {
		key := d.root.Content[i]
		if !slices.Contains(ownKeys, key.Value) && !slices.Contains(prometheusKeys, key.Value) {
			errs = append(errs, fmt.Errorf("line %d: unknown key %q%s", key.Line, key.Value, suggest(key.Value)))
		}
		if d.root.Style == yaml.FlowStyle && slices.Contains(ownKeys, key.Value) {
			errs = append(errs, fmt.Errorf("line %d: write %q on a line of its own, not in braces", key.Line, key.Value))
		}
	}
	return d, oneLine(errs)
}

// oneLine joins errors so that they stand in one line.
func oneLine(errs []error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// suggest finds the key that was perhaps meant.
func suggest(key string) string {
	best, least := "", 4
	for _, k := range append(slices.Clone(ownKeys), prometheusKeys...) {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return fmt.Sprintf("; known are %s", strings.Join(append(slices.Clone(prometheusKeys), ownKeys...), ", "))
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance counts the letters to change, add or take away that make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// without returns the text with the blocks of some keys left blank, so that line numbers stay.
func (d document) without(keys []string) string {
	if d.root == nil {
		return d.text
	}
	lines := strings.Split(d.text, "\n")
	for i := 0; i < len(d.root.Content); i += 2 {
		if !slices.Contains(keys, d.root.Content[i].Value) {
			continue
		}
		end := len(lines)
		if i+2 < len(d.root.Content) {
			end = d.root.Content[i+2].Line - 1
		}
		for n := d.root.Content[i].Line - 1; n < end; n++ {
			lines[n] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// decode reads the blocks that are ours.
func (d document) decode(o *own) error {
	dec := yaml.NewDecoder(strings.NewReader(d.without(prometheusKeys)))
	dec.KnownFields(true)
	if err := dec.Decode(o); err != nil && !errors.Is(err, io.EOF) {
		return readable(err)
	}
	return nil
}

// find returns the value of a key of a mapping, nil if there is none.
func find(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// get returns item i of the list under a key.
func (d document) get(key string, i int) *yaml.Node {
	list := find(d.root, key)
	if list == nil || i >= len(list.Content) {
		return nil
	}
	return list.Content[i]
}

// UnmarshalYAML reads a block in the names of JSON, which are those of PrometheusAgent.spec.
func (m *Monitors) UnmarshalYAML(node *yaml.Node) error {
	var tree any
	if err := node.Decode(&tree); err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("line %d: monitors: %w", node.Line, err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	type plain Monitors
	if err := dec.Decode((*plain)(m)); err != nil {
		what := strings.TrimPrefix(err.Error(), "json: ")
		if typed := (*json.UnmarshalTypeError)(nil); errors.As(err, &typed) {
			what = fmt.Sprintf("%s is a %s, want a %s", lastName(typed.Field), typed.Value, typed.Type)
		}
		return fmt.Errorf("line %d: monitors: %s", lineOfJSONError(node, err), what)
	}
	return nil
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// lineOfJSONError finds the line that a JSON error is about by the field's name.
func lineOfJSONError(node *yaml.Node, err error) int {
	name := ""
	if _, quoted, ok := strings.Cut(err.Error(), `unknown field "`); ok {
		name, _, _ = strings.Cut(quoted, `"`)
	}
	if typed := (*json.UnmarshalTypeError)(nil); errors.As(err, &typed) {
		name = lastName(typed.Field)
	}
	if key := findKey(node, name); key != nil && name != "" {
		return key.Line
	}
	return node.Line
}

// findKey finds a key anywhere in a tree.
func findKey(node *yaml.Node, name string) *yaml.Node {
	for i, c := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && c.Value == name {
			return c
		}
		if found := findKey(c, name); found != nil {
			return found
		}
	}
	return nil
}
