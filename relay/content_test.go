package relay

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
)

// maker makes random series.
type maker struct {
	*rand.Rand
	t testing.TB
}

// words are few, so that exemplars' labels meet those of series, in either order.
var words = []string{"", "a", "b", "job", "trace_id", "über", "le", strings.Repeat("long", 50), "\xff", "x\n\"y"}

func (m *maker) word() string { return words[m.IntN(len(words))] }

// pairs are labels in order.
func (m *maker) pairs(most int) (out []string) {
	names := slices.Clone(words[1:])
	m.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:m.IntN(most+1)]
	slices.Sort(names)
	for _, n := range names {
		out = append(out, n, m.word())
	}
	return out
}

// value is any float, often one that is easily spoilt.
func (m *maker) value() float64 {
	special := []uint64{
		value.StaleNaN, value.NormalNaN, 0x7ff8000000000123, 0xfff0000000000001, math.Float64bits(math.Copysign(0, -1)), 0,
		math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), 1,
	}
	if m.IntN(2) == 0 {
		return math.Float64frombits(special[m.IntN(len(special))])
	}
	return math.Float64frombits(m.Uint64())
}

func (m *maker) histogram() []byte {
	h := &histogram.Histogram{
		Schema: int32(m.IntN(8) - 4), Count: 3, Sum: m.value(), ZeroThreshold: 0.01, PositiveSpans: []histogram.Span{{Offset: int32(m.IntN(9) - 4), Length: 2}},
		PositiveBuckets: []int64{1, 1}, CounterResetHint: histogram.CounterResetHint(m.IntN(4)),
	}
	w := writev2.FromIntHistogram(0, 0, h)
	switch m.IntN(3) {
	case 0:
		w = writev2.FromFloatHistogram(0, 0, h.ToFloat(nil))
	case 1:
		h.Schema, h.CustomValues, h.ZeroThreshold = histogram.CustomBucketsSchema, []float64{0.5, 1}, 0
		w = writev2.FromIntHistogram(0, 0, h)
	}
	b, err := w.Marshal()
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// series are some with samples, each time of one twice at the most: as float and as histogram.
func (m *maker) series(most int) (out []*timeSeries) {
	seen := map[string]bool{}
	for range m.IntN(most) + 1 {
		s := &timeSeries{labels: m.pairs(4)}
		name := fmt.Sprintf("%q", s.labels)
		if seen[name] {
			continue
		}
		seen[name] = true
		s.hash = hashLabels(s.labels)
		if m.IntN(2) == 0 {
			s.typ, s.help, s.unit = byte(m.IntN(8)), m.word(), m.word()
		}
		at := m.Int64N(1e6) - 10
		kind := m.IntN(4)
		for range m.IntN(6) + 1 {
			at += 1 + m.Int64N(1000)
			start := max(0, m.Int64N(1e6)-5e5)
			if kind == 0 || kind > 1 && m.IntN(2) == 0 {
				s.floats = append(s.floats, sample{m.value(), at, start})
			}
			if kind == 1 || kind > 1 && m.IntN(2) == 0 {
				s.histograms = append(s.histograms, record.Irregular{Kind: record.Histogram, Time: at, Start: start, Histogram: m.histogram()})
			}
		}
		if s.samples() == 0 {
			s.floats = []sample{{m.value(), at, 0}}
		}
		for range m.IntN(3) {
			s.exemplars = append(s.exemplars, record.Irregular{Kind: record.Exemplar, Time: m.Int64N(1e6), Value: m.value(), Labels: m.pairs(3)})
		}
		out = append(out, s)
	}
	return out
}

// text writes series so that they can be compared to the bit. For 1.0, it leaves out the data that 1.0 cannot carry.
func text(ts []*timeSeries, version int) string {
	var out []string
	for _, s := range ts {
		b := fmt.Sprintf("%q", s.labels)
		start := func(ms int64) int64 {
			if version == version1 {
				return 0
			}
			return ms
		}
		if version == version2 {
			b += fmt.Sprintf(" %d %q %q", s.typ, s.help, s.unit)
		}
		for _, f := range s.floats {
			b += fmt.Sprintf("\n\t%d %x %d", f.time, math.Float64bits(f.value), start(f.start))
		}
		for _, h := range s.histograms {
			b += fmt.Sprintf("\n\t%d histogram %x %d", h.Time, h.Histogram, start(h.Start))
		}
		for _, e := range s.exemplars {
			b += fmt.Sprintf("\n\texemplar %d %x %q", e.Time, math.Float64bits(e.Value), e.Labels)
		}
		out = append(out, b)
	}
	return strings.Join(out, "\n")
}

// everySeed runs f with many random makers.
func everySeed(t *testing.T, f func(*testing.T, *maker)) {
	for seed := range uint64(300) {
		f(t, &maker{rand.New(rand.NewPCG(seed, 8)), t})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func mustRead(t *testing.T, r *request) []*timeSeries {
	t.Helper()
	ts, err := r.content()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range ts {
		if s.hash != hashLabels(s.labels) {
			t.Errorf("hash of %q", s.labels)
		}
	}
	return ts
}

// TestContent: a request that is decoded and encoded again is the same in either version. In the other version, it lacks only the data
// that this version cannot carry.
func TestContent(t *testing.T) {
	everySeed(t, func(t *testing.T, m *maker) {
		ts := m.series(8)
		for _, version := range []int{version1, version2} {
			r := encode(ts, version)
			samples, exemplars := count(ts)
			if r.all() != samples || r.exemplars != exemplars || r.version != version {
				t.Errorf("version %d: %d samples and %d exemplars, want %d and %d", version, r.all(), r.exemplars, samples, exemplars)
			}
			back := mustRead(t, r)
			if got, want := text(back, version), text(ts, version); got != want {
				t.Errorf("version %d:\n%s\nwant\n%s", version, got, want)
			}
			r.from.Offset = 77
			again := r.with(back, version)
			if string(again.payload) != string(r.payload) || again.totals != r.totals || again.from != r.from || again.size != r.size {
				t.Errorf("version %d: encoded again it is another request", version)
			}
			swapped := mustRead(t, r.with(back, version1+version2-version))
			if got, want := text(swapped, version1), text(ts, version1); got != want {
				t.Errorf("version %d by the other one:\n%s\nwant\n%s", version, got, want)
			}
		}
	})
}

// TestInVersion: what 1.0 is not to have is left out and counted.
func TestInVersion(t *testing.T) {
	tests := map[string]struct{ histograms, exemplars bool }{
		"": {false, false}, "send_exemplars: true\n": {false, true}, "send_native_histograms: true\n": {true, false}, "send_exemplars: true\nsend_native_histograms: true\n": {true, true},
	}
	for more, tt := range tests {
		t.Run(more, func(t *testing.T) {
			s := &sender{cfg: dest(t, "http://host/", more)}
			everySeed(t, func(t *testing.T, m *maker) {
				ts := m.series(5)
				for _, s := range ts { // exemplars need samples
					if !tt.histograms && len(s.floats) == 0 {
						s.exemplars = nil
					}
				}
				r := encode(ts, version2)
				if s.inVersion(r, version2) != r {
					t.Error("the version that it is has another request")
				}
				q := s.inVersion(r, version1)
				var want []*timeSeries
				var left totals
				for _, s := range ts {
					c := *s
					if !tt.histograms {
						left.histograms += len(c.histograms)
						c.histograms = nil
					}
					if !tt.exemplars {
						left.exemplars += len(c.exemplars)
						c.exemplars = nil
					}
					if c.samples() > 0 {
						want = append(want, &c)
					}
				}
				if q.omitted != left || q.all()+q.omitted.histograms != r.all() || q.exemplars+q.omitted.exemplars != r.exemplars {
					t.Errorf("%+v of %+v, left %+v, want %+v", q.totals, r.totals, q.omitted, left)
				}
				if got, want := text(mustRead(t, q), version1), text(want, version1); got != want {
					t.Errorf("%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// points are the samples of series, sorted.
func points(lists ...[]*timeSeries) (out []string) {
	for _, ts := range lists {
		for _, s := range ts {
			c := *s
			c.restore()
			for _, f := range c.floats {
				out = append(out, fmt.Sprintf("%q %d %x %d", c.labels, f.time, math.Float64bits(f.value), f.start))
			}
			for _, h := range c.histograms {
				out = append(out, fmt.Sprintf("%q %d %x %d", c.labels, h.Time, h.Histogram, h.Start))
			}
		}
	}
	slices.Sort(out)
	return out
}

// same demands the same samples, none lost and none twice.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d samples\n%s\nwant %d\n%s", what, len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
	}
}

func inTime(s *timeSeries) bool {
	return slices.IsSortedFunc(s.floats, func(a, b sample) int { return cmp.Compare(a.time, b.time) }) &&
		slices.IsSortedFunc(s.histograms, func(a, b record.Irregular) int { return cmp.Compare(a.Time, b.Time) })
}

// TestParts: however series are cut, set apart, joined and merged, all samples are there, once and in order.
func TestParts(t *testing.T) {
	everySeed(t, func(t *testing.T, m *maker) {
		ts := m.series(4)
		all := points(ts)
		var older, newer []*timeSeries
		for _, s := range ts {
			times := s.times()
			at := times[m.IntN(len(times))] + m.Int64N(3) - 1
			a, b := s.between(minTime, at), s.between(at, maxTime)
			for _, p := range []*timeSeries{a, b} {
				if p.hash != s.hash || len(p.exemplars) != len(s.exemplars) || p.typ != s.typ {
					t.Error("a part of a series is of another one")
				}
			}
			if len(a.times()) > 0 && a.times()[len(a.times())-1] >= at || len(b.times()) > 0 && b.times()[0] < at {
				t.Errorf("cut at %d: %d and %d", at, a.times(), b.times())
			}
			older, newer = append(older, a), append(newer, b)
		}
		same(t, "between", points(older, newer), all)
		parts := slices.Concat(newer, older)
		m.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		merged := merge(slices.DeleteFunc(parts, func(s *timeSeries) bool { return s.samples() == 0 }))
		same(t, "merge", points(merged), all)
		if len(merged) != len(ts) {
			t.Errorf("%d series, want %d", len(merged), len(ts))
		}
		for _, s := range merged {
			if !inTime(s) {
				t.Errorf("%q is not in order of time", s.labels)
			}
			before, times := s.all(), s.times()
			at := times[m.IntN(len(times))]
			s.withhold(at)
			if s.all() != before || s.samples() > 0 && s.times()[0] < at || s.older != nil && s.older.times()[len(s.older.times())-1] >= at {
				t.Errorf("set apart before %d: %d of %d samples", at, s.all(), before)
			}
		}
		same(t, "set apart", points(merged), all)
		for _, s := range merged {
			if s.restore(); s.older != nil || !inTime(s) {
				t.Errorf("%q joined is not in order of time", s.labels)
			}
		}
		same(t, "joined", points(merged), all)
	})
}

// TestMergeTickets: what holds the position back for several parts of a series does so for the whole, once.
func TestMergeTickets(t *testing.T) {
	one, two := &positionHold{pieces: map[uint64]int{7: 2}}, &positionHold{pieces: map[uint64]int{7: 1}}
	part := func(ms int64, holds ...*positionHold) *timeSeries {
		return &timeSeries{labels: []string{"a", "b"}, id: 7, floats: []sample{{1, ms, 0}}, holds: holds, heldSamples: 1}
	}
	got := merge([]*timeSeries{part(2, one), part(1, one), part(3, two)})
	if len(got) != 1 || got[0].heldSamples != 3 || !slices.Equal(got[0].holds, []*positionHold{one, two}) || one.pieces[7] != 1 || two.pieces[7] != 1 {
		t.Errorf("%+v; %+v, %+v", got[0], one, two)
	}
}

// TestContentOfGarbage: what is no message is an error.
func TestContentOfGarbage(t *testing.T) {
	for _, version := range []int{version1, version2} {
		for name, payload := range map[string][]byte{"no Snappy": []byte("\xff\xff\xff"), "empty": nil, "no message": snappy.Encode(nil, []byte("\x0a\xff\x01"))} {
			if ts, err := (&request{version: version, payload: payload}).content(); err == nil || !strings.HasPrefix(err.Error(), "read a request back") {
				t.Errorf("%s, version %d: %d series, %v", name, version, len(ts), err)
			}
		}
	}
}
