package informers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/manifests"
	"promrelay/informers/objects"
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

// goodFiles returns the texts of the files in a directory of last good monitors, by owner.
func goodFiles(t *testing.T, dir string) map[targets.Owner]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := map[targets.Owner]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(e.Name(), ".") { // it may go meanwhile
			continue
		}
		m := metav1.PartialObjectMetadata{}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		out[targets.Owner{Kind: targets.Kind(m.Kind), Namespace: m.Namespace, Name: m.Name}] = string(text)
	}
	return out
}

// holds waits until a directory holds the files of these monitors and no others.
func (w *world) holds(dir string, owners ...targets.Owner) {
	w.t.Helper()
	within(w.t, fmt.Sprintf("%s holds files of %v alone", dir, owners), func() bool {
		got := goodFiles(w.t, dir)
		return len(got) == len(owners) && !slices.ContainsFunc(owners, func(o targets.Owner) bool { return got[o] == "" })
	})
}

// rejected waits until a monitor is rejected, with or without the targets of its last good version.
func (w *world) rejected(owner targets.Owner, reason string, lastGood bool) {
	w.t.Helper()
	w.state(owner, targets.Rejected, reason)
	within(w.t, fmt.Sprintf("%s is scraped as it was when it was good: %t", owner, lastGood), func() bool {
		ms := w.d.Monitors()
		i := slices.IndexFunc(ms, func(m targets.MonitorStatus) bool { return m.Owner == owner })
		return ms[i].LastGood == lastGood && (len(ms[i].Jobs) > 0) == lastGood
	})
}

func TestLastGoodVersionIsScrapedOn(t *testing.T) {
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n"
	w := newWorld(t, cfg, map[string]string{"rest.yaml": serviceYAML + "---" + sliceYAML, "monitor.yaml": monitorYAML})
	w.becomes(plainWeb)
	w.holds(good, webOwner)
	first := goodFiles(t, good)[webOwner]

	w.write("monitor.yaml", broken(monitorYAML))
	w.rejected(webOwner, "endpoints[0]: port", true)
	w.becomes(plainWeb)
	// Changes around it take effect.
	w.write("rest.yaml", serviceYAML+"---"+strings.ReplaceAll(sliceYAML, "10.1.0.1", "10.1.0.2"))
	moved := strings.ReplaceAll(plainWeb, "10.1.0.1", "10.1.0.2")
	w.becomes(moved)
	// A restart; and another one, with settings that also apply to the last good version.
	w.restart(cfg)
	w.rejected(webOwner, "endpoints[0]: port", true)
	w.becomes(moved)
	w.restart(cfg + "  enforcedNamespaceLabel: tenant\n")
	w.becomes(strings.ReplaceAll(moved, `service="web"`, `service="web", tenant="shop"`))
	w.restart(cfg)
	w.becomes(moved)
	if now := goodFiles(t, good)[webOwner]; now != first {
		t.Errorf("the file has become\n%s\nfrom\n%s", now, first)
	}
	// It is mended: the good version is another one, and nothing is written while nothing changes.
	mended := strings.ReplaceAll(monitorYAML, "[{port: http}]", "[{port: http, path: /new}]")
	w.write("monitor.yaml", mended)
	w.state(webOwner, targets.Accepted, "")
	w.becomes(strings.ReplaceAll(moved, "/metrics", "/new"))
	within(t, "the file holds the new version", func() bool { return strings.Contains(goodFiles(t, good)[webOwner], "/new") })
	// A second one.
	w.write("second.yaml", strings.ReplaceAll(monitorYAML, "name: web,", "name: second,"))
	second := targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "second"}
	w.holds(good, webOwner, second)
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
	w.state(webOwner, targets.Unselected, "labels")
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
	for name, text := range goodFiles(t, good) {
		if strings.Contains(text, "abc") {
			t.Errorf("%s holds the password: %s", name, text)
		}
	}
	// It names another Secret, which does not exist.
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

// denying is a directory as an API server that lets nobody list some resources, for a while.
type denying struct {
	*manifests.Directory
	denied map[string]bool
	over   atomic.Bool
}

func (d *denying) ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher {
	if !d.denied[r.Name] {
		return d.Directory.ListWatch(r, namespace, only)
	}
	of := cache.ToListerWatcherWithContext(d.Directory.ListWatch(r, namespace, only))
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if !d.over.Load() {
				return nil, errForbidden
			}
			return of.ListWithContext(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return of.WatchWithContext(ctx, o)
		},
	}, listFirst{})
}

// TestLastGoodWhileTheServerDenies: a monitor that is not visible, or whose namespace is not, is not treated as
// deleted.
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
			w.before = func(m *manifests.Directory) Backend { d.Directory = m; return d }
			clear(w.live)
			w.start(cfg)
			within(t, "it is known that it is denied", func() bool { return strings.Contains(w.d.Off()[resource], "may not list") && w.d.Settled() })
			w.holds(good, webOwner)
			d.over.Store(true)
			w.rejected(webOwner, "port", true)
			w.becomes(plainWeb)
			w.holds(good, webOwner)
		})
	}
}
