package receiver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Reason is why a sample, histogram or exemplar was not stored.
type Reason string

// The reasons that rules give.
const (
	OutOfOrder  Reason = "out of order"
	Duplicate   Reason = "duplicate"        // another value at the same time
	BeforeAll   Reason = "before window"    // of out-of-order samples
	TooOld      Reason = "too old"          // by age
	TooNew      Reason = "too new"          // in the future
	SeriesLimit Reason = "series limit"     // one series too many
	LabelValue  Reason = "label value"      // too long
	LabelNames  Reason = "number of labels" // too many
	BadSeries   Reason = "bad series"
	Once        Reason = "refused once"
	NoHistogram Reason = "native histograms off"
	NoExemplar  Reason = "exemplars refused"
	// Company is the refusal of another sample of the request, by an atomic receiver.
	Company Reason = "in company"
)

// data are the reasons that depend on the sample alone, not on what else was sent, or when.
var data = []Reason{TooOld, TooNew, SeriesLimit, LabelValue, LabelNames, BadSeries, Once, NoHistogram}

// byStatus is the reason where a gate refused the whole request.
func byStatus(status int) Reason {
	if status == 0 {
		return "no answer"
	}
	return Reason(fmt.Sprintf("status %d", status))
}

// Entry is what is recorded of one sample.
type Entry struct {
	Sample
	Sent    int      // requests that held it and were read
	Taken   int      // of these, how many took it; more than 1: it was repeated
	By      []int    // the numbers of those that took it
	Refused []Reason // those that did not
	Alone   []int    // statuses of gates that refused a request of which it was the only sample
	Silent  int      // requests that dropped it and were answered 2xx without saying so

	excused bool
}

// Excused tells whether the sender may have dropped a sample that is not stored. It may if the receiver
//
//   - refused the sample for what it is, not for when or with what it came, or
//   - answered 400, 406, 409, 411 or 422 to a request of this sample alone, of a version that it understands, or
//   - dropped the sample and said that it did not: 2xx, by 2.0 with headers,
//
// and the answer arrived. A refusal of a whole request excuses nothing, and neither does a 2xx without headers to 2.0.
func (e Entry) Excused() bool { return e.excused }

// final are the statuses by which the request is at fault.
var final = []int{http.StatusBadRequest, http.StatusNotAcceptable, http.StatusConflict, http.StatusLengthRequired, http.StatusUnprocessableEntity}

// Exchange is one request and its answer.
type Exchange struct {
	Number   int
	At       time.Time // when it came
	Done     time.Time // when the answer left, or the sender hung up; zero while it is under way
	URL      string
	Version  int
	Status   int    // 0: there was no answer
	Text     string // of the answer
	Gate     string // what answered it, empty if it was judged sample by sample
	Sent     Counts
	Metadata int
	Series   int
	Bytes    int // compressed
	Decoded  int // uncompressed
	Attempt  int // Retry-Attempt
	Stored   Counts
	Repeated Counts
	Refused  int // items
	Lost     bool
	// Authorized tells whether the request had credentials.
	Authorized bool
}

// seriesRecord is what is known of one series.
type seriesRecord struct {
	labels    labels.Labels
	entries   []Entry // in the order in which they were sent first
	at        map[int64]int
	stored    []Sample
	exemplars []string
	newest    Sample // stored
	exemplar  exemplar
	sent      int64 // the newest that was sent
	inFlight  int   // requests that hold the series
}

// entry finds or makes the entry of a sample.
func (b *seriesRecord) entry(s Sample) (e *Entry, found bool) {
	i, found := b.at[s.Time]
	if !found {
		i = len(b.entries)
		b.at[s.Time] = i
		b.entries = append(b.entries, Entry{Sample: s})
	}
	return &b.entries[i], found
}

// Stored returns the samples of each series that has any, in the order in which they were stored, without repeated ones.
func (r *Receiver) Stored() map[string][]Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]Sample{}
	for name, b := range r.series {
		if len(b.stored) > 0 {
			out[name] = slices.Clone(b.stored)
		}
	}
	return out
}

// StoredSeries is what is stored of one series.
type StoredSeries struct {
	Name    string // as labels.Labels writes it
	Labels  labels.Labels
	Samples []Sample // in the order in which they were stored
}

// Select returns the series that bear some labels and of which samples are stored, by name. Labels to match are names and values in
// turn; an empty value matches series without the label.
func (r *Receiver) Select(match ...string) []StoredSeries {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []StoredSeries
	for name, b := range r.series {
		if len(b.stored) > 0 && bears(b.labels, match) {
			out = append(out, StoredSeries{name, b.labels, slices.Clone(b.stored)})
		}
	}
	slices.SortFunc(out, func(a, b StoredSeries) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func bears(ls labels.Labels, match []string) bool {
	for pair := range slices.Chunk(match, 2) {
		if ls.Get(pair[0]) != pair[1] {
			return false
		}
	}
	return true
}

// Exemplars returns the exemplars of each series in the order in which they were stored, as text.
func (r *Receiver) Exemplars() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]string{}
	for name, b := range r.series {
		if len(b.exemplars) > 0 {
			out[name] = slices.Clone(b.exemplars)
		}
	}
	return out
}

// Entries returns what is recorded of each sample of each series, in the order in which they were first sent.
func (r *Receiver) Entries() map[string][]Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]Entry{}
	for name, b := range r.series {
		out[name] = slices.Clone(b.entries)
	}
	return out
}

// Entry returns what is recorded of one sample.
func (r *Receiver) Entry(series string, ms int64) (Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.series[series]; b != nil {
		if i, ok := b.at[ms]; ok {
			return b.entries[i], true
		}
	}
	return Entry{}, false
}

// Refused counts refusals by reason, each one of a sample that is refused again and again. The reason of a gate is "status 400" and
// the like, or "no answer".
func (r *Receiver) Refused() map[Reason]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.refused)
}

// Requests returns the exchanges so far, also those that have no answer yet.
func (r *Receiver) Requests() []Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Exchange, len(r.requests))
	for i, x := range r.requests {
		out[i] = *x
	}
	return out
}

// Metadata returns type, help and unit of each metric family, by 2.0 of each metric name.
func (r *Receiver) Metadata() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.metadata)
}

// Problems lists what in requests, and in their order, is against the MUSTs of remote write 1.0 and 2.0.
func (r *Receiver) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.problems)
}

// Parallel lists the series that were in two requests at the same time. It is exact with RoundTrip only: a server learns late that a
// client has hung up.
func (r *Receiver) Parallel() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.parallel)
}

func note(list *[]string, number int, text string) {
	if len(*list) < 100 {
		*list = append(*list, fmt.Sprintf("request %d: %s", number, text))
	}
}
