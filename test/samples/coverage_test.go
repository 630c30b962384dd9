package samples

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	promconfig "github.com/prometheus/prometheus/config"
	promscrape "github.com/prometheus/prometheus/scrape"
)

// features are the wanted features that a sequence had.
type features struct {
	mu  sync.Mutex
	set map[string]bool
}

func newFeatures() *features { return &features{set: map[string]bool{}} }

func (f *features) add(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set[name] = true
}

// steady is the share of sequences that must have five or more good scrapes on one table, and changes in the middle of the page.
const steady = "five or more scrapes on one table, and changes in the middle of the page"

// limits are the settings whose limit must be hit, and not hit, within one sequence; with the error.
var limits = map[string]struct {
	text string
	set  func(c *promconfig.ScrapeConfig) bool
}{
	"sample_limit":                  {"sample limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.SampleLimit > 0 }},
	"label_limit":                   {"label_limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.LabelLimit > 0 }},
	"label_name_length_limit":       {"label_name_length_limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.LabelNameLengthLimit > 0 }},
	"label_value_length_limit":      {"label_value_length_limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.LabelValueLengthLimit > 0 }},
	"body_size_limit":               {"body size limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.BodySizeLimit > 0 }},
	"native_histogram_bucket_limit": {"histogram bucket limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.NativeHistogramBucketLimit > 0 }},
	"target_limit":                  {"target_limit exceeded", func(c *promconfig.ScrapeConfig) bool { return c.TargetLimit > 0 }},
}

// wanted are the features that every long run must have.
func wanted() []string {
	out := []string{
		steady, "lines added", "lines removed", "lines reordered", "line repeated with an equal value", "line repeated with another value",
		"timestamps going back", "timestamps going forth", "timestamps too far ahead", "sample out of order", "sample of the time of the last one",
		"families without TYPE", "escapes", "UTF-8 label names", "UTF-8 metric names", "exotic floats", "CRLF", "missing last newline",
		"truncated body", "damaged body", "empty body", "connection cut within the body", "connection refused", "gzip",
		"HTTP errors", "timeouts", "page that cannot be parsed", "content type that is wrong", "fallback protocol", "exemplars in OpenMetrics", "_created in OpenMetrics",
		"native histograms in protobuf", "classic histograms in protobuf", "honor_labels on", "honor_labels off", "honor_timestamps on",
		"honor_timestamps off", "track_timestamps_staleness", "series that relabelling makes one", "equal series from two targets",
		"target restart", "target moves to another job", "configuration changes", "job goes", "target goes", "page with a report series",
		"out: native histograms", "out: float histograms", "out: histograms of custom buckets", "out: exemplars", "out: metadata",
		"out: start timestamps", "out: staleness markers", "relay restarts", "delivered twice",
		"reload of one or two lines", "reload that keeps tables", "page changes its format", "answers as Accept prefers", "metric names like comments",
		"families of 40 series or more", "many series replaced", "failing pages of many new lines", "15 steps or more",
		"target label exported_zone", "zone, exported_zone and exported_exported_zone on one line", "two targets that differ", "only the second target stays",
		"native histograms: sums of NaN and Inf", "native histograms: schemas that are not known", "native histograms: schemas that are always reduced",
		"whole histograms in text", "classic lines kept beside those converted", "OpenMetrics timestamps: decimals", "OpenMetrics timestamps: exponent",
		"OpenMetrics timestamps: negative", "exemplars that are unusual", "label_name_length_limit at the border of what is not ASCII",
		"label_value_length_limit at the border of what is not ASCII", "scrape_protocols", "escaping schemes", "UNIT that changes",
		"every line stamped", "every line stamped, and repeated", "exact metadata",
	}
	for name := range rules {
		out = append(out, "relabelling: "+name)
	}
	for name := range limits {
		out = append(out, name+" hit and not hit")
	}
	slices.Sort(out)
	return out
}

// outcomes records how the scrapes of a sequence ended for Prometheus.
type outcomes struct {
	seen *features
	hit  map[string]bool // limits, and those that were set and did not fail a scrape
	not  map[string]bool
	good []bool // by step: target a:80 was scraped
}

func newOutcomes(seen *features) *outcomes {
	return &outcomes{seen: seen, hit: map[string]bool{}, not: map[string]bool{}}
}

// take records the end of a step.
func (o *outcomes) take(now step, s *state, active map[string][]*promscrape.Target) {
	up, good := 0, false
	for job, targets := range active {
		c := s.job(job)
		for _, t := range targets {
			if t.Health() == promscrape.HealthUnknown {
				continue
			}
			addr := t.URL().Host
			if t.LastError() == nil && t.Health() == promscrape.HealthGood {
				up++
				good = good || addr == addressA
			}
			o.settings(c, t.LastError())
			if a := now.answers[addr]; !strings.Contains(a.contentType, "/plain") && !strings.Contains(a.contentType, "metrics") && !strings.Contains(a.contentType, "protobuf") && a.body != "" && c.ScrapeFallbackProtocol != "" && t.LastError() == nil {
				o.seen.add("fallback protocol")
			}
		}
	}
	if up > 1 {
		o.seen.add("equal series from two targets")
	}
	if now.targets != nil && len(now.configs) == 0 {
		o.seen.add("target goes")
	}
	o.good = append(o.good, good)
}

func (o *outcomes) settings(c *promconfig.ScrapeConfig, err error) {
	for name, on := range map[string]bool{"honor_labels": c.HonorLabels, "honor_timestamps": c.HonorTimestamps} {
		if on {
			o.seen.add(name + " on")
		} else {
			o.seen.add(name + " off")
		}
	}
	if c.TrackTimestampsStaleness {
		o.seen.add("track_timestamps_staleness")
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	known := err == nil
	for name, l := range limits {
		switch {
		case strings.Contains(text, l.text):
			o.hit[name], known = true, true
		case err == nil && l.set(c):
			o.not[name] = true
		}
	}
	switch {
	case strings.Contains(text, "server returned HTTP status"):
		o.seen.add("HTTP errors")
	case strings.Contains(text, "deadline exceeded"):
		o.seen.add("timeouts")
	case strings.Contains(text, "refused"), strings.Contains(text, "EOF"), strings.Contains(text, "Content-Type"):
	case !known:
		o.seen.add("page that cannot be parsed")
	}
}

func (o *outcomes) end() {
	for name := range o.hit {
		if o.not[name] {
			o.seen.add(name + " hit and not hit")
		}
	}
}

// come records features of the result.
func (f *features) come(g got) {
	for _, samples := range g.samples {
		for _, s := range samples {
			if s.start != 0 {
				f.add("out: start timestamps")
			}
			if s.meta != "" {
				f.add("out: metadata")
			}
			if s.value == stale {
				f.add("out: staleness markers")
			}
		}
	}
	if len(g.exemplars) > 0 {
		f.add("out: exemplars")
	}
}

// pages records how the page changed from one good scrape to the next.
func (f *features) pages(s sequence, good []bool) {
	scrapes, middle := 0, false
	var last []string
	for i, skeleton := range s.skeletons {
		if s.steps[i].changesA() {
			scrapes, middle, last = 0, false, nil
		}
		if i >= len(good) || !good[i] {
			continue
		}
		if last != nil {
			middle = f.change(last, skeleton) || middle
		}
		last = skeleton
		if scrapes++; scrapes >= 5 && middle {
			f.add(steady)
		}
	}
}

// change records whether lines stand before and after a change.
func (f *features) change(old, now []string) (middle bool) {
	if slices.Equal(old, now) {
		return false
	}
	lacks := func(in []string) func(string) bool {
		return func(l string) bool { return !slices.Contains(in, l) }
	}
	added, removed := slices.ContainsFunc(now, lacks(old)), slices.ContainsFunc(old, lacks(now))
	if added {
		f.add("lines added")
	}
	if removed {
		f.add("lines removed")
	}
	if !added && !removed && len(old) == len(now) {
		f.add("lines reordered")
	}
	n := min(len(old), len(now))
	return n > 1 && old[0] == now[0] && old[len(old)-1] == now[len(now)-1]
}

// coverage counts in how many sequences each feature was.
type coverage struct {
	sequences int
	counts    map[string]int
}

func (c *coverage) add(f *features) {
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.sequences++
	for name := range f.set {
		c.counts[name]++
	}
}

// manySequences is how many sequences must have every feature.
const manySequences = 3000

func (c *coverage) check(t *testing.T) {
	var out strings.Builder
	names := slices.AppendSeq(wanted(), maps.Keys(c.counts))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		fmt.Fprintf(&out, "%7d  %s\n", c.counts[name], name)
		if c.counts[name] == 0 && c.sequences >= manySequences {
			t.Errorf("no sequence had this: %s", name)
		}
	}
	t.Logf("of %d sequences had this:\n%s", c.sequences, &out)
	least := c.sequences / 2
	if c.sequences < manySequences { // few may be a little off
		least = 2 * c.sequences / 5
	}
	if c.counts[steady] < least && c.sequences >= 100 {
		t.Errorf("%d of %d sequences had %s, want %d", c.counts[steady], c.sequences, steady, least)
	}
}
