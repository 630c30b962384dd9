package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"promrelay/config"
)

// unreadableWords begin the error of a file that cannot be read.
const unreadableWords = "the relay cannot read"

// unreadable is the error of a request that was not sent because the relay cannot read a file that the configuration names.
type unreadable struct {
	of  string // the destination, and the key that names the file
	err *fs.PathError
}

func (u *unreadable) Error() string {
	why := u.err.Err.Error()
	if errors.Is(u.err, fs.ErrNotExist) {
		why = "there is no such file"
	}
	return fmt.Sprintf(unreadableWords+" %s (%s): %s", u.err.Path, u.of, why)
}

func (u *unreadable) Unwrap() error { return u.err }

// ofFile wraps an error about a file that d names in an unreadable. It returns other errors unchanged.
func ofFile(d config.Destination, err error) error {
	var file *fs.PathError
	if !errors.As(err, &file) {
		return err
	}
	of := fmt.Sprintf("remote_write %q", d.Shown())
	if key := fileKey(reflect.ValueOf(*d.RemoteWriteConfig), file.Path); key != "" {
		of += ", " + key
	}
	return &unreadable{of, file}
}

// fileKey returns the key that holds a path in a configuration, such as basic_auth.password_file; empty if there is none.
func fileKey(v reflect.Value, path string) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return fileKey(v.Elem(), path)
	case reflect.Map:
		for _, name := range v.MapKeys() {
			if key := fileKey(v.MapIndex(name), path); key != "" && name.Kind() == reflect.String {
				return name.String() + "." + key
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if key := fieldKey(v.Type().Field(i), v.Field(i), path); key != "" {
				return key
			}
		}
	}
	return ""
}

// fieldKey is fileKey for one field of a struct.
func fieldKey(f reflect.StructField, v reflect.Value, path string) string {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if !f.IsExported() || name == "-" {
		return ""
	}
	if v.Kind() == reflect.String && v.String() == path && strings.HasSuffix(name, "_file") {
		return name
	}
	if paths, ok := v.Interface().([]string); ok && name == "files" && slices.Contains(paths, path) {
		return name
	}
	key := fileKey(v, path)
	if key != "" && options != "inline" && name != "" {
		return name + "." + key
	}
	return key
}
