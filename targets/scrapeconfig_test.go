package targets_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	promconfig "github.com/prometheus/prometheus/config"
	"k8s.io/apimachinery/pkg/labels"

	"promrelay/targets"
)

// ruled are settings that say something of everything that a ScrapeConfig may say, too.
func ruled() monitoringv1.CommonPrometheusFields {
	limit := int64(100)
	yes := true
	fallback := monitoringv1.PrometheusText0_0_4
	return monitoringv1.CommonPrometheusFields{
		EnforcedNamespaceLabel: "tenant", EnforcedSampleLimit: &limit, EnforcedBodySizeLimit: "1MB", OverrideHonorLabels: true, OverrideHonorTimestamps: true,
		ScrapeClasses: []monitoringv1.ScrapeClass{{
			Name: "std", Default: &yes, FallbackScrapeProtocol: &fallback, TLSConfig: &monitoringv1.TLSConfig{TLSFilesConfig: monitoringv1.TLSFilesConfig{CAFile: "/ca"}},
			Relabelings:       []monitoringv1.RelabelConfig{{TargetLabel: "class"}},
			MetricRelabelings: []monitoringv1.RelabelConfig{{TargetLabel: "metricclass"}},
		}},
	}
}

const (
	initRule  = `{source_labels: [job], target_label: __tmp_prometheus_job_name}`
	nothing   = `relabel_configs: [` + initRule + `]`
	classRule = `{target_label: class}`
	enforced  = `{target_label: tenant, replacement: shop}`
)

// TestScrapeConfigSettings has the scrape settings and rules of a job, in Prometheus's words.
func TestScrapeConfigSettings(t *testing.T) {
	for name, c := range map[string]struct {
		spec   string
		fields monitoringv1.CommonPrometheusFields
		prom   string
	}{
		"nothing": {spec: `{}`, prom: nothing},
		"all": {
			spec: `
metricsPath: /m
scrapeInterval: 20s
scrapeTimeout: 7s
scrapeProtocols: [PrometheusProto, PrometheusText1.0.0]
fallbackScrapeProtocol: PrometheusText0.0.4
honorTimestamps: false
trackTimestampsStaleness: true
honorLabels: true
params: {a: [b, c]}
scheme: HTTPS
enableCompression: false
enableHTTP2: false
sampleLimit: 1
targetLimit: 2
labelLimit: 3
labelNameLengthLimit: 4
labelValueLengthLimit: 5
keepDroppedTargets: 6
bodySizeLimit: 7KB
scrapeNativeHistograms: true
scrapeClassicHistograms: true
nativeHistogramBucketLimit: 8
nativeHistogramMinBucketFactor: "1.5"
convertClassicHistogramsToNHCB: true
nameValidationScheme: Legacy
nameEscapingScheme: Dots
jobName: j
relabelings: [{action: Drop, sourceLabels: [x], separator: "", regex: a}]
metricRelabelings: [{action: LabelDrop, regex: b}]
tlsConfig: {serverName: x}
proxyUrl: "http://p:1"
basicAuth: {username: {name: s, key: u}, password: {name: s, key: p}}`,
			prom: `
metrics_path: /m
scrape_interval: 20s
scrape_timeout: 7s
scrape_protocols: [PrometheusProto, PrometheusText1.0.0]
fallback_scrape_protocol: PrometheusText0.0.4
honor_timestamps: false
track_timestamps_staleness: true
honor_labels: true
params: {a: [b, c]}
scheme: https
enable_compression: false
enable_http2: false
sample_limit: 1
target_limit: 2
label_limit: 3
label_name_length_limit: 4
label_value_length_limit: 5
keep_dropped_targets: 6
body_size_limit: 7KB
scrape_native_histograms: true
always_scrape_classic_histograms: true
native_histogram_bucket_limit: 8
native_histogram_min_bucket_factor: 1.5
convert_classic_histograms_to_nhcb: true
metric_name_validation_scheme: legacy
metric_name_escaping_scheme: dots
relabel_configs: [` + initRule + `, {target_label: job, replacement: j}, {action: drop, source_labels: [x], separator: "", regex: a}]
metric_relabel_configs: [{action: labeldrop, regex: b}]
tls_config: {server_name: x}
proxy_url: "http://p:1"
basic_auth: {username: user, password: "pass: word"}`,
		},
		"authorization": {spec: bearer, prom: promBearer + "\n" + nothing},
		"oauth2":        {spec: oauth, prom: promOAuth + "\n" + nothing},
		"class, overrides and limits, without relabelings": {
			fields: ruled(),
			spec:   `{jobName: j, honorLabels: true, sampleLimit: 500, bodySizeLimit: 2MB}`,
			prom: `
fallback_scrape_protocol: PrometheusText0.0.4
tls_config: {ca_file: /ca}
sample_limit: 100
body_size_limit: 1MB
relabel_configs: [` + initRule + `, ` + classRule + `, {target_label: job, replacement: j}]
metric_relabel_configs: [{target_label: metricclass}, ` + enforced + `]`,
		},
		"class and overrides, with relabelings": {
			fields: ruled(),
			spec:   `{honorTimestamps: true, relabelings: [{targetLabel: x}], metricRelabelings: [{targetLabel: z}], authorization: {}, tlsConfig: {}}`,
			prom: `
honor_timestamps: false
fallback_scrape_protocol: PrometheusText0.0.4
tls_config: {ca_file: /ca}
body_size_limit: 1MB
sample_limit: 100
relabel_configs: [` + initRule + `, ` + classRule + `, {target_label: x}, ` + enforced + `]
metric_relabel_configs: [{target_label: metricclass}, {target_label: z}, ` + enforced + `]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := compile(t, c.spec, c.fields, someSecrets)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			want := asProm(t, c.prom)
			want.JobName = "scrapeConfig/shop/cart"
			global := promconfig.DefaultGlobalConfig
			global.ScrapeInterval *= 0
			if err := global.ScrapeInterval.Set("30s"); err != nil {
				t.Fatal(err)
			}
			if c.fields.EnforcedSampleLimit != nil {
				global.SampleLimit = uint(*c.fields.EnforcedSampleLimit)
			}
			if err := want.Validate(global); err != nil {
				t.Fatal(err)
			}
			if got := *r.Jobs[0].Config; !reflect.DeepEqual(got, want) {
				t.Errorf("settings are\n%+v, want\n%+v", got, want)
			}
			if r.Owner != (targets.Owner{Kind: targets.ScrapeConfig, Namespace: "shop", Name: "cart"}) || r.Jobs[0].Owner != r.Owner || r.Jobs[0].Name != want.JobName {
				t.Errorf("job %s of %s", r.Jobs[0].Name, r.Owner)
			}
		})
	}
}

// TestScrapeConfigWithoutDiscovery has targets from the cluster's objects or from the monitor alone.
func TestScrapeConfigWithoutDiscovery(t *testing.T) {
	r := compile(t, `
staticConfigs: [{targets: ["a:1", "b:2"], labels: {x: "y"}}, {targets: ["c:3"]}]
kubernetesSDConfigs:
- {role: Pod, namespaces: {names: [ns1], ownNamespace: true}, attachMetadata: {node: true}, selectors: [{role: Pod, label: a=b}]}
- {role: Node, attachMetadata: {node: true}}
fileSDConfigs: [{files: [a.json]}]`, monitoringv1.CommonPrometheusFields{}, someSecrets)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	j := r.Jobs[0]
	label, err := labels.Parse("a=b")
	if err != nil {
		t.Fatal(err)
	}
	selectors := targets.NewSelectors(map[string]targets.Selector{"pod": {Labels: label}})
	want := []targets.Discovery{
		{Source: targets.Source{Role: "pod", Attach: targets.Attach{Node: true}, Selectors: selectors}, Namespaces: []string{"ns1", "prom"}},
		{Source: targets.Source{Role: "node"}},
	}
	if !reflect.DeepEqual(j.Discoveries, want) {
		t.Errorf("discovers %+v, want %+v", j.Discoveries, want)
	}
	if len(j.Static) != 2 || len(j.Static[0].Targets) != 2 || j.Static[0].Labels["x"] != "y" || j.Static[0].Source == j.Static[1].Source {
		t.Errorf("static groups are %v", j.Static)
	}
	if sd := j.Config.ServiceDiscoveryConfigs; len(sd) != 1 || sd[0].Name() != "file" {
		t.Errorf("discovers otherwise by %v", sd)
	}
	if note := "kubernetesSDConfigs[1]: attachMetadata is left out, it has no meaning for the role node"; !slices.Equal(j.Notes, []string{note}) {
		t.Errorf("notes are %q", j.Notes)
	}
}

func TestScrapeConfigRejected(t *testing.T) {
	for spec, want := range map[string]string{
		`scrapeClass: none`:                              `scrapeClass: "none" is not among`,
		`{scrapeTimeout: 40s}`:                           `scrapeTimeout "40s" greater than scrapeInterval "30s"`,
		`{scrapeInterval: ""}`:                           `scrapeInterval: empty duration string`,
		`relabelings: [{targetLabel: x, regex: "("}]`:    `relabelings[0]: invalid regex "("`,
		`metricRelabelings: [{action: hashmod}]`:         `metricRelabelings[0]: `,
		bearer + "\n" + basic:                            `at most one of basic_auth, oauth2 & authorization`,
		`basicAuth: {username: {name: s, key: none}}`:    `basicAuth: username: Secret shop/s, key "none": there is none`,
		`tlsConfig: {cert: {secret: {name: s, key: t}}}`: `tlsConfig: `,
		`noProxy: a`:                                     `proxyConfig: `,
		`nameValidationScheme: Odd`:                      `nameValidationScheme: `,
		`{nameValidationScheme: Legacy, jobName: j, relabelings: [{targetLabel: a.b}]}`: `"a.b" is invalid`,
		`staticConfigs: [{targets: [a]}, {targets: [b], labels: {"": x}}]`:              `staticConfigs[1]: labels: invalid label ""`,
		`sampleLimit: -1`:                `sampleLimit: -1 is negative; 0 means no limit`,
		`keepDroppedTargets: -7`:         `keepDroppedTargets: -7 is negative; 0 means no limit`,
		`nativeHistogramBucketLimit: -1`: `nativeHistogramBucketLimit: -1 is negative; 0 means no limit`,
		`bodySizeLimit: huge`:            `bodySizeLimit: `,

		`httpSDConfigs: [{url: "http://a/"}, {url: "ftp://a/"}]`:                                                                       `httpSDConfigs[1]: URL scheme must be 'http' or 'https'`,
		`httpSDConfigs: [{url: "http://a/", refreshInterval: ""}]`:                                                                     `httpSDConfigs[0]: empty duration string`,
		`httpSDConfigs: [{url: "http://a/", ` + basic + `, ` + bearer + `}]`:                                                           `httpSDConfigs[0]: at most one of basic_auth, oauth2 & authorization`,
		`httpSDConfigs: [{url: "http://a/", authorization: {type: Basic, credentials: {name: s, key: t}}}]`:                            `httpSDConfigs[0]: authorization: authorization type cannot be set to "basic"`,
		`httpSDConfigs: [{url: "http://a/", tlsConfig: {ca: {configMap: {name: c, key: id}}}}]`:                                        `httpSDConfigs[0]: tlsConfig: ca`,
		`httpSDConfigs: [{url: "http://a/", tlsConfig: {minVersion: TLS13, maxVersion: TLS12}}]`:                                       `httpSDConfigs[0]: tlsConfig: `,
		`httpSDConfigs: [{url: "http://a/", proxyConnectHeader: {X: [{name: s, key: t}]}}]`:                                            `httpSDConfigs[0]: proxyConfig: `,
		`httpSDConfigs: [{url: "http://a/", basicAuth: {username: {name: other, key: u}}}]`:                                            `httpSDConfigs[0]: basicAuth: username: Secret shop/other, key "u": there is none`,
		`kubernetesSDConfigs: [{role: Pod, ` + bearer + `}]`:                                                                           `kubernetesSDConfigs[0]: to use custom HTTP client configuration please provide the 'api_server' URL`,
		`kubernetesSDConfigs: [{role: Pod, apiServer: "https://k", namespaces: {ownNamespace: true}}]`:                                 `kubernetesSDConfigs[0]: cannot use 'api_server' and 'namespaces.own_namespace'`,
		`kubernetesSDConfigs: [{role: Pod, selectors: [{role: Node, label: a}]}]`:                                                      `kubernetesSDConfigs[0]: selectors[0]: the role pod may select pods only, not "node"`,
		`kubernetesSDConfigs: [{role: Service, selectors: [{role: Pod}]}]`:                                                             `kubernetesSDConfigs[0]: service role supports only service selectors`,
		`kubernetesSDConfigs: [{role: Service, selectors: [{role: Service, label: "a b"}]}]`:                                           `kubernetesSDConfigs[0]: `,
		`kubernetesSDConfigs: [{role: Cat}]`:                                                                                           `kubernetesSDConfigs[0]: unknown Kubernetes SD role "cat"`,
		`consulSDConfigs: [{server: c, tokenRef: {name: s, key: none}}]`:                                                               `consulSDConfigs[0]: tokenRef: Secret shop/s, key "none"`,
		`consulSDConfigs: [{server: c, tokenRef: {name: s, key: t}, ` + bearer + `}]`:                                                  `consulSDConfigs[0]: at most one of consul SD token, authorization, or oauth2`,
		`dnsSDConfigs: [{names: [a], type: A}]`:                                                                                        `dnsSDConfigs[0]: a port is required`,
		`ec2SDConfigs: [{secretKey: {name: s, key: none}}]`:                                                                            `ec2SDConfigs[0]: secretKey: `,
		`azureSDConfigs: [{subscriptionID: s}]`:                                                                                        `azureSDConfigs[0]: azure SD configuration requires a tenant_id`,
		`azureSDConfigs: [{subscriptionID: s, environment: e, basicAuth: {username: {name: s, key: none}}}]`:                           `azureSDConfigs[0]: basicAuth: username`,
		`openstackSDConfigs: [{role: Instance, region: r, password: {name: s, key: none}}]`:                                            `openstackSDConfigs[0]: password: `,
		`kumaSDConfigs: [{server: "k"}]`:                                                                                               `kumaSDConfigs[0]: kuma SD server must not be empty and have a scheme: k`,
		`nomadSDConfigs: [{server: "localhost"}]`:                                                                                      `nomadSDConfigs[0]: server: "localhost" is not a URL with a scheme and a host`,
		`dockerSDConfigs: [{host: ":"}]`:                                                                                               `dockerSDConfigs[0]: parse ":"`,
		`puppetDBSDConfigs: [{url: "http://p/"}]`:                                                                                      `puppetDBSDConfigs[0]: query missing`,
		`ovhcloudSDConfigs: [{applicationKey: a, applicationSecret: {name: s, key: p}, consumerKey: {name: s, key: t}, service: Odd}]`: `ovhcloudSDConfigs[0]: unknown service: odd`,
		`scalewaySDConfigs: [{accessKey: SCWXXXXXXXXXXXXXXXXX, secretKey: {name: s, key: t}, projectID: p, role: Instance}]`:           `invalid secret key format '<secret>'`,
		`ionosSDConfigs: [{datacenterID: d, authorization: {credentials: {name: s, key: none}}}]`:                                      `ionosSDConfigs[0]: authorization: `,
	} {
		r := compile(t, spec, monitoringv1.CommonPrometheusFields{}, someSecrets)
		if r.Err == nil || !strings.Contains(r.Err.Error(), want) {
			t.Errorf("%s: reason is %v, want %s", spec, r.Err, want)
		}
		if len(r.Jobs) > 0 {
			t.Errorf("%s: %d jobs", spec, len(r.Jobs))
		}
	}
}
