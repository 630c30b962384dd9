package config

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// TestKeysOf: the keys of a type are those that its decoder accepts.
func TestKeysOf(t *testing.T) {
	for name, c := range map[string]struct {
		of      reflect.Type
		by      tags
		has, no []string
	}{
		"a block":             {reflect.TypeFor[WAL](), yamlTags, []string{"dir", "max_bytes"}, []string{"Dir", "maxbytes"}},
		"an inlined struct":   {reflect.TypeFor[Nodes](), yamlTags, []string{"selector", "kubelet", "tls_config", "bearer_token_file"}, []string{"httpclientconfig"}},
		"fields of a CRD":     {monitorsType, jsonTags, []string{"scrapeInterval", "serviceMonitorSelector", "lastGoodDirectory"}, []string{"scrape_interval", "CommonPrometheusFields"}},
		"service discoveries": {scrapeType, yamlTags, []string{"job_name", "static_configs", "kubernetes_sd_configs", "consul_sd_configs"}, []string{"servicediscoveryconfigs"}},
		"Prometheus's file":   {reflect.TypeFor[promconfig.Config](), yamlTags, prometheusKeys, ownKeys},
	} {
		k := keysOf(c.of, c.by)
		for _, key := range c.has {
			if k.find(key) == nil {
				t.Errorf("%s: there is no %s", name, key)
			}
		}
		for _, key := range c.no {
			if k.find(key) != nil {
				t.Errorf("%s: there is %s", name, key)
			}
		}
	}
	if k := keysOf(reflect.TypeFor[map[string]int](), yamlTags); k.find("anything") != reflect.TypeFor[int]() {
		t.Error("a map has not every key")
	}
}

func TestShapeOf(t *testing.T) {
	for name, c := range map[string]struct {
		of   reflect.Type
		by   tags
		want shape
	}{
		"any":                          {reflect.TypeFor[any](), yamlTags, anything},
		"a text":                       {reflect.TypeFor[string](), yamlTags, scalar},
		"a size":                       {sizeType, yamlTags, scalar},
		"a list":                       {reflect.TypeFor[[]int](), yamlTags, list},
		"a map":                        {reflect.TypeFor[map[string]string](), yamlTags, mapping},
		"a block that reads itself":    {reflect.TypeFor[Nodes](), yamlTags, mapping},
		"a URL":                        {urlType, yamlTags, whole},
		"an expression":                {reflect.TypeFor[relabel.Regexp](), yamlTags, whole},
		"a struct without any key":     {reflect.TypeFor[struct{}](), yamlTags, whole},
		"a selector of labels, of CRD": {reflect.TypeFor[labelSelector](), jsonTags, mapping},
	} {
		if got := shapeOf(c.of, c.by); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// TestOwnBlocksReadWhatTheyHave: the decoder of each of the relay's own blocks accepts each key that keysOf finds, in strict mode.
func TestOwnBlocksReadWhatTheyHave(t *testing.T) {
	blocks := keysOf(reflect.TypeFor[own](), yamlTags)
	if got := names(blocks); len(got) != len(ownKeys) {
		t.Errorf("blocks %v, want %v", got, ownKeys)
	}
	for block, of := range blocks.of {
		if pointed(of) == monitorsType {
			continue // which reads JSON
		}
		for key := range keysOf(pointed(of), yamlTags).of {
			dec := yaml.NewDecoder(strings.NewReader(key + ":\n"))
			dec.KnownFields(true)
			if err := dec.Decode(reflect.New(pointed(of)).Interface()); err != nil && strings.Contains(err.Error(), "not found") {
				t.Errorf("%s.%s: %v", block, key, err)
			}
		}
	}
}

func TestSuggest(t *testing.T) {
	long := slices.Concat(prometheusKeys, ownKeys)
	for name, c := range map[string]struct {
		key   string
		known []string
		want  string
	}{
		"a letter is missing":     {"globl", long, `, did you mean "global"?`},
		"another case":            {"SCRAPE_CONFIGS", long, `, did you mean "scrape_configs"?`},
		"nothing near, many":      {"xxxxxxxx", long, ""},
		"nothing near, few":       {"xxxxxxxx", []string{"b", "a"}, "; known are a, b"},
		"a short one is not near": {"x", []string{"abc"}, "; known are abc"},
		"nothing is known":        {"x", nil, ""},
		"the nearest of two":      {"max_byte", []string{"max_bites", "max_bytes"}, `, did you mean "max_bytes"?`},
	} {
		if got := Suggest(c.key, slices.Clone(c.known)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestDistance: it is a metric, and what it says of single edits is so.
func TestDistance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, r.IntN(8))
		for i := range b {
			b[i] = byte('a' + r.IntN(3))
		}
		return string(b)
	}
	for range 2000 {
		a, b, c := word(), word(), word()
		ab := Distance(a, b)
		if ab != Distance(b, a) || (ab == 0) != (a == b) || ab > max(len(a), len(b)) || Distance(a, c) > ab+Distance(b, c) {
			t.Fatalf("%q, %q, %q: %d", a, b, c, ab)
		}
		if i := r.IntN(len(a) + 1); Distance(a, a[:i]+"x"+a[i:]) != 1 {
			t.Fatalf("a letter more than %q is not 1 away", a)
		}
	}
}
