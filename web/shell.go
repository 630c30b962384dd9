package web

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
)

//go:embed html
var pageFiles embed.FS

// Refused is a version of the configuration file that was refused.
type Refused struct {
	At    time.Time
	Error string
}

// shell is what shell.html shows around each page.
type shell struct {
	Title    string
	Active   string // path of the link that leads here
	Version  string
	Now      time.Time
	Nav      []section
	Refused  *Refused // nil: the file is in force
	Problems []string
	Body     any // of the page's own template
}

// section is a part of the navigation.
type section struct {
	Name  string
	Links []link
}

// link leads to a page. Paths are relative, so that the pages work behind a proxy that adds a prefix.
type link struct{ Path, Name string }

const javascript = "text/javascript; charset=utf-8"

var navigation = []section{
	{"State", []link{{"./", "Overview"}, {"targets", "Targets"}, {"destinations", "Destinations"}, {"wal", "WAL"}, {"top", "Top series"}}},
	{"Look closer", []link{{"service-discovery", "Service discovery"}, {"relabel", "Relabel debugger"}, {"tap", "Tap"}}},
	{"Relay", []link{{"config", "Configuration"}, {"status", "Status"}}},
}

// functions are what the templates call.
var functions = template.FuncMap{
	"seconds": seconds, "thousands": thousands, "count": count, "none": func() string { return none }, "address": address, "to": to,
	"rfc3339": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"utc":     func(t time.Time) string { return t.UTC().Format(time.DateTime) },
	"minus":   func(a, b int) int { return a - b }, "bytes": bytesOf, "rate": rateOf, "class": classOf, "word": wordOf, "changes": changesOf,
}

// templates are the pages by the names of their files.
var templates = func() map[string]*template.Template {
	out := map[string]*template.Template{}
	files, err := pageFiles.ReadDir("html")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, f := range files {
		if name := f.Name(); name != "shell.html" && len(name) > 5 && name[len(name)-5:] == ".html" {
			out[name] = template.Must(template.New("shell.html").Funcs(functions).ParseFS(pageFiles, "html/shell.html", "html/"+name))
		}
	}
	return out
}()

// content of a page: the name of its template, its title and the data of the template.
type content struct {
	file   string
	title  string
	active string // path of the link that leads here
	body   any
	status int // 0 for 200
}

// show writes a page.
func (s *Server) show(w http.ResponseWriter, src *Sources, c content) {
	p := shell{Title: c.title, Active: c.active, Version: s.options.Version, Now: time.Now(), Nav: navigation, Problems: problems(src), Body: c.body}
	if src.Refused != nil {
		p.Refused = src.Refused()
	}
	var b bytes.Buffer
	if err := templates[c.file].Execute(&b, p); err != nil {
		s.log.Error("a page cannot be made", zap.String("page", c.active), zap.NamedError("err", err))
		say(w, http.StatusInternalServerError, "show "+c.title+": "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if c.status != 0 {
		w.WriteHeader(c.status)
	}
	_, _ = w.Write(b.Bytes())
}

// problems are what the relay cannot read or watch.
func problems(src *Sources) (out []string) {
	if src.Problems != nil {
		out = slices.Clone(src.Problems())
	}
	off := src.Monitors.Off()
	for _, name := range slices.Sorted(maps.Keys(off)) {
		out = append(out, name+": "+off[name])
	}
	return out
}

// to is the address of a page with parameters, given as names and values in turn. Those without a value are left out.
func to(path string, parameters ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			q.Set(parameters[i], parameters[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// file serves a file that the pages load. A browser asks for it each time, and gets it again only if it has changed.
func file(name, contentType string) http.HandlerFunc {
	text, err := pageFiles.ReadFile("html/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := fnv.New64a()
	_, _ = sum.Write(text) // it has no error
	tag := fmt.Sprintf("%q", strconv.FormatUint(sum.Sum64(), 36))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	}
}

// atMost returns the first n items of a list, and how many more there are.
func atMost[T any](list []T, n int) (some []T, more int) {
	if len(list) <= n {
		return list, 0
	}
	return list[:n], len(list) - n
}
