package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
			[]string{`line 3: scrape_configs: job_name "a": authorization type cannot be set to "basic", use "basic_auth" instead`},
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
				`line 11: wal.max_bytes: "many" is no number of bytes: want one like 8GB or 1073741824`,
				`line 11: unknown key "dri" in wal, did you mean "dir"?`,
				`line 12: relay.retry_status_codes[0]: "abc": want a whole number`,
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
		"\n\t" + `"scrape_configs": [{"job_name": "a"}], "remote_write": [{"url": "http://a/write", "send_exemplars": false}]}`
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
		"no destination": {"scrape_configs: [{job_name: a}]\n", []string{"no remote_write: what is scraped goes nowhere"}},
		"a variable that is not set": {
			"remote_write: [{url: 'http://a/'}]\nglobal:\n  external_labels:\n    a: $SET\n    cluster: ${UNSET}-1\nmonitors:\n  externalLabels: {region: $$UNSET $UNSET2}\n",
			[]string{
				"line 5: global.external_labels.cluster: the environment has no variable UNSET, and nothing stands in its place: series then lack what tells them from those of other clusters",
				"line 7: monitors.externalLabels.region: the environment has no variable UNSET2, and nothing stands in its place: series then lack what tells them from those of other clusters",
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
			if d := cmp.Diff(c.want, c2.Warnings); d != "" {
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
		"more.yaml": "scrape_configs:\n- job_name: m\n  bearer_token_file: gone-too\n",
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
	got := c.Examine().Strings()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
