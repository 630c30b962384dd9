package config

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
)

// shape is the kind of YAML node that a Go type expects.
type shape int

const (
	anything shape = iota
	scalar
	list
	mapping
	whole // the type has its own decoder, and its fields do not say what it reads
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
	rest reflect.Type // of all other keys; nil: there are none
}

var (
	configsType = reflect.TypeFor[discovery.Configs]()
	// substitutes are types with the same fields as types that have their own decoder.
	substitutes = map[reflect.Type]reflect.Type{
		reflect.TypeFor[targetgroup.Group](): reflect.TypeFor[staticGroup](),
		reflect.TypeFor[labels.Labels]():     reflect.TypeFor[map[string]string](),
	}
	// mechanisms has a field for the list of each service discovery.
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

// pointed removes pointers from a type, and substitutes it if it has a substitute.
func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := substitutes[t]; ok {
		return s
	}
	return t
}

// readsItself reports whether a type has its own decoder for YAML or JSON.
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

// shapeOf returns the shape that a type expects. A struct with keys is a mapping even if it has its own decoder, because that only sets
// defaults.
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

// known caches keysOf. There are some hundred types, and thousands of nodes for one of them.
var known sync.Map // of typeBy, keys

type typeBy struct {
	reflect.Type
	tags
}

// keysOf returns the keys of a struct or map. The caller does not change them.
func keysOf(t reflect.Type, by tags) keys {
	if t.Kind() == reflect.Map {
		return keys{rest: t.Elem()}
	}
	if k, ok := known.Load(typeBy{t, by}); ok {
		return k.(keys)
	}
	k := findKeys(t, by)
	known.Store(typeBy{t, by}, k)
	return k
}

func findKeys(t reflect.Type, by tags) keys {
	k := keys{of: map[string]reflect.Type{}}
	untagged := !readsItself(t, by) // a URL has its own decoder, and no keys although it has fields
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

// find returns the type of a key's value; nil if there is no such key.
func (k keys) find(name string) reflect.Type {
	if t, ok := k.of[name]; ok {
		return t
	}
	return k.rest
}

// Suggest returns the end of a sentence, which names the known word nearest to key. If no word is near, it names all words if they are few,
// and otherwise it is empty. It sorts known.
func Suggest(key string, known []string) string {
	best, least := "", min(4, len(key)/2+2)
	slices.Sort(known)
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return ", did you mean \"" + k + "\"?"
		}
		if d := Apart(strings.ToLower(key), strings.ToLower(k)); d < least {
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

// minPart is how long a part of a word must be to be taken for the word.
const minPart = 4

// Apart is Distance, and at most 3 if one word is a part of the other one.
func Apart(a, b string) int {
	d := Distance(a, b)
	if min(len(a), len(b)) >= minPart && (strings.Contains(a, b) || strings.Contains(b, a)) {
		return min(d, 3)
	}
	return d
}

// Distance is the number of letters to change, add or remove to get from a to b.
func Distance(a, b string) int {
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
