package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
)

// walker compares the YAML of a file with its Go types. It finds all mistakes and their lines. The decoders stop at the first mistake, and
// most of their errors have no line.
type walker struct {
	file string // "" for the configuration file
	dir  string // where relative paths in it start
	// trusting is set if the decoders have accepted the file. Then only what they do not check is checked.
	trusting bool
	// mistakes are values that the types refuse. In Prometheus's blocks they are used only if Prometheus's loader refuses the file, to show
	// where.
	mistakes Problems
	// findings are values that the types accept and that can never work.
	findings Problems
	// doubts are values that are likely to be a mistake.
	doubts Problems
	files  []namedFile
}

// place is the place of a node in words, such as scrape_configs: job_name "a": basic_auth.password.
type place struct {
	text  string
	key   string // the last one
	named bool   // text ends with the name of an item
	by    tags
}

func (p place) under(key string) place {
	sep := "."
	switch {
	case p.text == "":
		sep = ""
	case p.named:
		sep = ": "
	}
	return place{text: p.text + sep + key, key: key, by: p.by}
}

// item is the place of an item of a list. Jobs and destinations are named.
func (p place) item(i int, node *yaml.Node) place {
	at := place{text: fmt.Sprintf("%s[%d]", p.text, i), key: p.key, by: p.by}
	switch p.text {
	case "scrape_configs":
		if name := find(node, "job_name"); name != nil && name.Kind == yaml.ScalarNode && name.Value != "" {
			at.text, at.named = fmt.Sprintf("%s: job_name %q", p.text, name.Value), true
		}
	case "remote_write":
		name, u := find(node, "name"), find(node, "url")
		switch {
		case name != nil && name.Kind == yaml.ScalarNode && name.Value != "":
			at.text, at.named = fmt.Sprintf("%s %q", p.text, name.Value), true
		case u != nil && u.Kind == yaml.ScalarNode && u.Value != "":
			at.text, at.named = fmt.Sprintf("%s %q", p.text, redact.BareURL(u.Value)), true
		}
	}
	return at
}

// mistake returns false.
func (w *walker) mistake(n *yaml.Node, format string, args ...any) bool {
	if w.trusting {
		return false
	}
	w.mistakes = append(w.mistakes, Problem{File: w.file, Line: n.Line, Text: fmt.Sprintf(format, args...)})
	return false
}

func (w *walker) finding(n *yaml.Node, format string, args ...any) {
	w.findings = append(w.findings, Problem{File: w.file, Line: n.Line, Text: fmt.Sprintf(format, args...)})
}

// resolved is the node that an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// walk checks a node that is to become a t. It returns true if nothing is wrong with it.
func (w *walker) walk(n *yaml.Node, t reflect.Type, at place) bool {
	n, t = resolved(n), pointed(t)
	if t == monitorsType {
		at.by = jsonTags
	}
	if isNull(n) {
		return true
	}
	good := true
	switch shapeOf(t, at.by) {
	case anything:
		return true
	case mapping:
		if n.Kind != yaml.MappingNode {
			return w.mistake(n, "%s: want keys and values here, not %s", at.text, kindOf(n))
		}
		good = w.mapping(n, t, at)
	case list:
		if n.Kind != yaml.SequenceNode {
			return w.mistake(n, "%s: want a list here, not %s", at.text, kindOf(n))
		}
		for i, item := range n.Content {
			good = w.item(item, t.Elem(), at.item(i, resolved(item))) && good
		}
	case scalar:
		if n.Kind != yaml.ScalarNode {
			return w.mistake(n, "%s: want %s here, not %s", at.text, wanted(t), kindOf(n))
		}
	}
	if t == scrapeType && !w.trusting {
		good = w.addresses(n, at) && good
	}
	if !good {
		if t == remoteWriteType || t == scrapeType {
			w.decodeRest(n, t, at)
		}
		return false
	}
	return (w.trusting || w.decode(n, t, at)) && w.look(n, t, at)
}

func (w *walker) item(n *yaml.Node, t reflect.Type, at place) bool {
	if k := pointed(t).Kind(); isNull(resolved(n)) && (k == reflect.Struct || k == reflect.Slice || k == reflect.Map) {
		return w.mistake(n, "%s: the item is empty", at.text)
	}
	return w.walk(n, t, at)
}

func (w *walker) mapping(n *yaml.Node, t reflect.Type, at place) bool {
	known, good := keysOf(t, at.by), true
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			good = w.merged(value, t, at) && good
			continue
		}
		of := known.find(key.Value)
		switch {
		case key.Kind != yaml.ScalarNode:
			good = w.mistake(key, "%s: a key is %s, want a text", at.text, kindOf(key))
		case seen[key.Value]:
			good = w.mistake(key, "key %q stands twice%s", key.Value, at.in())
		case of != nil:
			good = w.walk(value, of, at.under(key.Value)) && good
		case t == monitorsType && slices.Contains(serverFields, key.Value): // there are warnings for these
		default:
			good = w.mistake(key, "unknown key %q%s%s", key.Value, at.in(), Suggest(key.Value, names(known)))
		}
		seen[key.Value] = true
	}
	return good
}

// merged checks what << merges into a mapping.
func (w *walker) merged(n *yaml.Node, t reflect.Type, at place) bool {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		return n.Kind == yaml.MappingNode && w.mapping(n, t, at)
	}
	good := true
	for _, one := range n.Content {
		good = w.merged(one, t, at) && good
	}
	return good
}

func (p place) in() string {
	if p.text == "" {
		return ""
	}
	return " in " + p.text
}

func names(k keys) (out []string) {
	for name := range k.of {
		out = append(out, name)
	}
	return out
}

// decode makes the type itself read the node, because types with their own decoder check their content.
func (w *walker) decode(n *yaml.Node, t reflect.Type, at place) bool {
	if t.Kind() == reflect.Struct && !readsItself(t, at.by) && shapeOf(t, at.by) == mapping || t.Kind() == reflect.Map || t == monitorsType {
		return true
	}
	if t == reflect.TypeFor[relabel.Regexp]() && poison(n) {
		w.finding(n, "%s: %s", at.text, whyPoison(n.Value))
		return false
	}
	err := caught(func() error { return decodeAs(n, reflect.New(t).Interface(), at.by) })
	switch {
	case err == nil:
		return true
	case errors.Is(err, errPanic):
		return w.mistake(n, "%s: %v", at.text, err)
	}
	text := readable(err).Error()
	if isWrongType(err) {
		text = "want " + wanted(t)
		if n.Kind == yaml.ScalarNode && !redact.Name(at.key) {
			text = fmt.Sprintf("%q: %s", n.Value, text)
			if wanted(t) == "a text" && at.by == jsonTags {
				text += " (in quotes)"
			}
		}
	}
	if t == sizeType {
		text += ", want one such as 50MB"
	}
	line := n
	if t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode {
		line = mentioned(n, text)
		for _, v := range scalars(n) {
			if line == n && v.Value != "" && strings.Contains(text, strconv.Quote(v.Value)) {
				line = v
			}
		}
	}
	w.mistake(line, "%s: %s", at.text, text)
	if t == remoteWriteType || t == scrapeType {
		w.decodeRest(n, t, at)
	}
	return false
}

// decodeRest decodes a destination or a job without the keys that have mistakes, to find mistakes in the other keys. The decoder stops at
// the first one. Required keys get a valid value.
func (w *walker) decodeRest(n *yaml.Node, t reflect.Type, at place) {
	rest := *n
	rest.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		from, to := key.Line, lastLine(value)
		bad := slices.ContainsFunc(w.mistakes, func(p Problem) bool { return p.File == w.file && p.Line >= from && p.Line <= to })
		good, needed := map[string]string{"url": "http://a/", "job_name": "a"}[key.Value]
		switch {
		case bad && needed:
			rest.Content = append(rest.Content, key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: good, Line: value.Line})
		case !bad:
			rest.Content = append(rest.Content, key, value)
		}
	}
	if len(rest.Content) < len(n.Content) {
		w.decode(&rest, t, at)
	}
}

// lastLine is the last line on which a part of a node begins.
func lastLine(n *yaml.Node) int {
	line := n.Line
	if n.Kind != yaml.AliasNode {
		for _, c := range n.Content {
			line = max(line, lastLine(c))
		}
	}
	return line
}

func decodeAs(n *yaml.Node, out any, by tags) error {
	if by == yamlTags {
		return n.Decode(out)
	}
	var tree any
	if err := n.Decode(&tree); err != nil {
		return err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// mentioned finds the key in or below a mapping that a text names first. It returns the mapping itself if there is none.
func mentioned(n *yaml.Node, text string) *yaml.Node {
	best, first := n, len(text)
	var look func(*yaml.Node)
	look = func(n *yaml.Node) {
		n = resolved(n)
		for i, key := range n.Content {
			if n.Kind != yaml.MappingNode {
				look(key)
				continue
			}
			if i%2 == 1 {
				continue
			}
			for _, name := range []string{key.Value, strings.ReplaceAll(key.Value, "_", " ")} {
				if at := indexWord(text, name); at >= 0 && at < first {
					best, first = key, at
				}
			}
			look(n.Content[i+1])
		}
	}
	look(n)
	return best
}

// indexWord is the index of a word in a text; -1 if it is not there or only as part of another word.
func indexWord(text, word string) int {
	inWord := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			break
		}
		i += from
		end := i + len(word)
		if (i == 0 || !inWord(text[i-1])) && (end == len(text) || !inWord(text[end])) {
			return i
		}
		from = end
	}
	return -1
}

// kindOf names the kind of a node. It leaves out the value, which may be secret.
func kindOf(n *yaml.Node) string {
	switch resolved(n).Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

// wanted names the kind of value that a type expects.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[model.Duration](), reflect.TypeFor[time.Duration](), reflect.TypeFor[monitoringv1.Duration](), reflect.TypeFor[monitoringv1.NonEmptyDuration](), reflect.TypeFor[monitoringv1.GoDuration]():
		return "a duration such as 30s"
	case reflect.TypeFor[monitoringv1.ByteSize]():
		return "a size such as 50MB"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "keys and values"
	}
	return "a text"
}

var (
	errEmpty  = errors.New("the item is empty")
	errPoison = errors.New("a regular expression that Prometheus's loader must not see")
	errPanic  = errors.New("cannot be read, is an item of a list empty?")
)
