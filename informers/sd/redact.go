package sd

import (
	"net/url"
	"reflect"
	"regexp"
	"strings"

	config_util "github.com/prometheus/common/config"

	"promrelay/targets"
)

// maxText is how many bytes of an error are kept: some errors hold a whole page of a server.
const maxText = 1000

// urlQuery is the query of a URL in a text. Some servers expect their tokens there.
var urlQuery = regexp.MustCompile(`(://[^\s?"']*\?)[^\s"']*`)

// redact returns as much of an error as a page may show: without secrets and the queries of URLs.
func (s *shared) redact(text string) string {
	text = targets.Redact(text, s.secrets)
	text = urlQuery.ReplaceAllString(text, "${1}...")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}

// secretsOf returns the secrets that a configuration contains, not those in a file that it names.
func secretsOf(sd any) (out []string) {
	var look func(v reflect.Value)
	look = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if v.Type() == reflect.TypeFor[config_util.Secret]() {
				if v.Len() > 0 {
					out = append(out, v.String())
				}
			} else if u, err := url.Parse(v.String()); err == nil {
				look(reflect.ValueOf(*u))
			}
		case reflect.Pointer, reflect.Interface:
			look(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				look(v.Index(i))
			}
		case reflect.Map:
			for _, key := range v.MapKeys() {
				look(v.MapIndex(key))
			}
		case reflect.Struct:
			if u, ok := v.Interface().(url.URL); ok {
				if password, ok := u.User.Password(); ok {
					out = append(out, password)
				}
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					look(v.Field(i))
				}
			}
		}
	}
	look(reflect.ValueOf(sd))
	return out
}
