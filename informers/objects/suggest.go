package objects

import (
	"reflect"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/config"
)

var pathPart = regexp.MustCompile(`\[\d+\]|[^.\[\]]+`)

// SuggestField returns the name of the field that was meant, as ", did you mean ...", for an error of a strict decoder about an unknown
// one. It is empty if no name is near.
func SuggestField(o runtime.Object, err error) string {
	path := FieldPath(err)
	parts := pathPart.FindAllString(path, -1)
	if len(parts) == 0 || !strings.Contains(err.Error(), "unknown field") {
		return ""
	}
	t := reflect.TypeOf(o)
	if u, ok := o.(*Undecoded); ok {
		t = reflect.TypeOf(u.Resource.Example)
	}
	for _, part := range parts[:len(parts)-1] {
		for t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case t == nil:
			return ""
		case t.Kind() == reflect.Slice:
			t = t.Elem()
		case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
			t = fieldType(t, part)
		default:
			return ""
		}
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return ""
	}
	return config.Suggest(parts[len(parts)-1], fieldNames(t))
}

// fieldNames returns the names of a struct's fields in JSON.
func fieldNames(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			out = append(out, fieldNames(f.Type)...)
		case tag != "" && tag != "-":
			out = append(out, tag)
		}
	}
	return out
}
