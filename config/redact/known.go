package redact

import (
	"encoding/base64"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	config_util "github.com/prometheus/common/config"
)

var secretType = reflect.TypeFor[config_util.Secret]()

// sure is the least length, in bytes, of a secret that is replaced everywhere. A shorter one may be part of a word by chance.
const sure = 8

// tiny is the length below which a secret may be any word of a message. It is then replaced only in quotes or the like.
const tiny = 4

// maxSecretFile is how many bytes of a file with a secret are read at most.
const maxSecretFile = 64 << 10

// Redactor removes secrets from texts. A nil Redactor knows no secrets, and removes only those in URLs.
type Redactor struct {
	plain []string // longest first, with their other forms
	files []secretFile
}

// secretFile is a file with a secret. It is read for each text, because its content may change.
type secretFile struct{ user, path string }

// New returns a Redactor that knows some secrets.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	for _, s := range secrets {
		r.plain = append(r.plain, forms(s)...)
	}
	r.plain = ordered(r.plain)
	return r
}

// Of returns a Redactor that knows the secrets of configurations: values of type Secret, passwords in URLs, headers and parameters with names
// of secrets, and the content of the files that they name.
func Of(configs ...any) *Redactor {
	c := collector{r: &Redactor{}}
	for _, v := range configs {
		c.collect(reflect.ValueOf(v), 0)
	}
	c.r.plain = ordered(c.r.plain)
	return c.r
}

// forms returns the forms in which a text may contain a secret.
func forms(s string) []string {
	if s == "" {
		return nil
	}
	quoted := strconv.Quote(s)
	out := []string{s, url.QueryEscape(s), url.PathEscape(s), quoted[1 : len(quoted)-1]}
	if len(s) >= sure {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(s)))
	}
	return out
}

// basic is what basic authentication sends.
func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func ordered(secrets []string) []string {
	slices.SortFunc(secrets, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(secrets)
}

// Text removes the secrets from a text, also those of URLs in it.
func (r *Redactor) Text(text string) string {
	text = Text(text)
	if r == nil || text == "" {
		return text
	}
	known := r.plain
	if len(r.files) > 0 {
		known = slices.Clone(known)
		for _, f := range r.files {
			known = append(known, f.read()...)
		}
		known = ordered(known)
	}
	return blank(text, known)
}

func (f secretFile) read() []string {
	file, err := os.Open(f.path)
	if err != nil {
		return nil
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return nil
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return nil
	}
	return append(forms(secret), basic(f.user, secret))
}

// blank replaces secrets. The secrets are sorted, the longest first. So if one secret begins with another, nothing of the longer one is
// left.
func blank(text string, secrets []string) string {
	spans := strings.Split(text, Mark) // between the Marks that are there already
	for _, s := range secrets {
		var next []string
		for _, span := range spans {
			next = append(next, split(span, s)...)
		}
		spans = next
	}
	return strings.Join(spans, Mark)
}

// split cuts a text at each place of a secret.
func split(text, secret string) (parts []string) {
	if len(secret) >= sure {
		return strings.Split(text, secret)
	}
	from := 0
	for at := 0; ; {
		i := strings.Index(text[at:], secret)
		if i < 0 {
			return append(parts, text[from:])
		}
		i += at
		at = i + len(secret)
		if alone(text, i, at, len(secret) < tiny) {
			parts = append(parts, text[from:i])
			from = at
		}
	}
}

// alone reports whether the part from i to end is not within a word. If setOff is true, it must not be a word of a sentence, either.
func alone(text string, i, end int, setOff bool) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[end:])
	if setOff {
		return i > 0 && strings.ContainsRune("\"'`=:@/&<[({", before) && (end == len(text) || strings.ContainsRune("\"'`=:@/&>])},;", after))
	}
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
	return (i == 0 || !word(before)) && (end == len(text) || !word(after))
}

// Error returns an error without secrets in its text. For errors.Is and errors.As it is the same error.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if fit := r.Text(text); fit != text {
		return shown{fit, err}
	}
	return err
}

// shown is an error with another text.
type shown struct {
	text string
	err  error
}

func (e shown) Error() string { return e.text }
func (e shown) Unwrap() error { return e.err }

// collector finds secrets in a configuration by the Go types of its values.
type collector struct{ r *Redactor }

// maxDepth bounds how deep a configuration is searched. Configurations are trees of some ten levels.
const maxDepth = 40

func (c *collector) add(secret string) { c.r.plain = append(c.r.plain, forms(secret)...) }

func (c *collector) collect(v reflect.Value, depth int) {
	if depth > maxDepth || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			c.collect(v.Elem(), depth+1)
		}
	case reflect.Struct:
		c.structure(v, depth)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			c.collect(v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if it.Key().Kind() == reflect.String && Name(it.Key().String()) {
				c.strings(it.Value())
			}
			c.collect(it.Value(), depth+1)
		}
	case reflect.String:
		switch {
		case v.Type() == secretType:
			c.add(v.String())
		case strings.Contains(v.String(), "://"):
			c.url(v.String())
		}
	}
}

func (c *collector) structure(v reflect.Value, depth int) {
	if v.CanInterface() {
		if u, ok := v.Interface().(url.URL); ok {
			c.url(u.String())
			return
		}
	}
	t := v.Type()
	user := ""
	if f := v.FieldByName("Username"); f.IsValid() && f.Kind() == reflect.String {
		user = f.String()
		if p := v.FieldByName("Password"); p.IsValid() && p.Kind() == reflect.String && p.String() != "" {
			c.add(basic(user, p.String()))
		}
	}
	for i := range t.NumField() {
		f, name := v.Field(i), t.Field(i).Name
		if !t.Field(i).IsExported() {
			continue
		}
		if stem, ok := strings.CutSuffix(name, "File"); ok && f.Kind() == reflect.String {
			if f.String() != "" && Name(stem) {
				c.r.files = append(c.r.files, secretFile{user, f.String()})
			}
			continue
		}
		c.collect(f, depth+1)
	}
}

// strings adds the strings of a value, which is a string or a list of strings.
func (c *collector) strings(v reflect.Value) {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		c.add(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			c.strings(v.Index(i))
		}
	}
}

// url adds the password of a URL, also as HTTP clients send it, and the values of parameters with names of secrets.
func (c *collector) url(raw string) {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		password, _ := u.User.Password()
		c.add(basic(u.User.Username(), password))
	}
	for _, s := range URLSecrets(raw) {
		c.add(s)
	}
}

// URLSecrets returns the password of a URL and the values of its parameters with names of secrets.
func URLSecrets(raw string) (out []string) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	if password, ok := u.User.Password(); ok && password != "" {
		out = append(out, password)
	}
	for name, values := range u.Query() {
		if Name(name) {
			out = append(out, values...)
		}
	}
	return out
}
