package pipeline

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fake "promrelay/test/receiver"
)

// agentConfig is a configuration of a Prometheus agent, without any key of promrelay's own.
const agentConfig = `
global:
  scrape_interval: 1s
  scrape_timeout: 900ms
  evaluation_interval: 30s
  external_labels:
    cluster: edge-7
    replica: a

scrape_configs:
  - job_name: static
    metrics_path: /metrics
    static_configs:
      - targets: ['ONE', 'TWO']
        labels: {team: storefront, drop_me: 'no'}
      - targets: ['127.0.0.9:1']
        labels: {drop_me: 'yes'}
    relabel_configs:
      - source_labels: [drop_me]
        regex: 'yes'
        action: drop
      - regex: drop_me
        action: labeldrop
      - source_labels: [__address__]
        regex: '([^:]+):(\d+)'
        target_label: port
        replacement: '$2'
      - target_label: instance
        source_labels: [__address__]
        replacement: 'host-$1'
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: 'noise_.*'
        action: drop
      - source_labels: [i]
        regex: '(\d)'
        target_label: short
      - regex: temporary
        action: labeldrop

  - job_name: files
    honor_labels: false
    file_sd_configs:
      - files: ['sd/*.json']
        refresh_interval: 1m
    relabel_configs:
      - source_labels: [__meta_filepath]
        regex: '.*/([a-z]+)\.json'
        target_label: file

remote_write:
  - url: 'FIRST'
    remote_timeout: 10s
    queue_config: {capacity: 10000, max_shards: 20, max_samples_per_send: 2000, batch_send_deadline: 1s, min_backoff: 30ms, max_backoff: 5s}
  - url: 'SECOND'
    name: second
    send_exemplars: true
    metadata_config: {send: true, send_interval: 1m}
    write_relabel_configs:
      - source_labels: [job, __name__]
        separator: ';'
        regex: 'static;(app_total|up|test_page_number)'
        action: keep
      - target_label: cluster
        replacement: rewritten

storage:
  tsdb: {out_of_order_time_window: 0s}
`

// TestAgentConfiguration runs the configuration of a Prometheus agent unchanged, with a file of targets that changes meanwhile.
func TestAgentConfiguration(t *testing.T) {
	t.Parallel()
	first, second := newReceiver(t), newReceiver(t)
	app := func(page int, _ time.Time) pageText {
		lines := append(plain("app", 20)(page, time.Time{}).lines, plain("noise_x", 20)(page, time.Time{}).lines...)
		return pageText{lines: append(lines, line{name: "app_info", labels: []string{"cluster", "its own", "temporary", "x", "job", "its own"}, value: 1})}
	}
	one, two, filed, late := newExporter(t, app), newExporter(t, app), newExporter(t, plain("filed", 10)), newExporter(t, plain("filed", 10))
	dir := t.TempDir()
	file := filepath.Join(dir, "sd", "targets.json")
	sd := func(e *exporter, rack string) string {
		return fmt.Sprintf(`[{"targets": [%q], "labels": {"rack": %q}}]`, e.address, rack)
	}
	writeFile(t, file, sd(filed, "r1"))
	relay := startRelayIn(t, dir, strings.NewReplacer("ONE", one.address, "TWO", two.address, "FIRST", first.URL(), "SECOND", second.URL()).Replace(agentConfig))
	one.awaitPages(t, 4)
	filed.awaitPages(t, 3)
	writeFile(t, file, sd(late, "r2"))
	changed := time.Now()
	late.awaitPages(t, 5) // the staleness markers of the target before come two intervals after it went
	one.awaitPages(t, 12)
	end := time.Now()
	stop(t, relay)
	t.Logf("the new file's target was scraped first %s after the change", late.asked()[0].began.Sub(changed).Round(10*time.Millisecond))

	static := func(e *exporter) target {
		_, port, _ := strings.Cut(e.address, ":")
		own := map[string]string{"instance": "host-" + e.address, "job": "static", "team": "storefront", "port": port}
		return target{exporter: e, change: func(ls map[string]string) map[string]string {
			ls = maps.Clone(ls)
			if strings.HasPrefix(ls["__name__"], "noise_") {
				return nil
			}
			if len(ls["i"]) == 1 {
				ls["short"] = ls["i"]
			}
			delete(ls, "temporary")
			for n, v := range own { // honor_labels is off
				if ls[n] != "" {
					ls["exported_"+n] = ls[n]
				}
				ls[n] = v
			}
			if ls["cluster"] == "" { // a label of the series wins over an external one
				ls["cluster"] = "edge-7"
			}
			ls["replica"] = "a"
			return ls
		}}
	}
	inFiles := func(e *exporter, rack string) target {
		return target{exporter: e, labels: map[string]string{"job": "files", "instance": e.address, "rack": rack, "file": "targets", "cluster": "edge-7", "replica": "a"}}
	}
	first.sound(t)
	second.sound(t)
	have := first.of(nil)
	gone := inFiles(filed, "r1")
	statics := []target{static(one), static(two)}
	for _, g := range statics {
		demand(t, "static", g.check(t, have), g.whole(end))
	}
	demand(t, "late", inFiles(late, "r2").check(t, have), late.whole(end))
	onlyKnown(t, have, append(statics, gone, inFiles(late, "r2"))...)
	gone.checkGone(t, have)

	have = second.of(nil)
	for _, g := range statics {
		before := g.change
		g.change = func(ls map[string]string) map[string]string {
			if ls = before(ls); ls == nil || ls["__name__"] != "app_total" && ls["__name__"] != "up" && ls["__name__"] != pageSeries {
				return nil
			}
			ls["cluster"] = "rewritten"
			return ls
		}
		stamps := g.stamps(t, have)
		demand(t, "second", stamps, g.whole(end))
		compare(t, g.expected(stamps), have, fake.Sample.Equal)
	}
	if want := 2 * (20 + 1 + 1); len(have) != want {
		t.Errorf("%d series at the second receiver, want %d", len(have), want)
	}
}

// checkGone demands that all series of a target ended with one staleness marker.
func (g target) checkGone(t *testing.T, have expectation) {
	t.Helper()
	stamps := g.stamps(t, have)
	demand(t, g.address, stamps, g.whole(time.Now()))
	want := g.expected(stamps)
	for _, name := range reportNames {
		want[g.key(line{name: name})] = nil
	}
	for k, w := range want {
		h := have[k]
		if len(h) < 2 || !h[len(h)-1].Stale() {
			t.Errorf("%s does not end with a staleness marker: %v", k, h)
			continue
		}
		if w != nil {
			compare(t, expectation{k: w}, expectation{k: h[:len(h)-1]}, fake.Sample.Equal)
		}
	}
}
