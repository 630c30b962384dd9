package manifests

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problem is a Problem about a field. Names and types in a template are not known.
func (d document) problem(rule Rule, path, text string) Problem {
	if d.templated() && (rule == BadName || rule == WrongType) {
		rule = Template
	}
	return Problem{Line: d.line(path), Rule: rule, Text: text}
}

// line returns the line of a field, 0 if it cannot be found.
func (d document) line(path string) int {
	var root yaml.Node
	if err := yaml.Unmarshal(d.text, &root); err != nil || len(root.Content) == 0 {
		return 0
	}
	line, _ := lineOf(root.Content[0], d.path+path)
	return line + d.before
}

// lineOf follows a path, such as spec.ports[0].port, as far as it can, and returns the line, and whether that is the end of the path.
func lineOf(n *yaml.Node, path string) (line int, all bool) {
	path = strings.TrimPrefix(path, ".")
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		best, next := "", 0
		for i := 0; i+1 < len(n.Content); i += 2 { // names may contain dots: the longest match counts
			key := n.Content[i].Value
			rest, ok := strings.CutPrefix(path, key)
			if ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && len(key) >= len(best) && path != "" {
				best, next = key, i+1
			}
		}
		if next > 0 && path == best {
			return n.Content[next-1].Line, true
		}
		if next > 0 {
			return lineOf(n.Content[next], path[len(best):])
		}
	case yaml.SequenceNode:
		var i int
		if _, err := fmt.Sscanf(path, "[%d]", &i); err == nil && i >= 0 && i < len(n.Content) {
			return lineOf(n.Content[i], path[strings.IndexByte(path, ']')+1:])
		}
	}
	return n.Line, path == ""
}

// firstPath returns the path with which a message begins.
func firstPath(message string) string {
	path, _, _ := strings.Cut(message, ": ")
	return path
}
