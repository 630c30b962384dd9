package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/relabel"
)

// FuzzLoad: whatever a file holds, Load says in one line what is wrong, and leaves Prometheus's defaults alone.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"global: {external_labels: {a: $B}}\nscrape_configs: [{job_name: a, relabel_configs: [{regex: 'null'}]}]\n", "{\"monitors\": {\"scrapeClasses\": [null]}}",
		"a: &a [*a]\n", "remote_write:\n- <<: {url: 'http://u:p@h'}\n", "nodes: {kubelet: {port: 1}}\nwal: {max_bytes: 1GB}\n", "monitors: {podMonitorSelector: {matchExpressions: [{}]}}\n",
		"? [a]\n: b\n", "wal: &x {dir: a}\nrelay: *x\n", "--- \n...\n", "scrape_configs: [{job_name: a, static_configs: [{targets: [a]}], http_headers: {a: {files: [b]}}}]\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load([]byte(text), "/nowhere")
		if err == nil {
			_ = c.Examine(true)
		} else if said := err.Error(); strings.Contains(said, "\n") || said == "" {
			t.Errorf("%q", said)
		} else if utf8.ValidString(text) && !utf8.ValidString(said) {
			t.Errorf("no UTF-8: %q", said)
		}
		if got := relabel.DefaultRelabelConfig.Regex.String(); got != "(.*)" {
			t.Fatalf("rules without a regex now have %q", got)
		}
	})
}
