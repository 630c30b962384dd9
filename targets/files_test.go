package targets_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"promrelay/targets"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

func denied(deny bool) (f monitoringv1.CommonPrometheusFields) {
	f.ScrapeInterval = "30s"
	f.ArbitraryFSAccessThroughSMs.Deny = deny
	return f
}

func endpoint(t *testing.T, spec string, fields monitoringv1.CommonPrometheusFields) targets.Result {
	t.Helper()
	m := &monitoringv1.ServiceMonitor{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}}
	e := monitoringv1.Endpoint{}
	if err := yaml.UnmarshalStrict([]byte(spec), &e); err != nil {
		t.Fatal(err)
	}
	m.Spec.Endpoints = []monitoringv1.Endpoint{e}
	s, err := targets.NewSettings(fields, "")
	if err != nil {
		t.Fatal(err)
	}
	return s.Compile(m, nil)
}

// TestFilesOfTheRelay are denied to monitors, but those of the service account that are its token and its CA.
func TestFilesOfTheRelay(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		want string // the reason's beginning, empty where the monitor is accepted
		own  bool
	}{
		"none":                        {spec: `{port: web}`},
		"token and CA":                {spec: `{bearerTokenFile: ` + account + `token, tlsConfig: {caFile: ` + account + `ca.crt}}`, own: true},
		"CA alone":                    {spec: `{tlsConfig: {caFile: ` + account + `ca.crt}}`},
		"another token":               {spec: `{bearerTokenFile: /etc/promrelay/password}`, want: `endpoints[0]: bearerTokenFile: "/etc/promrelay/password"`},
		"the CA as a token":           {spec: `{bearerTokenFile: ` + account + `ca.crt}`, want: `endpoints[0]: bearerTokenFile: `},
		"a roundabout way":            {spec: `{bearerTokenFile: ` + account + `../serviceaccount/token}`, want: `endpoints[0]: bearerTokenFile: `},
		"the token as a CA":           {spec: `{tlsConfig: {caFile: ` + account + `token}}`, want: `endpoints[0]: tlsConfig.caFile: `},
		"a certificate":               {spec: `{tlsConfig: {certFile: ` + account + `ca.crt, keyFile: /k}}`, want: `endpoints[0]: tlsConfig.certFile: `},
		"a key":                       {spec: `{tlsConfig: {cert: {secret: {name: s, key: k}}, keyFile: ` + account + `token}}`, want: `endpoints[0]: tlsConfig.keyFile: `},
		"the token, and a wrong file": {spec: `{bearerTokenFile: ` + account + `token, tlsConfig: {caFile: /ca}}`, want: `endpoints[0]: tlsConfig.caFile: "/ca"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := endpoint(t, c.spec, denied(true))
			switch {
			case c.want == "" && r.Err != nil:
				t.Fatalf("rejected: %v", r.Err)
			case c.want != "" && (r.Err == nil || !strings.HasPrefix(r.Err.Error(), c.want) || !strings.Contains(r.Err.Error(), "arbitraryFSAccessThroughSMs.deny: false")):
				t.Fatalf("reason is %v, want it to begin with %s", r.Err, c.want)
			case c.want == "":
				if r.Jobs[0].OwnToken != c.own || c.own && r.Jobs[0].Config.HTTPClientConfig.FollowRedirects {
					t.Errorf("own token %t, follows redirects %t", r.Jobs[0].OwnToken, r.Jobs[0].Config.HTTPClientConfig.FollowRedirects)
				}
			}
			if c.want != "" && !strings.Contains(c.spec, "secret") {
				if r := endpoint(t, c.spec, denied(false)); r.Err != nil || r.Jobs[0].OwnToken {
					t.Errorf("with deny: false: %v", r.Err)
				}
			}
		})
	}
}

// TestFilesOfScrapeConfigs are denied too.
func TestFilesOfScrapeConfigs(t *testing.T) {
	const spec = `{fileSDConfigs: [{files: [/etc/promrelay/promrelay.yml]}]}`
	if r := compile(t, spec, denied(true), someSecrets); r.Err == nil || !strings.HasPrefix(r.Err.Error(), `fileSDConfigs[0].files: "/etc/promrelay/promrelay.yml"`) {
		t.Errorf("reason is %v", r.Err)
	}
	if r := compile(t, spec, denied(false), someSecrets); r.Err != nil {
		t.Errorf("with deny: false: %v", r.Err)
	}
}

// TestTokensOfTheEnvironment do not go to a Consul that a monitor names.
func TestTokensOfTheEnvironment(t *testing.T) {
	const (
		bare  = `{consulSDConfigs: [{server: "evil:8500"}]}`
		own   = `{consulSDConfigs: [{server: "evil:8500", tokenRef: {name: s, key: t}}]}`
		empty = `{consulSDConfigs: [{server: "evil:8500", tokenRef: {name: s, key: none}}]}`
	)
	secrets := secrets{"t": "own", "none": ""}
	const want = `consulSDConfigs[0]: tokenRef: there is none, and the relay's environment has %s, which would be sent to "evil:8500": give tokenRef, unset %s`
	for name, c := range map[string]struct {
		variable, spec string
		deny, refused  bool
	}{
		"token":            {"CONSUL_HTTP_TOKEN", bare, true, true},
		"token in a file":  {"CONSUL_HTTP_TOKEN_FILE", bare, true, true},
		"an empty Secret":  {"CONSUL_HTTP_TOKEN", empty, true, true},
		"its own":          {"CONSUL_HTTP_TOKEN", own, true, false},
		"all is allowed":   {"CONSUL_HTTP_TOKEN", bare, false, false},
		"no token":         {"CONSUL_HTTP_ADDR", bare, true, false},
		"another's secret": {"CONSUL_HTTP_TOKEN", `{httpSDConfigs: [{url: "http://evil"}]}`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			settings, err := targets.NewSettings(denied(c.deny), "prom")
			if err != nil {
				t.Fatal(err)
			}
			settings.SetEnvironment(func(name string) string { return map[string]string{c.variable: "hush"}[name] })
			r := settings.Compile(scrapeConfig(t, c.spec), secrets)
			switch {
			case !c.refused && r.Err != nil:
				t.Errorf("rejected: %v", r.Err)
			case c.refused && (r.Err == nil || !strings.HasPrefix(r.Err.Error(), strings.ReplaceAll(want, "%s", c.variable)) || strings.Contains(r.Err.Error(), "hush")):
				t.Errorf("reason is %v", r.Err)
			}
		})
	}
}

// TestOwnToken goes where the request goes in the end, and that is a kubelet or the API server, or nowhere.
func TestOwnToken(t *testing.T) {
	trusted := func(at netip.AddrPort) error {
		switch at.String() {
		case "10.0.0.1:10250", "[fd00::1]:10250", "10.0.0.9:443":
			return nil
		}
		return errors.New(at.String() + " is nobody")
	}
	const own = `bearerTokenFile: ` + account + `token, `
	for name, c := range map[string]struct{ spec, address, want string }{
		"kubelet":            {`scheme: HTTPS`, "10.0.0.1:10250", ""},
		"kubelet by IPv6":    {`scheme: https`, "[fd00::1]:10250", ""},
		"written otherwise":  {`scheme: https`, "[::ffff:10.0.0.1]:10250", ""},
		"usual port":         {`scheme: https`, "10.0.0.9", ""},
		"unencrypted":        {`scheme: http`, "10.0.0.1:10250", `to http://10.0.0.1:10250/metrics: its scheme is "http"`},
		"by relabelling":     {`scheme: https, relabelings: [{targetLabel: __scheme__, replacement: http}]`, "10.0.0.1:10250", `its scheme is "http"`},
		"other port":         {`scheme: https`, "10.0.0.1:10255", "10.0.0.1:10255 is nobody"},
		"elsewhere":          {`scheme: https, relabelings: [{targetLabel: __address__, replacement: "6.6.6.6:10250"}]`, "10.0.0.1:10250", "6.6.6.6:10250 is nobody"},
		"a name":             {`scheme: https`, "node1:10250", `"node1" is no IP address`},
		"a user":             {`scheme: https`, "10.0.0.1:10250@evil:10250", `its URL cannot be read`},
		"a zone":             {`scheme: https`, "[fe80::1%25eth0]:10250", `is no IP address`},
		"a proxy":            {`scheme: https, proxyUrl: "http://proxy:1"`, "10.0.0.1:10250", "a proxy is asked for"},
		"the environment's":  {`scheme: https, proxyFromEnvironment: true`, "10.0.0.1:10250", "a proxy is asked for"},
		"a socket":           {`scheme: https, relabelings: [{targetLabel: __unix_socket__, replacement: /s}]`, "10.0.0.1:10250", "it is a socket"},
		"secret parameters":  {`scheme: https, params: {token: [hush]}`, "10.0.0.2:10250", "to https://10.0.0.2:10250/metrics: 10.0.0.2:10250 is nobody"},
		"redirects asked of": {`scheme: https, followRedirects: true`, "10.0.0.1:10250", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := endpoint(t, "{"+own+c.spec+"}", denied(true))
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			got, err := targets.FromGroup(r.Jobs[0], &targetgroup.Group{Targets: []model.LabelSet{{"__address__": model.LabelValue(c.address)}}})
			if err != nil || len(got) != 1 {
				t.Fatalf("%d targets, %v", len(got), err)
			}
			err = got[0].CheckToken(trusted)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush")):
				t.Errorf("error is %v, want %s", err, c.want)
			}
		})
	}
}

// TestOtherTokens: other tokens are not checked.
func TestOtherTokens(t *testing.T) {
	r := endpoint(t, `{bearerTokenFile: `+account+`token}`, denied(false))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	got, err := targets.FromGroup(r.Jobs[0], &targetgroup.Group{Targets: []model.LabelSet{{"__address__": "a:1"}}})
	if err != nil || got[0].CheckToken(func(netip.AddrPort) error { return errors.New("nobody") }) != nil {
		t.Error("a token that the configuration allows is held back")
	}
}
