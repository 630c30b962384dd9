package config

import (
	"reflect"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// node is the YAML of a text.
func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	return n.Content[0]
}

// TestPlaces: jobs and destinations go by their names, and never by what is secret in a URL.
func TestPlaces(t *testing.T) {
	jobs, writes := place{}.under("scrape_configs"), place{}.under("remote_write")
	for want, at := range map[string]place{
		`scrape_configs: job_name "a"`:            jobs.item(3, node(t, "job_name: a")),
		"scrape_configs[3]":                       jobs.item(3, node(t, "job_name: [a]")),
		"scrape_configs[0]":                       jobs.item(0, node(t, "scheme: http")),
		`remote_write "r"`:                        writes.item(0, node(t, "{name: r, url: 'http://u:x@h/w?p'}")),
		`remote_write "http://h/w"`:               writes.item(0, node(t, "{url: 'http://u:x@h/w?p'}")),
		"remote_write[1]":                         writes.item(1, node(t, "name:")),
		`remote_write "r": basic_auth.password`:   writes.item(0, node(t, "name: r")).under("basic_auth").under("password"),
		"nodes.kubelet.relabel_configs[2].action": place{}.under("nodes").under("kubelet").under("relabel_configs").item(2, node(t, "{}")).under("action"),
	} {
		if at.text != want {
			t.Errorf("got %q, want %q", at.text, want)
		}
	}
}

func TestMentioned(t *testing.T) {
	n := node(t, "job_name: a\nbasic_auth:\n  username: u\nstatic_configs:\n- targets: [b]\n  labels: {c: d}\n")
	for text, want := range map[string]string{
		"basic_auth and labels":    "basic_auth", // the first one
		"labels before basic_auth": "labels",
		"the basic auth is wrong":  "basic_auth",
		"username":                 "username",
		"no usernames, mylabels":   "",
		"":                         "",
	} {
		got := ""
		if at := mentioned(n, text); at != n {
			got = at.Value
		}
		if got != want {
			t.Errorf("%q speaks of %q, want %q", text, got, want)
		}
	}
}

func TestIndexWord(t *testing.T) {
	for _, c := range []struct {
		text, word string
		want       int
	}{
		{"a url b", "url", 2},
		{"curl url", "url", 5},
		{"url_x url", "url", 6},
		{"url", "url", 0},
		{"my-url.", "url", 3},
		{"urls", "url", -1},
		{"x", "", -1},
	} {
		if got := indexWord(c.text, c.word); got != c.want {
			t.Errorf("%q in %q: %d, want %d", c.word, c.text, got, c.want)
		}
	}
}

func TestLastLine(t *testing.T) {
	n := node(t, "a: &a\n  b: c\nd: *a\ne:\n- f\n- g\n")
	for i, want := range map[int]int{1: 2, 3: 3, 5: 6} { // an alias ends where it stands
		if got := lastLine(n.Content[i]); got != want {
			t.Errorf("%s: ends in line %d, want %d", n.Content[i-1].Value, got, want)
		}
	}
	if got := lastLine(n); got != 6 {
		t.Errorf("the whole ends in line %d", got)
	}
}

func TestWanted(t *testing.T) {
	for want, types := range map[string][]reflect.Type{
		"true or false":             {reflect.TypeFor[bool]()},
		"a whole number, 0 or more": {reflect.TypeFor[uint](), reflect.TypeFor[uint64]()},
		"a whole number":            {reflect.TypeFor[int](), reflect.TypeFor[int64]()},
		"a duration such as 30s":    {reflect.TypeFor[model.Duration](), reflect.TypeFor[monitoringv1.Duration]()},
		"a number":                  {reflect.TypeFor[float64]()},
		"a list":                    {reflect.TypeFor[[]string]()},
		"keys and values":           {reflect.TypeFor[WAL](), reflect.TypeFor[map[string]int]()},
		"a size such as 50MB":       {reflect.TypeFor[monitoringv1.ByteSize]()},
		"a text":                    {reflect.TypeFor[string](), reflect.TypeFor[promconfig.ScrapeProtocol]()},
	} {
		for _, typ := range types {
			if got := wanted(typ); got != want {
				t.Errorf("%s wants %q, not %q", typ, got, want)
			}
		}
	}
}

// TestSecretsOf finds the values whose keys speak of secrets, wherever they are, and those of URLs.
func TestSecretsOf(t *testing.T) {
	n := node(t, `
remote_write:
- url: http://u:p1@h/w?token=p2
  basic_auth: &auth {username: u, password: p3}
  headers: {X-A: plain}
scrape_configs:
- basic_auth: *auth
  http_headers: {X-B: {secrets: [p4, p5]}}
  relabel_configs: [{regex: secret}]
  tls_config: {key: p6, key_file: f}
`)
	got := map[string]bool{}
	for _, s := range secretsOf(n) {
		got[s] = true
	}
	for _, secret := range []string{"p1", "p2", "p3", "p4", "p5"} {
		if !got[secret] {
			t.Errorf("%s is not known as a secret: %v", secret, got)
		}
	}
	for _, plain := range []string{"secret", "f", "h"} {
		if got[plain] {
			t.Errorf("%s is taken for a secret", plain)
		}
	}
}
