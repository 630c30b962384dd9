package agent

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"sigs.k8s.io/yaml"
)

// decoded reads an object from YAML.
func decoded(t *testing.T, text string) *Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// ofSpec is a PrometheusAgent with a spec of YAML.
func ofSpec(t *testing.T, spec string) *Object {
	t.Helper()
	return decoded(t, "kind: PrometheusAgent\nmetadata: {name: shop, namespace: monitoring}\nspec:\n  "+strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ")+"\n")
}

func translated(t *testing.T, o *Object) (*Result, string) {
	t.Helper()
	r, err := Translate(o, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

// remarkOf is the remark about a field; empty if there is none.
func remarkOf(r *Result, field string) string {
	for _, m := range r.Remarks {
		if m.Field == field {
			return m.Text
		}
	}
	return ""
}

// fieldsOf are the names of a struct's fields in JSON, and those of structs that it embeds.
func fieldsOf(typ reflect.Type) (out []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			out = append(out, fieldsOf(f.Type)...)
		} else {
			out = append(out, name)
		}
	}
	return out
}

// TestEveryField demands that each field of an agent is translated, or that there is advice for it. Fields that a server alone has share one.
func TestEveryField(t *testing.T) {
	agents := fieldsOf(reflect.TypeFor[monitoringv1alpha1.PrometheusAgentSpec]())
	all := append(fieldsOf(reflect.TypeFor[monitoringv1.PrometheusSpec]()), agents...)
	known := func(field string) bool {
		return slices.Contains(MonitorFields, field) || slices.Contains(translatedFields, field) || advice[field] != ""
	}
	for _, field := range agents {
		if !known(field) {
			t.Errorf("%s is not translated, and nothing says what to do", field)
		}
	}
	for _, field := range slices.Concat(MonitorFields, translatedFields) {
		if !slices.Contains(agents, field) {
			t.Errorf("%s is no field of a PrometheusAgent", field)
		}
	}
	for field := range advice {
		if !slices.Contains(all, field) {
			t.Errorf("%s is no field", field)
		}
	}
}

func TestSelectors(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"a namespace selector that is left out means the namespace of the object": {
			"serviceMonitorSelector: {}",
			"serviceMonitorSelector: {}\n  serviceMonitorNamespaceSelector:\n    matchLabels:\n      kubernetes.io/metadata.name: monitoring\n  podMonitorSelector: null\n  probeSelector: null\n  scrapeConfigSelector: null\n",
		},
		"given ones stay": {
			"probeSelector: {matchLabels: {a: b}}\nprobeNamespaceSelector: {}",
			"serviceMonitorSelector: null\n  podMonitorSelector: null\n  probeSelector:\n    matchLabels:\n      a: b\n  probeNamespaceSelector: {}\n  scrapeConfigSelector: null\n",
		},
		"a DaemonSet takes PodMonitors alone": {
			"mode: DaemonSet\nserviceMonitorSelector: {}\npodMonitorSelector: {}\npodMonitorNamespaceSelector: {}",
			"serviceMonitorSelector: null\n  podMonitorSelector: {}\n  podMonitorNamespaceSelector: {}\n  probeSelector: null\n  scrapeConfigSelector: null\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := translated(t, ofSpec(t, c.spec)); !strings.Contains(got, "\nmonitors:\n  "+c.want) {
				t.Errorf("%s\nwant\n%s", got, c.want)
			}
		})
	}
	r, text := translated(t, ofSpec(t, "replicas: 1"))
	if r.Monitors != nil || strings.Contains(text, "monitors") || remarkOf(r, "spec") == "" {
		t.Errorf("an object without selectors gives %s, %v", text, r.Remarks)
	}
}

// TestUnknownFields demands that fields of later releases are left out, and told of, and that nothing else is.
func TestUnknownFields(t *testing.T) {
	r, text := translated(t, ofSpec(t, `
serviceMonitorSelector: {}
new: {a: 1}
sampleLimit: 50000000
scrapeClasses:
- {name: a, newer: 1}
- {name: b, tlsConfig: {serverName: x, newest: [1]}}
`))
	for _, field := range []string{"new", "scrapeClasses[0].newer", "scrapeClasses[1].tlsConfig.newest"} {
		if remarkOf(r, field) == "" {
			t.Errorf("nothing is said of %s: %v", field, r.Remarks)
		}
	}
	for _, want := range []string{"sampleLimit: 50000000\n", "- name: a\n", "serverName: x\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "new") {
		t.Errorf("an unknown field is left:\n%s", text)
	}
}

// TestSecrets demands that no value is needed for what files can hold, and that a person is told of the rest.
func TestSecrets(t *testing.T) {
	r, text := translated(t, ofSpec(t, `
serviceMonitorSelector: {}
secrets: [tls]
remoteWrite:
- url: http://a
  basicAuth: {username: {name: central, key: user}, password: {name: central, key: password}}
  tlsConfig: {ca: {configMap: {name: central, key: ca.crt}}, certFile: /etc/prometheus/secrets/tls/crt, keyFile: /elsewhere/key}
- url: http://b
  sigv4: {accessKey: {name: aws, key: id}, secretKey: {name: aws, key: secret}}
- url: http://c
  sigv4: {accessKey: {name: aws, key: id}, secretKey: {name: aws, key: secret}}
- url: http://d
  sigv4: {accessKey: {name: other.aws, key: id}, secretKey: {name: other.aws, key: secret}}
- url: http://e
  oauth2: {clientId: {secret: {name: idp, key: id}}, clientSecret: {name: idp, key: secret}, tokenUrl: http://idp}
- url: http://f
  azureAd: {oauth: {clientId: a, tenantId: b, clientSecret: {name: azure, key: secret}}}
- url: http://g
  proxyConnectHeader: {X: [{name: proxy, key: header}]}
`))
	for field, secret := range map[string]string{
		"remoteWrite[3].sigv4.access_key": "key id of Secret other.aws", "remoteWrite[3].sigv4.secret_key": "key secret of Secret other.aws",
		"remoteWrite[4].oauth2.client_id": "key id of Secret idp", "remoteWrite[5].azuread.oauth.client_secret": "key secret of Secret azure",
		"remoteWrite[6].proxy_connect_header.X": "key header of Secret proxy", "remoteWrite[0].key_file": "/elsewhere/key",
	} {
		if got := remarkOf(r, field); !strings.Contains(got, secret) {
			t.Errorf("%s: %q does not name %s", field, got, secret)
		}
	}
	if n := strings.Count(text, Placeholder); n != 5 {
		t.Errorf("%d placeholders, want 5:\n%s", n, text)
	}
	if got := remarkOf(r, "remoteWrite[0].cert_file"); got != "" {
		t.Errorf("a file that is mounted has a remark: %s", got)
	}
	patch, err := r.Patch("promrelay")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"- name: secret-central\n          mountPath: /etc/promrelay-secrets/central\n", "- name: configmap-central\n          mountPath: /etc/promrelay-configmaps/central\n",
		"- name: secret-tls\n          mountPath: /etc/prometheus/secrets/tls\n", "name: AWS_ACCESS_KEY_ID\n          valueFrom:\n            secretKeyRef:\n              name: aws\n              key: id\n",
	} {
		if !strings.Contains(string(patch), want) {
			t.Errorf("%q is missing in\n%s", want, patch)
		}
	}
	if none, _ := translated(t, ofSpec(t, "serviceMonitorSelector: {}")); none != nil {
		if p, err := none.Patch("a"); p != nil || err != nil {
			t.Errorf("a patch without files: %s, %v", p, err)
		}
	}
}

func TestVolumeNames(t *testing.T) {
	taken := map[string]bool{}
	for _, c := range []struct{ name, want string }{
		{"a.b", "secret-a-b"}, {"a-b", "secret-a-b-2"}, {strings.Repeat("x", 80), "secret-" + strings.Repeat("x", 51)}, {strings.Repeat("x", 81), "secret-" + strings.Repeat("x", 51) + "-2"},
	} {
		if got := (Mount{Name: c.name}).volume(taken); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestExternalLabels(t *testing.T) {
	o := decoded(t, "kind: Prometheus\nmetadata: {name: k8s, namespace: monitoring}\nspec: {serviceMonitorSelector: {}, externalLabels: {a: b, prometheus: mine}}")
	r, _ := translated(t, o)
	want := map[string]string{"a": "b", "prometheus": "monitoring/k8s", "prometheus_replica": "prometheus-k8s-0"}
	if !reflect.DeepEqual(r.ExternalLabels, want) {
		t.Errorf("%v, want %v", r.ExternalLabels, want)
	}
	if remarkOf(r, "externalLabels") == "" {
		t.Error("nothing is said of the reserved label")
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{"kind":"Service","metadata":{"name":"a"}}`:         "Service a: want a PrometheusAgent or a Prometheus",
		`{"kind":"Prometheus","metadata":{"name":"a"}}`:      "it has no spec",
		`{"kind":"Prometheus","spec":{"scrapeClasses":"x"}}`: "spec: json: cannot unmarshal string",
		`[`: "decode object",
	} {
		if _, err := Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	spec := "serviceMonitorSelector: {}\nadditionalScrapeConfigs: {name: more, key: jobs}\nremoteWrite: [{url: http://a, authorization: {credentials: {name: token, key: t}}}]"
	if r, _ := translated(t, ofSpec(t, spec)); !strings.Contains(remarkOf(r, "additionalScrapeConfigs"), "kubectl -n monitoring get secret more") {
		t.Errorf("nothing says how to get the scrape configurations: %v", r.Remarks)
	}
	_, err := Translate(ofSpec(t, spec), Options{Inline: true})
	if err == nil || !strings.Contains(err.Error(), "key t of Secret token") || !strings.Contains(err.Error(), "key jobs of Secret more") {
		t.Errorf("%v does not name what is missing", err)
	}
	_, err = Translate(ofSpec(t, spec), Options{Value: func(Ref) (string, error) { return "a: b", nil }})
	if err == nil || !strings.Contains(err.Error(), "want a list of scrape configurations") {
		t.Error(err)
	}
}
