package categraf

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file.
type position struct {
	file string
	line int
}

// table is a table of TOML. It notes which keys are asked for.
type table struct {
	values map[string]any
	path   string // such as instances[0].consul
	file   file
	lines  map[string]int // of paths, in the TOML
	asked  map[string]bool
}

// parse reads a file of TOML.
func parse(f file) (*table, error) {
	t := &table{file: f, asked: map[string]bool{}}
	if err := toml.Unmarshal(f.text, &t.values); err != nil {
		return nil, err
	}
	var err error
	t.lines, err = linesOf(f.text)
	return t, err
}

// linesOf returns the lines of the keys of TOML, by their paths.
func linesOf(text []byte) (map[string]int, error) {
	lines, elements := map[string]int{}, map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	prefix := "" // path of the table that the keys are in
	for p.NextExpression() {
		e := p.Expression()
		path := prefix
		if e.Kind != unstable.KeyValue {
			path = ""
		}
		for k := e.Key(); k.Next(); {
			path = join(path, string(k.Node().Data))
			if k.IsLast() && e.Kind == unstable.ArrayTable {
				elements[path]++
			}
			if n := elements[path]; n > 0 {
				path = fmt.Sprintf("%s[%d]", path, n-1)
			}
			if lines[path] == 0 {
				lines[path] = p.Shape(k.Node().Raw).Start.Line
			}
		}
		if e.Kind != unstable.KeyValue {
			prefix = path
		}
	}
	return lines, p.Error()
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// at is the place of a key, or of the table if the key has none.
func (t *table) at(key string) position {
	line := t.lines[join(t.path, key)]
	if line == 0 {
		line = t.lines[t.path]
	}
	return t.file.at(max(line, 1))
}

func (t *table) get(key string) any {
	t.asked[key] = true
	return t.values[key]
}

func (t *table) has(key string) bool {
	t.asked[key] = true
	_, ok := t.values[key]
	return ok
}

// str returns a string, or a number as one.
func (t *table) str(key string) string {
	switch v := t.get(key).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// isOn reports whether a key is true.
func (t *table) isOn(key string) bool {
	on, _ := t.get(key).(bool)
	return on
}

// strs returns a list of strings.
func (t *table) strs(key string) (out []string) {
	list, _ := t.get(key).([]any)
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// number returns a whole number; 0 if there is none.
func (t *table) number(key string) int64 {
	n, _ := t.get(key).(int64)
	return n
}

// duration returns a duration: a number of seconds, or text such as 15s; 0 if there is none.
func (t *table) duration(key string) time.Duration {
	v := t.str(key)
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		return time.Duration(n * float64(time.Second))
	}
	d, _ := time.ParseDuration(v)
	return d
}

// pairs returns a table of strings.
func (t *table) pairs(key string) map[string]string {
	out := map[string]string{}
	values, _ := t.get(key).(map[string]any)
	for k, v := range values {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// sub returns a table; nil if there is none.
func (t *table) sub(key string) *table {
	values, ok := t.get(key).(map[string]any)
	if !ok {
		return nil
	}
	return t.within(values, join(t.path, key))
}

// subs returns the tables of a list.
func (t *table) subs(key string) (out []*table) {
	list, _ := t.get(key).([]any)
	for i, v := range list {
		if values, ok := v.(map[string]any); ok {
			out = append(out, t.within(values, fmt.Sprintf("%s[%d]", join(t.path, key), i)))
		}
	}
	return out
}

func (t *table) within(values map[string]any, path string) *table {
	return &table{values: values, path: path, file: t.file, lines: t.lines, asked: map[string]bool{}}
}

// unknown are the keys that nobody has asked for.
func (t *table) unknown() (out []string) {
	for _, k := range slices.Sorted(maps.Keys(t.values)) {
		if !t.asked[k] {
			out = append(out, k)
		}
	}
	return out
}

// name is the path as a person writes it, with a key.
func (t *table) name(key string) string {
	path := strings.NewReplacer("[0]", "").Replace(t.path)
	return join(path, key)
}
