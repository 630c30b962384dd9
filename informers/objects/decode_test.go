package objects

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"
)

func monitorDecoder() LenientDecoder {
	return LenientDecoder{Decoder: json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{})}
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
			u, ok := o.(*Undecoded)
			if !ok || err != nil || u.Name != "a" || u.Namespace != "b" || string(u.Resource.Kind) != c.kind {
				t.Fatalf("got %+v, %v", o, err)
			}
			if got := u.Err.Error(); !strings.HasPrefix(got, c.want) && !strings.HasSuffix(got, c.want) {
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

// FuzzDecodeMonitors: a document alone and in a list is decoded in the same way, and as the inner decoder does it, if that
// succeeds.
func FuzzDecodeMonitors(f *testing.F) {
	for _, spec := range []string{`{}`, `1`, `{"proxyConnectHeader": {"X": {"name": "a"}}}`, `{"httpSDConfigs": [{"proxyConnectHeader": []}]}`, `{"sampleLimit": 1e99, "a": null}`} {
		f.Add(spec, "a")
	}
	f.Fuzz(func(t *testing.T, spec, name string) {
		doc := fmt.Sprintf(`{"apiVersion": "monitoring.coreos.com/v1alpha1", "kind": "ScrapeConfig", "metadata": {"name": %q}, "spec": %s}`, name, spec)
		d := monitorDecoder()
		o, _, err := d.Decode([]byte(doc), nil, nil)
		plain, _, plainErr := d.Decoder.Decode([]byte(doc), nil, nil)
		if u, ok := o.(*Undecoded); ok && (plainErr == nil || u.Err == nil || u.Err.Error() == "" || u.Name == "") || plainErr == nil && !reflect.DeepEqual(o, plain) {
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

// same compares objects, without the fields that a list leaves out.
func same(a, b runtime.Object) bool {
	if x, ok := a.(*monitoringv1alpha1.ScrapeConfig); ok {
		y, ok := b.(*monitoringv1alpha1.ScrapeConfig)
		return ok && reflect.DeepEqual(x.Spec, y.Spec)
	}
	return reflect.DeepEqual(a, b)
}
