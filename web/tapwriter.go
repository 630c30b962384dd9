package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"golang.org/x/time/rate"

	"promrelay/relay"
)

// tapWriter writes the samples of a tap, as text or as a JSON object a line.
type tapWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	query   tapQuery
	limiter *rate.Limiter
	buf     bytes.Buffer
	of      string // the destination that the text has named last
	shown   int    // samples
	omitted int    // samples beyond the rate
}

// The lines of the JSON format.
type (
	tapLine struct {
		Destination string        `json:"destination"`
		Labels      labels.Labels `json:"labels"`
		Timestamp   int64         `json:"timestamp"` // milliseconds since the epoch
		Value       string        `json:"value,omitempty"`
		Histogram   string        `json:"histogram,omitempty"` // native histogram as text
		Stale       bool          `json:"stale,omitempty"`     // staleness marker: the series has ended
		Exemplars   []tapExemplar `json:"exemplars,omitempty"`
	}
	tapExemplar struct {
		Labels    labels.Labels `json:"labels"`
		Value     string        `json:"value"`
		Timestamp int64         `json:"timestamp"`
	}
	// tapEnd is the last line.
	tapEnd struct {
		Shown   int    `json:"shown"`   // samples
		Omitted int    `json:"omitted"` // samples at most, since they came too fast
		Ended   string `json:"endedBy"`
	}
)

func newTapWriter(w http.ResponseWriter, q tapQuery) *tapWriter {
	t := &tapWriter{w: w, control: http.NewResponseController(w), query: q, limiter: rate.NewLimiter(tapRate, tapRate)}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if q.json {
		h.Set("Content-Type", "application/x-ndjson")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_ = t.flush() // so that the reader knows that the tap is open
	return t
}

// write writes series, up to the limit.
func (t *tapWriter) write(series []relay.TappedSeries) error {
	for _, s := range series {
		if n := len(s.Samples); !t.limiter.AllowN(time.Now(), n) {
			t.omitted += n
			continue
		}
		for i, v := range s.Samples {
			if t.shown >= t.query.limit {
				break
			}
			t.shown++
			var exemplars []relay.TappedExemplar
			if i == len(s.Samples)-1 {
				exemplars = s.Exemplars
			}
			if t.query.json {
				t.json(s, v, exemplars)
			} else {
				t.text(s, v, exemplars)
			}
		}
	}
	return t.flush()
}

func (t *tapWriter) text(s relay.TappedSeries, v relay.TappedSample, exemplars []relay.TappedExemplar) {
	if s.Destination != t.of {
		t.of = s.Destination
		fmt.Fprintf(&t.buf, "# destination %q\n", s.Destination)
	}
	value := v.Histogram
	if value == "" {
		value = number(v.Value)
	}
	fmt.Fprintf(&t.buf, "%s %s %d", seriesText(s.Labels), value, v.Time)
	if v.Stale {
		t.buf.WriteString(" # staleness marker")
	}
	for _, e := range exemplars {
		fmt.Fprintf(&t.buf, " # %s %s %d", e.Labels, number(e.Value), e.Time)
	}
	t.buf.WriteByte('\n')
}

func (t *tapWriter) json(s relay.TappedSeries, v relay.TappedSample, exemplars []relay.TappedExemplar) {
	line := tapLine{Destination: s.Destination, Labels: s.Labels, Timestamp: v.Time, Histogram: v.Histogram, Stale: v.Stale}
	if v.Histogram == "" {
		line.Value = number(v.Value)
	}
	for _, e := range exemplars {
		line.Exemplars = append(line.Exemplars, tapExemplar{e.Labels, number(e.Value), e.Time})
	}
	_ = json.NewEncoder(&t.buf).Encode(line) // a buffer takes everything, and there is nothing that JSON lacks
}

// end writes the last line. If nothing was shown, another one says why. Seen is how many series were sent.
func (t *tapWriter) end(why string, omitted uint64, seen int) {
	end := tapEnd{Shown: t.shown, Omitted: t.omitted + int(omitted), Ended: why}
	if t.query.json {
		_ = json.NewEncoder(&t.buf).Encode(end)
	} else {
		fmt.Fprintf(&t.buf, "# %s shown, ended by %s\n", count(end.Shown, "sample", "samples"), end.Ended)
		switch {
		case end.Shown+end.Omitted > 0:
		case seen == 0:
			t.buf.WriteString("# nothing was sent in this time: the page Destinations says how delivery gets on\n")
		default:
			fmt.Fprintf(&t.buf, "# %s sent, and no selector matches: labels are those after external_labels and write_relabel_configs\n", count(seen, "series was", "series were"))
		}
		if end.Omitted > 0 {
			fmt.Fprintf(&t.buf, "# at most %d samples left out, since they came faster than they were read\n", end.Omitted)
		}
	}
	_ = t.flush()
}

// flush sends what was written. An error means that the reader is gone, or does not read.
func (t *tapWriter) flush() error {
	err := t.control.SetWriteDeadline(time.Now().Add(tapPatience))
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	_, writeErr := t.buf.WriteTo(t.w)
	return errors.Join(err, writeErr, t.control.Flush())
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// seriesText writes a series as an exposition does.
func seriesText(ls labels.Labels) string {
	name := ls.Get(model.MetricNameLabel)
	if !model.LegacyValidation.IsValidMetricName(name) {
		return ls.String()
	}
	rest := labels.NewBuilder(ls).Del(model.MetricNameLabel).Labels()
	if rest.IsEmpty() {
		return name
	}
	return name + rest.String()
}
