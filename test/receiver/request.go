package receiver

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

// Kind tells samples, native histograms and exemplars apart.
type Kind int

// The kinds, as indices of Counts.
const (
	Float Kind = iota
	Histogram
	Exemplar
)

// Counts are numbers of samples, histograms and exemplars, by Kind.
type Counts [3]int

// Samples is the number of samples, those with histograms among them.
func (c Counts) Samples() int { return c[Float] + c[Histogram] }

// Sample is a sample or a native histogram.
type Sample struct {
	Time      int64   // milliseconds since epoch
	Value     float64 // of a histogram its sum
	Histogram string  // HistogramText of it; empty for a sample

	// Start and Metadata came with the sample, by 2.0 alone. Equal does not look at them.
	Start    int64  // milliseconds since epoch, 0 for none
	Metadata string // MetadataText of its series; empty for none
}

// Stale tells whether the sample is a staleness marker.
func (s Sample) Stale() bool { return value.IsStaleNaN(s.Value) }

// Equal compares bit by bit.
func (s Sample) Equal(o Sample) bool {
	return s.Time == o.Time && math.Float64bits(s.Value) == math.Float64bits(o.Value) && s.Histogram == o.Histogram
}

// String shows the time, the value, and its bits, by which NaNs differ.
func (s Sample) String() string {
	return fmt.Sprintf("%d:%v(%016x)%s", s.Time, s.Value, math.Float64bits(s.Value), s.Histogram)
}

func (s Sample) kind() Kind {
	if s.Histogram != "" {
		return Histogram
	}
	return Float
}

// Exemplars are kept as text.
type exemplar struct {
	time int64
	text string
}

// Series is one TimeSeries of a request.
type Series struct {
	Name      string // as labels.Labels writes it, the key of all records
	Labels    labels.Labels
	Samples   []Sample
	exemplars []exemplar
}

// Request is what a gate knows of a request.
type Request struct {
	Number   int // 0 for the first one that the receiver saw
	At       time.Time
	Method   string
	Path     string
	Header   http.Header
	Version  int // of remote write by the Content-Type, 1 or 2; 0 if that is none
	Bytes    int // as they came, compressed
	Decoded  int // uncompressed
	Series   []Series
	Metadata int // families in metadata of 1.0, or series with metadata by 2.0
	Sent     Counts
	Attempt  int // Retry-Attempt, 0 without

	names    *names
	families map[string]string // metadata
	excused  []Item            // what the answer gives reason to drop, if it arrives
	err      error             // the body cannot be read as a message
}

// MetadataOnly tells whether the request holds metadata and no sample.
func (q *Request) MetadataOnly() bool { return q.Metadata > 0 && len(q.Series) == 0 }

// Item is one sample, histogram or exemplar of a request.
type Item struct {
	Kind    Kind
	Version int
	Series  *Series
	Sample  Sample // of an exemplar only its time

	exemplar string
}

// items calls f for each item, of each series the samples first.
func (q *Request) items(f func(Item)) {
	for i := range q.Series {
		s := &q.Series[i]
		for _, one := range s.Samples {
			f(Item{Kind: one.kind(), Version: q.Version, Series: s, Sample: one})
		}
		for _, e := range s.exemplars {
			f(Item{Kind: Exemplar, Version: q.Version, Series: s, Sample: Sample{Time: e.time}, exemplar: e.text})
		}
	}
}

func newRequest(req *http.Request, number int, known *names) *Request {
	q := &Request{
		Number: number, At: time.Now(), Method: req.Method, Path: req.URL.Path, Header: req.Header,
		Version: versionOf(req.Header.Get("Content-Type")), Bytes: int(max(req.ContentLength, 0)), names: known, families: map[string]string{},
	}
	q.Attempt, _ = strconv.Atoi(req.Header.Get("Retry-Attempt"))
	return q
}
