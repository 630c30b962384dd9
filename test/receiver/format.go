package receiver

import (
	"encoding/hex"
	"fmt"
	"math"

	promexemplar "github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	prommetadata "github.com/prometheus/prometheus/model/metadata"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// HistogramText writes that one of two histograms that is not nil: what a person looks at, and then all but its time to the last bit.
func HistogramText(h *histogram.Histogram, fh *histogram.FloatHistogram) string {
	var text string
	var m writev2.Histogram
	if fh != nil {
		// Sum+0: the encoding of Prometheus leaves a sum of -0 out, as it does with 0.
		text, m = fmt.Sprintf("float schema=%d count=%v sum=%v", fh.Schema, fh.Count, fh.Sum+0), writev2.FromFloatHistogram(0, 0, fh)
	} else {
		text, m = fmt.Sprintf("schema=%d count=%d sum=%v", h.Schema, h.Count, h.Sum+0), writev2.FromIntHistogram(0, 0, h)
	}
	b, err := m.Marshal()
	if err != nil {
		return text + " " + err.Error()
	}
	return text + " " + hex.EncodeToString(b)
}

// ExemplarText writes an exemplar: its time, its value, the value's bits and its labels.
func ExemplarText(e promexemplar.Exemplar) string {
	return fmt.Sprintf("%d %v(%016x) %s", e.Ts, e.Value, math.Float64bits(e.Value), e.Labels)
}

// MetadataText writes type, help and unit of a series; it is empty if there are none.
func MetadataText(m prommetadata.Metadata) string {
	if m.IsEmpty() {
		return ""
	}
	return fmt.Sprintf("%s %q %s", m.Type, m.Help, m.Unit)
}
