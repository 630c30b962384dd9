package informers

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/informers/manifests"
	"promrelay/targets"
)

// TestUnknownFieldsFromAnAPIServer: they are shown at the monitor until they are gone, and logged once.
func TestUnknownFieldsFromAnAPIServer(t *testing.T) {
	for name, streams := range map[string]bool{"list": false, "list by watch": true} {
		t.Run(name, func(t *testing.T) {
			s := newAPIServer(t, streams)
			s.put(scrapeConfigYAML("old", static))
			s.put(scrapeConfigYAML("new", static+"\n  sampleLimits: 5"))
			c := s.cluster()
			w := newWorldOf(t, func(*manifests.Directory) Backend { return c }, "monitors: {}\n", nil)
			core, seen := observer.New(zap.WarnLevel)
			w.d.state.mu.Lock()
			w.d.log = zap.New(core)
			w.d.state.mu.Unlock()
			notes := func(name, want string) {
				t.Helper()
				within(t, name+" has "+want, func() bool {
					for _, m := range w.d.Monitors() {
						if m.Owner == scrapeConfigOwner(name) && m.State == targets.Accepted && strings.Join(m.Jobs[0].Notes, "; ") == want {
							return true
						}
					}
					return false
				})
			}
			notes("old", "")
			notes("new", `unknown field "spec.sampleLimits", did you mean "sampleLimit"?`)
			s.put(scrapeConfigYAML("later", static+"\n  newer: {a: 1}"))
			notes("later", `unknown field "spec.newer"`)
			s.put(scrapeConfigYAML("later", static+"\n  newer: {a: 1}\n  sampleLimit: 7")) // the same field
			s.put(scrapeConfigYAML("new", static))
			notes("new", "")
			notes("later", `unknown field "spec.newer"`)
			within(t, "the limit counts", func() bool { return w.d.Monitors()[0].Jobs[0].Job.Config.SampleLimit == 7 })
			if n := seen.FilterMessageSnippet("unknown fields").FilterField(zap.Stringer("monitor", scrapeConfigOwner("later"))).Len(); n != 1 {
				t.Errorf("the log tells %d times: %v", n, seen.All())
			}
		})
	}
}

// TestUnknownFieldsStandOnTheMonitor itself, too, until they are gone.
func TestUnknownFieldsStandOnTheMonitor(t *testing.T) {
	const text = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: shop}\nspec:\n  selector: {}\n  endpoints:\n  - port: x\n"
	w := newWorld(t, "monitors: {}", map[string]string{"a.yaml": text + "    prot: y\n"})
	notes := func(want string) func() bool {
		return func() bool {
			all := w.d.Monitors()
			return len(all) == 1 && all[0].State == targets.Accepted && strings.Join(all[0].Jobs[0].Notes, "") == want
		}
	}
	within(t, "the field is told", notes(`line 8: unknown field "spec.endpoints[0].prot", did you mean "port"?`))
	if o := w.d.Monitors()[0].Owner; o.Kind != targets.ServiceMonitor {
		t.Errorf("of %s", o)
	}
	w.write("a.yaml", text)
	within(t, "it is told no longer", notes(""))
}
