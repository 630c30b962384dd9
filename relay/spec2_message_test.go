package relay

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
	"promrelay/wal"
)

// Rules of 2.0 for its message.

func TestSpec2_SymbolsFirstIsEmpty(t *testing.T) {
	for _, p := range play(t, by2, labels.FromStrings("cluster", "c1"), everything(t)) {
		if len(p.symbols) == 0 || p.symbols[0] != "" {
			t.Errorf("symbols %q", p.symbols)
		}
	}
}

func TestSpec2_SymbolsAreThere(t *testing.T) {
	for _, p := range play(t, by2, labels.FromStrings("cluster", "c1"), everything(t)) {
		for _, want := range []string{"__name__", "metric_0_total", "cluster", "c1", "Help.", "seconds", "trace_id", "abc"} {
			if !slices.Contains(p.symbols, want) {
				t.Errorf("no symbol %q", want)
			}
		}
	}
}

// TestSpec2_SymbolsAreUnique: strings that come as a label, in an exemplar and in metadata, in whichever order.
func TestSpec2_SymbolsAreUnique(t *testing.T) {
	posts := play(t, by2, labels.FromStrings("cluster", "early"), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, 0)
		table := wr.tables[0]
		table.Add(labels.FromStrings("__name__", "a_total", "n", "early"), 0)
		table.Add(labels.FromStrings("__name__", "b_total", "n", "late", "later", "metric_help"), 0)
		s := table.Symbols()
		table.SetMeta(1, table.Metadata(model.MetricTypeCounter, s.Intern([]byte("b")), s.Intern([]byte("help as label")), s.Intern([]byte("late"))))
		wr.append(0, &record.Scrape{Time: 10_000, Values: []float64{1, 2}, Irregular: []record.Irregular{
			{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1, Labels: []string{"later", "late", "span_id", "early", "trace_id", "help as label"}},
			{Kind: record.Exemplar, Row: 1, Time: 9999, Value: 1, Labels: []string{"span_id", "late", "trace_id", "help as label"}},
		}})
		wr.append(0, &record.Scrape{Time: 11_000, Values: []float64{1, 2}, Irregular: []record.Irregular{
			{Kind: record.Exemplar, Row: 0, Time: 10_999, Value: 1, Labels: []string{"trace_id", "another"}},
		}})
	})
	for _, p := range posts {
		seen := map[string]bool{}
		for _, s := range p.symbols {
			if seen[s] {
				t.Errorf("%q stands twice among %q", s, p.symbols)
			}
			seen[s] = true
		}
	}
	var got []string
	for _, p := range posts {
		for _, s := range p.series {
			for _, e := range s.exemplars {
				for _, l := range e.labels {
					got = append(got, l.Name+"="+l.Value)
				}
			}
		}
	}
	if want := "later=late span_id=early trace_id=help as label span_id=late trace_id=help as label trace_id=another"; strings.Join(got, " ") != want {
		t.Errorf("exemplars bear %q", got)
	}
}

// TestSpec2_SymbolsAreUsed: requests have no symbols of other requests.
func TestSpec2_SymbolsAreUsed(t *testing.T) {
	posts := play(t, by2+"queue_config: {max_samples_per_send: 3, batch_send_deadline: 10ms}\n", labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 2, 20)
		wr.scrape()
		wr.scrape()
	})
	for _, p := range posts {
		var m writev2.Request
		if err := m.Unmarshal(p.message); err != nil {
			t.Fatal(err)
		}
		used := map[uint32]bool{0: true}
		for _, ts := range m.Timeseries {
			for _, ref := range append(ts.LabelsRefs, ts.Metadata.HelpRef, ts.Metadata.UnitRef) {
				used[ref] = true
			}
		}
		if len(used) != len(m.Symbols) {
			t.Errorf("%d of %d symbols are used", len(used), len(m.Symbols))
		}
	}
}

// TestSpec2_ReferencesExist: resolve, which every test of 2.0 goes through, fails it else; here with metadata.
func TestSpec2_ReferencesExist(t *testing.T) {
	for _, p := range play(t, by2, labels.EmptyLabels(), everything(t)) {
		for _, s := range p.series {
			if int(max(s.meta.HelpRef, s.meta.UnitRef)) >= len(p.symbols) || p.symbols[s.meta.HelpRef] != "Help." || p.symbols[s.meta.UnitRef] != "seconds" {
				t.Errorf("metadata %+v among %d symbols", s.meta, len(p.symbols))
			}
		}
	}
}

// TestSpec2_LabelsAreGiven: a series that lost all its labels to a rule is not sent.
func TestSpec2_LabelsAreGiven(t *testing.T) {
	posts := play(t, by2+"write_relabel_configs: [{source_labels: [n], regex: '1', action: keep}, {regex: 'target', action: labeldrop}]\n", labels.EmptyLabels(), everything(t))
	for _, p := range posts {
		for _, s := range p.series {
			if len(s.labels) != 2 {
				t.Errorf("labels %s", s.name())
			}
		}
	}
	x := newWire(t)
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: destinations(t, x.URL, by2+"write_relabel_configs: [{regex: '.*', action: labeldrop}]\n"), Relay: whole(nil)})
	rich(t, newWriter(t, w, 1, 4))
	r.drain(t)
	if n := len(x.all()); n != 0 {
		t.Errorf("%d requests with series that have no labels", n)
	}
}

// TestSpec2_SeriesHaveSamples: an exemplar whose series had no sample in the scrape is not sent by itself.
func TestSpec2_SeriesHaveSamples(t *testing.T) {
	posts := play(t, by2, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, 2)
		wr.append(0, &record.Scrape{Time: 10_000, Present: record.Bits{0b01}, Values: []float64{1, 0}, Irregular: []record.Irregular{
			{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1, Labels: []string{"trace_id", "a"}},
			{Kind: record.Exemplar, Row: 1, Time: 9999, Value: 1, Labels: []string{"trace_id", "b"}},
		}})
	})
	for _, p := range posts {
		for _, s := range p.series {
			if len(s.samples)+len(s.histograms) == 0 {
				t.Errorf("%s has no samples", s.name())
			}
		}
	}
}

// mixed appends a series that turns from floats to native histograms and back within a request.
func mixed(t *testing.T) func(*wal.WAL) {
	return func(w *wal.WAL) {
		h := &histogram.Histogram{Schema: 1, Count: 3, Sum: 7, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1}}
		m := writev2.FromIntHistogram(0, 0, h)
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		wr := newWriter(t, w, 1, 1)
		wr.append(0, &record.Scrape{Time: 10_000, Values: []float64{1}, Irregular: []record.Irregular{
			{Kind: record.Histogram, Row: 0, Time: 10_001, Histogram: b},
			{Kind: record.Histogram, Row: 0, Time: 10_002, Histogram: b},
			{Kind: record.Sample, Row: 0, Time: 10_003, Value: 2},
			{Kind: record.Histogram, Row: 0, Time: 10_004, Histogram: b},
			{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1, Labels: []string{"trace_id", "a"}},
		}})
	}
}

func TestSpec2_FloatsOrHistograms(t *testing.T) {
	for _, p := range play(t, by2, labels.EmptyLabels(), mixed(t)) {
		for _, s := range p.series {
			if len(s.samples) > 0 && len(s.histograms) > 0 {
				t.Errorf("%s has both", s.name())
			}
		}
	}
}

func TestSpec2_MixedSeriesAreSeparate(t *testing.T) {
	var got []int64
	for _, p := range play(t, by2, labels.EmptyLabels(), mixed(t)) {
		for _, s := range p.series {
			for _, v := range slices.Concat(s.samples, s.histograms) {
				got = append(got, v.ms)
			}
		}
	}
	if want := []int64{10_000, 10_001, 10_002, 10_003, 10_004}; !slices.Equal(got, want) {
		t.Errorf("timestamps %d, want %d", got, want)
	}
}

func TestSpec2_Metadata(t *testing.T) {
	types := map[model.MetricType]writev2.Metadata_MetricType{
		model.MetricTypeUnknown:        writev2.Metadata_METRIC_TYPE_UNSPECIFIED,
		model.MetricTypeCounter:        writev2.Metadata_METRIC_TYPE_COUNTER,
		model.MetricTypeGauge:          writev2.Metadata_METRIC_TYPE_GAUGE,
		model.MetricTypeHistogram:      writev2.Metadata_METRIC_TYPE_HISTOGRAM,
		model.MetricTypeGaugeHistogram: writev2.Metadata_METRIC_TYPE_GAUGEHISTOGRAM,
		model.MetricTypeSummary:        writev2.Metadata_METRIC_TYPE_SUMMARY,
		model.MetricTypeInfo:           writev2.Metadata_METRIC_TYPE_INFO,
		model.MetricTypeStateset:       writev2.Metadata_METRIC_TYPE_STATESET,
	}
	for typ, want := range types {
		posts := play(t, by2, labels.EmptyLabels(), func(w *wal.WAL) {
			wr := withSeries(t, w, labels.FromStrings("__name__", "m"))
			s := wr.tables[0].Symbols()
			wr.tables[0].SetMeta(0, wr.tables[0].Metadata(typ, s.Intern([]byte("m")), s.Intern([]byte("What it is.")), s.Intern(nil)))
			wr.give(1)
		})
		p := posts[0]
		if m := p.series[0].meta; m.Type != want || p.symbols[m.HelpRef] != "What it is." || m.UnitRef != 0 {
			t.Errorf("%s: %+v", typ, m)
		}
	}
}

// TestSpec2_MetadataAsThePageHasIt: help and unit pass byte by byte.
func TestSpec2_MetadataAsThePageHasIt(t *testing.T) {
	const help = "Ends without a stop \\ \"quoted\"\n日本"
	p := play(t, by2, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := withSeries(t, w, labels.FromStrings("__name__", "m_bytes"))
		s := wr.tables[0].Symbols()
		wr.tables[0].SetMeta(0, wr.tables[0].Metadata(model.MetricTypeGauge, s.Intern([]byte("m_bytes")), s.Intern([]byte(help)), s.Intern([]byte("bytes"))))
		wr.give(1)
	})[0]
	if m := p.series[0].meta; p.symbols[m.HelpRef] != help || p.symbols[m.UnitRef] != "bytes" {
		t.Errorf("help %q, unit %q", p.symbols[m.HelpRef], p.symbols[m.UnitRef])
	}
}

// sentExemplars returns the exemplars of rich with more.
func sentExemplars(t *testing.T, more ...record.Irregular) (out []wireExemplar) {
	posts := play(t, by2, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, 2)
		wr.append(0, &record.Scrape{Time: 10_000, Values: []float64{1, 2}, Irregular: more})
	})
	for _, p := range posts {
		for _, s := range p.series {
			out = append(out, s.exemplars...)
		}
	}
	return out
}

func TestSpec2_Exemplars(t *testing.T) {
	got := sentExemplars(t, record.Irregular{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1}, record.Irregular{Kind: record.Exemplar, Row: 1, Time: 9998, Value: 2})
	if len(got) != 2 {
		t.Errorf("exemplars %v", got)
	}
}

func TestSpec2_ExemplarsHaveValues(t *testing.T) {
	got := sentExemplars(t, record.Irregular{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 0}, record.Irregular{Kind: record.Exemplar, Row: 1, Time: 9998, Value: math.Inf(-1)})
	if len(got) != 2 || got[0].value != 0 || got[1].value != math.Inf(-1) {
		t.Errorf("exemplars %v", got)
	}
}

func TestSpec2_ExemplarsHaveLabels(t *testing.T) {
	got := sentExemplars(t, record.Irregular{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1, Labels: []string{"span_id", "s", "trace_id", "t"}})
	if len(got) != 1 || !slices.Equal(got[0].labels, []labels.Label{{Name: "span_id", Value: "s"}, {Name: "trace_id", Value: "t"}}) {
		t.Errorf("exemplars %v", got)
	}
}

func TestSpec2_ExemplarsHaveTimestamps(t *testing.T) {
	got := sentExemplars(t, record.Irregular{Kind: record.Exemplar, Row: 0, Time: 9999, Value: 1}, record.Irregular{Kind: record.Exemplar, Row: 0, Time: 10_000, Value: 1})
	if len(got) != 2 || got[0].ms != 9999 || got[1].ms != 10_000 {
		t.Errorf("exemplars %v", got)
	}
}

func TestSpec2_StartTimestamps(t *testing.T) {
	var starts []int64
	for _, p := range play(t, by2, labels.EmptyLabels(), everything(t)) {
		for _, s := range p.series {
			for _, v := range slices.Concat(s.samples, s.histograms) {
				starts = append(starts, v.start)
			}
		}
	}
	if want := []int64{0, 3, 500, 77, 0}; !slices.Equal(starts, want) {
		t.Errorf("start timestamps %d, want %d", starts, want)
	}
}

// TestSpec2_StartOfZeroIsLeftOut: 0 says that there is none; its neighbours pass.
func TestSpec2_StartOfZeroIsLeftOut(t *testing.T) {
	posts := play(t, by2, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, 3)
		for row, ms := range []int64{-1, 0, 1} {
			wr.tables[0].SetStart(uint32(row), ms)
		}
		wr.give(1, 2, 3)
	})
	for i, s := range posts[0].series {
		if want := []int64{-1, 0, 1}[i]; s.samples[0].start != want {
			t.Errorf("start %d, want %d", s.samples[0].start, want)
		}
	}
}
