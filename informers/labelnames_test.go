package informers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/util/strutil"

	"promrelay/targets"
)

// alikeYAML is a Service with two labels of one name to discovery, a slice of it, and a monitor that asks for a value.
func alikeYAML(value, more string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app.kubernetes.io/name: web, app_kubernetes_io_name: other, team: a}}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web, app_kubernetes_io_name: other}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.0.0.1]}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {%s}}, endpoints: [{port: http}]%s}
`, value, more)
}

// TestLabelsAlike: if two labels have one name in discovery, the first one is used, whenever groups are made, and the job says
// so.
func TestLabelsAlike(t *testing.T) {
	const note = `Service shop/web has the labels app.kubernetes.io/name="web" and app_kubernetes_io_name="other", which have one name to rules: the first counts, always`
	for name, c := range map[string]struct {
		selector, more string
		targets        int
		notes          []string
	}{
		"the first":            {"app.kubernetes.io/name: web", "", 1, []string{note}},
		"the other":            {"app_kubernetes_io_name: other", "", 0, []string{note}},
		"neither":              {"app_kubernetes_io_name: third", "", 0, nil},
		"another label":        {"team: a", "", 1, nil},
		"another, and a copy":  {"team: a", ", targetLabels: [app.kubernetes.io/name]", 1, []string{note}},
		"at the source":        {"app_kubernetes_io_name: other", ", selectorMechanism: RoleSelector", 1, nil},
		"of another namespace": {"app.kubernetes.io/name: web", ", namespaceSelector: {matchNames: [x]}", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "monitors: {}", map[string]string{"all.yaml": alikeYAML(c.selector, c.more)})
			for range 5 { // in Prometheus it is half a chance each time
				within(t, "all is worked off", w.d.Settled)
				j := w.d.Monitors()[0].Jobs[0]
				if j.Count != c.targets || !slices.Equal(j.Notes, c.notes) {
					t.Fatalf("%d targets, notes %q", j.Count, j.Notes)
				}
				for _, x := range w.d.Targets("serviceMonitor/shop/web/0") {
					if got := x.Labels.Get("app_kubernetes_io_name"); got != "" && got != "web" {
						t.Fatalf("the label is %q", got)
					}
				}
				w.restart("monitors: {}")
			}
		})
	}
}

// TestLabelsAlikeNoMore: the note goes away.
func TestLabelsAlikeNoMore(t *testing.T) {
	w := newWorld(t, "monitors: {}", map[string]string{"all.yaml": alikeYAML("app.kubernetes.io/name: web", "")})
	notes := func(n int) func() bool {
		return func() bool {
			all := w.d.Monitors()
			return w.d.Settled() && len(all) == 1 && len(all[0].Jobs[0].Notes) == n && all[0].Jobs[0].Count == 1
		}
	}
	within(t, "there is a note", notes(1))
	w.write("all.yaml", strings.Replace(alikeYAML("app.kubernetes.io/name: web", ""), "app_kubernetes_io_name: other, team", "team", 1))
	within(t, "there is none", notes(0))
	w.write("all.yaml", alikeYAML("app.kubernetes.io/name: web", ""))
	within(t, "there is one again", notes(1))
	w.write("all.yaml", "")
	within(t, "all is gone", func() bool { return len(w.d.Monitors()) == 0 && len(w.d.watched["services"].collisionKeys()) == 0 })
}

// FuzzAreAlike compares with the names that discovery makes.
func FuzzAreAlike(f *testing.F) {
	for _, pair := range [][2]string{{"a.b/c", "a_b_c"}, {"a.b", "a-b"}, {"a", "b"}, {"é", "_"}, {"é", "__"}, {"\xff", "."}, {"\xc3\xa9", "\xc3x"}, {"", ""}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if got, want := targets.NamesCollide(a, b), strutil.SanitizeLabelName(a) == strutil.SanitizeLabelName(b); got != want {
			t.Errorf("%q and %q: %t, want %t", a, b, got, want)
		}
		if got, want := targets.DiscoveryName(a), strutil.SanitizeLabelName(a); got != want {
			t.Errorf("%q becomes %q, want %q", a, got, want)
		}
	})
}
