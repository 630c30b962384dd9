package informers

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"promrelay/informers/manifests"
	"promrelay/informers/objects"
	"promrelay/targets"
)

const (
	// oldHeader is a ScrapeConfig from before the header was a list.
	oldHeader = "\n  proxyUrl: http://proxy:1\n  proxyConnectHeader: {X: {name: a, key: b}}"
	static    = `staticConfigs: [{targets: ["127.0.0.1:1"]}]`
)

func scrapeConfigOwner(name string) targets.Owner {
	return targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: name}
}

// TestAMonitorThatDoesNotDecodeCostsOnlyItself has one when the relay starts, one that comes later, and one that changes.
func TestAMonitorThatDoesNotDecodeCostsOnlyItself(t *testing.T) {
	for name, streams := range map[string]bool{"list": false, "list by watch": true} {
		t.Run(name, func(t *testing.T) {
			s := newAPIServer(t, streams)
			s.put(scrapeConfigYAML("good", static))
			s.put(scrapeConfigYAML("old", static+oldHeader))
			c := s.cluster()
			w := newWorldOf(t, func(*manifests.Directory) Backend { return c }, "monitors: {}\n", nil)
			good := found("good", "127.0.0.1:1", "")
			w.becomes(good)
			const reason = "spec.proxyConnectHeader.X: it is an object, want a list"
			w.state(scrapeConfigOwner("old"), targets.Rejected, reason)
			within(t, "an event tells of it", func() bool {
				notes := s.eventNotes()
				return len(notes) == 1 && strings.HasPrefix(notes[0], "Warning ScrapeConfig old uid-2: ") && strings.Contains(notes[0], reason+"; what to change: correct spec.proxyConnectHeader.X")
			})
			// One comes, together with one that has an unknown field.
			s.put(scrapeConfigYAML("later", static+"\n  sampleLimit: many"))
			w.state(scrapeConfigOwner("later"), targets.Rejected, "spec.sampleLimit: it is a string, want a number")
			s.put(scrapeConfigYAML("new", static+"\n  invented: {by: [a, newer, CRD]}"))
			w.becomes(good, found("new", "127.0.0.1:1", ""))
			s.remove("scrapeconfigs", "shop/new")
			// They are mended, one is broken again.
			s.put(scrapeConfigYAML("old", static))
			s.put(scrapeConfigYAML("later", static))
			w.becomes(good, found("old", "127.0.0.1:1", ""), found("later", "127.0.0.1:1", ""))
			s.put(scrapeConfigYAML("old", static+oldHeader))
			w.becomes(good, found("later", "127.0.0.1:1", ""))
			w.state(scrapeConfigOwner("old"), targets.Rejected, reason)
			s.remove("scrapeconfigs", "shop/old")
			within(t, "it is gone", func() bool { return len(w.d.Monitors()) == 2 })
			lists, watches := s.count("scrapeconfigs")
			if watches != 1 || lists > 1 || streams && lists > 0 {
				t.Errorf("%d lists and %d watches, want one watch", lists, watches)
			}
		})
	}
}

// TestLastGoodOfAMonitorThatDoesNotDecode keeps its targets, also across a restart, and forgets what is deleted.
func TestLastGoodOfAMonitorThatDoesNotDecode(t *testing.T) {
	s := newAPIServer(t, true)
	s.put(scrapeConfigYAML("a", static))
	good := t.TempDir()
	cfg := "monitors:\n  lastGoodDirectory: " + good + "\n"
	c := s.cluster()
	w := newWorldOf(t, func(*manifests.Directory) Backend { return c }, cfg, nil)
	a := found("a", "127.0.0.1:1", "")
	w.becomes(a)
	w.holds(good, scrapeConfigOwner("a"))
	s.put(scrapeConfigYAML("a", static+oldHeader))
	w.rejected(scrapeConfigOwner("a"), "spec.proxyConnectHeader.X", true)
	w.becomes(a)
	w.restart(cfg)
	w.rejected(scrapeConfigOwner("a"), "spec.proxyConnectHeader.X", true)
	w.becomes(a)
	s.remove("scrapeconfigs", "shop/a")
	w.becomes()
	w.holds(good)
}

// TestErrorsOfAnAPIServerWithAMonitorThatDoesNotDecode: no role yet, and then no CRD.
func TestErrorsOfAnAPIServerWithAMonitorThatDoesNotDecode(t *testing.T) {
	s := newAPIServer(t, true)
	s.put(scrapeConfigYAML("good", static))
	s.put(scrapeConfigYAML("old", static+oldHeader))
	of := schema.GroupResource{Group: objects.MonitoringGroup, Resource: "scrapeconfigs"}
	s.fails(of.Resource, apierrors.NewForbidden(of, "", errors.New("no role")))
	c := s.cluster()
	w := newWorldOf(t, func(*manifests.Directory) Backend { return c }, "monitors: {}\n", nil)
	off := func(why string) func() bool {
		return func() bool {
			got := w.d.Off()[of.Resource]
			return got == why || why != "" && strings.Contains(got, why)
		}
	}
	within(t, "it is forbidden", off("may not list and watch"))
	w.isHeard(of.Resource, false)
	s.fails(of.Resource, nil)
	w.becomes(found("good", "127.0.0.1:1", ""))
	within(t, "it is watched", off(""))
	w.isHeard(of.Resource, true)
	s.fails(of.Resource, apierrors.NewNotFound(of, ""))
	within(t, "there is no CRD", off("is not installed"))
	w.isHeard(of.Resource, true) // nothing is to be heard
	w.becomes()
}

// isHeard requires that changes of a resource arrive, or that they do not.
func (w *world) isHeard(resource string, want bool) {
	w.t.Helper()
	if got := !w.d.watched[resource].unheard(); got != want {
		w.t.Errorf("%s heard: %t", resource, got)
	}
}

// TestASecretThatTheCacheDoesNotHaveYet rejects no monitor.
func TestASecretThatTheCacheDoesNotHaveYet(t *testing.T) {
	s := newAPIServer(t, true)
	s.behind["shop/token"] = true
	s.put("apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\ndata: {t: YWJj}\n")
	s.put(secured)
	c := s.cluster()
	w := newWorldOf(t, func(*manifests.Directory) Backend { return c }, "monitors: {}\n", nil)
	w.state(apiOwner, targets.Accepted, "")
	s.put("apiVersion: monitoring.coreos.com/v1\nkind: Probe\nmetadata: {name: p, namespace: shop}\nspec: {bearerTokenSecret: {key: ''}, prober: {url: 'x:1', path: /p}, targets: {staticConfig: {static: [a]}}}\n")
	w.state(targets.Owner{Kind: targets.Probe, Namespace: "shop", Name: "p"}, targets.Rejected, "bearerTokenSecret: Secret shop/: no name is given")
	within(t, "an event tells of the Probe alone", func() bool { notes := s.eventNotes(); return len(notes) == 1 && strings.Contains(notes[0], "Probe p") })
}

func TestManifestsThatDoNotDecode(t *testing.T) {
	entry := func(name, spec string) string {
		return strings.ReplaceAll(strings.TrimSuffix(scrapeConfigYAML(name, spec), "\n"), "\n", "\n  ")
	}
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"a.yaml": scrapeConfigYAML("a", static),
		"b.yaml": "apiVersion: monitoring.coreos.com/v1alpha1\nkind: ScrapeConfigList\nitems:\n- " + entry("good", static) + "\n- " + entry("old", static+oldHeader) + "\n- " + entry("typo", static+"\n  staticConfig: []"),
		"c.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + entry("listed", "sampleLimit: {}"),
	})
	targetOf := func(name string) string { return found(name, "127.0.0.1:1", "") }
	w.becomes(targetOf("a"), targetOf("good"), targetOf("typo"))
	w.state(scrapeConfigOwner("old"), targets.Rejected, "spec.proxyConnectHeader.X: it is an object, want a list")
	w.state(scrapeConfigOwner("listed"), targets.Rejected, "spec.sampleLimit: it is an object, want a number")
	w.write("a.yaml", strings.Replace(scrapeConfigYAML("a", static+"\n  sampleLimit: x"), ", namespace: shop", "", 1))
	w.state(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "default", Name: "a"}, targets.Rejected, "spec.sampleLimit: it is a string")
	w.becomes(targetOf("good"), targetOf("typo"))
	for _, want := range []string{
		"a.yaml: line 6: ScrapeConfig default/a: spec.sampleLimit: it is a string", "ScrapeConfig shop/old: spec.proxyConnectHeader.X: it is",
		"ScrapeConfig shop/typo: unknown field \"spec.staticConfig\"", "ScrapeConfig shop/listed: spec.sampleLimit: it is an object",
	} {
		within(t, "a problem is "+want, func() bool {
			return strings.Contains(strings.Join(w.d.backend.(*manifests.Directory).Problems(), "\n"), want)
		})
	}
	w.write("a.yaml", scrapeConfigYAML("a", static))
	w.becomes(targetOf("a"), targetOf("good"), targetOf("typo"))
}
