package samples

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

func (g *generator) config() string {
	var c strings.Builder
	opt := func(percent int, format string, args ...any) {
		if g.chance(percent) {
			fmt.Fprintf(&c, format+"\n", args...)
		}
	}
	opt(20, "honor_labels: true")
	opt(20, "honor_timestamps: false")
	opt(20, "track_timestamps_staleness: true")
	opt(12, "sample_limit: %d", 5+g.IntN(40))
	opt(6, "label_limit: %d", 4+g.IntN(5))
	opt(5, "label_name_length_limit: %d", 8+g.IntN(10))
	opt(5, "label_value_length_limit: %d", 8+g.IntN(10))
	opt(5, "body_size_limit: %dB", 200+g.IntN(2000))
	if g.targets > 1 {
		opt(25, "target_limit: 1")
	}
	fallback := 15
	if g.typeless {
		fallback = 100
	}
	opt(fallback, "fallback_scrape_protocol: %s", pick(g, "PrometheusText0.0.4", "OpenMetricsText1.0.0", "PrometheusProto"))
	opt(15, "extra_scrape_metrics: true")
	opt(10, "metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: underscores")
	opt(10, "enable_compression: false")
	if g.format == protobuf {
		opt(70, "scrape_native_histograms: true")
		opt(30, "always_scrape_classic_histograms: true")
		opt(20, "native_histogram_bucket_limit: %d", 1+g.IntN(9))
		opt(20, "native_histogram_min_bucket_factor: %g", 1+g.Float64())
	}
	opt(15, "convert_classic_histograms_to_nhcb: true")
	if g.chance(40) {
		c.WriteString("metric_relabel_configs:\n")
		for range 1 + g.IntN(2) {
			c.WriteString(pick(g,
				"- {source_labels: [a], regex: '1', action: drop}\n",
				"- {source_labels: [__name__], regex: 'm.*', action: keep}\n",
				"- {regex: b, action: labeldrop}\n",
				"- {source_labels: [c], target_label: d}\n",
				"- {source_labels: [__name__], regex: '(.*)_total', target_label: __name__, replacement: '${1}'}\n",
				"- {regex: 'a|b|c', action: labeldrop}\n",
				"- {source_labels: [a], target_label: __name__, regex: '3', replacement: ''}\n",
			))
		}
	}
	if c.Len() == 0 {
		return "honor_labels: false\n"
	}
	return c.String()
}

// sequence is the steps of a test, and for each the skeleton of the page that target a:80 shows.
type sequence struct {
	steps     []step
	skeletons [][]string
}

const addressA, addressB = "a:80", "b:80"

// newSequence makes a sequence from a seed.
func newSequence(seed uint64, seen *features) sequence {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), seen: seen, epoch: 946684800000}
	g.format = pick(g, plain, plain, plain, openMetrics, openMetrics, protobuf)
	g.now = time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC).UnixMilli()
	for range 1 + g.IntN(5) {
		g.page = append(g.page, g.family())
	}
	all := []model.LabelSet{{"__address__": addressA, "zone": "z1"}}
	if g.chance(25) { // the same series from another target
		all = append(all, model.LabelSet{"__address__": addressB, "zone": "z1", "instance": addressA})
	}
	other := g.chance(15) // there is another job, to which targets move
	g.targets, g.typeless = len(all), g.chance(4)
	if other && g.chance(50) {
		for _, ls := range all { // and their series stay what they are
			ls["job"] = "fixed"
		}
	}
	n := 2 + g.IntN(7)
	if g.steady = g.chance(90); g.steady {
		n = 7 + g.IntN(4)
	}
	s := sequence{steps: make([]step, n), skeletons: make([][]string, n)}
	at, moved := "job", 0 // where the targets are, since when
	for i := range s.steps {
		to := &s.steps[i]
		to.answers = map[string]answer{}
		switch {
		case i == 0:
			to.configs, to.targets = map[string]string{"job": g.config()}, map[string][]model.LabelSet{"job": all}
			if other {
				to.configs["other"], to.targets["other"] = g.config(), []model.LabelSet{}
			}
		case other && g.chance(10) && to.configs == nil:
			from := at
			at = map[string]string{"job": "other", "other": "job"}[at]
			to.targets = map[string][]model.LabelSet{from: {}, at: all}
			seen.add("target moves to another job")
		case g.chance(6) && !(g.steady && g.chance(80)): // not with targets: Prometheus then forgets the staleness markers
			to.configs = map[string]string{at: g.config()}
			seen.add("configuration changes")
		case g.chance(5), len(all) > 1 && g.chance(15):
			to.targets = map[string][]model.LabelSet{at: all[:g.IntN(len(all)+1)]}
		case other && at == "job" && i > moved+3 && g.chance(25): // not sooner, see TestJobGoesMatchesPrometheus
			to.remove = []string{"other"}
			other = false
			seen.add("job goes")
		}
		if to.targets != nil {
			moved = i
		}
		if i > 0 && to.changes() {
			for addr, a := range s.steps[i-1].answers { // Prometheus would wait for what is under way
				a.delay = 0
				s.steps[i-1].answers[addr] = a
			}
		}
		for _, target := range all {
			to.answers[string(target["__address__"])] = g.answer()
		}
		s.skeletons[i] = g.skeleton()
		if g.chance(3) {
			delete(to.answers, addressA)
			seen.add("connection refused")
		}
		g.now += interval.Milliseconds()
		g.change()
	}
	return s
}

func (g *generator) answer() answer {
	a := answer{status: 200, contentType: g.format, body: g.write(), gzip: g.chance(20)}
	if g.typeless {
		a.contentType = ""
	}
	if a.gzip {
		g.seen.add("gzip")
	}
	troubles := 36
	if g.steady {
		troubles = 120
	}
	switch g.IntN(troubles) {
	case 0:
		a.status = pick(g, 503, 500, 404, 401, 204)
		if a.status == 204 {
			a.body, a.gzip = "", false
		}
	case 1:
		a.body = a.body[:g.IntN(len(a.body)+1)]
		g.seen.add("truncated body")
	case 2:
		a.contentType = pick(g, "", "", "", "text/html", "application/json", "text/plain", "nonsense/", "application/openmetrics-text; version=2.0.0",
			"application/openmetrics-text", "text/plain; version=1.0.0; escaping=underscores", "application/vnd.google.protobuf; proto=other; encoding=text", "TEXT/PLAIN")
		g.seen.add("odd content type")
	case 3:
		a.body = ""
		g.seen.add("empty body")
	case 4:
		a.delay = 6 * time.Second // beyond the timeout
	case 5:
		a.delay = 1500 * time.Millisecond
	case 6:
		a.body = strings.ReplaceAll(a.body, "\n", "\r\n")
		g.seen.add("CRLF")
	case 7:
		if i := g.IntN(len(a.body) + 1); i < len(a.body) {
			a.body = a.body[:i] + pick(g, "\x00", "\xff", "\"", "{", "\n", " ", "}", "#") + a.body[i+1:]
			g.seen.add("damaged body")
		}
	case 8:
		if g.format == plain {
			a.body = strings.TrimSuffix(a.body, "\n")
			g.seen.add("missing last newline")
		}
	case 9:
		a.cut = true
		g.seen.add("connection cut within the body")
	}
	return a
}
