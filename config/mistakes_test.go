package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// TestMistakes expects all problems of a file, in the order of lines, and in no message what is secret.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a block that is a secret": {
			"remote_write:\n- url: http://a/write\n  basic_auth: SEKRET\n",
			[]string{`line 3: remote_write "http://a/write": basic_auth: want keys and values here, not a single value`},
		},
		"a secret that is a block": {
			"remote_write:\n- url: http://a/write\n  basic_auth: {username: u, password: {SEKRET: SEKRET}}\n",
			[]string{`line 3: remote_write "http://a/write": basic_auth.password: want a text here, not keys and values`},
		},
		"a password in a URL": {
			"remote_write:\n- url: http://u:SEKRET@a:x/write\n- url: ftp://u:SEKRET-2@a/write?token=SEKRET-3\n",
			[]string{
				`line 2: remote_write "...": url: parse URL "...": invalid port ... after host`,
				`line 3: remote_write "ftp://a/write": url: "ftp://a/write": a URL must begin with http:// or https:// and name a host`,
			},
		},
		"a secret in an error of Prometheus's": {
			"scrape_configs:\n- job_name: a\n  authorization: {type: Basic, credentials: SEKRET-4}\n  static_configs: [{targets: ['http://SEKRET-4/']}]\n",
			[]string{
				`line 3: scrape_configs: job_name "a": authorization type cannot be set to "basic", use "basic_auth" instead`,
				`line 4: scrape_configs: job_name "a": "http://<secret>/": want host:port; the scheme and the path have keys of their own, scheme and metrics_path`,
			},
		},
		"several classes of mistakes": {
			"globl: {}\nglobal: {scrape_interval: fast}\nscrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n  body_size_limit: 50\n- job_name: b\n  relabel_configs: [{action: explode}]\n" +
				"  basic_auth: {username: u}\n  bearer_token: x\nwal: {max_bytes: many, dri: x}\nrelay: {retry_status_codes: [abc]}\n",
			[]string{
				`line 1: unknown key "globl", did you mean "global"?`,
				`line 2: global.scrape_interval: not a valid duration string: "fast"`,
				`line 5: unknown key "scrape_intervall" in scrape_configs: job_name "a", did you mean "scrape_interval"?`,
				`line 6: scrape_configs: job_name "a": body_size_limit: units: unknown unit  in 50, want one such as 50MB`,
				`line 8: scrape_configs: job_name "b": relabel_configs[0].action: unknown relabel action "explode"`,
				`line 9: scrape_configs: job_name "b": at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured`,
				`line 11: wal.max_bytes: "many" is no number of bytes: want one like 8GB, 8Gi or 1073741824`,
				`line 11: unknown key "dri" in wal, did you mean "dir"?`,
				`line 12: relay.retry_status_codes[0]: "abc": want a whole number`,
			},
		},
		"several mistakes in one destination, one job, one name": {
			"remote_write:\n- url: 127.0.0.1:19090/write\n  remote_timeout: fast\n  basic_auth: {username: u, usernam: x}\n  sigv4: {region: r}\n  oauth2: {}\n" +
				"scrape_configs:\n- {job_name: a, scrape_interval: fast}\n- job_name: a\n  basic_auth: {username: u}\n  bearer_token: x\n  static_configs:\n  - targets: ['http://x:1/metrics']\n",
			[]string{
				`line 2: remote_write "127.0.0.1:19090/write": url: parse URL "127.0.0.1:19090/write": begin it with http:// or https://`,
				`line 3: remote_write "127.0.0.1:19090/write": remote_timeout: not a valid duration string: "fast"`,
				`line 4: unknown key "usernam" in remote_write "127.0.0.1:19090/write": basic_auth, did you mean "username"?`,
				`line 6: remote_write "127.0.0.1:19090/write": oauth2 client_id must be configured`,
				`line 8: scrape_configs: job_name "a": scrape_interval: not a valid duration string: "fast"`,
				`line 9: scrape_configs: job_name "a" stands twice, first in line 8`,
				`line 10: scrape_configs: job_name "a": at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured`,
				`line 13: scrape_configs: job_name "a": "http://x:1/metrics": want host:port; the scheme and the path have keys of their own, scheme and metrics_path`,
			},
		},
		"numbers that can never work": {
			"remote_write:\n- {url: 'http://a/', remote_timeout: 0s}\nrelay:\n  drain_factor: .nan\n",
			[]string{
				`line 2: remote_write "http://a/": remote_timeout: 0s: want more than 0s, or no request ends in time; leave it out for 30s`,
				"line 4: relay.drain_factor: NaN: want 1 or more, or 0 for no bound",
			},
		},
		"a factor without end": {"relay: {drain_factor: .inf}\n", []string{"line 1: relay.drain_factor: +Inf: want 1 or more, or 0 for no bound"}},
		"an anchor of unknown key": {"x-a: &a {target_label: b}\nscrape_configs:\n- job_name: a\n  relabel_configs: [*a]\n", []string{
			`line 1: unknown key "x-a"; known are global, runtime, alerting, rule_files, scrape_config_files, scrape_configs, storage, tracing, remote_write, remote_read, otlp, kubernetes, monitors, nodes, node_mode, annotations, manifests, scrape, wal, relay`,
		}},
		"a zero":            {"global: {}\nwal: {dir: a\x00b}\n", []string{"line 2: byte 13 of the line is the control character U+0000, which YAML does not allow"}},
		"what is not UTF-8": {"global: {}\n\n# \xff\n", []string{"line 3: byte 3 of the line, 0xff, is not UTF-8"}},
		"durations and sizes": {
			"monitors:\n  scrapeInterval: 30\n  bodySizeLimit: 5\nwal:\n  max_bytes: 8G\n",
			[]string{
				`line 2: monitors.scrapeInterval: "30": want a duration such as 30s`,
				`line 3: monitors.bodySizeLimit: "5": want a size such as 50MB`,
				`line 5: wal.max_bytes: "8G" is no number of bytes: want one like 8GB, 8Gi or 1073741824`,
			},
		},
		"a log that is too small": {
			"wal:\n  max_bytes: 1KB\n  segment_bytes: 1KB\nrelay: {drain_factr: 1}\n",
			[]string{
				`line 2: wal.max_bytes: 1024: want 67108864 (64MB) or more, which is a few segments: less would be deleted all the time; leave it out for 8GB`,
				`line 3: wal.segment_bytes: 1024: want 16384 (16KB) or more; leave it out for 64MB`,
				`line 4: unknown key "drain_factr" in relay, did you mean "drain_factor"?`,
			},
		},
		"two kinds of authentication": {
			"scrape_configs:\n- job_name: b\n  basic_auth: {username: u}\n  bearer_token: x\nremote_write:\n- name: r\n  url: http://a/\n  sigv4: {region: r}\n  basic_auth: {username: u}\n",
			[]string{
				`line 3: scrape_configs: job_name "b": at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured`,
				`line 9: remote_write "r": at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [basic_auth sigv4]`,
			},
		},
		"URLs, ports and headers": {
			"scrape_configs:\n- job_name: a\n  scheme: ftp\n  proxy_url: socks5://p:99999999\n  static_configs:\n  - targets: ['a:99999999', 'b:80', '[::1]:web', c]\n" +
				"  http_headers: {'x y': {values: [a]}, X-A: {secrets: [\"SEK\\nRET\"]}}\n  dns_sd_configs: [{names: [a], type: A, port: 99999999}]\n" +
				"- job_name: relabelled\n  scheme: ftp\n  relabel_configs: [{target_label: __scheme__, replacement: http}]\n" +
				"remote_write:\n- url: metrics.example.com/api/v1/write\n  headers: {'a b': c, X-B: \"SEK\\rRET\"}\n- url: http://a:99999999/\n  proxy_url: u\n  oauth2: {client_id: a, token_url: a/b}\n",
			[]string{
				`line 3: scrape_configs: job_name "a": scheme: "ftp": want http or https`,
				`line 4: scrape_configs: job_name "a": proxy_url: "socks5://p:99999999": 99999999 is no port, want 1 to 65535`,
				`line 6: scrape_configs: job_name "a": static_configs: target "a:99999999": "99999999" is no port, want 1 to 65535`,
				`line 6: scrape_configs: job_name "a": static_configs: target "[::1]:web": "web" is no port, want 1 to 65535`,
				`line 7: scrape_configs: job_name "a": http_headers: "x y" is no name of a header: want letters, digits and -`,
				`line 7: scrape_configs: job_name "a": http_headers.X-A: the value has a character in it that no header may have, such as the end of a line`,
				`line 8: scrape_configs: job_name "a": dns_sd_configs[0].port: 99999999: want a port, 0 to 65535`,
				`line 13: remote_write "metrics.example.com/api/v1/write": url: "metrics.example.com/api/v1/write": a URL must begin with http:// or https:// and name a host`,
				`line 14: remote_write "metrics.example.com/api/v1/write": headers: "a b" is no name of a header: want letters, digits and -`,
				`line 14: remote_write "metrics.example.com/api/v1/write": headers.X-B: the value has a character in it that no header may have, such as the end of a line`,
				`line 15: remote_write "http://a:99999999/": url: "http://a:99999999/": 99999999 is no port, want 1 to 65535`,
				`line 16: remote_write "http://a:99999999/": proxy_url: "u": a URL must begin with http:// or https:// or socks5:// and name a host`,
				`line 17: remote_write "http://a:99999999/": oauth2.token_url: "a/b": a URL must begin with http:// or https:// and name a host`,
			},
		},
		"keys of another case": {
			"monitors:\n  scrapeInterval: 30s\n  scrapeinterval: 5s\n  serviceMonitorselector: {}\n  scrapeClasses: [{Default: true, name: a, tlsConfig: {CAFile: x}}]\n  podMonitorSelector: {matchlabels: {a: b}}\n" +
				"kubernetes: {Kubeconfig: x}\nglobal: {Scrape_Interval: 5s}\n",
			[]string{
				`line 3: unknown key "scrapeinterval" in monitors, did you mean "scrapeInterval"?`,
				`line 4: unknown key "serviceMonitorselector" in monitors, did you mean "serviceMonitorSelector"?`,
				`line 5: unknown key "Default" in monitors.scrapeClasses[0], did you mean "default"?`,
				`line 5: unknown key "CAFile" in monitors.scrapeClasses[0].tlsConfig, did you mean "caFile"?`,
				`line 6: unknown key "matchlabels" in monitors.podMonitorSelector, did you mean "matchLabels"?`,
				`line 7: unknown key "Kubeconfig" in kubernetes, did you mean "kubeconfig"?`,
				`line 8: unknown key "Scrape_Interval" in global, did you mean "scrape_interval"?`,
			},
		},
		"numbers of monitors": {
			"monitors:\n  enforcedSampleLimit: -1\n  sampleLimit: -2\n  bodySizeLimit: huge\n  enforcedBodySizeLimit: '5'\n  scrapeProtocols: [Telnet]\n",
			[]string{
				`line 2: monitors.enforcedSampleLimit: -1 is negative; 0 means no limit`,
				`line 3: monitors.sampleLimit: -2 is negative; 0 means no limit`,
				`line 4: monitors.bodySizeLimit: "huge" is no size: want one such as 50MB`,
				`line 5: monitors.enforcedBodySizeLimit: "5" is no size: want one such as 50MB`,
				`line 6: monitors.scrapeProtocols: unknown scrape protocol Telnet, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 OpenMetricsText2.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]`,
			},
		},
		"JSON": {
			`{"monitors": {"scrapeintervall": "5s"},` + "\n" + `"scrape_configs": [{"job_name": "a", "scrape_timeout": "2h"}], "wal": {"max_bytes": -1}}`,
			[]string{
				`line 1: unknown key "scrapeintervall" in monitors, did you mean "scrapeInterval"?`,
				`line 2: wal.max_bytes: -1 is negative`,
				`line 2: scrape_configs: job_name "a": scrape timeout greater than scrape interval`,
			},
		},
		"aliases": {
			"scrape_configs:\n- &a\n  job_name: a\n  scrape_interval: 5s\n- <<: *a\n  job_name: b\n  honour_labels: true\n",
			[]string{`line 7: unknown key "honour_labels" in scrape_configs: job_name "b", did you mean "honor_labels"?`},
		},
		"an alias to itself": {"scrape_configs: &a [*a]\n", []string{"the file has more than 1000000 values, aliases written out; does an anchor hold an alias to itself?"}},
		"one name for two":   {"remote_write:\n- {url: 'http://a/'}\n- {url: 'http://u:SEKRET@a/'}\n", []string{`line 3: remote_write "http://a/": another one has the same name or URL, in line 2; give each a name`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]byte(c.text), "/nowhere")
			if err == nil {
				t.Fatal("it is taken")
			}
			got := []string{err.Error()}
			if problems, ok := errors.AsType[Problems](err); ok {
				got = problems.Strings()
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if text := err.Error(); strings.Contains(text, "SEK") || strings.Contains(text, "\n") {
				t.Errorf("a secret or a line break in %s", text)
			}
		})
	}
}

// TestJSON: JSON is YAML, also with all blocks in one line.
func TestJSON(t *testing.T) {
	text := `{"monitors": {"scrapeInterval": "45s", "externalLabels": {"cluster": "c"}}, "global": {"scrape_timeout": "7s"}, "wal": {"max_bytes": "1GB"},` +
		"\n\t" + `"scrape_configs": [{"job_name": "a", "static_configs": [{"targets": ["b"]}]}], "remote_write": [{"url": "http://a/write", "send_exemplars": false}]}`
	c, err := Load([]byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Monitors.ScrapeInterval != "45s" || c.WAL.MaxBytes != 1<<30 || len(c.ScrapeConfigs) != 1 || c.Destinations[0].Exemplars == nil {
		t.Errorf("%+v", c)
	}
	if got := c.Prometheus.GlobalConfig.ExternalLabels.String() + c.Prometheus.GlobalConfig.ScrapeTimeout.String(); got != `{cluster="c"}7s` {
		t.Error(got)
	}
	if len(c.Warnings) > 0 {
		t.Error(c.Warnings)
	}
}

func TestWarnings(t *testing.T) {
	t.Setenv("SET", "x")
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"no destination": {"scrape_configs: []\n", []string{"no remote_write: what is scraped goes nowhere"}},
		"empty blocks": {
			"remote_write: [{url: 'http://a/'}]\nkubernetes:\nmonitors: ~\nnodes: null\nmanifests:\nwal:\n",
			[]string{
				"line 2: kubernetes is empty, which is as if it were not there; write `kubernetes: {}` to turn it on",
				"line 3: monitors is empty, which is as if it were not there; write `monitors: {}` to turn it on",
				"line 4: nodes is empty, which is as if it were not there; write `nodes: {}` to turn it on",
				"line 5: manifests is empty, which is as if it were not there; write `manifests: {directory: DIRECTORY}` to turn it on",
			},
		},
		"an empty block that something else turns on": {"remote_write: [{url: 'http://a/'}]\nkubernetes: {}\nmonitors:\n", nil},
		"one selector": {
			"remote_write: [{url: 'http://a/'}]\nmonitors:\n  scrapeInterval: 10s\n  serviceMonitorSelector: {}\n",
			[]string{
				"line 4: monitors: serviceMonitorSelector is given and podMonitorSelector, probeSelector and scrapeConfigSelector are not, so no PodMonitor, Probe or ScrapeConfig is selected; " +
					"write `podMonitorSelector: {}` to select all, or `podMonitorSelector: null` to select none",
				"line 4: monitors: serviceMonitorNamespaceSelector is not given, so only the relay's own namespace counts for these kinds; " +
					"write `serviceMonitorNamespaceSelector: {}` for all namespaces, or `serviceMonitorNamespaceSelector: null` for its own",
			},
		},
		"a selector of namespaces alone": {
			"remote_write: [{url: 'http://a/'}]\nmonitors: {probeNamespaceSelector: {}, serviceMonitorSelector: null, podMonitorSelector: null, scrapeConfigSelector: null}\n",
			[]string{
				"line 2: monitors: probeNamespaceSelector is given and probeSelector is not, so no Probe is selected; write `probeSelector: {}` to select all, or `probeSelector: null` to select none",
			},
		},
		"selectors that are said": {
			"remote_write: [{url: 'http://a/'}]\nmonitors: {probeSelector: {}, probeNamespaceSelector: null, serviceMonitorSelector: null, podMonitorSelector: null, scrapeConfigSelector: null}\n", nil,
		},
		"a job without targets": {
			"remote_write: [{url: 'http://a/'}]\nscrape_configs:\n- job_name: a\n- {job_name: b, static_configs: [{targets: [c]}]}\n",
			[]string{`line 3: scrape_configs: job_name "a": it has no targets: want static_configs or one of ..._sd_configs`},
		},
		"no node job": {
			"remote_write: [{url: 'http://a/'}]\nnodes: {kubelet: {enabled: false}, cadvisor: {enabled: false}, probes: {enabled: false}, kube_proxy: {enabled: false}}\n",
			[]string{"line 2: nodes: no job is enabled, so no node is scraped; enable one, or leave the block out"},
		},
		"a variable where none is put in": {
			"remote_write:\n- url: http://a/\n  name: r\n  basic_auth: {username: $USER, password: '${PW}'}\n  write_relabel_configs: [{regex: '(?P<a>.*)', replacement: '${a}', target_label: b}]\n" +
				"  headers: {X-A: a$SET, X-B: $1, X-C: $mall}\nglobal: {external_labels: {a: '${SET}'}}\nmonitors: {externalLabels: {b: $SET}}\n",
			[]string{
				`line 4: remote_write "r": basic_auth.username: it looks like a variable of the environment, and is used as it is: variables are expanded in external_labels only; for a secret use the key that names a file`,
				`line 4: remote_write "r": basic_auth.password: it looks like a variable of the environment, and is used as it is: variables are expanded in external_labels only; for a secret use the key that names a file`,
			},
		},
		"namespaces alone": {
			"remote_write: [{url: 'http://a/'}]\nmonitors: {serviceMonitorNamespaceSelector: {}}\n",
			[]string{
				"line 2: monitors: serviceMonitorNamespaceSelector is given and serviceMonitorSelector, podMonitorSelector, probeSelector and scrapeConfigSelector are not, " +
					"so no ServiceMonitor, PodMonitor, Probe or ScrapeConfig is selected; write `serviceMonitorSelector: {}` to select all, or `serviceMonitorSelector: null` to select none",
			},
		},
		"segments larger than the log allows": {
			"remote_write: [{url: 'http://a/'}]\nwal: {max_bytes: 64Mi, segment_bytes: 16Mi}\n",
			[]string{"line 2: wal.segment_bytes: 16777216 is more than an eighth of max_bytes, and 8388608 takes its place: write that, or raise max_bytes to 134217728"},
		},
		"a variable that is not set": {
			"remote_write: [{url: 'http://a/'}]\nglobal:\n  external_labels:\n    a: $SET\n    cluster: ${UNSET}-1\nmonitors:\n  externalLabels: {region: $$UNSET $UNSET2}\n",
			[]string{
				"line 5: global.external_labels.cluster: the environment has no variable UNSET, so its place stays empty: series then cannot be told from those of other clusters",
				"line 7: monitors.externalLabels.region: the environment has no variable UNSET2, so its place stays empty: series then cannot be told from those of other clusters",
			},
		},
		"fields of a server, and hints": {
			"remote_write: [{url: 'http://a/'}]\nmonitors:\n  alerting: {alertmanagers: []}\n  ruleSelector: {}\n  retention: 5d\n  mode: DaemonSet\n  apiserverConfig: {host: h}\n  replicas: 2\n  enableFeatures: [extra-scrape-metrics]\n",
			[]string{
				"line 3: monitors.alerting has no effect: it is for a Prometheus server, which evaluates rules and answers queries; the relay does neither",
				"line 4: monitors.ruleSelector has no effect: it is for a Prometheus server, which evaluates rules and answers queries; the relay does neither",
				"line 5: monitors.retention has no effect: it is for a Prometheus server, which evaluates rules and answers queries; the relay does neither",
				"line 6: monitors.mode has no effect: one relay scrapes the whole cluster; there is none on each node",
				"line 7: monitors.apiserverConfig has no effect: write kubernetes.kubeconfig, which says how the API server is reached",
				"line 8: monitors.replicas has no effect: it does not say how monitors are translated",
				"line 9: monitors.enableFeatures has no effect: what the relay has of them are keys: global.extra_scrape_metrics for extra-scrape-metrics, scrapeNativeHistograms for native-histograms",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := Load([]byte(c.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, c2.Warnings, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestGlobalBesideMonitors: what PrometheusAgent.spec has a field for falls back to global.
func TestGlobalBesideMonitors(t *testing.T) {
	global := "global: {sample_limit: 5, target_limit: 6, label_limit: 7, label_name_length_limit: 8, label_value_length_limit: 9, keep_dropped_targets: 10, body_size_limit: 1MB, " +
		"scrape_native_histograms: true, always_scrape_classic_histograms: true, convert_classic_histograms_to_nhcb: true, scrape_protocols: [PrometheusText0.0.4], " +
		"metric_name_validation_scheme: legacy, metric_name_escaping_scheme: dots, scrape_failure_log_file: f.log}\n"
	c, err := Load([]byte(global+"monitors: {sampleLimit: 4, scrapeNativeHistograms: false}\n"), "/d")
	if err != nil {
		t.Fatal(err)
	}
	m := c.Monitors
	if *m.SampleLimit != 4 || *m.ScrapeNativeHistograms {
		t.Error("a field that is given does not count")
	}
	for name, v := range map[string][2]any{
		"targetLimit": {*m.TargetLimit, int64(6)}, "labelLimit": {*m.LabelLimit, int64(7)}, "labelNameLengthLimit": {*m.LabelNameLengthLimit, int64(8)},
		"labelValueLengthLimit": {*m.LabelValueLengthLimit, int64(9)}, "keepDroppedTargets": {*m.KeepDroppedTargets, int64(10)},
		"bodySizeLimit": {string(*m.BodySizeLimit), "1MiB"}, "scrapeClassicHistograms": {*m.ScrapeClassicHistograms, true},
		"convertClassicHistogramsToNHCB": {*m.ConvertClassicHistogramsToNHCB, true}, "scrapeProtocols": {string(m.ScrapeProtocols[0]), "PrometheusText0.0.4"},
		"nameValidationScheme": {string(*m.NameValidationScheme), "Legacy"}, "nameEscapingScheme": {string(*m.NameEscapingScheme), "Dots"},
		"scrapeFailureLogFile": {*m.ScrapeFailureLogFile, "/d/f.log"},
	} {
		if v[0] != v[1] {
			t.Errorf("%s: got %v, want %v", name, v[0], v[1])
		}
	}
	if c, err = Load([]byte("monitors: {}\n"), ""); err != nil || c.Monitors.SampleLimit != nil || c.Monitors.BodySizeLimit != nil || c.Monitors.ScrapeNativeHistograms != nil {
		t.Errorf("without global: %+v, %v", c.Monitors, err)
	}
}

func TestExamine(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"here": "x", "good.yaml": "- targets: [a]\n", "bad.yaml": "- targets: a\n- lables: {}\n", "bad.json": `[{"targets": ["a"], "x": 1}]`,
		"more.yaml": "scrape_configs:\n- job_name: m\n  bearer_token_file: gone-too\n  static_configs: [{targets: [a]}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := `global: {scrape_failure_log_file: not-there-yet}
kubernetes: {kubeconfig: gone}
monitors:
  scrapeClasses: [{name: a, tlsConfig: {caFile: gone, certFile: mistakes_test.go, keyFile: /gone/key}, authorization: {credentialsFile: gone}}]
scrape_config_files: [more.yaml, none-*.yaml]
scrape_configs:
- job_name: a
  basic_auth: {username: u, password_file: here}
  tls_config: {ca_file: .}
  file_sd_configs:
  - files: [good.yaml, 'b*.yaml', 'b*.json', gone.yaml]
  http_headers: {X-A: {files: [gone]}}
remote_write:
- name: r
  url: http://a/
  authorization: {credentials_file: gone}
`
	c, err := Load([]byte(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	at := dir + "/"
	want := []string{
		"line 2: kubernetes.kubeconfig: " + at + "gone: there is no such file",
		"line 4: monitors.scrapeClasses[0].tlsConfig.caFile: gone: there is no such file",
		"line 4: monitors.scrapeClasses[0].tlsConfig.keyFile: /gone/key: there is no such file",
		"line 4: monitors.scrapeClasses[0].authorization.credentialsFile: gone: there is no such file",
		"line 5: scrape_config_files[1]: " + at + "none-*.yaml: there is no such file",
		`line 9: scrape_configs: job_name "a": tls_config.ca_file: ` + dir + ": it is a directory, want a file",
		`line 11: scrape_configs: job_name "a": file_sd_configs[0].files[2]: ` + at + `bad.json: line 1: unknown key "x" in target groups[0]; known are labels, targets`,
		`line 11: scrape_configs: job_name "a": file_sd_configs[0].files[1]: ` + at + `bad.yaml: line 1: target groups[0].targets: want a list here, not a single value; line 2: unknown key "lables" in target groups[1], did you mean "labels"?`,
		`line 11: scrape_configs: job_name "a": file_sd_configs[0].files[3]: ` + at + "gone.yaml: there is no such file",
		`line 12: scrape_configs: job_name "a": http_headers.X-A.files[0]: ` + at + "gone: there is no such file",
		`line 16: remote_write "r": authorization.credentials_file: ` + at + "gone: there is no such file",
		at + `more.yaml: line 3: scrape_configs: job_name "m": bearer_token_file: ` + at + "gone-too: there is no such file",
	}
	got := c.Examine(true).Strings()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestNotes: if no label of the series names the cluster, there is a note and no warning.
func TestNotes(t *testing.T) {
	for text, want := range map[string]string{
		"monitors: {}\n": "no external_labels: series of several clusters cannot be told apart; set global.external_labels, such as {cluster: NAME}",
		"nodes: {}\nglobal: {external_labels: {}}\n":     "line 2: no external_labels: ",
		"monitors: {externalLabels: {cluster: a}}\n":     "",
		"nodes: {}\nglobal: {external_labels: {a: b}}\n": "",
		"scrape_configs: []\n":                           "",
	} {
		c, err := Load([]byte(text+"remote_write: [{url: 'http://a/'}]\n"), "")
		if err != nil {
			t.Fatal(err)
		}
		got := c.Notes().Error()
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") || len(c.Warnings) > 0 {
			t.Errorf("%s: got %q, want %q; warnings %q", text, got, want, c.Warnings)
		}
	}
}

// TestWarningsBesideMistakes: a mistake hides no warning.
func TestWarningsBesideMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "promrelay.yml")
	text := "remote_write:\n- url: http://a/\n  queue_config: {capacity: 5}\n  basic_auth: {username: u, password_file: gone}\nglobal: {scrape_interval: fast}\nmonitors:\nwal: {max_byte: 1}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadFile(path)
	file, ok := errors.AsType[*FileError](err)
	if !ok {
		t.Fatal(err)
	}
	for files, want := range map[bool][]string{
		false: {"line 3: remote_write[].queue_config", "line 6: monitors is empty"},
		true:  {"line 3: remote_write[].queue_config", `line 4: remote_write "http://a/": basic_auth.password_file: `, "line 6: monitors is empty"},
	} {
		got := file.Examine(files).Strings()
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("files %t: got %q, want %q", files, got, want)
		}
	}
	if n := len(file.Err.(Problems)); n != 2 {
		t.Errorf("%d mistakes, want 2: %v", n, err)
	}
}

// TestAnchorOfAnotherBlock: Prometheus's blocks may have aliases of what the relay's own hold.
func TestAnchorOfAnotherBlock(t *testing.T) {
	rules := "nodes:\n  kubelet:\n    relabel_configs: &rules\n    - {target_label: a, replacement: b}\n"
	c, err := Load([]byte(rules+"scrape_configs:\n- {job_name: a, relabel_configs: *rules}\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ScrapeConfigs[0].RelabelConfigs; len(got) != 1 || got[0].TargetLabel != "a" {
		t.Errorf("got %v", got)
	}
	_, err = Load([]byte(rules+"scrape_configs:\n- {job_name: a, relabel_configs: *rules, scrape_interval: fast}\n"), "")
	if err == nil || err.Error() != `line 6: scrape_configs: job_name "a": scrape_interval: not a valid duration string: "fast"` {
		t.Errorf("got %v", err)
	}
}

// TestNoRegularFile: what may never end is not read, whoever names it.
func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load([]byte("remote_write: [{url: 'http://a/', tls_config: {ca_file: fifo}, bearer_token_file: /dev/zero}]\nmanifests: {directory: file}\n"), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`line 1: remote_write "http://a/": tls_config.ca_file: ` + dir + "/fifo: it is no regular file",
		`line 1: remote_write "http://a/": bearer_token_file: /dev/zero: it is no regular file`,
		"line 2: manifests.directory: " + dir + "/file: it is a file, want a directory",
	}
	if d := cmp.Diff(want, c.Examine(true).Strings()); d != "" {
		t.Error(d)
	}
	if _, err := Load([]byte("scrape_config_files: ['f*o']\n"), dir); err == nil || err.Error() != dir+"/fifo: it is no regular file" {
		t.Errorf("scrape_config_files: got %v", err)
	}
}
