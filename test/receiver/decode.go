package receiver

import (
	"fmt"
	"mime"
	"sync"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// versionOf reads a Content-Type.
func versionOf(contentType string) int {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/x-protobuf" {
		return 0
	}
	switch params["proto"] {
	case "", "prometheus.WriteRequest":
		return 1
	case "io.prometheus.write.v2.Request":
		return 2
	}
	return 0
}

// decode fills the request from its body, and checks it.
func (q *Request) decode(body []byte, c *checks) {
	q.Bytes = len(body)
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		q.err = err
		c.add("the body is not snappy's block format: %v", err)
		return
	}
	q.Decoded = len(raw)
	switch q.Version {
	case 1:
		q.err = q.decode1(raw, c)
	case 2:
		q.err = q.decode2(raw, c)
	default:
		q.err = fmt.Errorf("Content-Type %q", q.Header.Get("Content-Type"))
	}
	if q.err != nil {
		c.add("the message cannot be read: %v", q.err)
	}
	q.items(func(i Item) { q.Sent[i.Kind]++ })
}

func (q *Request) decode1(raw []byte, c *checks) error {
	var m prompb.WriteRequest
	if err := m.Unmarshal(raw); err != nil {
		return err
	}
	for _, md := range m.Metadata {
		q.Metadata++
		q.families[md.MetricFamilyName] = fmt.Sprintf("%s %q %q", md.Type, md.Help, md.Unit)
	}
	b := labels.NewScratchBuilder(8)
	for _, ts := range m.Timeseries {
		var pairs []string
		for _, l := range ts.Labels {
			pairs = append(pairs, l.Name, l.Value)
		}
		s := q.series(pairs, c)
		for _, one := range ts.Samples {
			s.Samples = append(s.Samples, Sample{Time: one.Timestamp, Value: one.Value})
		}
		for _, h := range ts.Histograms {
			one := Sample{Time: h.Timestamp, Value: h.Sum}
			if h.IsFloatHistogram() {
				one.Histogram = HistogramText(nil, h.ToFloatHistogram())
			} else {
				one.Histogram = HistogramText(h.ToIntHistogram(), nil)
			}
			s.Samples = append(s.Samples, one)
		}
		for _, e := range ts.Exemplars {
			x := e.ToExemplar(&b, nil)
			s.exemplars = append(s.exemplars, exemplar{x.Ts, ExemplarText(x)})
		}
		c.series(s, 1, len(ts.Samples), len(ts.Histograms))
		q.Series = append(q.Series, s)
	}
	return nil
}

func (q *Request) decode2(raw []byte, c *checks) error {
	var m writev2.Request
	if err := m.Unmarshal(raw); err != nil {
		return err
	}
	if err := c.symbols(&m); err != nil {
		return err
	}
	q.Series = make([]Series, 0, len(m.Timeseries))
	b := labels.NewScratchBuilder(8)
	var last writev2.Metadata
	var text string // of last: series of one family follow each other
	for _, ts := range m.Timeseries {
		pairs := make([]string, 0, len(ts.LabelsRefs))
		for _, ref := range ts.LabelsRefs {
			pairs = append(pairs, m.Symbols[ref])
		}
		s := q.series(pairs, c)
		if md := ts.Metadata; md.Type != 0 || md.HelpRef != 0 || md.UnitRef != 0 {
			q.Metadata++
			if name := s.Labels.Get(model.MetricNameLabel); q.families[name] == "" {
				q.families[name] = fmt.Sprintf("%s %q %q", md.Type, m.Symbols[md.HelpRef], m.Symbols[md.UnitRef])
			}
		}
		if md := ts.Metadata; md.Type != last.Type || md.HelpRef != last.HelpRef || md.UnitRef != last.UnitRef {
			of, err := ts.ToMetadata(m.Symbols)
			if err != nil {
				return err
			}
			last, text = md, MetadataText(of)
		}
		for _, one := range ts.Samples {
			s.Samples = append(s.Samples, Sample{Time: one.Timestamp, Value: one.Value, Start: one.StartTimestamp, Metadata: text})
		}
		for _, h := range ts.Histograms {
			one := Sample{Time: h.Timestamp, Value: h.Sum, Start: h.StartTimestamp, Metadata: text}
			if h.IsFloatHistogram() {
				one.Histogram = HistogramText(nil, h.ToFloatHistogram())
			} else {
				one.Histogram = HistogramText(h.ToIntHistogram(), nil)
			}
			s.Samples = append(s.Samples, one)
		}
		for _, e := range ts.Exemplars {
			x, err := e.ToExemplar(&b, m.Symbols)
			if err != nil {
				return err
			}
			s.exemplars = append(s.exemplars, exemplar{x.Ts, ExemplarText(x)})
		}
		c.series(s, 2, len(ts.Samples), len(ts.Histograms))
		q.Series = append(q.Series, s)
	}
	return nil
}

// series makes a series of names and values in turn, and checks these.
func (q *Request) series(pairs []string, c *checks) Series {
	if len(pairs)%2 == 1 {
		c.add("an odd number of label references: %q", pairs)
		pairs = pairs[:len(pairs)-1]
	}
	c.labels(pairs)
	return q.names.series(pairs)
}

// names caches series, since most requests bring the same ones.
type names struct {
	mu     sync.Mutex
	known  map[string]Series // by label names and values, each followed by a byte that UTF-8 does not have
	buffer []byte
}

func (n *names) series(pairs []string) Series {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := n.buffer[:0]
	for _, text := range pairs {
		key = append(append(key, text...), 0xff)
	}
	n.buffer = key
	s, ok := n.known[string(key)]
	if !ok {
		ls := labels.FromStrings(pairs...)
		s = Series{Name: ls.String(), Labels: ls}
		n.known[string(key)] = s
	}
	return s
}
