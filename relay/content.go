package relay

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
)

// timeSeries is one series of a request, decoded again. A request is decoded again only when it cannot be sent as it is: its samples
// are sent by another version, in parts, or without those that are too old.
type timeSeries struct {
	labels     []string // names and values in turn, sorted by name
	hash       uint32   // of the labels, as catalog.hash gives it
	id         uint64   // seriesID of the labels, set by the splitter
	floats     []sample
	histograms []record.Irregular
	exemplars  []record.Irregular
	typ        byte
	help, unit string

	unsentExemplars []record.Irregular // exemplars that are no longer sent
	older           *timeSeries        // samples that are withheld until these are accepted or refused; nil for none
	holds           []*positionHold    // that keep the position from moving past its samples
	heldSamples     int                // samples that count as held by the splitter
}

func (s *timeSeries) samples() int { return len(s.floats) + len(s.histograms) }

const minTime, maxTime = math.MinInt64, math.MaxInt64

// between returns a copy of s with the samples whose timestamps lie in [from, to), and with all exemplars. Withheld samples stay with s.
func (s *timeSeries) between(from, to int64) *timeSeries {
	c := *s
	c.floats, c.histograms, c.older = nil, nil, nil
	for _, f := range s.floats {
		if f.time >= from && f.time < to {
			c.floats = append(c.floats, f)
		}
	}
	for _, h := range s.histograms {
		if h.Time >= from && h.Time < to {
			c.histograms = append(c.histograms, h)
		}
	}
	return &c
}

// times returns the timestamps of the samples, sorted, in milliseconds since the epoch.
func (s *timeSeries) times() []int64 {
	out := make([]int64, 0, s.samples())
	for _, f := range s.floats {
		out = append(out, f.time)
	}
	for _, h := range s.histograms {
		out = append(out, h.Time)
	}
	slices.Sort(out)
	return out
}

// all counts the samples, with those that are withheld.
func (s *timeSeries) all() int {
	if s.older == nil {
		return s.samples()
	}
	return s.samples() + s.older.samples()
}

// withhold moves the samples before a time to s.older: they are not sent with s.
func (s *timeSeries) withhold(before int64) {
	older, rest := s.between(minTime, before), s.between(before, maxTime)
	if older.samples() == 0 {
		return
	}
	if s.older != nil {
		older.floats, older.histograms = append(s.older.floats, older.floats...), append(s.older.histograms, older.histograms...)
	}
	s.older, s.floats, s.histograms = older, rest.floats, rest.histograms
}

// restore brings back the samples and exemplars that were not sent.
func (s *timeSeries) restore() {
	s.exemplars, s.unsentExemplars = append(s.exemplars, s.unsentExemplars...), nil
	if s.older != nil {
		s.floats, s.histograms = append(s.older.floats, s.floats...), append(s.older.histograms, s.histograms...)
		s.older = nil
	}
}

func count(ts []*timeSeries) (samples, exemplars int) {
	for _, s := range ts {
		samples += s.samples()
		exemplars += len(s.exemplars)
	}
	return samples, exemplars
}

// content decodes a request again. A series that occurs several times, for its floats and its histograms, becomes one.
func (r *request) content() ([]*timeSeries, error) {
	body, err := snappy.Decode(nil, r.payload)
	if err != nil {
		return nil, fmt.Errorf("read a request back: %w", err)
	}
	c := contents{byHash: map[uint32][]*timeSeries{}}
	if r.version == version2 {
		err = c.read2(body)
	} else {
		err = c.read1(body)
	}
	if err != nil {
		return nil, fmt.Errorf("read a request back: %w", err)
	}
	return c.list, nil
}

// contents collects series by their labels.
type contents struct {
	list   []*timeSeries
	byHash map[uint32][]*timeSeries
}

// of returns the series with these labels, a new one if there is none yet.
func (c *contents) of(labels []string) *timeSeries {
	h := hashLabels(labels)
	for _, s := range c.byHash[h] {
		if slices.Equal(s.labels, labels) {
			return s
		}
	}
	s := &timeSeries{labels: labels, hash: h}
	c.byHash[h] = append(c.byHash[h], s)
	c.list = append(c.list, s)
	return s
}

// hashLabels is catalog.hash for labels as strings.
func hashLabels(labels []string) uint32 {
	var h contentHash
	for _, l := range labels {
		h.add(maphash.String(seed, l) | 1)
	}
	return h.sum()
}

func (c *contents) read1(body []byte) error {
	var m prompb.WriteRequest
	if err := m.Unmarshal(body); err != nil {
		return err
	}
	for i := range m.Timeseries {
		t := &m.Timeseries[i]
		s := c.of(pairs1(t.Labels))
		for _, f := range t.Samples {
			s.floats = append(s.floats, sample{value: f.Value, time: f.Timestamp})
		}
		for j := range t.Histograms {
			h := t.Histograms[j]
			ms := h.Timestamp
			h.Timestamp = 0
			b, err := h.Marshal()
			if err != nil {
				return err
			}
			s.histograms = append(s.histograms, record.Irregular{Kind: record.Histogram, Time: ms, Histogram: b})
		}
		for _, e := range t.Exemplars {
			s.exemplars = append(s.exemplars, record.Irregular{Kind: record.Exemplar, Time: e.Timestamp, Value: e.Value, Labels: pairs1(e.Labels)})
		}
	}
	return nil
}

func pairs1(ls []prompb.Label) []string {
	out := make([]string, 0, 2*len(ls))
	for _, l := range ls {
		out = append(out, l.Name, l.Value)
	}
	return out
}

func (c *contents) read2(body []byte) error {
	var m writev2.Request
	if err := m.Unmarshal(body); err != nil {
		return err
	}
	pairs := func(refs []uint32) []string {
		out := make([]string, 0, len(refs))
		for _, r := range refs {
			out = append(out, m.Symbols[r]) // the request is ours
		}
		return out
	}
	for i := range m.Timeseries {
		t := &m.Timeseries[i]
		s := c.of(pairs(t.LabelsRefs))
		s.typ, s.help, s.unit = byte(t.Metadata.Type), m.Symbols[t.Metadata.HelpRef], m.Symbols[t.Metadata.UnitRef]
		for _, f := range t.Samples {
			s.floats = append(s.floats, sample{value: f.Value, time: f.Timestamp, start: f.StartTimestamp})
		}
		for j := range t.Histograms {
			h := t.Histograms[j]
			ms, start := h.Timestamp, h.StartTimestamp
			h.Timestamp, h.StartTimestamp = 0, 0
			b, err := h.Marshal()
			if err != nil {
				return err
			}
			s.histograms = append(s.histograms, record.Irregular{Kind: record.Histogram, Time: ms, Start: start, Histogram: b})
		}
		for _, e := range t.Exemplars {
			s.exemplars = append(s.exemplars, record.Irregular{Kind: record.Exemplar, Time: e.Timestamp, Value: e.Value, Labels: pairs(e.LabelsRefs)})
		}
	}
	return nil
}

// encode returns a request with the given series.
func encode(ts []*timeSeries, version int) *request {
	var symbols record.Symbols
	b := batch{version: version, symbols: &symbols}
	for _, s := range ts {
		p := point{
			typ: s.typ, help: symbols.Intern([]byte(s.help)), unit: symbols.Intern([]byte(s.unit)),
			samples: s.floats, histograms: s.histograms, exemplars: s.exemplars,
		}
		for _, l := range s.labels {
			p.labels = append(p.labels, symbols.Intern([]byte(l)))
		}
		b.add(&p)
	}
	return b.seal()
}

// with returns a request with series that came from r.
func (r *request) with(ts []*timeSeries, version int) *request {
	q := encode(ts, version)
	q.from = r.from
	return q
}

// merge returns ts with one series for those that have the same labels.
func merge(ts []*timeSeries) []*timeSeries {
	c := contents{byHash: map[uint32][]*timeSeries{}}
	merged := map[*timeSeries]bool{}
	for _, s := range ts {
		s.restore()
		o := c.of(s.labels)
		if merged[o] {
			o.floats, o.histograms = append(o.floats, s.floats...), append(o.histograms, s.histograms...)
			o.exemplars, o.heldSamples = append(o.exemplars, s.exemplars...), o.heldSamples+s.heldSamples
			for _, k := range s.holds {
				if slices.Contains(o.holds, k) {
					k.release(s.id)
				} else {
					o.holds = append(o.holds, k)
				}
			}
		} else {
			*o = *s
			o.holds = slices.Clone(s.holds)
			merged[o] = true
		}
	}
	for _, s := range c.list {
		slices.SortStableFunc(s.floats, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
		slices.SortStableFunc(s.histograms, func(a, b record.Irregular) int { return cmp.Compare(a.Time, b.Time) })
	}
	return c.list
}
