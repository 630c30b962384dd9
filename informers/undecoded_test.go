package informers

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"

	"promrelay/targets"
)

const (
	// oldHeader is what ScrapeConfigs looked like before the header was a list.
	oldHeader = "\n  proxyUrl: http://proxy:1\n  proxyConnectHeader: {X: {name: a, key: b}}"
	static    = `staticConfigs: [{targets: ["127.0.0.1:1"]}]`
)

func scrapeConfigOwner(name string) targets.Owner {
	return targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: name}
}

// within waits until a condition holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within 20 s: %s", what)
		}
	}
}

// TestAMonitorThatDoesNotDecodeCostsOnlyItself has one when the relay starts, one that comes later, and one that changes.
func TestAMonitorThatDoesNotDecodeCostsOnlyItself(t *testing.T) {
	for name, streams := range map[string]bool{"list": false, "list by watch": true} {
		t.Run(name, func(t *testing.T) {
			s := newAPIServer(t, streams)
			s.put(scrapeConfigYAML("good", static))
			s.put(scrapeConfigYAML("old", static+oldHeader))
			c := s.cluster()
			w := newWorldOf(t, func(*Manifests) Backend { return c }, "monitors: {}\n", nil)
			good := found("good", "127.0.0.1:1", "")
			w.becomes(good)
			const reason = "spec.proxyConnectHeader.X: it is an object, want a list"
			w.state(scrapeConfigOwner("old"), Rejected, reason)
			within(t, "an event tells of it", func() bool {
				told := s.told()
				return len(told) == 1 && strings.HasPrefix(told[0], "Warning ScrapeConfig old uid-2: ") && strings.HasSuffix(told[0], reason)
			})
			// One comes, beside one with a field that nobody knows.
			s.put(scrapeConfigYAML("later", static+"\n  sampleLimit: many"))
			w.state(scrapeConfigOwner("later"), Rejected, "spec.sampleLimit: it is a string, want a number")
			s.put(scrapeConfigYAML("new", static+"\n  invented: {by: [a, newer, CRD]}"))
			w.becomes(good, found("new", "127.0.0.1:1", ""))
			s.remove("scrapeconfigs", "shop/new")
			// They are mended, one is broken again.
			s.put(scrapeConfigYAML("old", static))
			s.put(scrapeConfigYAML("later", static))
			w.becomes(good, found("old", "127.0.0.1:1", ""), found("later", "127.0.0.1:1", ""))
			s.put(scrapeConfigYAML("old", static+oldHeader))
			w.becomes(good, found("later", "127.0.0.1:1", ""))
			w.state(scrapeConfigOwner("old"), Rejected, reason)
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
	w := newWorldOf(t, func(*Manifests) Backend { return c }, cfg, nil)
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
	of := schema.GroupResource{Group: monitoringGroup, Resource: "scrapeconfigs"}
	s.fails(of.Resource, apierrors.NewForbidden(of, "", errors.New("no role")))
	c := s.cluster()
	w := newWorldOf(t, func(*Manifests) Backend { return c }, "monitors: {}\n", nil)
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

// isHeard demands that the API server tells, or does not tell, of a resource as it should.
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
	w := newWorldOf(t, func(*Manifests) Backend { return c }, "monitors: {}\n", nil)
	w.state(apiOwner, Accepted, "")
	s.put("apiVersion: monitoring.coreos.com/v1\nkind: Probe\nmetadata: {name: p, namespace: shop}\nspec: {bearerTokenSecret: {key: ''}, prober: {url: 'x:1', path: /p}, targets: {staticConfig: {static: [a]}}}\n")
	w.state(targets.Owner{Kind: targets.Probe, Namespace: "shop", Name: "p"}, Rejected, "bearerTokenSecret: Secret shop/: no name is given")
	within(t, "an event tells of the Probe alone", func() bool { told := s.told(); return len(told) == 1 && strings.Contains(told[0], "Probe p") })
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
	w.state(scrapeConfigOwner("old"), Rejected, "spec.proxyConnectHeader.X: it is an object, want a list")
	w.state(scrapeConfigOwner("listed"), Rejected, "spec.sampleLimit: it is an object, want a number")
	w.write("a.yaml", strings.Replace(scrapeConfigYAML("a", static+"\n  sampleLimit: x"), ", namespace: shop", "", 1))
	w.state(targets.Owner{Kind: targets.ScrapeConfig, Namespace: "default", Name: "a"}, Rejected, "spec.sampleLimit: it is a string")
	w.becomes(targetOf("good"), targetOf("typo"))
	for _, want := range []string{
		"a.yaml: line 6: ScrapeConfig default/a: spec.sampleLimit: it is a string", "ScrapeConfig shop/old: spec.proxyConnectHeader.X: it is",
		"ScrapeConfig shop/typo: unknown field \"spec.staticConfig\"", "ScrapeConfig shop/listed: spec.sampleLimit: it is an object",
	} {
		within(t, "a problem is "+want, func() bool { return strings.Contains(strings.Join(w.d.backend.(*Manifests).Problems(), "\n"), want) })
	}
	w.write("a.yaml", scrapeConfigYAML("a", static))
	w.becomes(targetOf("a"), targetOf("good"), targetOf("typo"))
}

func monitorDecoder() oneByOne {
	return oneByOne{json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{}), false}
}

func TestReasonsOfWhatDoesNotDecode(t *testing.T) {
	const v1, v1alpha1 = "monitoring.coreos.com/v1", "monitoring.coreos.com/v1alpha1"
	for name, c := range map[string]struct{ version, kind, spec, want string }{
		"no object":         {v1, "ServiceMonitor", "[]", "spec: it is a list, want an object"},
		"in a list":         {v1, "ServiceMonitor", "{endpoints: [{port: a}, {port: 5}]}", "spec.endpoints[1].port: it is a number, want a string"},
		"no list":           {v1, "ServiceMonitor", "{endpoints: {}}", "spec.endpoints: it is an object, want a list"},
		"embedded":          {v1, "ServiceMonitor", "{endpoints: [{proxyUrl: true}]}", "spec.endpoints[0].proxyUrl: it is a boolean, want a string"},
		"in a map":          {v1, "PodMonitor", "{selector: {matchLabels: {a: 1, b: x}}}", "spec.selector.matchLabels.a: it is a number, want a string"},
		"boolean":           {v1, "PodMonitor", "{podMetricsEndpoints: [{honorLabels: 'yes'}]}", "spec.podMetricsEndpoints[0].honorLabels: it is a string, want a boolean"},
		"fraction":          {v1, "Probe", "{sampleLimit: 1.5}", "spec.sampleLimit: it is the number 1.5, want a number of type int64"},
		"own decoder":       {v1, "PodMonitor", "{nativeHistogramMinBucketFactor: a}", "spec.nativeHistogramMinBucketFactor: quantities must match"},
		"several":           {v1, "Probe", "{jobName: 1, module: 2}", "spec.jobName: it is a number, want a string; spec.module: it is a number, want a string"},
		"very many":         {v1, "Probe", "{targets: {staticConfig: {static: [0,1,2,3,4,5,6,7]}}}", "static[4]: it is a number, want a string"},
		"beside the spec":   {v1, "ServiceMonitor", "{}\nstatus: {bindings: 1}", "status.bindings: it is a number, want a list"},
		"header of old":     {v1alpha1, "ScrapeConfig", "{proxyConnectHeader: {X: {name: a, key: b}}}", "spec.proxyConnectHeader.X: it is an object, want a list"},
		"header within":     {v1alpha1, "ScrapeConfig", "{httpSDConfigs: [{url: a, proxyConnectHeader: {X: {}}}]}", "spec.httpSDConfigs[0].proxyConnectHeader.X: it is an object, want a list"},
		"a type of its own": {v1alpha1, "ScrapeConfig", "{dnsSDConfigs: [{names: [a], port: '80'}]}", "spec.dnsSDConfigs[0].port: it is a string, want a number"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := yaml.YAMLToJSON([]byte("apiVersion: " + c.version + "\nkind: " + c.kind + "\nmetadata: {name: a, namespace: b}\nspec: " + c.spec))
			if err != nil {
				t.Fatal(err)
			}
			o, _, err := monitorDecoder().Decode(doc, nil, nil)
			u, ok := o.(*undecoded)
			if !ok || err != nil || u.Name != "a" || u.Namespace != "b" || string(u.resource.kind) != c.kind {
				t.Fatalf("got %+v, %v", o, err)
			}
			if got := u.err.Error(); !strings.HasPrefix(got, c.want) && !strings.HasSuffix(got, c.want) {
				t.Errorf("reason %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNoMonitorDoesNotDecode(t *testing.T) {
	for name, doc := range map[string]string{
		"no JSON":       "{",
		"another kind":  `{"apiVersion": "v1", "kind": "Status", "metadata": {"name": "a"}, "code": "x"}`,
		"another list":  `{"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRuleList", "items": [{"spec": 1}]}`,
		"no name":       `{"apiVersion": "monitoring.coreos.com/v1", "kind": "Probe", "spec": 1}`,
		"no metadata":   `{"apiVersion": "monitoring.coreos.com/v1", "kind": "Probe", "metadata": {"name": "a", "labels": 1}}`,
		"in a list":     `{"apiVersion": "monitoring.coreos.com/v1", "kind": "ProbeList", "items": [{"metadata": {"name": "a"}}, 1]}`,
		"no list":       `{"apiVersion": "monitoring.coreos.com/v1", "kind": "ProbeList", "items": 1}`,
		"no version":    `{"kind": "Probe", "metadata": {"name": "a"}, "spec": 1}`,
		"other version": `{"apiVersion": "monitoring.coreos.com/v7", "kind": "Probe", "metadata": {"name": "a"}, "spec": 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if o, _, err := monitorDecoder().Decode([]byte(doc), nil, nil); err == nil {
				t.Errorf("decoded as %+v", o)
			}
		})
	}
}

// FuzzDecodeMonitors: a document on its own and in a list is decoded alike, and as the decoder within does it, where it does.
func FuzzDecodeMonitors(f *testing.F) {
	for _, spec := range []string{`{}`, `1`, `{"proxyConnectHeader": {"X": {"name": "a"}}}`, `{"httpSDConfigs": [{"proxyConnectHeader": []}]}`, `{"sampleLimit": 1e99, "a": null}`} {
		f.Add(spec, "a")
	}
	f.Fuzz(func(t *testing.T, spec, name string) {
		doc := fmt.Sprintf(`{"apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "ScrapeConfig", "metadata": {"name": %q}, "spec": %s}`, name, spec)
		d := monitorDecoder()
		o, _, err := d.Decode([]byte(doc), nil, nil)
		plain, _, plainErr := d.Decoder.Decode([]byte(doc), nil, nil)
		if u, ok := o.(*undecoded); ok && (plainErr == nil || u.err == nil || u.err.Error() == "" || u.Name == "") || plainErr == nil && !reflect.DeepEqual(o, plain) {
			t.Fatalf("got %+v, %v, without us %+v, %v", o, err, plain, plainErr)
		}
		if err != nil || strings.Contains(spec, "}") && plainErr == nil { // it may end the document
			return
		}
		list, _, err := d.Decode(fmt.Appendf(nil, `{"apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "ScrapeConfigList", "items": [%s, %s]}`, doc, doc), nil, nil)
		if err != nil {
			t.Fatalf("in a list: %v", err)
		}
		items, err := meta.ExtractList(list)
		if err != nil || len(items) != 2 || slices.ContainsFunc(items, func(i runtime.Object) bool { return !same(i, o) }) {
			t.Errorf("in a list: %+v, %v, want %+v twice", items, err, o)
		}
	})
}

// same compares objects but for what a list leaves out.
func same(a, b runtime.Object) bool {
	if x, ok := a.(*monitoringv1alpha1.ScrapeConfig); ok {
		y, ok := b.(*monitoringv1alpha1.ScrapeConfig)
		return ok && reflect.DeepEqual(x.Spec, y.Spec)
	}
	return reflect.DeepEqual(a, b)
}
