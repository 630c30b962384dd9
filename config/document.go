package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type labelSelector = metav1.LabelSelector

// The keys at the top of the file.
var (
	ownKeys        = []string{"kubernetes", "monitors", "nodes", "node_mode", "annotations", "manifests", "scrape", "wal", "relay"}
	prometheusKeys = []string{
		"global", "runtime", "alerting", "rule_files", "scrape_config_files", "scrape_configs", "storage", "tracing",
		"remote_write", "remote_read", "otlp",
	}
)

// document is the YAML of a file.
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
		if p, ok := badCharacter(text); ok && len(linesIn(readable(err).Error())) == 0 {
			return d, Problems{p}
		}
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
		return d, Problems{{Line: d.root.Line, Text: "want a mapping such as \"scrape_configs:\""}}
	}
	budget := maxNodes
	if !countable(d.root, &budget) {
		return d, errTooLarge
	}
	return d, nil
}

// badCharacter finds the first character that YAML does not allow.
func badCharacter(text []byte) (Problem, bool) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		for at, rest := 0, line; len(rest) > 0; {
			r, n := utf8.DecodeRune(rest)
			switch {
			case r == utf8.RuneError && n == 1:
				return Problem{Line: i + 1, Text: fmt.Sprintf("byte %d of the line, 0x%02x, is not UTF-8", at+1, rest[0])}, true
			case unicode.IsControl(r) && r != '\t' && r != '\r' && r != 0x85:
				return Problem{Line: i + 1, Text: fmt.Sprintf("byte %d of the line is the control character %U, which YAML does not allow", at+1, r)}, true
			}
			at, rest = at+n, rest[n:]
		}
	}
	return Problem{}, false
}

// maxNodes bounds the number of nodes of a configuration. The nodes behind an alias are counted for each use of it.
const maxNodes = 1_000_000

var errTooLarge = fmt.Errorf("the file has more than %d values, aliases written out; does an anchor hold an alias to itself?", maxNodes)

// countable reports whether a tree has no more nodes than budget.
func countable(n *yaml.Node, budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	if n.Kind == yaml.AliasNode {
		return countable(n.Alias, budget)
	}
	for _, c := range n.Content {
		if !countable(c, budget) {
			return false
		}
	}
	return true
}

// flow reports whether the top of the file is in braces, as in JSON.
func (d document) flow() bool { return d.root != nil && d.root.Style&yaml.FlowStyle != 0 }

// isWanted reports whether a block is one of keys, and is not refused.
func isWanted(key string, keys []string) bool {
	return slices.Contains(keys, key) && refused[key] == ""
}

// part returns a mapping of those blocks that isWanted accepts.
func (d document) part(keys []string) *yaml.Node {
	part := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		if isWanted(d.root.Content[i].Value, keys) {
			part.Content = append(part.Content, d.root.Content[i], d.root.Content[i+1])
		}
	}
	return part
}

// moves reports whether only cannot keep the numbers of lines: the file is in braces, or a block has an alias for a part of another block.
func (d document) moves(keys []string) bool {
	if d.root == nil || d.flow() {
		return d.root != nil
	}
	within := map[*yaml.Node]bool{}
	var aliases []*yaml.Node
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		within[n] = n.Anchor != ""
		if n.Kind == yaml.AliasNode {
			aliases = append(aliases, n.Alias)
		}
		for _, c := range n.Content {
			look(c)
		}
	}
	look(d.part(keys))
	return slices.ContainsFunc(aliases, func(n *yaml.Node) bool { return !within[n] })
}

// spelt returns a copy of a tree in which each alias is replaced by its node.
func spelt(n *yaml.Node) *yaml.Node {
	out := *resolved(n)
	out.Anchor = ""
	out.Content = nil
	for _, c := range resolved(n).Content {
		out.Content = append(out.Content, spelt(c))
	}
	return &out
}

// only returns the text of some blocks, without those that are refused. If it can, it replaces the other blocks by empty lines, so that line
// numbers stay the same.
func (d document) only(keys []string) (string, error) {
	if d.root == nil {
		return d.text, nil
	}
	if d.moves(keys) {
		text, err := yaml.Marshal(spelt(d.part(keys)))
		return string(text), err
	}
	lines := strings.Split(d.text, "\n")
	for i := 0; i < len(d.root.Content); i += 2 {
		if isWanted(d.root.Content[i].Value, keys) {
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
	return strings.Join(lines, "\n"), nil
}

// find returns the value of a key of a mapping; nil if there is none.
func find(node *yaml.Node, key string) *yaml.Node {
	if node = resolved(node); node == nil || node.Kind != yaml.MappingNode {
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
	list := resolved(find(d.root, key))
	if list == nil || i >= len(list.Content) {
		return nil
	}
	return list.Content[i]
}

// UnmarshalYAML reads the block by the JSON names of its fields, which are those of PrometheusAgent.spec. The walk has refused unknown keys.
func (m *Monitors) UnmarshalYAML(node *yaml.Node) error {
	type plain Monitors
	*m = *defaultMonitors()
	return decodeAs(node, (*plain)(m), jsonTags)
}

// lookup returns the keys that a path leads to; * stands for each item of a list.
func lookup(node *yaml.Node, path []string) []*yaml.Node {
	if node = resolved(node); node == nil {
		return nil
	}
	if path[0] == "*" {
		var out []*yaml.Node
		for _, item := range node.Content {
			out = append(out, lookup(item, path[1:])...)
		}
		return out
	}
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == path[0] {
			if len(path) == 1 {
				return node.Content[i : i+1]
			}
			return lookup(node.Content[i+1], path[1:])
		}
	}
	return nil
}

// line is the line of the last key of the path that is in the file; 0 if none is.
func (d document) line(path ...string) int {
	for n := len(path); n > 0; n-- {
		if keys := lookup(d.root, path[:n]); len(keys) > 0 {
			return keys[0].Line
		}
	}
	return 0
}

// value is the value at the end of a path of keys; nil if there is none.
func (d document) value(path ...string) *yaml.Node {
	n := d.root
	for _, key := range path {
		n = find(n, key)
	}
	return n
}

// guess finds the place of an error of Prometheus's loader in the file, by the values that the error quotes and the keys that it names.
func (d document) guess(text string) Problem {
	p := Problem{Text: text}
	if d.root == nil || len(linesIn(text)) > 0 {
		return p
	}
	if at := mentioned(d.root, text); at != d.root {
		p.Line = at.Line
	}
	for _, n := range scalars(d.root) {
		if p.Line == 0 && isNull(n) { // an empty value may have replaced a default
			p.Line = n.Line
		}
		if n.Value != "" && strings.Contains(text, strconv.Quote(n.Value)) {
			p.Line = n.Line
			break
		}
	}
	if where := d.placeOf(p.Line); where != "" && !startsWithKey(text) {
		p.Text = where + ": " + text
	}
	return p
}

// startsWithKey reports whether a text begins with the name of its block.
func startsWithKey(text string) bool {
	end := strings.IndexAny(text, ":.[ ")
	return end > 0 && (slices.Contains(ownKeys, text[:end]) || isPrometheus(text[:end]))
}

func isPrometheus(key string) bool { return slices.Contains(prometheusKeys, key) }

// placeOf names the block, or the item of a block, that a line is in.
func (d document) placeOf(line int) (where string) {
	for i := 0; i+1 < len(d.root.Content) && d.root.Content[i].Line <= line; i += 2 {
		at := place{by: yamlTags}.under(d.root.Content[i].Value)
		where = at.text
		list := resolved(d.root.Content[i+1])
		if list.Kind != yaml.SequenceNode {
			continue
		}
		for j, item := range list.Content {
			if item.Line <= line {
				where = at.item(j, resolved(item)).text
			}
		}
	}
	return where
}
