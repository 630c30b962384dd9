package informers

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"promrelay/informers/manifests"
	"promrelay/informers/objects"
	"promrelay/targets"
)

func TestEachRejectionIsReportedOnce(t *testing.T) {
	heard := &recorder{}
	e := &events{backend: heard, told: map[targets.Owner]*told{}}
	m := func(uid types.UID, generation int64) metav1.Object {
		return &metav1.ObjectMeta{UID: uid, Generation: generation}
	}
	reported := func(m metav1.Object, reason string) bool {
		before := len(heard.reports)
		e.rejected(apiOwner, m, reason, "")
		return len(heard.reports) > before
	}
	for i, c := range []struct {
		m      metav1.Object
		reason string
		want   bool
	}{
		{m("u", 1), "a", true},
		{m("u", 1), "a", false},
		{m("u", 1), "b", true},
		{m("u", 1), "a", false},
		{m("u", 2), "a", true},
		{m("u", 2), "a", false},
		{m("v", 2), "a", true},
	} {
		if got := reported(c.m, c.reason); got != c.want {
			t.Errorf("step %d: %t, want %t", i, got, c.want)
		}
	}
	n := 0
	for i := range 100 { // a reason that is never the same
		if reported(m("w", 1), fmt.Sprint(i)) {
			n++
		}
	}
	if n != maxReasons {
		t.Errorf("%d were reported, want %d", n, maxReasons)
	}
}

// recorder is a directory of manifests that records Events.
type recorder struct {
	*manifests.Directory
	reporter
}

func (w *recorder) Report(m corev1.ObjectReference, e objects.Event) { w.reporter.Report(m, e) }

// reporter is the part of a Backend that records Events.
type reporter struct {
	mu      sync.Mutex
	reports []string
}

func (w *reporter) Report(m corev1.ObjectReference, e objects.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := fmt.Sprintf("%s %s %s/%s %s: %s: %s", m.APIVersion, m.Kind, m.Namespace, m.Name, m.UID, e.Reason, e.Text)
	if e.Mend != "" {
		line += " => " + e.Mend
	}
	w.reports = append(w.reports, line)
}

func TestRejectionsAreToldToTheBackend(t *testing.T) {
	heard := &recorder{}
	w := newWorldOf(t, func(m *manifests.Directory) Backend { heard.Directory = m; return heard }, "monitors:\n  podMonitorSelector: {}\n  podMonitorNamespaceSelector: {}\n",
		map[string]string{"pod.yaml": pod("x")})
	monitor := func(generation int, spec string) string {
		return fmt.Sprintf("apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: api, namespace: shop, uid: u, generation: %d}\nspec: %s\n", generation, spec)
	}
	bad := "{selector: {}, podMetricsEndpoints: [{port: http, relabelings: [{regex: '('}]}]}"
	awaiting := "{selector: {}, podMetricsEndpoints: [{port: http, authorization: {credentials: {name: token, key: t}}}]}"
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {t: abc}\n"

	w.write("monitor.yaml", monitor(1, bad))
	w.state(apiOwner, targets.Rejected, "relabelings[0]")
	w.write("monitor.yaml", strings.ReplaceAll(monitor(1, bad), "uid: u", "uid: u, labels: {a: b}"))
	w.catchUp()
	w.state(apiOwner, targets.Rejected, "relabelings[0]")
	// A Secret goes, comes and goes: the same rejection of the same generation.
	w.write("monitor.yaml", monitor(2, awaiting))
	for range 2 {
		w.state(apiOwner, targets.Rejected, "shop/token")
		w.write("secret.yaml", secret)
		w.hurry(apiOwner)
		w.state(apiOwner, targets.Accepted, "")
		w.remove("secret.yaml")
		w.hurry(apiOwner)
	}
	w.state(apiOwner, targets.Rejected, "shop/token")
	// A kind without selected monitors; and a monitor that was pending before each reading is not reported.
	w.write("service.yaml", broken(monitorYAML))
	w.state(webOwner, targets.Unselected, "")
	w.write("monitor.yaml", monitor(3, bad))
	w.state(apiOwner, targets.Rejected, "relabelings[0]")

	heard.mu.Lock()
	defer heard.mu.Unlock()
	for i, want := range []string{"relabelings[0]", "Secret shop/token", "relabelings[0]"} {
		if i >= len(heard.reports) || !strings.HasPrefix(heard.reports[i], "monitoring.coreos.com/v1 PodMonitor shop/api u: InvalidConfiguration: was rejected due to invalid configuration: ") || !strings.Contains(heard.reports[i], want) {
			t.Fatalf("heard %q, want %d about %s", heard.reports, i, want)
		}
	}
	if len(heard.reports) != 3 {
		t.Errorf("heard %q, want three", heard.reports)
	}
}
