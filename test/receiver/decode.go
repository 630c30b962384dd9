package receiver

import (
	"fmt"
	"mime"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
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

// decode fills the request from its body, and notes what in it is against the specification.
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
			if h.IsFloatHistogram() {
				s.Samples = append(s.Samples, histogramSample(h.Timestamp, h.Sum, nil, h.ToFloatHistogram()))
			} else {
				s.Samples = append(s.Samples, histogramSample(h.Timestamp, h.Sum, h.ToIntHistogram(), nil))
			}
		}
		for _, e := range ts.Exemplars {
			x := e.ToExemplar(&b, nil)
			s.exemplars = append(s.exemplars, exemplar{x.Ts, fmt.Sprintf("%d %v %s", x.Ts, x.Value, x.Labels)})
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
	b := labels.NewScratchBuilder(8)
	for _, ts := range m.Timeseries {
		var pairs []string
		for _, ref := range ts.LabelsRefs {
			pairs = append(pairs, m.Symbols[ref])
		}
		s := q.series(pairs, c)
		if md := ts.Metadata; md.Type != 0 || md.HelpRef != 0 || md.UnitRef != 0 {
			q.Metadata++
			q.families[s.Labels.Get(model.MetricNameLabel)] = fmt.Sprintf("%s %q %q", md.Type, m.Symbols[md.HelpRef], m.Symbols[md.UnitRef])
		}
		for _, one := range ts.Samples {
			s.Samples = append(s.Samples, Sample{Time: one.Timestamp, Value: one.Value})
		}
		for _, h := range ts.Histograms {
			if h.IsFloatHistogram() {
				s.Samples = append(s.Samples, histogramSample(h.Timestamp, h.Sum, nil, h.ToFloatHistogram()))
			} else {
				s.Samples = append(s.Samples, histogramSample(h.Timestamp, h.Sum, h.ToIntHistogram(), nil))
			}
		}
		for _, e := range ts.Exemplars {
			x, err := e.ToExemplar(&b, m.Symbols)
			if err != nil {
				return err
			}
			s.exemplars = append(s.exemplars, exemplar{x.Ts, fmt.Sprintf("%d %v %s", x.Ts, x.Value, x.Labels)})
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
	ls := labels.FromStrings(pairs...)
	return Series{Name: ls.String(), Labels: ls}
}

func histogramSample(ms int64, sum float64, h *histogram.Histogram, fh *histogram.FloatHistogram) Sample {
	s := Sample{Time: ms, Value: sum}
	if fh != nil {
		s.Histogram = fmt.Sprintf("float schema=%d %s", fh.Schema, fh)
	} else {
		s.Histogram = fmt.Sprintf("schema=%d %s", h.Schema, h)
	}
	return s
}
