package objects

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/rest"
)

// strictDecoder is what clients of an API server decode with.
func strictDecoder(t testing.TB) runtime.Decoder {
	s := LenientSerializer{rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()}
	info, ok := runtime.SerializerInfoForMediaType(s.SupportedMediaTypes(), runtime.ContentTypeJSON)
	if !ok {
		t.Fatal("no serializer of JSON")
	}
	if frames, ok := info.StreamSerializer.Serializer.(*json.Serializer); !ok || frames.IsStrict() {
		t.Error("the frames of watches are decoded strictly: a newer API server would end them")
	}
	return s.DecoderToVersion(info.Serializer, monitoringv1.SchemeGroupVersion)
}

func probeJSON(name, spec, more string) string {
	return fmt.Sprintf(`{"apiVersion": "monitoring.coreos.com/v1", "kind": "Probe", "metadata": {"name": %q, "annotations": {"a": "b"}}, "spec": {%s}%s}`, name, spec, more)
}

// TestUnknownFields are noted at their monitor, alone and in a list, and are no error.
func TestUnknownFields(t *testing.T) {
	many, first := "", []string{}
	for i := range 150 {
		many += fmt.Sprintf(`, "f%d": 1`, i)
		if i < maxUnknownFields {
			first = append(first, fmt.Sprintf(`unknown field "spec.f%d"`, i))
		}
	}
	first = append(first, "and 90 more") // the decoder itself stops at a hundred
	cases := map[string]struct {
		doc  string
		want []string
	}{
		"none":       {probeJSON("none", `"module": "m"`, ""), nil},
		"one":        {probeJSON("one", `"module": "m", "modul": "m"`, ""), []string{`unknown field "spec.modul", did you mean "module"?`}},
		"deep":       {probeJSON("deep", `"prober": {"url": "x"}, "targets": {"staticConfig": {"relabelingConfigs": [{}, {"acton": "drop"}]}}`, ""), []string{`unknown field "spec.targets.staticConfig.relabelingConfigs[1].acton", did you mean "action"?`}},
		"two":        {probeJSON("two", `"a": {"b": 1}, "c": []`, ""), []string{`unknown field "spec.a"`, `unknown field "spec.c"`}},
		"many":       {probeJSON("many", `"module": "m"`+many, ""), first},
		"the status": {probeJSON("status", `"module": "m"`, `, "status": {"newer": 1}, "specs": {"x": 1}`), nil},
		"metadata":   {strings.Replace(probeJSON("metadata", `"module": "m"`, ""), `"metadata": {`, `"metadata": {"newer": 1, `, 1), nil},
	}
	d := strictDecoder(t)
	check := func(name string, o runtime.Object, err error) {
		t.Helper()
		p, ok := o.(*monitoringv1.Probe)
		if !ok || err != nil || p.Annotations["a"] != "b" {
			t.Errorf("%s: got %+v, %v", name, o, err)
			return
		}
		if got := UnknownFields(p); !slices.Equal(got, cases[name].want) {
			t.Errorf("%s: %q, want %q", name, got, cases[name].want)
		}
	}
	var docs, names []string
	for name, c := range cases {
		o, _, err := d.Decode([]byte(c.doc), nil, nil)
		check(name, o, err)
		names, docs = append(names, name), append(docs, c.doc)
	}
	list, _, err := d.Decode([]byte(`{"apiVersion": "monitoring.coreos.com/v1", "kind": "ProbeList", "metadata": {"resourceVersion": "7"}, "newer": 1, "items": [`+strings.Join(docs, ",")+`]}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := meta.ListAccessor(list); err != nil || m.GetResourceVersion() != "7" {
		t.Errorf("the list is %+v, %v", m, err)
	}
	items, err := meta.ExtractList(list)
	if err != nil || len(items) != len(names) {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, o := range items {
		check(names[i], o, nil)
	}
	if o, _, err := d.Decode([]byte(`{"apiVersion": "v1", "kind": "Status", "code": 410, "newer": 1}`), nil, nil); err != nil || UnknownFields(o) != nil {
		t.Errorf("what is no monitor: %+v, %v", o, err)
	}
	if o, _, err := d.Decode([]byte(probeJSON("bad", `"module": 1, "modul": 2`, "")), nil, nil); err != nil || fmt.Sprintf("%T", o) != "*objects.Undecoded" {
		t.Errorf("what does not decode: %+v, %v", o, err)
	}
}

// BenchmarkDecodeList is what a list of monitors costs: without a field that nobody knows, and with one in one of them.
func BenchmarkDecodeList(b *testing.B) {
	lenient := scheme.Codecs.WithoutConversion().DecoderToVersion(monitorDecoder().Decoder, monitoringv1.SchemeGroupVersion)
	for name, c := range map[string]struct {
		d     runtime.Decoder
		first string
	}{"lenient": {lenient, `"module": "m"`}, "strict": {strictDecoder(b), `"module": "m"`}, "strict with one": {strictDecoder(b), `"modul": "m"`}} {
		b.Run(name, func(b *testing.B) {
			docs := []string{probeJSON("first", c.first, "")}
			for i := range 3000 {
				docs = append(docs, probeJSON(fmt.Sprint(i), `"prober": {"url": "prober:9115"}, "module": "http_2xx", "targets": {"staticConfig": {"static": ["https://a.example.com", "https://b.example.com"],
					"relabelingConfigs": [{"sourceLabels": ["a", "b"], "targetLabel": "c", "action": "replace", "regex": "(.*);(.*)", "replacement": "$1-$2"}]}}, "interval": "30s", "jobName": "probes"`, ""))
			}
			doc := []byte(`{"apiVersion": "monitoring.coreos.com/v1", "kind": "ProbeList", "items": [` + strings.Join(docs, ",") + `]}`)
			for b.Loop() {
				if _, _, err := c.d.Decode(doc, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
