package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// kind tells receivers apart where they answer differently.
type kind int

const (
	prometheus kind = iota
	victoriaMetrics
)

// Receiver is a running server that takes remote write and answers PromQL.
type Receiver struct {
	*Server
	kind kind
}

// Point is one sample, without its series.
type Point struct {
	// Time is in milliseconds since the epoch.
	Time int64
	// Value is exact to the bit, but for NaNs, which are all one. Of a native histogram it is 0.
	Value float64
	// Histogram is a native histogram as Prometheus's API writes it; nil for a float.
	Histogram json.RawMessage
}

// Sample is a sample with its series.
type Sample struct {
	// Labels hold the name as __name__.
	Labels map[string]string
	Point
}

// Series are the samples of one series, the oldest first.
type Series struct {
	// Labels hold the name as __name__.
	Labels map[string]string
	Points []Point
}

// WriteURL takes remote write.
func (r *Receiver) WriteURL() string { return r.URL() + "/api/v1/write" }

// QueryURL answers an instant query, as ?query=.
func (r *Receiver) QueryURL() string { return r.URL() + "/api/v1/query" }

// Query evaluates PromQL now and returns the vector, empty if there is nothing. A scalar is one sample without labels.
func (r *Receiver) Query(ctx context.Context, promql string) ([]Sample, error) {
	result, err := r.query(ctx, promql, time.Now())
	if err != nil {
		return nil, err
	}
	switch result.Type {
	case "scalar":
		var p pair
		if err := json.Unmarshal(result.Result, &p); err != nil {
			return nil, fmt.Errorf("query %s: %w", promql, err)
		}
		return []Sample{{Point: p.point()}}, nil
	case "vector":
	default:
		return nil, fmt.Errorf("query %s: want a vector, have a %s", promql, result.Type)
	}
	var all []struct {
		Metric    map[string]string `json:"metric"`
		Value     *pair             `json:"value"`
		Histogram *pair             `json:"histogram"`
	}
	if err := json.Unmarshal(result.Result, &all); err != nil {
		return nil, fmt.Errorf("query %s: %w", promql, err)
	}
	out := make([]Sample, 0, len(all))
	for _, s := range all {
		p := s.Value
		if s.Histogram != nil {
			p = s.Histogram
		}
		if p == nil {
			return nil, fmt.Errorf("query %s: %v has no value", promql, s.Metric)
		}
		out = append(out, Sample{Labels: s.Metric, Point: p.point()})
	}
	return out, nil
}

// Select returns the stored samples of the series that a selector such as {job="x"} matches, those at from and at to included.
// Neither lookback nor staleness plays a part: of Prometheus come the samples without staleness markers, of VictoriaMetrics all, with
// markers as NaN, and with duplicates. The answer is held in memory.
func (r *Receiver) Select(ctx context.Context, selector string, from, to time.Time) ([]Series, error) {
	if r.kind == victoriaMetrics {
		return r.export(ctx, selector, from, to)
	}
	// A range does not contain the moment that it begins at.
	span := to.Sub(from).Milliseconds() + 1
	result, err := r.query(ctx, fmt.Sprintf("%s[%dms]", selector, span), to)
	if err != nil {
		return nil, err
	}
	var all []struct {
		Metric     map[string]string `json:"metric"`
		Values     []pair            `json:"values"`
		Histograms []pair            `json:"histograms"`
	}
	if err := json.Unmarshal(result.Result, &all); err != nil {
		return nil, fmt.Errorf("select %s: %w", selector, err)
	}
	out := make([]Series, 0, len(all))
	for _, s := range all {
		one := Series{Labels: s.Metric, Points: make([]Point, 0, len(s.Values)+len(s.Histograms))}
		for _, p := range append(s.Values, s.Histograms...) {
			one.Points = append(one.Points, p.point())
		}
		out = append(out, one)
	}
	return out, nil
}

// Exemplar is an exemplar with the series that it stands beside.
type Exemplar struct {
	Series, Labels map[string]string
	Point
}

// Exemplars returns Prometheus's exemplars of the series that a selector matches. VictoriaMetrics keeps none.
func (r *Receiver) Exemplars(ctx context.Context, selector string, from, to time.Time) ([]Exemplar, error) {
	body, err := r.post(ctx, "/api/v1/query_exemplars", url.Values{"query": {selector}, "start": {seconds(from)}, "end": {seconds(to)}})
	if err != nil {
		return nil, fmt.Errorf("exemplars of %s: %w", selector, err)
	}
	var a struct {
		Data []struct {
			SeriesLabels map[string]string `json:"seriesLabels"`
			Exemplars    []struct {
				Labels    map[string]string `json:"labels"`
				Value     float64           `json:"value,string"`
				Timestamp float64           `json:"timestamp"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("exemplars of %s: %w", selector, err)
	}
	var out []Exemplar
	for _, s := range a.Data {
		for _, e := range s.Exemplars {
			out = append(out, Exemplar{Series: s.SeriesLabels, Labels: e.Labels, Point: pair{time: e.Timestamp, value: e.Value}.point()})
		}
	}
	return out, nil
}

// answer is what the query API says.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   data   `json:"data"`
}

type data struct {
	Type   string          `json:"resultType"`
	Result json.RawMessage `json:"result"`
}

// query evaluates PromQL at a moment, to the millisecond.
func (r *Receiver) query(ctx context.Context, promql string, at time.Time) (data, error) {
	form := url.Values{"query": {promql}, "time": {seconds(at)}}
	body, err := r.post(ctx, "/api/v1/query", form)
	if err != nil {
		return data{}, fmt.Errorf("query %s: %w", promql, err)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return data{}, fmt.Errorf("query %s: %w", promql, err)
	}
	if a.Status != "success" {
		return data{}, fmt.Errorf("query %s: %s", promql, a.Error)
	}
	return a.Data, nil
}

func (r *Receiver) post(ctx context.Context, path string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(req)
}

// export reads VictoriaMetrics's raw samples: its range selectors look at the samples around them too.
func (r *Receiver) export(ctx context.Context, selector string, from, to time.Time) ([]Series, error) {
	if _, err := Get(ctx, r.URL()+"/internal/force_flush"); err != nil { // else the last second is not there yet
		return nil, fmt.Errorf("flush: %w", err)
	}
	form := url.Values{"match[]": {selector}, "start": {seconds(from)}, "end": {seconds(to)}}
	body, err := r.post(ctx, "/api/v1/export", form)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", selector, err)
	}
	var out []Series
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		var line struct {
			Metric     map[string]string `json:"metric"`
			Values     []exported        `json:"values"`
			Timestamps []int64           `json:"timestamps"`
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("export %s: %w", selector, err)
		}
		if len(line.Values) != len(line.Timestamps) {
			return nil, fmt.Errorf("export %s: %d values with %d timestamps", selector, len(line.Values), len(line.Timestamps))
		}
		s := Series{Labels: line.Metric, Points: make([]Point, len(line.Values))}
		for i, v := range line.Values {
			s.Points[i] = Point{Time: line.Timestamps[i], Value: float64(v)}
		}
		out = append(out, s)
	}
}
