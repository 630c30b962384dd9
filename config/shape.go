package config

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v3"
)

// shape is what a type of Go expects of a YAML node.
type shape int

const (
	anything shape = iota
	scalar
	list
	mapping
	whole // it reads itself, in a way that the type does not tell
)

// tags are the struct tags that name keys: yaml, or json for the blocks that are fields of CRDs.
type tags string

const (
	yamlTags tags = "yaml"
	jsonTags tags = "json"
)

// keys are the keys that a mapping may have, and the type of each.
type keys struct {
	of   map[string]reflect.Type
	rest reflect.Type // of every other key; nil: there is none
}

var (
	configsType = reflect.TypeFor[discovery.Configs]()
	// stand are types in the place of others which read themselves.
	stand = map[reflect.Type]reflect.Type{
		reflect.TypeFor[targetgroup.Group](): reflect.TypeFor[staticGroup](),
	}
	// mechanisms are all lists of service discoveries there are.
	mechanisms = func() reflect.Type {
		lists, err := discovery.Configs{}.MarshalYAML()
		if err != nil {
			panic(err) // never: there is nothing to marshal
		}
		return reflect.TypeOf(lists).Elem()
	}()
)

// staticGroup is an item of static_configs.
type staticGroup struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels"`
}

// pointed takes pointers off a type, and puts in what stands for it.
func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := stand[t]; ok {
		return s
	}
	return t
}

// readsItself tells whether a type has code of its own to read YAML or JSON.
func readsItself(t reflect.Type, by tags) bool {
	p := reflect.PointerTo(t)
	if p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	if by == jsonTags {
		return p.Implements(reflect.TypeFor[json.Unmarshaler]())
	}
	return p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) || p.Implements(reflect.TypeFor[interface {
		UnmarshalYAML(func(any) error) error
	}]())
}

// shapeOf tells what a type expects. Structs that read themselves are mappings all the same where they have keys: they do so to fill
// in defaults.
func shapeOf(t reflect.Type, by tags) shape {
	switch t.Kind() {
	case reflect.Interface:
		return anything
	case reflect.Struct:
		if by == jsonTags && readsItself(t, by) || len(keysOf(t, by).of) == 0 && keysOf(t, by).rest == nil {
			return whole
		}
		return mapping
	case reflect.Slice, reflect.Array:
		if readsItself(t, by) {
			return whole
		}
		return list
	case reflect.Map:
		if by == yamlTags && readsItself(t, by) {
			return whole
		}
		return mapping
	}
	return scalar
}

// keysOf are the keys of a struct or map.
func keysOf(t reflect.Type, by tags) keys {
	if t.Kind() == reflect.Map {
		return keys{rest: t.Elem()}
	}
	k := keys{of: map[string]reflect.Type{}}
	untagged := !readsItself(t, by) // a URL that reads itself has no keys, though it has fields
	for i := range t.NumField() {
		k.add(t.Field(i), by, untagged)
	}
	return k
}

func (k *keys) add(f reflect.StructField, by tags, untagged bool) {
	if !f.IsExported() && !f.Anonymous {
		return
	}
	if f.Type == configsType {
		k.merge(keysOf(mechanisms, yamlTags))
		return
	}
	name, options, _ := strings.Cut(f.Tag.Get(string(by)), ",")
	inline := slices.Contains(strings.Split(options, ","), "inline") || by == jsonTags && f.Anonymous && name == ""
	switch {
	case name == "-":
	case inline:
		k.merge(keysOf(pointed(f.Type), by))
	case name != "":
		k.of[name] = f.Type
	case !f.IsExported() || !untagged:
	case by == yamlTags:
		k.of[strings.ToLower(f.Name)] = f.Type
	default:
		k.of[f.Name] = f.Type
	}
}

func (k *keys) merge(other keys) {
	for name, t := range other.of {
		k.of[name] = t
	}
	if other.rest != nil {
		k.rest = other.rest
	}
}

// find returns the type of a key's value, nil if there is no such key.
func (k keys) find(name string) reflect.Type {
	if t, ok := k.of[name]; ok {
		return t
	}
	return k.rest
}

// Suggest names the one of known words that was perhaps meant, in words that go on a sentence; empty if none is near. Where there are
// few, it names all. It sorts known.
func Suggest(key string, known []string) string {
	best, least := "", min(4, len(key)/2+2)
	slices.Sort(known)
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return ", did you mean \"" + k + "\"?"
		}
		if d := distance(strings.ToLower(key), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return ", did you mean \"" + best + "\"?"
	case len(known) > 0 && len(known) <= 12:
		return "; known are " + strings.Join(known, ", ")
	}
	return ""
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
