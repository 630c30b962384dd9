package informers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// mostMisfits is how many fields are named at most.
const mostMisfits = 5

// misfits names the fields of a JSON document that do not fit a type, and says what is there in place of what. The error of
// the decoder itself names but one, and not where in a list or a map.
func misfits(path string, t reflect.Type, doc []byte) []string {
	err := utiljson.Unmarshal(doc, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	var out []string
	for _, p := range parts(t, doc) {
		if out = append(out, misfits(path+p.name, p.t, p.doc)...); len(out) >= mostMisfits {
			return out[:mostMisfits]
		}
	}
	if out == nil {
		out = []string{strings.TrimPrefix(path, ".") + ": " + explain(t, err)}
	}
	return out
}

// fieldPart is a field of an object, or an item of a list.
type fieldPart struct {
	name string // with what goes before it in a path
	t    reflect.Type
	doc  json.RawMessage
}

// parts takes a document apart, as the type wants it to be; none if that cannot be done.
func parts(t reflect.Type, doc []byte) (out []fieldPart) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case ownDecoder(t) || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
	case t.Kind() == reflect.Slice:
		_ = json.Unmarshal(doc, &list) // what is no list has no items
		for i, item := range list {
			out = append(out, fieldPart{fmt.Sprintf("[%d]", i), t.Elem(), item})
		}
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		_ = json.Unmarshal(doc, &object)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if ft := fieldType(t, name); ft != nil {
				out = append(out, fieldPart{"." + name, ft, object[name]})
			}
		}
	}
	return out
}

// ownDecoder tells whether a type decodes itself: then what it looks like is not what it reads.
func ownDecoder(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// fieldType is the type of a field of a struct by its name in JSON, or of what a map holds; nil if there is no such field.
func fieldType(t reflect.Type, name string) reflect.Type {
	if t.Kind() == reflect.Map {
		return t.Elem()
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == name:
			return f.Type
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			if ft := fieldType(f.Type, name); ft != nil {
				return ft
			}
		}
	}
	return nil
}

// explain says what is there, and what type is wanted.
func explain(t reflect.Type, err error) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 { // a Secret's value
		return "it is no string in base64"
	}
	wrong := (*json.UnmarshalTypeError)(nil)
	if ownDecoder(t) || !errors.As(err, &wrong) {
		return err.Error()
	}
	there := map[string]string{"object": "an object", "array": "a list", "string": "a string", "bool": "a boolean", "number": "a number"}[wrong.Value]
	wanted := "a number"
	if there == "" { // a certain number, which the type does not hold
		there, wanted = "the "+wrong.Value, "a number of type "+t.String()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		wanted = "an object"
	case reflect.Slice:
		wanted = "a list"
	case reflect.String:
		wanted = "a string"
	case reflect.Bool:
		wanted = "a boolean"
	}
	return "it is " + there + ", want " + wanted
}
