package receiver

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// checks collects what in a request violates the MUSTs of remote write 1.0 and 2.0 for senders.
type checks struct{ found []string }

func (c *checks) add(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// headers checks method and headers.
func (c *checks) headers(q *Request) {
	if q.Method != http.MethodPost {
		c.add("%s %s: a request must be a POST", q.Method, q.Path)
		return
	}
	if e := q.Header.Get("Content-Encoding"); e != "snappy" {
		c.add("Content-Encoding is %q", e)
	}
	if q.Header.Get("User-Agent") == "" {
		c.add("no User-Agent")
	}
	want := map[int]string{1: "0.1.0", 2: "2.0.0"}[q.Version]
	if want == "" {
		c.add("Content-Type is %q", q.Header.Get("Content-Type"))
	} else if have := q.Header.Get("X-Prometheus-Remote-Write-Version"); have != want {
		c.add("X-Prometheus-Remote-Write-Version is %q, not %q", have, want)
	}
}

// labels checks names and values in turn.
func (c *checks) labels(pairs []string) {
	named := false
	for i := 0; i < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		named = named || name == model.MetricNameLabel
		switch {
		case name == "" || value == "":
			c.add("an empty label name or value: %q", pairs)
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			c.add("a label that is not UTF-8: %q", pairs)
		case i > 0 && name == pairs[i-2]:
			c.add("a label name stands twice: %q", pairs)
		case i > 0 && name < pairs[i-2]:
			c.add("label names are not sorted: %q", pairs)
		}
	}
	if !named {
		c.add("no metric name: %q", pairs)
	}
}

// series checks one series' samples.
func (c *checks) series(s Series, version, floats, histograms int) {
	if floats+histograms == 0 && (version == 2 || len(s.exemplars) == 0) {
		c.add("%s: neither sample nor histogram", s.Name)
	}
	if version == 2 && floats > 0 && histograms > 0 {
		c.add("%s: samples and histograms in one TimeSeries", s.Name)
	}
}

// request checks the request as a whole: it is not empty, and the samples of each series are in order.
func (c *checks) request(q *Request) {
	if q.err == nil && len(q.Series) == 0 && q.Metadata == 0 {
		c.add("a request with nothing in it")
	}
	last := make(map[string]int64, len(q.Series))
	for _, s := range q.Series {
		for _, one := range s.Samples {
			if before, ok := last[s.Name]; ok && one.Time <= before {
				c.add("%s: %d after %d in one request", s.Name, one.Time, before)
			}
			last[s.Name] = one.Time
		}
	}
}

// symbols checks the symbols of 2.0. An error means that the message cannot be read.
func (c *checks) symbols(m *writev2.Request) error {
	if len(m.Symbols) == 0 {
		if len(m.Timeseries) == 0 {
			return nil
		}
		return errors.New("no symbols")
	}
	if m.Symbols[0] != "" {
		c.add("the first symbol is %q, not empty", m.Symbols[0])
	}
	used := make([]bool, len(m.Symbols))
	use := func(refs ...uint32) error {
		for _, ref := range refs {
			if int(ref) >= len(used) {
				return fmt.Errorf("symbol %d of %d", ref, len(used))
			}
			used[ref] = true
		}
		return nil
	}
	var err error
	for _, ts := range m.Timeseries {
		err = errors.Join(err, use(ts.LabelsRefs...), use(ts.Metadata.HelpRef, ts.Metadata.UnitRef))
		for _, e := range ts.Exemplars {
			err = errors.Join(err, use(e.LabelsRefs...))
		}
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, s := range m.Symbols {
		switch {
		case seen[s]:
			c.add("symbol %d, %q, stands twice", i, s)
		case i > 0 && !used[i]:
			c.add("symbol %d, %q, is not used", i, s)
		}
		seen[s] = true
	}
	return nil
}
