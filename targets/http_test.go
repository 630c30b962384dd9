package targets_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	config_util "github.com/prometheus/common/config"
	"sigs.k8s.io/yaml"

	"promrelay/targets"
)

// classSecrets gives the values of a monitor's namespace, shop, and those of the relay's own, prom, where scrape classes are read.
type classSecrets map[string]map[string]string

func (s classSecrets) Value(ref targets.Ref) ([]byte, error) {
	return secrets(s[ref.Namespace]).Value(targets.Ref{ConfigMap: ref.ConfigMap, Namespace: "shop", Name: ref.Name, Key: ref.Key})
}

// pair makes a certificate and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	c, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// TestHTTPOfClasses merges what an endpoint says with what its scrape class says: field by field, and each Secret is read where its
// reference stands.
func TestHTTPOfClasses(t *testing.T) {
	cert, key := pair(t)
	_, otherKey := pair(t)
	own := map[string]string{"t": "own-token", "cert": cert, "key": key, "other": otherKey, "empty": ""}
	assets := classSecrets{"shop": own, "prom": maps.Clone(own)}
	assets["prom"]["t"] = "class-token"
	const ref = `{name: s, key: `
	bearer := func(token string) config_util.HTTPClientConfig {
		return config_util.HTTPClientConfig{Authorization: &config_util.Authorization{Type: "Bearer", Credentials: config_util.Secret(token)}}
	}
	inTLS := func(c config_util.TLSConfig) config_util.HTTPClientConfig {
		return config_util.HTTPClientConfig{TLSConfig: c}
	}
	for name, c := range map[string]struct {
		class, endpoint string
		want            config_util.HTTPClientConfig
		err             string
	}{
		"nothing":                             {},
		"the class's token":                   {class: `authorization: {credentials: ` + ref + `t}}`, want: bearer("class-token")},
		"the endpoint's token":                {class: `authorization: {credentials: ` + ref + `t}}`, endpoint: `authorization: {credentials: ` + ref + `t}}`, want: bearer("own-token")},
		"a token of the class that is none":   {class: `authorization: {credentials: ` + ref + `none}}`, err: `scrapeClass: authorization: Secret prom/s, key "none": `},
		"the class's TLS":                     {class: `tlsConfig: {caFile: /ca, serverName: x}`, want: inTLS(config_util.TLSConfig{CAFile: "/ca", ServerName: "x"})},
		"the class's files, where none stand": {class: `tlsConfig: {caFile: /ca, certFile: /c, keyFile: /k}`, endpoint: `tlsConfig: {serverName: host}`, want: inTLS(config_util.TLSConfig{CAFile: "/ca", CertFile: "/c", KeyFile: "/k", ServerName: "host"})},
		"a certificate of its own": {
			class: `tlsConfig: {caFile: /ca, certFile: /c, keyFile: /k}`, endpoint: `tlsConfig: {ca: {secret: ` + ref + `cert}}, cert: {secret: ` + ref + `cert}}, keySecret: ` + ref + `key}, minVersion: TLS12, maxVersion: TLS13}`,
			want: inTLS(config_util.TLSConfig{CA: cert, Cert: cert, Key: config_util.Secret(key), MinVersion: config_util.TLSVersions["TLS12"], MaxVersion: config_util.TLSVersions["TLS13"]}),
		},
		"another key than the certificate's": {endpoint: `tlsConfig: {cert: {secret: ` + ref + `cert}}, keySecret: ` + ref + `other}}`, err: `endpoints[0]: tlsConfig: cert `},
		"a CA that is none":                  {endpoint: `tlsConfig: {ca: {secret: ` + ref + `t}}}`, err: `endpoints[0]: tlsConfig: ca `},
		"a CA that is a key":                 {endpoint: `tlsConfig: {ca: {secret: ` + ref + `key}}}`, err: `endpoints[0]: tlsConfig: ca `},
		"an empty CA":                        {endpoint: `tlsConfig: {ca: {secret: ` + ref + `empty}}}`, err: `endpoints[0]: tlsConfig: ca: it is empty`},
		"a key that is not there":            {endpoint: `tlsConfig: {keySecret: ` + ref + `none}}`, err: `endpoints[0]: tlsConfig: `},
		"TLS of the class that is wrong":     {class: `tlsConfig: {ca: {secret: ` + ref + `t}}}`, err: `endpoints[0]: scrapeClass: tlsConfig: ca `},
		"a bearer token":                     {endpoint: `bearerTokenSecret: ` + ref + `t}`, want: config_util.HTTPClientConfig{Authorization: &config_util.Authorization{Type: "Bearer", Credentials: "own-token"}}},
		"a proxy that is no URL":             {endpoint: `proxyUrl: "http://%"`, err: `endpoints[0]: parse "http://%"`},
	} {
		t.Run(name, func(t *testing.T) {
			fields := monitoringv1.CommonPrometheusFields{}
			if c.class != "" {
				class := monitoringv1.ScrapeClass{}
				if err := yaml.UnmarshalStrict([]byte("{name: c, default: true, "+c.class+"}"), &class); err != nil {
					t.Fatal(err)
				}
				fields.ScrapeClasses = []monitoringv1.ScrapeClass{class}
			}
			fields.ScrapeInterval = "30s"
			s, err := targets.NewSettings(fields, "prom")
			if err != nil {
				t.Fatal(err)
			}
			r := s.Compile(monitorOf(t, targets.ServiceMonitor, `{selector: {}, endpoints: [{`+c.endpoint+`}]}`), assets)
			if c.err != "" {
				if r.Err == nil || !strings.Contains(r.Err.Error(), c.err) {
					t.Errorf("reason is %v, want %s", r.Err, c.err)
				}
				return
			}
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			want := c.want
			want.FollowRedirects, want.EnableHTTP2 = true, true
			if got := r.Jobs[0].Config.HTTPClientConfig; !reflect.DeepEqual(got, want) {
				t.Errorf("settings are\n%+v, want\n%+v", got, want)
			}
		})
	}
}

// TestPendingSecret has a monitor wait for a Secret, which it refers to.
func TestPendingSecret(t *testing.T) {
	s, err := targets.NewSettings(monitoringv1.CommonPrometheusFields{ScrapeInterval: "30s"}, "prom")
	if err != nil {
		t.Fatal(err)
	}
	r := s.Compile(monitorOf(t, targets.PodMonitor, `{selector: {}, podMetricsEndpoints: [{`+basic+`}]}`), pending{})
	if want := (targets.Ref{Namespace: "shop", Name: "s"}); r.Err == nil || !strings.Contains(r.Err.Error(), targets.ErrPending.Error()) || len(r.Refs) != 1 || r.Refs[0] != want {
		t.Errorf("reason is %v, refers to %v", r.Err, r.Refs)
	}
}

type pending struct{}

func (pending) Value(targets.Ref) ([]byte, error) { return nil, targets.ErrPending }
