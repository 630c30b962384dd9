package manifests

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reading is a directory of manifests that a test reads at any time.
type reading struct {
	t   *testing.T
	dir string
	m   *Directory
}

func (r *reading) write(path, text string) {
	r.t.Helper()
	path = filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reading) link(to, at string) {
	r.t.Helper()
	if err := os.Symlink(to, filepath.Join(r.dir, at+".new")); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.dir, at+".new"), filepath.Join(r.dir, at)); err != nil {
		r.t.Fatal(err)
	}
}

// has reads the directory again, and compares the names of Services and the texts of the problems.
func (r *reading) has(services string, problems ...string) {
	r.t.Helper()
	r.m.reread()
	var got []string
	for _, name := range []string{"a", "b", "c"} {
		if r.m.Object("services", "shop/"+name) != nil {
			got = append(got, name)
		}
	}
	if strings.Join(got, " ") != services {
		r.t.Errorf("Services are %q, want %q", got, services)
	}
	found := r.m.Problems()
	for i, p := range found {
		if i >= len(problems) || !strings.Contains(p, problems[i]) {
			r.t.Errorf("problem %q", p)
		}
	}
	if len(found) != len(problems) {
		r.t.Errorf("problems are %q, want %q", found, problems)
	}
}

func service(name string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop}\n"
}

// within waits until a condition holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); !holds(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("not so within 20 s: %s", what)
		}
	}
}

// newReading reads a directory in another one, which holds links as well.
func newReading(t *testing.T, at string, prepare func(r *reading)) *reading {
	t.Helper()
	r := &reading{t: t, dir: t.TempDir()}
	prepare(r)
	m, err := New(filepath.Join(r.dir, at), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.m = m
	return r
}

// TestLinks: links are followed in all places, and never in circles.
func TestLinks(t *testing.T) {
	r := newReading(t, "current", func(r *reading) {
		r.write("tree/1/a.yaml", service("a"))
		r.write("tree/2/b.yaml", service("b"))
		r.write("more/c.yaml", service("c"))
		r.link("tree/1", "current")
	})
	r.has("a")
	r.link("tree/2", "current") // swapped, as git-sync does
	r.has("b")
	r.link("../../more", "tree/2/sub")
	r.has("b c")
	r.link("..", "more/up") // leads to the directory above, which has all of them
	r.link("loop", "more/loop")
	r.has("a b c", "too many levels", "is read already", "is read already", "is read already")
	r.link("nowhere", "tree/2/sub") // while it is swapped, say
	r.has("a b c", "current/sub: no such file or directory")
	if err := os.Remove(filepath.Join(r.dir, "tree/2/sub")); err != nil {
		t.Fatal(err)
	}
	r.has("b")
}

// TestLinkedFiles are those of a mounted ConfigMap.
func TestLinkedFiles(t *testing.T) {
	r := newReading(t, "mount", func(r *reading) {
		r.write("mount/..1/a.yaml", service("a"))
		r.write("mount/..2/a.yaml", service("b"))
		r.link("..1", "mount/..data")
		r.link("..data/a.yaml", "mount/a.yaml")
	})
	r.has("a")
	r.link("..2", "mount/..data")
	r.has("b")
}

// TestSwappedLinkIsNoticed without waiting for the next look.
func TestSwappedLinkIsNoticed(t *testing.T) {
	r := newReading(t, "current", func(r *reading) {
		r.write("tree/1/a.yaml", service("a"))
		r.write("tree/2/b.yaml", service("b"))
		r.link("tree/1", "current")
	})
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- r.m.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"c", "b"} { // the second one is noticed when the directory is watched
		r.write("tree/1/"+name+".yaml", service(name))
		within(t, "what is written counts", func() bool { return r.m.Object("services", "shop/"+name) != nil })
	}
	r.link("tree/2", "current")
	begin := time.Now()
	within(t, "the other tree counts", func() bool { return r.m.Object("services", "shop/a") == nil })
	if took := time.Since(begin); took > readAgainEvery-time.Second {
		t.Errorf("it took %s", took)
	}
	r.write("tree/2/c.yaml", service("c"))
	within(t, "what is written there counts", func() bool { return r.m.Object("services", "shop/c") != nil })
}

// TestDirectoryThatIsAway ends nothing.
func TestDirectoryThatIsAway(t *testing.T) {
	r := newReading(t, "m", func(r *reading) {
		r.write("m/a.yaml", service("a"))
		r.write("m/sub/b.yaml", service("b"))
	})
	r.has("a b")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(r.dir, from), filepath.Join(r.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	move("m", "aside")
	r.has("a b", "no such file or directory: what was read before stays in use")
	r.write("m", "a file")
	r.has("a b", "is not a directory: what was read before stays in use")
	move("m", "file")
	if err := os.Mkdir(filepath.Join(r.dir, "m"), 0o755); err != nil { // a mount point without its volume
		t.Fatal(err)
	}
	r.has("a b", "another directory than before, and an empty one: what was read before stays in use")
	r.write("m/c.yaml", service("c")) // it is another one, and holds something
	r.has("c")
	if err := os.Remove(filepath.Join(r.dir, "m/c.yaml")); err != nil { // somebody emptied the directory
		t.Fatal(err)
	}
	r.has("")
}

// TestProblemsNameTheObject, its line and its field, and no value.
func TestProblemsNameTheObject(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a Service": {
			"# a\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec:\n  ports:\n  - name: x\n    port: eighty\n",
			"line 9: Service shop/a: spec.ports[0].port: it is a string, want a number",
		},
		"a Secret": {
			"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: shop\ndata:\n  user: dXNlcg==\n  app.io/password: hu$h\n",
			"line 8: Secret shop/s: data.app.io/password: it is no string in base64",
		},
		"a Secret with a number": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData:\n  pin: 12345\n", "line 5: Secret shop/s: stringData.pin: it is a number, want a string",
		},
		"a kind that the relay does not read": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: shop}\nspec: {replicas: two}\n", "line 4: Deployment shop/d: spec.replicas: it is a string, want a number",
		},
		"in a list": {
			"apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a, namespace: shop}\n- metadata: {name: b, namespace: shop}\n  spec: {ports: {}}\n",
			"line 6: Service shop/b: spec.ports: it is an object, want a list",
		},
		"a monitor": {
			"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: shop}\nspec:\n  selector: {}\n  endpoints:\n  - {port: 80}\n",
			"line 7: ServiceMonitor shop/a: spec.endpoints[0].port: it is a number, want a string",
		},
		"an unknown field": {
			"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: shop}\nspec:\n  selector: {}\n  endpoints:\n  - port: x\n    prot: y\n",
			`line 8: ServiceMonitor shop/a: unknown field "spec.endpoints[0].prot"`,
		},
		"a doubled key": {
			"apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {}\nspec:\n  ports: [{port: 80}]\n", `line 5: the key "spec" is in line 4 too: the one in line 5 counts`,
		},
		"a doubled key, deep": {
			"# x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {a: 12345,\n  a: hu$h}\n", `line 7: the key "a" is in line 6 too: the one in line 7 counts`,
		},
		"a doubled key in JSON":     {`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}, "spec": {"ports": []}}`, `Service default/a: duplicate field "spec"`},
		"no doubled key":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {x: one}, annotations: {<<: *l, x: two}}\n", ""},
		"YAML in braces":            {"{apiVersion: v1, kind: Service, metadata: {name: a}}\n", ""},
		"an object twice":           {service("a") + "---\n" + service("a"), "line 7: Service shop/a is further up in this file too: this one counts"},
		"plain text":                {"# Notes\n\nhello, world\n", "line 3: want an object of Kubernetes, with apiVersion and kind"},
		"a list that is no List":    {"apiVersion: v1\nkind: List\nitems:\n- a\n", "line 4: want an object of Kubernetes, with apiVersion and kind"},
		"a kind that is none":       {"apiVersion: v1\nkind: [Service]\n", "line 1: want an object of Kubernetes, with apiVersion and kind"},
		"bad YAML":                  {service("a") + "---\na: [\n", "line 5: yaml: did not find expected node content"},
		"bad JSON":                  {"{\"apiVersion\": \"v1\",\n \"kind\"; 1}\n", "line 1: yaml: did not find"},
		"no name":                   {"apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\n", "line 3: Service: metadata.name is missing"},
		"no kind":                   {"metadata: {name: a}\n", "line 1: an object without kind or apiVersion"},
		"a kind with a slip":        {"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMoniter\nmetadata: {name: a, namespace: shop}\n", "line 2: monitoring.coreos.com/v1 ServiceMoniter shop/a: it is ignored, there is no such kind and version: the relay reads PodMonitor, Probe, ScrapeConfig, ServiceMonitor"},
		"another version":           {"apiVersion: monitoring.coreos.com/v1\nkind: ScrapeConfig\nmetadata: {name: a, namespace: shop}\n", "ScrapeConfig shop/a: it is ignored, the relay reads this kind as apiVersion monitoring.coreos.com/v1alpha1"},
		"no group":                  {"apiVersion: v1\nkind: PodMonitor\nmetadata: {name: a, namespace: shop}\n", "the relay reads this kind as apiVersion monitoring.coreos.com/v1"},
		"nearly our group":          {"apiVersion: monitoring.coreos.io/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: shop}\n", "line 2: monitoring.coreos.io/v1 ServiceMonitor shop/a: it is ignored, the relay reads this kind as apiVersion monitoring.coreos.com/v1"},
		"a group of others":         {"apiVersion: example.com/v1\nkind: PodMonitor\nmetadata: {name: a, namespace: shop}\n", "example.com/v1 PodMonitor shop/a: it is ignored, the relay reads"},
		"a Probe, nearly ours":      {"apiVersion: monitoring.coreos.io/v1\nkind: Probe\nmetadata: {name: a, namespace: shop}\n", "it is ignored, the relay reads"},
		"a Probe of others":         {"apiVersion: example.com/v1\nkind: Probe\nmetadata: {name: a, namespace: shop}\n", ""},
		"a rule, which is not ours": {"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a, namespace: shop}\nspec: {}\n", ""},
		"anything else":             {"apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a, namespace: shop}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReading(t, "m", func(r *reading) { r.write("m/a.yaml", c.text) })
			shown := strings.Join(r.m.Problems(), "\n")
			if c.want == "" && shown != "" || !strings.Contains(shown, "a.yaml: "+c.want) && !strings.Contains(shown, c.want) {
				t.Errorf("told %q, want %q", shown, c.want)
			}
			for _, secret := range []string{"hu$h", "12345", "dXNlcg", base64.StdEncoding.EncodeToString([]byte("user"))} {
				if strings.Contains(shown, secret) {
					t.Errorf("a value is told: %q", shown)
				}
			}
		})
	}
}

// TestEndsOfDocuments divide a file as beginnings do.
func TestEndsOfDocuments(t *testing.T) {
	r := newReading(t, "m", func(r *reading) {
		r.write("m/a.yaml", service("a")+"...\n"+service("b")+"... # the end\n---\n"+service("c")+"  # ...\n...\n")
	})
	r.has("a b c")
	r.write("m/a.yaml", service("a")+"...\n"+service("b")+"spec: [x]\n...\n")
	r.has("a b c", "line 8: Service shop/b: spec: it is a list, want an object")
}

// TestTwoFiles with one object: a problem names the file that is used.
func TestTwoFiles(t *testing.T) {
	r := newReading(t, "m", func(r *reading) {
		r.write("m/1.yaml", service("a"))
		r.write("m/2.yaml", service("a"))
	})
	one, two := filepath.Join(r.dir, "m/1.yaml"), filepath.Join(r.dir, "m/2.yaml")
	r.has("a", two+": services shop/a is in "+one+" too: the one in "+two+" counts")
}

// TestPanicOfAManifest affects one file.
func TestPanicOfAManifest(t *testing.T) {
	m := newReading(t, "m", func(r *reading) { r.write("m/a.yaml", service("a")) })
	m.m.reader = nil // which nobody expects
	m.write("m/b.yaml", service("b"))
	m.has("a", "b.yaml: panic: ")
}

// TestNames are refused as an API server refuses them.
func TestNames(t *testing.T) {
	object := func(version, kind, name, namespace string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %q\n  namespace: %q\n", version, kind, name, namespace)
	}
	const monitoring = "monitoring.coreos.com/v1"
	long := strings.Repeat("a", 64)
	for name, c := range map[string]struct{ text, want string }{
		"a Pod":              {object("v1", "Pod", "a#1", "shop"), `line 4: Pod shop/a#1: metadata.name "a#1" is not valid, the object is left out: a lowercase RFC 1123 subdomain must consist of`},
		"upper case":         {object("v1", "Secret", "Token", "shop"), `line 4: Secret shop/Token: metadata.name "Token" is not valid`},
		"a slash":            {object(monitoring, "Probe", "a/b", "shop"), `line 4: Probe shop/a/b: metadata.name "a/b" is not valid`},
		"a namespace":        {object(monitoring, "ServiceMonitor", "a", "shop.eu"), `line 5: ServiceMonitor shop.eu/a: metadata.namespace "shop.eu" is not valid, the object is left out: must not contain dots`},
		"a Service":          {object("v1", "Service", "a.b", "shop"), `line 4: Service shop/a.b: metadata.name "a.b" is not valid`},
		"a long Service":     {object("v1", "Service", long, "shop"), `is not valid, the object is left out: must be no more than 63 characters`},
		"a long Pod":         {object("v1", "Pod", long, "shop"), ""},
		"a Node":             {object("v1", "Node", "a_b", ""), `line 4: Node a_b: metadata.name "a_b" is not valid`},
		"a Node's namespace": {object("v1", "Node", "a.b", "SHOP"), ""}, // an API server ignores it
		"a Service of today": {object("v1", "Service", "1a", "shop"), ""},
		"a control sequence": {object("v1", "Pod", "a\x1b[2J\nb", "shop"), `line 4: Pod "shop/a\x1b[2J\nb": metadata.name "a\x1b[2J\nb" is not valid`},
		"and a wrong type":   {object("v1", "Service", "a\x1b[2J\nb", "shop") + "spec: []\n", `line 6: Service "shop/a\x1b[2J\nb": `},
		"another kind":       {object("apps/v1", "Deployment", "A", "shop"), ""}, // the relay does not read it
	} {
		t.Run(name, func(t *testing.T) {
			r := newReading(t, "m", func(r *reading) { r.write("m/a.yaml", c.text+"---\n"+service("b")) })
			shown := strings.Join(r.m.Problems(), "\n")
			if c.want == "" && shown != "" || !strings.Contains(shown, c.want) {
				t.Errorf("told %q, want %q", shown, c.want)
			}
			if r.m.Object("services", "shop/b") == nil {
				t.Error("the object beside it is gone")
			}
			if c.want != "" && len(r.m.files[filepath.Join(r.dir, "m/a.yaml")].objects) != 1 {
				t.Error("the object is not left out")
			}
		})
	}
}
