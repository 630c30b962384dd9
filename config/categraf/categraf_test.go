package categraf_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"promrelay/config"
	"promrelay/config/categraf"
)

var update = flag.Bool("update", false, "write the golden files in place of comparing them")

// generated compares what was made with a file.
func generated(t *testing.T, path string, made []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, made) {
		t.Errorf("%s is not what comes out: go test ./config/categraf -update writes it anew. Made:\n%s", path, made)
	}
}

func migrate(t *testing.T, dir string, l categraf.Labels) *categraf.Result {
	t.Helper()
	r, err := categraf.Migrate(os.DirFS(dir), l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMigrations compares what files become, both ways, with what is kept: of the usual set-up of EKS, which deploy/categraf ships, and of
// files with all keys. Each configuration loads.
func TestMigrations(t *testing.T) {
	for _, dir := range []string{"eks", "keys"} {
		for _, l := range []categraf.Labels{categraf.Same, categraf.KubePrometheus} {
			r := migrate(t, filepath.Join("testdata", dir), l)
			path := filepath.Join("testdata", fmt.Sprintf("%s.%s.yml", dir, l))
			if dir == "eks" && l == categraf.Same {
				path = filepath.Join("..", "..", "deploy", "categraf", "promrelay.yml")
			}
			generated(t, path, r.Config)
			var report bytes.Buffer
			r.Report.Write(&report)
			generated(t, filepath.Join("testdata", fmt.Sprintf("%s.%s.txt", dir, l)), report.Bytes())
			if _, err := config.Load(r.Config, ""); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if strings.Contains(report.String(), "secret-of") {
				t.Errorf("%s: the report shows a secret", dir)
			}
		}
	}
}

// TestReportNames demands a line, with the right file and line, for each key that the relay does not have as it is.
func TestReportNames(t *testing.T) {
	dir := filepath.Join("testdata", "keys")
	r := migrate(t, dir, categraf.Same)
	for _, key := range []string{
		"global.hostname", "global.omit_hostname", "global.precision", "global.labels.region", "global.labels, global.hostname", "writers.basic_auth_user",
		"writers.headers", "NaN, staleness markers", "metrics_from", "instances.timeout", "instances.url_label_key", "instances.url_label_value",
		"instances.name_prefix", "instances.ignore_metrics", "instances.ignore_label_keys", "instances.interval_times", "instances.labels.image",
		"instances.labels.node", "instances.headers", "instances.username", "instances[2].consul", "instances.future_key", "input.cpu", "instances.urls",
	} {
		found := false
		for _, f := range r.Report.Findings {
			if f.Key != key {
				continue
			}
			found = true
			text, err := os.ReadFile(filepath.Join(dir, f.File))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(text), "\n")
			last := key[strings.LastIndexByte(key, '.')+1:]
			if f.Line < 1 || f.Line > len(lines) || f.Text == "" {
				t.Errorf("%v: there is no such line", f)
				continue
			}
			_, given := strings.CutPrefix(lines[f.Line-1], last)
			if line := lines[f.Line-1]; !given && !strings.HasPrefix(line, "labels") && !strings.HasPrefix(line, "[") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "hostname") {
				t.Errorf("%v: the line is %q", f, line)
			}
		}
		if !found {
			t.Errorf("the report has no line of %s", key)
		}
	}
	for _, want := range []string{"$hostname-$ip", "$HOSTNAME", "metricsBindAddress", "node_exporter", `"-"`, "3 s"} {
		var b bytes.Buffer
		r.Report.Write(&b)
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not name %s", want)
		}
	}
}

// TestLinesInManifests: a finding about a ConfigMap has the line of the manifest.
func TestLinesInManifests(t *testing.T) {
	dir := filepath.Join("testdata", "eks")
	for _, f := range migrate(t, dir, categraf.Same).Report.Findings {
		text, err := os.ReadFile(filepath.Join(dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		key := f.Key[strings.LastIndexByte(f.Key, '.')+1:]
		if line := strings.Split(string(text), "\n")[f.Line-1]; !strings.Contains(line, key) && !regexp.MustCompile(`\[\[instances\]\]|url|global:|collect_per_cpu`).MatchString(line) {
			t.Errorf("%v: the line is %q", f, line)
		}
	}
}

// TestJSONReport: the report as JSON has the same findings.
func TestJSONReport(t *testing.T) {
	r := migrate(t, filepath.Join("testdata", "keys"), categraf.Same)
	var b bytes.Buffer
	if err := r.Report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back categraf.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Findings) != len(r.Report.Findings) || back.Findings[3] != r.Report.Findings[3] {
		t.Errorf("%v: %d findings, want %d", err, len(back.Findings), len(r.Report.Findings))
	}
}

// TestWrongFiles: a file that cannot be read is named, and the others are translated.
func TestWrongFiles(t *testing.T) {
	good := &fstest.MapFile{Data: []byte("[[instances]]\nurls = [\"https://127.0.0.1:10250/metrics\"]\n")}
	for name, c := range map[string]struct{ path, text, want string }{
		"TOML":              {"conf/input.prometheus/b.toml", "[[instances]\n", "conf/input.prometheus/b.toml:1: b.toml: no counterpart: not read"},
		"YAML":              {"m.yaml", "a: b: c\n", "m.yaml:1: m.yaml: no counterpart: not read"},
		"a URL":             {"conf/input.prometheus/b.toml", "[[instances]]\nurls = [\"http://$NOPE/metrics\"]\n", `unknown are "NOPE"`},
		"a glob":            {"conf/input.prometheus/b.toml", "[[instances]]\nurls = [\"http://a/metrics\"]\nignore_metrics = [\"a[\"]\n", "the [ at byte 1 has no ]"},
		"a scrape file":     {"conf/prometheus.toml", "[prometheus]\nenable = true\nscrape_config_file = \"/x/gone.yaml\"\n", "/x/gone.yaml is not among the files"},
		"an unknown block":  {"conf/config.toml", "[global]\ninterval = 15\n[nonsense]\na = 1\n", "conf/config.toml:3: nonsense: no counterpart: the key is unknown"},
		"an agent that off": {"conf/prometheus.toml", "[prometheus]\nenable = false\nscrape_config_file = \"s.yaml\"\n", "the agent does not run"},
	} {
		r, err := categraf.Migrate(fstest.MapFS{"conf/input.prometheus/a.toml": good, c.path: {Data: []byte(c.text)}}, categraf.Same)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b bytes.Buffer
		r.Report.Write(&b)
		if !strings.Contains(b.String(), c.want) {
			t.Errorf("%s: the report lacks %q:\n%s", name, c.want, &b)
		}
		if !strings.Contains(string(r.Config), "replacement: https://127.0.0.1:10250/metrics") {
			t.Errorf("%s: the good file is missing:\n%s", name, r.Config)
		}
	}
	if _, err := categraf.Migrate(fstest.MapFS{"a.toml": {Data: []byte("x = 1")}}, categraf.Same); err == nil || !strings.Contains(err.Error(), "nothing of categraf in 1 files") {
		t.Errorf("a tree without categraf: %v", err)
	}
}

// FuzzMigrate: no file stops the migration.
func FuzzMigrate(f *testing.F) {
	for _, pattern := range []string{"testdata/keys/conf/*.toml", "testdata/keys/conf/*/*.toml", "testdata/*/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatal(pattern, err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		tree := fstest.MapFS{}
		for _, name := range []string{"config.toml", "input.prometheus/a.toml", "input.cadvisor/a.toml", "scrape.yaml", "scrape.json"} {
			tree[name] = &fstest.MapFile{Data: text}
		}
		for _, l := range []categraf.Labels{categraf.Same, categraf.KubePrometheus} {
			_, _ = categraf.Migrate(tree, l)
		}
	})
}

// TestListOfObjects: what kubectl get writes, a list whose texts may be quoted, gives the same configuration. A quoted text has one line.
func TestListOfObjects(t *testing.T) {
	var items []any
	for _, name := range []string{"daemonset.yaml", "deployment.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", "eks", name))
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
			var o any
			if err := yaml.Unmarshal(doc, &o); err != nil {
				t.Fatal(err)
			}
			items = append(items, o)
		}
	}
	list := map[string]any{"kind": "List", "apiVersion": "v1", "items": items}
	asYAML, err := yaml.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := migrate(t, filepath.Join("testdata", "eks"), categraf.Same)
	for name, text := range map[string][]byte{"cluster.yaml": asYAML, "cluster.json": asJSON} {
		r, err := categraf.Migrate(fstest.MapFS{name: {Data: text}}, categraf.Same)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.Config, want.Config) || len(r.Report.Findings) != len(want.Report.Findings) {
			t.Errorf("%s gives %d findings, not %d, and\n%s", name, len(r.Report.Findings), len(want.Report.Findings), r.Config)
		}
		lines := strings.Split(string(text), "\n")
		for _, f := range r.Report.Findings {
			if f.Line > len(lines) || f.Key == "instances.bearer_token_file" && !strings.Contains(lines[f.Line-1], "bearer_token_file") {
				t.Errorf("%s: %v: the line is %q", name, f, lines[min(f.Line, len(lines))-1])
			}
		}
	}
}

// TestOtherWorkloads: ConfigMaps of other programs change nothing, and the path of a mount says which plugin a file is of.
func TestOtherWorkloads(t *testing.T) {
	const all = `
kind: ConfigMap
metadata: {name: conf}
data:
  config.toml: "[global]\ninterval = 20\n[[writers]]\nurl = \"http://${SERVER}/prometheus/v1/write\"\n"
  a.toml: "[[instances]]\nurls = [\"https://127.0.0.1:10250/metrics\"]\n"
  b.toml: "x = 1"
---
kind: ConfigMap
metadata: {name: others}
data: {ca.crt: certificate, app.yaml: "a: 1", config.toml: "[plugins]\nx = 1\n"}
---
kind: Deployment
metadata: {name: others}
spec: {template: {spec: {containers: [{volumeMounts: [{name: c, mountPath: /app}]}], volumes: [{name: c, configMap: {name: others}}]}}}
---
kind: DaemonSet
metadata: {name: categraf}
spec:
  template:
    spec:
      containers:
      - volumeMounts:
        - {name: c, mountPath: /conf/config.toml, subPath: config.toml}
        - {name: c, mountPath: /conf/input.mem/mem.toml, subPath: b.toml}
        - {name: c, mountPath: /conf/input.prometheus/a.toml, subPath: a.toml}
      volumes: [{name: c, configMap: {name: conf}}]
---
scrape_configs: [{job_name: a, static_configs: [{targets: [a]}]}]
remote_write: [{url: 'http://${SERVER}/prometheus/v1/write'}]
`
	r, err := categraf.Migrate(fstest.MapFS{"all.yaml": {Data: []byte(all)}}, categraf.Same)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r.Report.Write(&b)
	for _, want := range []string{"input.mem: no counterpart", "nodes.kubelet", "no workload here mounts others", `remote_write.url: no counterpart: "http://${SERVER}`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &b)
		}
	}
	c, err := config.Load(r.Config, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Config)
	}
	if len(c.Destinations) != 1 || len(c.ScrapeConfigs) != 2 || c.ScrapeConfigs[1].JobName != "promrelay" || c.Nodes == nil || c.Nodes.ScrapeInterval.String() != "20s" {
		t.Errorf("the configuration is\n%s", r.Config)
	}
}
