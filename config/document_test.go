package config

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func parsed(t *testing.T, text string) document {
	t.Helper()
	d, err := parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return d
}

// TestOnly: what Prometheus's loader gets are its blocks, on the lines where they were.
func TestOnly(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"blocks between":      {"wal:\n  dir: a\nglobal: {}\nnodes: {}\nscrape_configs: []\n", "\n\nglobal: {}\n\nscrape_configs: []\n"},
		"a refused block":     {"alerting: {}\nglobal: {}\n", "\nglobal: {}\n"},
		"comments stay":       {"# a\nglobal: {}\n# b\nwal: {}\n", "# a\nglobal: {}\n# b\n\n"},
		"all in one line":     {"{wal: {dir: a}, global: {scrape_interval: 5s}}", "global: {scrape_interval: 5s}\n"},
		"an alias of another": {"nodes: {kubelet: {relabel_configs: &r []}}\nglobal: *r\n", "global: []\n"},
		"an alias of its own": {"global: &g {}\nwal: {}\nstorage: *g\n", "global: &g {}\n\nstorage: *g\n"},
		"nothing of it":       {"wal: {}\n", "\n"},
		"nothing":             {"# nothing\n", "# nothing\n"},
	} {
		got, err := parsed(t, c.text).only(prometheusKeys)
		if err != nil || strings.TrimRight(got, "\n ") != strings.TrimRight(c.want, "\n ") {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestBadCharacter(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\x00":       "line 2: byte 2 of the line is the control character U+0000, which YAML does not allow",
		"\xff":           "line 1: byte 1 of the line, 0xff, is not UTF-8",
		"käse\x7f":       "line 1: byte 6 of the line is the control character U+007F, which YAML does not allow",
		"a\tb\r\n\u0085": "",
		"":               "",
	} {
		p, bad := badCharacter([]byte(text))
		if got := p.String(); got != want || bad != (want != "") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestCountable: aliases are counted each time, and an alias to itself ends.
func TestCountable(t *testing.T) {
	for text, want := range map[string]int{"a": 1, "[a, b]": 3, "{a: b}": 3, "[&a [x], *a, *a]": 9} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		for budget, fits := range map[int]bool{want: true, want - 1: false} {
			if got := countable(n.Content[0], &budget); got != fits {
				t.Errorf("%s of %d nodes fits: %t, want %t", text, want, got, fits)
			}
		}
	}
}

// TestGuess finds the place that a text speaks of: a value that it quotes, then a key that it names.
func TestGuess(t *testing.T) {
	d := parsed(t, "global:\n  scrape_interval: 5s\nscrape_configs:\n- job_name: a\n  scrape_timeout: 7s\n- job_name: b\n  basic_auth: {username: u}\nremote_write:\n- url: http://u:x@h/w\n")
	for text, want := range map[string]string{
		`"7s" is too long`:                     `line 5: scrape_configs: job_name "a": "7s" is too long`,
		"basic_auth is odd":                    `line 7: scrape_configs: job_name "b": basic_auth is odd`,
		"the scrape interval is odd":           "line 2: global: the scrape interval is odd",
		"remote_write: no":                     "line 8: remote_write: no",
		"line 3: whatever":                     "line 3: whatever",
		"nothing of it is there":               "nothing of it is there",
		"usernames are not the key of a block": "usernames are not the key of a block",
		`url "http://u:x@h/w" is bad`:          `line 9: remote_write "http://h/w": url "http://u:x@h/w" is bad`,
	} {
		if got := d.guess(text).String(); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if p := (document{}).guess("anything"); p.Line != 0 || p.Text != "anything" {
		t.Errorf("in an empty file: %+v", p)
	}
}

func TestLine(t *testing.T) {
	d := parsed(t, "wal:\n  dir: a\nscrape_configs:\n- job_name: a\n- job_name: b\n")
	for path, want := range map[string]int{"wal.dir": 2, "wal.max_bytes": 1, "relay.drain_factor": 0, "scrape_configs": 3, "wal.dir.more": 2} {
		if got := d.line(strings.Split(path, ".")...); got != want {
			t.Errorf("%s: line %d, want %d", path, got, want)
		}
	}
	var lines []int
	for _, key := range lookup(d.root, []string{"scrape_configs", "*", "job_name"}) {
		lines = append(lines, key.Line)
	}
	if !slices.Equal(lines, []int{4, 5}) {
		t.Errorf("lines of all job_name: %v", lines)
	}
	if d.get("scrape_configs", 1) == nil || d.get("scrape_configs", 2) != nil || d.get("remote_write", 0) != nil || d.get("wal", 5) != nil {
		t.Error("an item is missing, or there is one that is not")
	}
}

// TestDocuments that are no configuration.
func TestDocuments(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n":              `line 1: want a mapping such as "scrape_configs:"`,
		"a":                  `line 1: want a mapping such as "scrape_configs:"`,
		"a: b\n---\nc: d\n":  "the file holds more than one YAML document",
		"a: [\n":             "line 1: did not find expected node content",
		"a: b\n\t- c: \x01d": "line 2: byte 7 of the line is the control character U+0001, which YAML does not allow",
	} {
		_, err := parse([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want[:6]) || !strings.Contains(err.Error(), want[6:min(len(want), 40)]) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"", "# a\n", "---\n", "null\n", "~"} {
		if d := parsed(t, text); d.root != nil || d.flow() {
			t.Errorf("%q is not empty", text)
		}
	}
}
