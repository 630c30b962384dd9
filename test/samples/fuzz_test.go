package samples

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
)

// fuzzSettings are what the bits of a fuzz input's settings turn on.
var fuzzSettings = []string{
	"honor_labels: true\n",
	"honor_timestamps: false\n",
	"track_timestamps_staleness: true\n",
	"scrape_native_histograms: true\n",
	"always_scrape_classic_histograms: true\n",
	"convert_classic_histograms_to_nhcb: true\n",
	"sample_limit: 4\n",
	"label_limit: 6\n",
	"metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: underscores\n",
	"native_histogram_bucket_limit: 4\n",
	"metric_relabel_configs: [{regex: 'a|b', action: labeldrop}]\n",
}

var fuzzTypes = []string{plain, openMetrics, protobuf, "application/openmetrics-text; version=0.0.1", "text/plain"}

// fuzzSequence shows pages a, b and c, as they are and in the formats that kinds name, in an order in which each comes back.
func fuzzSequence(settings uint16, kinds [3]uint8, a, b, c string) sequence {
	config := ""
	for i, text := range fuzzSettings {
		if settings>>i&1 != 0 {
			config += text
		}
	}
	if config == "" {
		config = "honor_labels: false\n"
	}
	pages := [3]string{a, b, c}
	order := []int{0, 1, 0, 2, 2, 1, 0}
	s := sequence{steps: make([]step, len(order)), skeletons: make([][]string, len(order))}
	for i, n := range order {
		s.steps[i].answers = map[string]answer{addressA: {status: 200, contentType: fuzzTypes[int(kinds[n])%len(fuzzTypes)], body: pages[n]}}
	}
	s.steps[0].configs = map[string]string{"job": config}
	s.steps[0].targets = map[string][]model.LabelSet{"job": {{"__address__": addressA, "zone": "z1"}}}
	return s
}

// fuzzDelivery is the delivery of all inputs of a process.
var fuzzDelivery = sync.OnceValues(func() (f *delivery, err error) {
	f, err = newDelivery(rand.New(rand.NewPCG(3, 3)))
	closeAtEnd = f
	return f, err
})

var closeAtEnd *delivery // by TestMain

// FuzzScrapeMatchesPrometheus shows the pages of the input, as they are, to both. What was found is in testdata/fuzz.
func FuzzScrapeMatchesPrometheus(f *testing.F) {
	for seed := range uint64(60) {
		g := newSequence(seed, newFeatures())
		var pages []string
		var kinds []uint8
		for _, s := range g.steps {
			if a := s.answers[addressA]; a.body != "" && len(a.body) < 1000 {
				pages = append(pages, a.body)
				kinds = append(kinds, uint8(max(0, slices.Index(fuzzTypes, a.contentType))))
			}
		}
		for len(pages) >= 3 {
			f.Add(uint16(seed*37), kinds[0], kinds[1], kinds[2], pages[0], pages[1], pages[2])
			pages, kinds = pages[3:], kinds[3:]
		}
	}
	f.Fuzz(func(t *testing.T, settings uint16, kindA, kindB, kindC uint8, a, b, c string) {
		if len(a)+len(b)+len(c) > 8<<10 || len(a) == 0 {
			t.Skip()
		}
		end, err := fuzzDelivery()
		if err != nil {
			t.Fatal(err)
		}
		s := fuzzSequence(settings, [3]uint8{kindA, kindB, kindC}, a, b, c)
		if d := compare(t, end, s, newFeatures(), 0); d != "" {
			t.Errorf("- is Prometheus, + is promrelay\n%s\n%s", d, show(s.steps))
		}
	})
}
