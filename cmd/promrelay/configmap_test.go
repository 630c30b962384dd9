package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckManifests: a configuration in a ConfigMap or Secret is checked where it stands.
func TestCheckManifests(t *testing.T) {
	const (
		good = "global: {external_labels: {cluster: a}}\nremote_write:\n- url: http://a/write\n  basic_auth: {username: u, password_file: /none}\n"
		bad  = "monitors: {}\nremote_write:\n- ulr: http://a/write\n"
	)
	block := func(text string) string {
		return "|\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
	}
	object := func(kind, key, value string) string {
		return "# the relay\n---\napiVersion: v1\nkind: " + kind + "\nmetadata: {name: relay}\n" + key + ":\n  other: x\n  promrelay.yml: " + value
	}
	for name, c := range map[string]struct {
		files map[string]string
		path  string // "-": the file a.yaml is the standard input
		want  string // in the messages; DIR is the directory
	}{
		"a ConfigMap":          {map[string]string{"a.yaml": object("ConfigMap", "data", block(good))}, "a.yaml", "DIR/a.yaml: valid, with 0 scrape_configs and 1 remote_write"},
		"its lines":            {map[string]string{"a.yaml": object("ConfigMap", "data", block(bad))}, "a.yaml", "DIR/a.yaml: line 11: unknown key \"ulr\""},
		"quoted":               {map[string]string{"a.yaml": object("ConfigMap", "data", "\"wal: {max_byte: 1}\"\n")}, "a.yaml", "DIR/a.yaml, promrelay.yml of ConfigMap relay: line 1: unknown key"},
		"a Secret":             {map[string]string{"a.yaml": object("Secret", "stringData", block(bad))}, "a.yaml", "DIR/a.yaml: line 11: unknown key"},
		"an encoded Secret":    {map[string]string{"a.yaml": object("Secret", "data", base64.StdEncoding.EncodeToString([]byte(bad))+"\n")}, "a.yaml", "DIR/a.yaml, promrelay.yml of Secret relay: line 3: unknown key"},
		"a list":               {map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  apiVersion: v1\n  data:\n    promrelay.yml: " + strings.ReplaceAll(block(bad), "\n    ", "\n      ")}, "a.yaml", "DIR/a.yaml: line 10: unknown key"},
		"the standard input":   {map[string]string{"a.yaml": object("ConfigMap", "data", block(bad))}, "-", "-: line 11: unknown key"},
		"a plain one":          {map[string]string{"a.yaml": good}, "-", "-: valid, with"},
		"a mounted ConfigMap":  {map[string]string{"..1/promrelay.yml": bad}, "", "DIR/promrelay.yml: line 3: unknown key"},
		"a directory":          {map[string]string{"a.yaml": "kind: Service\napiVersion: v1\n", "b.yml": object("ConfigMap", "data", block(good)), "values.yaml": "a: b\n"}, "", "DIR/b.yml: valid, with"},
		"two":                  {map[string]string{"a.yaml": object("ConfigMap", "data", block(good)), "b.yaml": object("ConfigMap", "data", block(good))}, "", "DIR holds several configurations: DIR/a.yaml, DIR/b.yaml; name one file"},
		"another key":          {map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: x, a: y}\n"}, "a.yaml", "DIR/a.yaml: no ConfigMap or Secret has the key promrelay.yml; there are ConfigMap a with the keys a, b"},
		"no object of its own": {map[string]string{"a.yaml": "kind: Service\napiVersion: v1\n"}, "a.yaml", "DIR/a.yaml holds neither promrelay.yml nor a ConfigMap or Secret with this key"},
		"nothing":              {nil, "", "DIR holds neither promrelay.yml nor"},
		"no such file":         {nil, "none.yml", "read configuration: stat DIR/none.yml: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, file), text)
				if strings.HasPrefix(file, "..1/") {
					if err := os.Symlink(file, filepath.Join(dir, filepath.Base(file))); err != nil {
						t.Fatal(err)
					}
				}
			}
			path := filepath.Join(dir, c.path)
			if c.path == "-" {
				path = "-"
			}
			var out bytes.Buffer
			if err := check(&out, checkOptions{ConfigFile: path, Input: strings.NewReader(c.files["a.yaml"]), Files: true}); err != nil {
				out.WriteString(strings.Join(lines(err), "\n"))
			}
			if got := strings.ReplaceAll(out.String(), dir, "DIR"); !strings.Contains(got, c.want) || strings.Contains(got, "/none:") && c.path != "-" {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}
