package informers

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/targets"
)

const badRegex = "[{port: 'http('}]"

var (
	webOwner = targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "web"}
	apiOwner = targets.Owner{Kind: targets.PodMonitor, Namespace: "shop", Name: "api"}
)

const plainWeb = `serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", service="web"}`

// broken is a monitor that is rejected.
func broken(monitor string) string {
	return strings.ReplaceAll(monitor, "[{port: http}]", badRegex)
}

// goods returns the texts of the files of a directory, by name.
func goods(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil { // it may go meanwhile
			out[e.Name()] = string(text)
		}
	}
	return out
}

// holds waits until a directory holds the files of these monitors and no others.
func (w *world) holds(dir string, owners ...targets.Owner) {
	w.t.Helper()
	var want []string
	for _, o := range owners {
		want = append(want, goodName(o))
	}
	slices.Sort(want)
	deadline := time.Now().Add(10 * time.Second)
	for {
		var got []string
		for name := range goods(w.t, dir) {
			got = append(got, name)
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s holds %q, want %q", dir, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// rejected waits until a monitor is rejected, with or without the targets of its last good version.
func (w *world) rejected(owner targets.Owner, reason string, lastGood bool) {
	w.t.Helper()
	w.state(owner, Rejected, reason)
	deadline := time.Now().Add(10 * time.Second)
	for {
		ms := w.d.Monitors()
		i := slices.IndexFunc(ms, func(m MonitorStatus) bool { return m.Owner == owner })
		if ms[i].LastGood == lastGood && (len(ms[i].Jobs) > 0) == lastGood {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s is %+v, want its last good version: %t", owner, ms[i], lastGood)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLastGoodVersionIsScrapedOn(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n"
	w := newWorld(t, cfg, map[string]string{"rest.yaml": serviceYAML + "---" + sliceYAML, "monitor.yaml": monitorYAML})
	w.becomes(plainWeb)
	w.holds(good, webOwner)
	first := goods(t, good)[goodName(webOwner)]

	w.write("monitor.yaml", broken(monitorYAML))
	w.rejected(webOwner, "endpoints[0]: port", true)
	w.becomes(plainWeb)
	// What changes around it counts.
	w.write("rest.yaml", serviceYAML+"---"+strings.ReplaceAll(sliceYAML, "10.1.0.1", "10.1.0.2"))
	moved := strings.ReplaceAll(plainWeb, "10.1.0.1", "10.1.0.2")
	w.becomes(moved)
	// A restart; and another one, with settings that count for the last good version too.
	w.restart(cfg)
	w.rejected(webOwner, "endpoints[0]: port", true)
	w.becomes(moved)
	w.restart(cfg + "  enforcedNamespaceLabel: tenant\n")
	w.becomes(strings.ReplaceAll(moved, `service="web"`, `service="web", tenant="shop"`))
	w.restart(cfg)
	w.becomes(moved)
	if now := goods(t, good)[goodName(webOwner)]; now != first {
		t.Errorf("the file has become\n%s\nfrom\n%s", now, first)
	}
	// It is mended: what is good is another version, of which nothing is written while nothing changes.
	mended := strings.ReplaceAll(monitorYAML, "[{port: http}]", "[{port: http, path: /new}]")
	w.write("monitor.yaml", mended)
	w.state(webOwner, Accepted, "")
	w.becomes(strings.ReplaceAll(moved, "/metrics", "/new"))
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(goods(t, good)[goodName(webOwner)], "/new") {
		if time.Now().After(deadline) {
			t.Fatal("the file does not hold the new version")
		}
		time.Sleep(10 * time.Millisecond)
	}
	// A change of labels alone is no new version.
	before, err := os.Stat(filepath.Join(good, goodName(webOwner)))
	if err != nil {
		t.Fatal(err)
	}
	w.write("monitor.yaml", strings.ReplaceAll(mended, "namespace: shop}", "namespace: shop, labels: {a: b}}"))
	w.write("second.yaml", strings.ReplaceAll(monitorYAML, "name: web,", "name: second,"))
	second := targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "second"}
	w.holds(good, webOwner, second)
	if after, err := os.Stat(filepath.Join(good, goodName(webOwner))); err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced: %v", err)
	}
	// They go: one while the relay runs, one while it does not.
	w.remove("second.yaml")
	w.holds(good, webOwner)
	w.stop()
	w.remove("monitor.yaml")
	clear(w.live)
	w.start(cfg)
	w.holds(good)
	w.becomes()
}

func TestLastGoodVersionIsOfTheSameMonitor(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n  serviceMonitorSelector: {matchExpressions: [{key: skip, operator: DoesNotExist}]}\n  serviceMonitorNamespaceSelector: {}\n"
	withUID := func(monitor, uid string) string {
		return strings.ReplaceAll(monitor, "namespace: shop}", "namespace: shop, uid: "+uid+"}")
	}
	w := newWorld(t, cfg, map[string]string{"rest.yaml": serviceYAML + "---" + sliceYAML, "monitor.yaml": withUID(monitorYAML, "one")})
	w.becomes(plainWeb)
	w.holds(good, webOwner)
	// Another one of the same name, made while nobody looked.
	w.stop()
	w.write("monitor.yaml", withUID(broken(monitorYAML), "two"))
	clear(w.live)
	w.start(cfg)
	w.rejected(webOwner, "port", false)
	w.becomes()
	w.write("monitor.yaml", withUID(monitorYAML, "two"))
	w.becomes(plainWeb)
	// One that is no longer selected is forgotten.
	w.write("monitor.yaml", strings.ReplaceAll(withUID(monitorYAML, "two"), "uid: two", `uid: two, labels: {skip: "yes"}`))
	w.state(webOwner, Unselected, "labels")
	w.holds(good)
	w.write("monitor.yaml", withUID(broken(monitorYAML), "two"))
	w.rejected(webOwner, "port", false)
	w.becomes()
	// Nobody asked for it.
	w.write("monitor.yaml", withUID(monitorYAML, "two"))
	w.becomes(plainWeb)
	w.restart("monitors: {}\n")
	w.becomes(plainWeb)
	w.write("monitor.yaml", withUID(broken(monitorYAML), "two"))
	w.rejected(webOwner, "port", false)
	w.becomes()
}

func TestLastGoodVersionWithSecrets(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n"
	secret := func(password string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {t: " + password + "}\n"
	}
	const line = `podMonitor/shop/api/0 http://10.1.0.1:8080/metrics {container="web", endpoint="http", instance="10.1.0.1:8080", job="shop/api", namespace="shop", pod="web-a"}`
	w := newWorld(t, cfg, map[string]string{"pod.yaml": pod("x"), "secret.yaml": secret("abc"), "monitor.yaml": secured})
	w.becomes(line)
	w.holds(good, apiOwner)
	for name, text := range goods(t, good) {
		if strings.Contains(text, "abc") {
			t.Errorf("%s holds the password: %s", name, text)
		}
	}
	// It names another Secret, which there is not.
	w.write("monitor.yaml", strings.ReplaceAll(secured, "name: token", "name: absent"))
	w.rejected(apiOwner, "shop/absent", true)
	w.becomes(line)
	w.credentials("podMonitor/shop/api/0", "abc")
	// The Secret of the last good version is read on, also after a restart.
	w.restart(cfg)
	w.rejected(apiOwner, "shop/absent", true)
	w.becomes(line)
	w.write("secret.yaml", secret("rotated"))
	w.hurry(apiOwner)
	w.credentials("podMonitor/shop/api/0", "rotated")
	// It goes, and comes again.
	w.remove("secret.yaml")
	w.hurry(apiOwner)
	w.rejected(apiOwner, "shop/absent", false)
	w.becomes()
	w.holds(good, apiOwner)
	w.write("secret.yaml", secret("back"))
	w.hurry(apiOwner)
	w.rejected(apiOwner, "shop/absent", true)
	w.credentials("podMonitor/shop/api/0", "back")
}

// TestLastGoodFilesThatAreNone: a file that cannot be read is passed over, and replaced.
func TestLastGoodFilesThatAreNone(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n"
	w := newWorld(t, cfg, map[string]string{"rest.yaml": serviceYAML + "---" + sliceYAML, "monitor.yaml": monitorYAML})
	w.becomes(plainWeb)
	w.holds(good, webOwner)
	file := filepath.Join(good, goodName(webOwner))
	sound := goods(t, good)[goodName(webOwner)]
	other := goodName(targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "other"})
	for name, text := range map[string]string{
		"empty": "", "torn": sound[:len(sound)/2], "other": strings.ReplaceAll(sound, `"web"`, `"other"`), "type": `{"kind": "ServiceMonitor", "spec": 1}`,
		"no kind": "{}", "null": "null", "wrong": strings.ReplaceAll(sound, `"port": "http"`, `"port": 8`), "large": sound + strings.Repeat(" ", goodBytes),
	} {
		t.Run(name, func(t *testing.T) {
			w.stop()
			w.write("monitor.yaml", broken(monitorYAML))
			for path, content := range map[string]string{
				file: text, filepath.Join(good, other): sound, // as of a monitor that is gone
				filepath.Join(good, "."+goodName(webOwner)+".1.tmp"): "x",
			} {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			clear(w.live)
			w.start(cfg)
			w.rejected(webOwner, "port", false)
			w.write("monitor.yaml", monitorYAML)
			w.becomes(plainWeb)
			w.holds(good, webOwner)
			w.restart(cfg)
			w.becomes(plainWeb)
			if now := goods(t, good)[goodName(webOwner)]; now != sound {
				t.Errorf("the file holds %q", now)
			}
		})
	}
}

// withGood runs a lastGood on a directory.
func withGood(t *testing.T, dir string, f func(g *lastGood, logs *observer.ObservedLogs)) {
	core, logs := observer.New(zapcore.DebugLevel)
	g := newLastGood(zap.New(core))
	g.open(dir)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { g.run(ctx); close(done) }()
	f(g, logs)
	cancel()
	<-done
}

func someMonitor(name string) (targets.Owner, *monitoringv1.ServiceMonitor) {
	m := &monitoringv1.ServiceMonitor{}
	m.Namespace, m.Name, m.UID = "shop", name, "u"
	m.Spec.Endpoints = []monitoringv1.Endpoint{{Port: "http"}}
	return targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: name}, m
}

// TestLastGoodWithoutADirectory: nothing can be written, which is said once and takes nothing from memory; what
// is there is written when it can be.
func TestLastGoodWithoutADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file", "dir")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	withGood(t, dir, func(g *lastGood, logs *observer.ObservedLogs) {
		for _, name := range []string{"a", "b", "../../c", strings.Repeat("d", 253)} {
			o, m := someMonitor(name)
			g.keep(o, m)
			time.Sleep(20 * time.Millisecond)
			if got := g.find(o, m); got != runtime.Object(m) {
				t.Errorf("found %v", got)
			}
		}
		if n := logs.FilterMessage("last good monitors cannot be written").Len(); n != 1 {
			t.Errorf("%d lines in the log: %v", n, logs.All())
		}
		if err := os.Remove(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	})
	if n := len(goods(t, dir)); n != 4 { // at the end at the latest
		t.Errorf("%d files, want 4: %v", n, goods(t, dir))
	}
	withGood(t, dir, func(g *lastGood, _ *observer.ObservedLogs) {
		o, m := someMonitor("../../c")
		got, ok := g.find(o, m).(*monitoringv1.ServiceMonitor)
		if !ok || got.Name != "../../c" || got.UID != "u" || got.Spec.Endpoints[0].Port != "http" {
			t.Errorf("read %+v", got)
		}
	})
}

// TestLastGoodMoves: another directory gets what is known; none is an end of it.
func TestLastGoodMoves(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	o, m := someMonitor("web")
	withGood(t, a, func(g *lastGood, _ *observer.ObservedLogs) {
		g.keep(o, m)
		g.open(b)
		if g.find(o, m) == nil {
			t.Error("not found after the move")
		}
	})
	if len(goods(t, b)) != 1 {
		t.Errorf("the new directory holds %v", goods(t, b))
	}
	withGood(t, b, func(g *lastGood, _ *observer.ObservedLogs) {
		g.open("")
		g.keep(o, m)
		if g.find(o, m) != nil {
			t.Error("found though nothing is to be remembered")
		}
		g.forget(o)
		g.sweep(targets.ServiceMonitor, nil)
	})
	if len(goods(t, b)) != 1 {
		t.Errorf("the directory that is not used holds %v", goods(t, b))
	}
	withGood(t, b, func(g *lastGood, _ *observer.ObservedLogs) {
		g.sweep(targets.PodMonitor, nil)
		if g.find(o, m) == nil {
			t.Error("a sweep of another kind took it")
		}
		g.keep(o, m)
		g.forget(o)
	})
	if len(goods(t, b)) != 0 {
		t.Errorf("what was forgotten left %v", goods(t, b))
	}
}

// denying is a directory as an API server that lets nobody list some resources, for a while.
type denying struct {
	*Manifests
	denied map[string]bool
	over   atomic.Bool
}

func (d *denying) listWatch(r *resource, namespace string) cache.ListerWatcher {
	if !d.denied[r.name] {
		return d.Manifests.listWatch(r, namespace)
	}
	of := &shelfLister{d.shelf, r, namespace}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(_ context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if !d.over.Load() {
				return nil, errForbidden
			}
			return of.List(o)
		},
		WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) { return of.Watch(o) },
	}, of)
}

// TestLastGoodWhileTheServerDenies: a monitor that is not seen, or whose namespace is not, is not one that has gone.
func TestLastGoodWhileTheServerDenies(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n  serviceMonitorSelector: {}\n  serviceMonitorNamespaceSelector: {matchLabels: {monitored: \"yes\"}}\n"
	w := newWorld(t, cfg, map[string]string{
		"rest.yaml": serviceYAML + "---" + sliceYAML + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {monitored: \"yes\"}}\n", "monitor.yaml": monitorYAML,
	})
	w.becomes(plainWeb)
	w.holds(good, webOwner)
	w.write("monitor.yaml", broken(monitorYAML))
	w.rejected(webOwner, "port", true)
	for _, resource := range []string{"servicemonitors", "namespaces"} {
		t.Run(resource, func(t *testing.T) {
			d := &denying{denied: map[string]bool{resource: true}}
			w.stop()
			w.before = func(m *Manifests) Backend { d.Manifests = m; return d }
			clear(w.live)
			w.start(cfg)
			deadline := time.Now().Add(10 * time.Second)
			for !strings.Contains(w.d.Off()[resource], "may not list") || !w.d.Settled() {
				if time.Now().After(deadline) {
					t.Fatalf("off is %v", w.d.Off())
				}
				time.Sleep(10 * time.Millisecond)
			}
			w.holds(good, webOwner)
			d.over.Store(true)
			w.rejected(webOwner, "port", true)
			w.becomes(plainWeb)
			w.holds(good, webOwner)
		})
	}
}
