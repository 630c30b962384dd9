package informers

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/config"
	"promrelay/informers/manifests"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// slow is a Backend that does not answer about Endpoints before a gate opens.
type slow struct {
	*manifests.Directory
	gate chan struct{}
}

func (s slow) ListWatch(r *objects.Resource, namespace string, only fields.Selector) cache.ListerWatcher {
	lw := s.Directory.ListWatch(r, namespace, only)
	if r.Name != "endpoints" {
		return lw
	}
	of := cache.ToListerWatcherWithContext(lw)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			<-s.gate
			return of.ListWithContext(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			<-s.gate
			return of.WatchWithContext(ctx, o)
		},
	}, lw)
}

// TestTargetsStayWhileAResourceIsListed edits a monitor so that it needs a resource that was not watched before.
func TestTargetsStayWhileAResourceIsListed(t *testing.T) {
	const endpoints = `
apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: shop, labels: {app: web}}
subsets:
- addresses: [{ip: 10.1.0.9, targetRef: {kind: Pod, namespace: shop, name: web-a}}]
  ports: [{name: http, port: 8080, protocol: TCP}]
`
	gate := make(chan struct{})
	w := newWorldOf(t, func(m *manifests.Directory) Backend { return slow{m, gate} }, "monitors: {}\n", map[string]string{
		"all.yaml": strings.Join([]string{serviceYAML, sliceYAML, pod("x"), endpoints}, "---"), "monitor.yaml": monitorYAML,
	})
	before := webTarget(`, track="x"`)
	w.becomes(before)
	w.write("monitor.yaml", monitorYAML+"  serviceDiscoveryRole: Endpoints\n")
	owner := targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "web"}
	within(t, "the monitor changes", func() bool { return w.role(owner) == targets.RoleEndpoints })
	w.catchUp() // the batch in which it changed is done
	w.becomes(before)
	close(gate)
	w.becomes(strings.ReplaceAll(before, "10.1.0.1", "10.1.0.9"))
}

// role is by what a monitor's first job finds its targets.
func (w *world) role(owner targets.Owner) string {
	for _, m := range w.d.Monitors() {
		if m.Owner == owner && len(m.Jobs) > 0 && len(m.Jobs[0].Job.Discoveries) > 0 {
			return m.Jobs[0].Job.Discoveries[0].Role
		}
	}
	return ""
}

// TestHurry reads what a target has refused long before its turn.
func TestHurry(t *testing.T) {
	secret := func(token string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {t: " + token + "}\n"
	}
	w := newWorld(t, "monitors: {}\n", map[string]string{"pod.yaml": pod("x"), "monitor.yaml": secured, "secret.yaml": secret("a")})
	w.credentials("podMonitor/shop/api/0", "a")
	start := time.Now()
	for _, token := range []string{"b", "c", "d"} { // without the early read this would take at least 20 s
		w.write("secret.yaml", secret(token))
		w.hurry(targets.Owner{Kind: targets.PodMonitor, Namespace: "shop", Name: "api"})
		w.credentials("podMonitor/shop/api/0", token)
	}
	if took := time.Since(start); took > 2*refreshEvery-refreshPause {
		t.Errorf("three new versions took %s", took)
	}
}

// TestRejectionIsLoggedOnce edits what has nothing to do with the reason, and then the reason.
func TestRejectionIsLoggedOnce(t *testing.T) {
	const bad = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: api, namespace: shop, labels: {edited: "EDITED"}}
spec: {selector: {}, podMetricsEndpoints: [{port: "PORT"}]}
`
	text := func(edited, port string) string {
		return strings.NewReplacer("EDITED", edited, "PORT", port).Replace(bad)
	}
	core, logged := observer.New(zap.WarnLevel)
	w := newWorld(t, "monitors: {}\n", map[string]string{"a.yaml": text("0", "(")})
	w.d.log = zap.New(core) // before the first edit is seen; earlier log lines are ignored
	api := targets.Owner{Kind: targets.PodMonitor, Namespace: "shop", Name: "api"}
	w.state(api, targets.Rejected, "missing closing )")
	first := logged.FilterMessage("monitor rejected").Len()
	c, err := config.Load([]byte("manifests:\n  directory: "+w.dir+"\nmonitors: {scrapeInterval: 31s}\n"), w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.d.Apply(c); err != nil {
		t.Fatal(err)
	}
	w.write("a.yaml", text("1", "("))
	w.catchUp()
	if n := logged.FilterMessage("monitor rejected").Len(); n != first {
		t.Errorf("logged %d times more", n-first)
	}
	w.write("a.yaml", text("1", "["))
	w.state(api, targets.Rejected, "missing closing ]")
	if n := logged.FilterMessage("monitor rejected").Len(); n != first+1 {
		t.Errorf("another reason was logged %d times", n-first)
	}
}

// TestEmptyNamespaceIsAll adds a monitor of the namespace "" when all objects are known: it means all, as from the start.
func TestEmptyNamespaceIsAll(t *testing.T) {
	w := newWorld(t, "monitors: {}\n", map[string]string{"all.yaml": strings.Join([]string{serviceYAML, sliceYAML, pod("x"), monitorYAML}, "---")})
	first := webTarget(`, track="x"`)
	w.becomes(first)
	w.write("late.yaml", strings.NewReplacer("{name: web, namespace: shop}", "{name: late, namespace: other}", "spec:", "spec:\n  namespaceSelector: {matchNames: ['']}").Replace(monitorYAML))
	w.becomes(first, strings.ReplaceAll(first, "serviceMonitor/shop/web/0", "serviceMonitor/other/late/0"))
}
