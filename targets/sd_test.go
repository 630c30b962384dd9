package targets_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"promrelay/targets"
)

// secrets has keys of the Secret s in the namespace shop, and of the ConfigMap c there.
type secrets map[string]string

func (s secrets) Value(ref targets.Ref) ([]byte, error) {
	v, ok := s[ref.Key]
	if want := (targets.Ref{ConfigMap: ref.Name == "c", Namespace: "shop", Name: ref.Name, Key: ref.Key}); !ok || ref != want || ref.Name != "s" && ref.Name != "c" {
		return nil, errors.New("there is none")
	}
	return []byte(v), nil
}

var someSecrets = secrets{
	"u": "user", "p": "pass: word", "t": "token-1", "id": "client", "uuid": "6170692e-7363-616c-6577-61792e636f6d",
}

// scrapeConfig makes the ScrapeConfig shop/cart of what its spec says.
func scrapeConfig(t *testing.T, spec string) *monitoringv1alpha1.ScrapeConfig {
	t.Helper()
	sc := &monitoringv1alpha1.ScrapeConfig{}
	sc.Namespace, sc.Name = "shop", "cart"
	if err := yaml.UnmarshalStrict([]byte(spec), &sc.Spec); err != nil {
		t.Fatal(err)
	}
	return sc
}

// compile compiles a ScrapeConfig in the namespace of the relay's, prom.
func compile(t *testing.T, spec string, fields monitoringv1.CommonPrometheusFields, assets targets.Assets) targets.Result {
	t.Helper()
	if fields.ScrapeInterval == "" {
		fields.ScrapeInterval = "30s"
	}
	s, err := targets.NewSettings(fields, "prom")
	if err != nil {
		t.Fatal(err)
	}
	sc := scrapeConfig(t, spec)
	before := sc.DeepCopy()
	r := s.Compile(sc, assets)
	if !reflect.DeepEqual(sc, before) {
		t.Errorf("the monitor was changed to %+v", sc)
	}
	return r
}

// asProm reads a part of Prometheus's configuration.
func asProm(t *testing.T, text string) promconfig.ScrapeConfig {
	t.Helper()
	var c promconfig.ScrapeConfig
	if err := yamlv2.UnmarshalStrict([]byte("job_name: x\n"+text), &c); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return c
}

const (
	auths = `followRedirects: false, enableHTTP2: false, tlsConfig: {serverName: x, insecureSkipVerify: true, minVersion: TLS12, maxVersion: TLS13},
  proxyUrl: "http://proxy:1", noProxy: localhost, proxyConnectHeader: {X: [{name: s, key: t}]}`
	promAuths = `follow_redirects: false, enable_http2: false, tls_config: {server_name: x, insecure_skip_verify: true, min_version: TLS12, max_version: TLS13},
  proxy_url: "http://proxy:1", no_proxy: localhost, proxy_connect_header: {X: [token-1]}`
	basic      = `basicAuth: {username: {name: s, key: u}, password: {name: s, key: p}}`
	promBasic  = `basic_auth: {username: user, password: "pass: word"}`
	bearer     = `authorization: {credentials: {name: s, key: t}}`
	promBearer = `authorization: {type: Bearer, credentials: token-1}`
	oauth      = `oauth2: {clientId: {configMap: {name: c, key: id}}, clientSecret: {name: s, key: t}, tokenUrl: "http://t/", scopes: [a], endpointParams: {b: c},
  tlsConfig: {serverName: why}, proxyFromEnvironment: true}`
	promOAuth = `oauth2: {client_id: client, client_secret: token-1, token_url: "http://t/", scopes: [a], endpoint_params: {b: c},
  tls_config: {server_name: why}, proxy_from_environment: true}`
	filters     = `filters: [{name: b, values: ["2"]}, {name: a, values: ["1", "0"]}]`
	promFilters = `filters: [{name: a, values: ["1", "0"]}, {name: b, values: ["2"]}]`
)

// mechanisms has every service discovery with every field that it has in some case.
var mechanisms = []struct{ list, spec, prom string }{
	{"fileSDConfigs", `files: [/etc/a.json], refreshInterval: 1m`, `files: [/etc/a.json], refresh_interval: 1m`},
	{"httpSDConfigs", `url: "http://a/", refreshInterval: 10s, ` + basic + `, ` + auths, `url: "http://a/", refresh_interval: 10s, ` + promBasic + `, ` + promAuths},
	{"httpSDConfigs", `url: "http://a/", ` + bearer, `url: "http://a/", ` + promBearer},
	{"httpSDConfigs", `url: "http://a/", authorization: {}`, `url: "http://a/", authorization: {type: Bearer}`},
	{"httpSDConfigs", `url: "http://a/", ` + oauth, `url: "http://a/", ` + promOAuth},
	{"kubernetesSDConfigs", `apiServer: "https://k/", role: EndpointSlice, namespaces: {names: [a]}, attachMetadata: {node: true}, selectors: [{role: Pod, label: a=b, field: c=d}], ` + auths + `, ` + basic, `api_server: "https://k/", role: endpointslice, namespaces: {names: [a]}, attach_metadata: {node: true}, selectors: [{role: pod, label: a=b, field: c=d}], ` + promAuths + `, ` + promBasic},
	{"kubernetesSDConfigs", `apiServer: "https://k/", role: Node, namespaces: {ownNamespace: false}, ` + bearer, `api_server: "https://k/", role: node, ` + promBearer},
	{"kubernetesSDConfigs", `apiServer: "https://k/", role: Ingress, attachMetadata: {node: true}, ` + oauth, `api_server: "https://k/", role: ingress, ` + promOAuth},
	{"consulSDConfigs", `server: "c:1", pathPrefix: /p, datacenter: d, namespace: ns, partition: q, scheme: HTTPS, services: [s], tags: [t], tagSeparator: ";", nodeMeta: {a: b}, filter: f, healthFilter: h, allowStale: false, refreshInterval: 1m, tokenRef: {name: s, key: t}, ` + basic + `, ` + auths, `server: "c:1", path_prefix: /p, datacenter: d, namespace: ns, partition: q, scheme: https, services: [s], tags: [t], tag_separator: ";", node_meta: {a: b}, filter: f, health_filter: h, allow_stale: false, refresh_interval: 1m, token: token-1, ` + promBasic + `, ` + promAuths},
	{"consulSDConfigs", `server: "c:1", ` + bearer, `server: "c:1", ` + promBearer},
	{"consulSDConfigs", `server: "c:1", ` + oauth, `server: "c:1", ` + promOAuth},
	{"dnsSDConfigs", `names: [a], type: A, port: 9, refreshInterval: 1m`, `names: [a], type: A, port: 9, refresh_interval: 1m`},
	{"dnsSDConfigs", `names: [a]`, `names: [a], type: SRV`},
	{"ec2SDConfigs", `region: r, accessKey: {name: s, key: u}, secretKey: {name: s, key: p}, roleARN: a, port: 9, refreshInterval: 1m, ` + filters + `, ` + auths, `region: r, access_key: user, secret_key: "pass: word", role_arn: a, port: 9, refresh_interval: 1m, ` + promFilters + `, ` + promAuths},
	{"ec2SDConfigs", `region: r, accessKey: {name: s, key: u}`, `region: r`},
	{"azureSDConfigs", `subscriptionID: s, authenticationMethod: OAuth, tenantID: t, clientID: c, clientSecret: {name: s, key: t}, resourceGroup: g, port: 9, refreshInterval: 1m, ` + basic + `, ` + auths, `subscription_id: s, authentication_method: OAuth, tenant_id: t, client_id: c, client_secret: token-1, resource_group: g, port: 9, refresh_interval: 1m, ` + promBasic + `, proxy_url: "http://proxy:1", no_proxy: localhost, proxy_connect_header: {X: [token-1]}`},
	{"azureSDConfigs", `subscriptionID: s, authenticationMethod: SDK, environment: e, ` + bearer, `subscription_id: s, authentication_method: SDK, environment: e`},
	{"azureSDConfigs", `subscriptionID: s, authenticationMethod: ManagedIdentity, ` + oauth, `subscription_id: s, authentication_method: ManagedIdentity, ` + promOAuth},
	{"gceSDConfigs", `project: p, zone: z, filter: f, refreshInterval: 1m, port: 9, tagSeparator: ";"`, `project: p, zone: z, filter: f, refresh_interval: 1m, port: 9, tag_separator: ";"`},
	{"openstackSDConfigs", `role: LoadBalancer, region: r, identityEndpoint: "http://i/", username: me, userid: i, password: {name: s, key: p}, domainName: d, domainID: e, projectName: q, projectID: p, applicationCredentialName: a, applicationCredentialId: b, applicationCredentialSecret: {name: s, key: t}, allTenants: true, refreshInterval: 1m, port: 9, availability: internal, tlsConfig: {serverName: x}`, `role: loadbalancer, region: r, identity_endpoint: "http://i/", username: me, userid: i, password: "pass: word", domain_name: d, domain_id: e, project_name: q, project_id: p, application_credential_name: a, application_credential_id: b, application_credential_secret: token-1, all_tenants: true, refresh_interval: 1m, port: 9, availability: internal, tls_config: {server_name: x}`},
	{"digitalOceanSDConfigs", `port: 9, refreshInterval: 1m, ` + bearer + `, ` + auths, `port: 9, refresh_interval: 1m, ` + promBearer + `, ` + promAuths},
	{"digitalOceanSDConfigs", oauth, promOAuth},
	{"kumaSDConfigs", `server: "http://k:1", clientID: c, refreshInterval: 1m, fetchTimeout: 2m, ` + basic + `, ` + auths, `server: "http://k:1", client_id: c, refresh_interval: 1m, fetch_timeout: 2m, ` + promBasic + `, ` + promAuths},
	{"eurekaSDConfigs", `server: "http://e/", refreshInterval: 1m, ` + basic + `, ` + auths, `server: "http://e/", refresh_interval: 1m, ` + promBasic + `, ` + promAuths},
	{"dockerSDConfigs", `host: "unix:///d", port: 9, hostNetworkingHost: h, matchFirstNetwork: false, refreshInterval: 1m, ` + filters + `, ` + basic + `, ` + auths, `host: "unix:///d", port: 9, host_networking_host: h, match_first_network: false, refresh_interval: 1m, ` + promFilters + `, ` + promBasic + `, ` + promAuths},
	{"dockerSwarmSDConfigs", `host: "unix:///d", role: Tasks, port: 9, refreshInterval: 1m, ` + filters + `, ` + basic + `, ` + auths, `host: "unix:///d", role: tasks, port: 9, refresh_interval: 1m, ` + promFilters + `, ` + promBasic + `, ` + promAuths},
	{"linodeSDConfigs", `region: r, port: 9, tagSeparator: ";", refreshInterval: 1m, ` + bearer + `, ` + auths, `region: r, port: 9, tag_separator: ";", refresh_interval: 1m, ` + promBearer + `, ` + promAuths},
	{"linodeSDConfigs", oauth, promOAuth},
	{"hetznerSDConfigs", `role: Robot, port: 9, refreshInterval: 1m, labelSelector: a=b, ` + basic + `, ` + auths, `role: robot, port: 9, refresh_interval: 1m, label_selector: a=b, ` + promBasic + `, ` + promAuths},
	{"nomadSDConfigs", `server: "http://n:1", allowStale: false, namespace: ns, region: r, tagSeparator: ";", refreshInterval: 1m, ` + basic + `, ` + auths, `server: "http://n:1", allow_stale: false, namespace: ns, region: r, tag_separator: ";", refresh_interval: 1m, ` + promBasic + `, ` + promAuths},
	{"puppetDBSDConfigs", `url: "http://p/", query: q, includeParameters: true, port: 9, refreshInterval: 1m, ` + basic + `, ` + auths, `url: "http://p/", query: q, include_parameters: true, port: 9, refresh_interval: 1m, ` + promBasic + `, ` + promAuths},
	{"lightSailSDConfigs", `region: r, accessKey: {name: s, key: u}, secretKey: {name: s, key: p}, roleARN: a, endpoint: e, port: 9, refreshInterval: 1m, ` + basic + `, ` + auths, `region: r, access_key: user, secret_key: "pass: word", role_arn: a, endpoint: e, port: 9, refresh_interval: 1m, ` + promBasic + `, ` + promAuths},
	{"ovhcloudSDConfigs", `applicationKey: a, applicationSecret: {name: s, key: p}, consumerKey: {name: s, key: t}, service: DedicatedServer, endpoint: ovh-us, refreshInterval: 1m`, `application_key: a, application_secret: "pass: word", consumer_key: token-1, service: dedicated_server, endpoint: ovh-us, refresh_interval: 1m`},
	{"ovhcloudSDConfigs", `applicationKey: a, applicationSecret: {name: s, key: p}, consumerKey: {name: s, key: t}, service: VPS`, `application_key: a, application_secret: "pass: word", consumer_key: token-1, service: vps`},
	{"scalewaySDConfigs", `accessKey: SCWXXXXXXXXXXXXXXXXX, secretKey: {name: s, key: uuid}, projectID: 11111111-1111-1111-1111-111111111112, role: Baremetal, port: 9, apiURL: "https://s", zone: fr-par-2, nameFilter: nn, tagsFilter: [t], refreshInterval: 1m, ` + auths, `access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: 6170692e-7363-616c-6577-61792e636f6d, project_id: 11111111-1111-1111-1111-111111111112, role: baremetal, port: 9, api_url: "https://s", zone: fr-par-2, name_filter: nn, tags_filter: [t], refresh_interval: 1m, ` + promAuths},
	{"ionosSDConfigs", `datacenterID: d, port: 9, refreshInterval: 1m, ` + bearer + `, ` + auths, `datacenter_id: d, port: 9, refresh_interval: 1m, ` + promBearer + `, ` + promAuths},
	{"ionosSDConfigs", `datacenterID: d, ` + bearer + `, ` + oauth, `datacenter_id: d, ` + promOAuth},
}

func TestServiceDiscovery(t *testing.T) {
	for i, m := range mechanisms {
		t.Run(fmt.Sprintf("%d %s", i, m.list), func(t *testing.T) {
			r := compile(t, m.list+": [{"+m.spec+"}]", monitoringv1.CommonPrometheusFields{}, someSecrets)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			want := asProm(t, strings.ToLower(strings.TrimSuffix(m.list, "SDConfigs"))+"_sd_configs: [{"+m.prom+"}]")
			if got := r.Jobs[0].Config.ServiceDiscoveryConfigs; !reflect.DeepEqual(got, want.ServiceDiscoveryConfigs) {
				t.Errorf("discovers by\n%+v, want\n%+v", got[0], want.ServiceDiscoveryConfigs[0])
			}
			if uses := strings.Contains(m.spec, "name: s"); uses != slices.Contains(r.Refs, targets.Ref{Namespace: "shop", Name: "s"}) && !strings.Contains(m.spec, "environment") {
				t.Errorf("refers to %v", r.Refs)
			}
		})
	}
}

var refreshInterval = regexp.MustCompile(`refreshInterval: \w+`)

// TestNoRefreshInterval has 0 where it would make Prometheus's discoverers panic.
func TestNoRefreshInterval(t *testing.T) {
	refuse := func(list, spec, interval, why string) {
		t.Helper()
		spec = refreshInterval.ReplaceAllString(spec, "refreshInterval: "+interval)
		r := compile(t, list+": [{"+spec+"}]", monitoringv1.CommonPrometheusFields{}, someSecrets)
		if want := list + "[0]: refreshInterval: " + interval + ": want " + why; r.Err == nil || r.Err.Error() != want || len(r.Jobs) > 0 {
			t.Errorf("%s: reason is %v, want %s", list, r.Err, want)
		}
	}
	lists := map[string]bool{}
	for _, m := range mechanisms {
		if !refreshInterval.MatchString(m.spec) {
			continue
		}
		lists[m.list] = true
		refuse(m.list, m.spec, "0s", "more than 0")
		if m.list == "azureSDConfigs" {
			refuse(m.list, m.spec, "100ms", "one from 334ms to 97y")
		}
	}
	if len(lists) < 20 { // all but kubernetesSDConfigs
		t.Errorf("only %v have one", lists)
	}
}

// TestEveryField finds fields of the CRD that the cases above leave out.
func TestEveryField(t *testing.T) {
	spec := reflect.TypeFor[monitoringv1alpha1.ScrapeConfigSpec]()
	for i := range spec.NumField() {
		list, _, _ := strings.Cut(spec.Field(i).Tag.Get("json"), ",")
		if !strings.HasSuffix(list, "SDConfigs") {
			continue
		}
		seen := map[string]bool{}
		element := spec.Field(i).Type.Elem()
		for _, m := range mechanisms {
			if m.list != list {
				continue
			}
			v := reflect.ValueOf(scrapeConfig(t, list+": [{"+m.spec+"}]").Spec).Field(i).Index(0)
			for k := range v.NumField() {
				seen[element.Field(k).Name] = seen[element.Field(k).Name] || !v.Field(k).IsZero()
			}
		}
		for k := range element.NumField() {
			// The three ways to prove who one is are tried where they are not alike.
			if name := element.Field(k).Name; !seen[name] && !slices.Contains([]string{"Authorization", "OAuth2"}, name) {
				t.Errorf("%s: no case has %s", list, name)
			}
		}
	}
}

// TestSecretsSurvive has values that a careless way through YAML would change.
func TestSecretsSurvive(t *testing.T) {
	for _, v := range []string{"yes", "0x10", "1:30", "~", " a\n b\n\n", "\xff\xfe", "- x", "'\"\\", strings.Repeat("long words ", 40), "\tx", "a: #b", "💥\u0085\u2028"} {
		r := compile(t, "consulSDConfigs: [{server: c, tokenRef: {name: s, key: t}}]", monitoringv1.CommonPrometheusFields{}, secrets{"t": v})
		if r.Err != nil {
			t.Errorf("%q: %v", v, r.Err)
			continue
		}
		if got := token(r.Jobs[0].Config.ServiceDiscoveryConfigs[0]); got != v {
			t.Errorf("%q became %q", v, got)
		}
	}
}

func token(sd discovery.Config) string {
	return reflect.ValueOf(sd).Elem().FieldByName("Token").String()
}
