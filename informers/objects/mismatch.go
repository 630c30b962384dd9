package objects

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

// maxMismatches is how many fields are named.
const maxMismatches = 5

// TypeMismatches names the fields of a JSON document whose values are of another type than the Go type wants, and says which
// type is there and which is wanted. It names no values: they may be secret. (The decoder's own error names one field only, and
// not where in a list or a map it is.)
func TypeMismatches(t reflect.Type, doc []byte) []string { return mismatchesAt("", t, doc) }

func mismatchesAt(path string, t reflect.Type, doc []byte) []string {
	err := utiljson.Unmarshal(doc, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	var out []string
	for _, p := range parts(t, doc) {
		if out = append(out, mismatchesAt(path+p.name, p.t, p.doc)...); len(out) >= maxMismatches {
			return out[:maxMismatches]
		}
	}
	if out == nil {
		out = []string{strings.TrimPrefix(path, ".") + ": " + mismatch(t, err)}
	}
	return out
}

// fieldPart is a field of an object, or an item of a list.
type fieldPart struct {
	name string // with the separator before it, as in a path
	t    reflect.Type
	doc  json.RawMessage
}

// parts splits a document into its fields or items, as the type declares them. It returns none for a value without parts.
func parts(t reflect.Type, doc []byte) (out []fieldPart) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case ownDecoder(t) || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
	case t.Kind() == reflect.Slice:
		_ = json.Unmarshal(doc, &list) // a document of another type has no items
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

// ownDecoder reports whether a type decodes itself. Its fields then do not describe its input.
func ownDecoder(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// fieldType returns the type of a struct's field by its name in JSON, or of a map's values. It returns nil if there is no such field.
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

// mismatch says which type is there and which is wanted.
func mismatch(t reflect.Type, err error) string {
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
	if there == "" { // the type does not hold this number
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
