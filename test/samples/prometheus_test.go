package samples

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	promscrape "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	fake "promrelay/test/receiver"
)

func floatText(v float64) string { return fmt.Sprintf("%x", math.Float64bits(v)) }

// recorder is a storage.AppendableV2 that drops samples out of order as tsdb/agent does, with two exceptions that docs/fidelity.md lists:
// it also drops what is out of order within one commit, and a sample at the time of the last one of its series is no error.
type recorder struct {
	mu                 sync.Mutex
	series             map[string]*recorded
	refs               []*recorded
	out                got
	seen               *features
	protobuf, nameless bool // pages are
	exact              bool // metadata that is not given is that which the series' target gave last
	held               map[promscrape.MetricMetadataStore]*held
}

type recorded struct {
	ref           storage.SeriesRef
	name          string
	last          int64
	exemplar      *exemplar.Exemplar
	known         map[string]bool // metadata that was given, also by a page that failed
	paged, report bool            // it was appended as a line of a page, as a report series
	said          string          // metadata that was given last
	fresh         bool            // the line is a new one, and no metadata was given since
}

func (r *recorder) AppenderV2(ctx context.Context) storage.AppenderV2 {
	a := &recorderAppender{
		r: r, lost: r.nameless, metas: map[*recorded]string{}, mixed: map[*recorded]bool{}, fresh: map[*recorded]bool{},
		given: map[*recorded]bool{}, marked: map[*recorded]bool{},
	}
	a.held, a.cache = r.heldBy(ctx)
	return a
}

type recorderAppender struct {
	r       *recorder
	metas   map[*recorded]string // given in this transaction
	mixed   map[*recorded]bool   // given with different metadata in this transaction: the relay knows only the last
	fresh   map[*recorded]bool   // appended in this transaction without a reference
	lost    bool                 // the metadata of what follows
	pending []func()

	held   *held
	cache  promscrape.MetricMetadataStore
	time   int64              // of the scrape, once it comes to its report
	given  map[*recorded]bool // by the page
	marked map[*recorded]bool // with a staleness marker
}

// before tells whether a label of the series sorts before its name.
func before(series labels.Labels) bool {
	return !strings.HasPrefix(series.String(), "{"+model.MetricNameLabel)
}

var errInvalid = errors.New("invalid sample")

func (a *recorderAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	value := floatText(v)
	switch {
	case fh != nil:
		if err := fh.Validate(); err != nil {
			return 0, err
		}
		value = fake.HistogramText(nil, fh)
		a.r.seen.add("out: float histograms")
	case h != nil:
		if err := h.Validate(); err != nil {
			return 0, err
		}
		value = fake.HistogramText(h, nil)
		if h.UsesCustomBuckets() {
			a.r.seen.add("out: histograms of custom buckets")
		} else {
			a.r.seen.add("out: native histograms")
		}
	}
	s, err := a.find(ref, ls)
	if err != nil {
		return 0, err
	}
	report := strings.HasSuffix(o.MetricFamilyName, "\xff")
	if report {
		s.report, a.time = true, t // also where the sample is refused: another target of the same labels may have gone ahead
	} else {
		s.paged = true
	}
	if (t > s.last || t == s.last && ref != 0) && a.note(s, t, v, h != nil || fh != nil, report) {
		return s.ref, nil
	}
	// Prometheus compares the name of the family with the bytes that the protobuf parser has put into their place: it loses the
	// metadata at a series whose first label is not the name, for the rest of the family.
	a.lost = a.lost || a.r.protobuf && before(ls)
	if ref == 0 && a.fresh[s] {
		a.r.seen.add("series that relabelling makes one")
	}
	a.fresh[s] = a.fresh[s] || ref == 0
	if t == s.last && ref != 0 {
		a.r.seen.add("sample of the time of the last one")
		return s.ref, nil // as in tsdb; tsdb/agent would refuse it
	}
	if t <= s.last {
		a.r.seen.add("sample out of order")
		return 0, storage.ErrOutOfOrderSample
	}
	meta := fake.MetadataText(o.Metadata)
	if m, ok := a.metas[s]; ok && m != meta {
		a.mixed[s] = true
	}
	if a.lost && meta == "" {
		meta = anyMeta
	}
	a.metas[s] = meta
	s.known[meta] = true
	s.fresh = ref == 0 || s.fresh
	if meta != "" {
		s.said, s.fresh = meta, false
	}
	out := sample{ms: t, start: st, value: value, meta: meta, known: s.known}
	if a.r.exact && meta == "" {
		out.known = map[string]bool{s.said: true, "": s.fresh}
	}
	a.pending = append(a.pending, func() {
		if t <= s.last {
			return
		}
		s.last = t
		if a.mixed[s] {
			out.meta, s.known[anyMeta] = anyMeta, true
		}
		a.r.out.samples[s.name] = append(a.r.out.samples[s.name], out)
	})
	a.exemplars(s, o.Exemplars)
	return s.ref, nil
}

func (a *recorderAppender) find(ref storage.SeriesRef, ls labels.Labels) (*recorded, error) {
	if ref != 0 {
		return a.r.refs[ref-1], nil
	}
	ls = ls.WithoutEmpty()
	if name, dup := ls.HasDuplicateLabelNames(); dup {
		return nil, fmt.Errorf("label name %q is not unique: %w", name, errInvalid)
	}
	s := a.r.series[ls.String()]
	if s == nil {
		s = &recorded{name: ls.String(), last: math.MinInt64, known: map[string]bool{"": true}}
		a.r.refs = append(a.r.refs, s)
		s.ref = storage.SeriesRef(len(a.r.refs))
		a.r.series[s.name] = s
	}
	return s, nil
}

func (a *recorderAppender) exemplars(s *recorded, es []exemplar.Exemplar) {
	for _, e := range es {
		e.Labels = e.Labels.WithoutEmpty()
		size := 0
		e.Labels.Range(func(l labels.Label) { size += len([]rune(l.Name)) + len([]rune(l.Value)) })
		if _, dup := e.Labels.HasDuplicateLabelNames(); dup || size > exemplar.ExemplarMaxLabelSetLength || s.exemplar != nil && !newerExemplar(*s.exemplar, e) {
			continue
		}
		s.exemplar = &e
		a.pending = append(a.pending, func() {
			a.r.out.exemplars[s.name] = append(a.r.out.exemplars[s.name], fake.ExemplarText(e))
		})
	}
}

// newerExemplar is validateExemplar of tsdb's exemplar storage, which receivers have; but NaN is the smallest value and equal to
// itself, where that storage takes every exemplar that has it.
func newerExemplar(newest, e exemplar.Exemplar) bool {
	if newest.Equals(e) {
		return false
	}
	return cmp.Or(cmp.Compare(e.Ts, newest.Ts), cmp.Compare(e.Value, newest.Value), cmp.Compare(e.Labels.Hash(), newest.Labels.Hash())) > 0
}

func (a *recorderAppender) Commit() error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	for _, f := range a.pending {
		f()
	}
	a.settle()
	return nil
}

func (a *recorderAppender) Rollback() error {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.broken()
	return nil
}

// result is what was recorded. Of a series that both a page and the report give, the metadata is not compared: the relay has
// one for the series, and the report's comes last.
func (r *recorder) result() got {
	for _, s := range r.refs {
		if s.paged && s.report {
			r.seen.add("page with a report series")
			for i := range r.out.samples[s.name] {
				r.out.samples[s.name][i].meta = anyMeta
			}
		}
	}
	return r.out
}

// runPrometheus runs the sequence through prometheus/scrape.
func runPrometheus(t testing.TB, steps []step, seen *features) (out got, good []bool) {
	e := newExporter()
	defer e.stop()
	r := &recorder{series: map[string]*recorded{}, out: newGot(), seen: seen, protobuf: hasProtobuf(steps)}
	r.nameless = r.protobuf && nameless(steps)
	if r.exact = oneTable(steps) && !r.nameless; r.exact {
		seen.add("exact metadata")
	}
	o := &promscrape.Options{
		AppendMetadata: true, PassMetadataInContext: true, ParseST: parseST(steps), HTTPClientOptions: e.options(),
		DiscoveryReloadInterval: model.Duration(time.Millisecond), DiscoveryReloadOnStartup: true,
	}
	fqdn := reflect.ValueOf(o).Elem().FieldByName("fqdn") // else it asks the DNS, which a bubble must not
	*(*string)(unsafe.Pointer(fqdn.UnsafeAddr())) = host
	m, err := promscrape.NewManager(o, nil, nil, nil, r, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	sets := make(chan map[string][]*targetgroup.Group)
	done := make(chan struct{})
	go func() { m.Run(sets); close(done) }()
	outcomes := newOutcomes(seen)
	play(t, e, steps, func(s *state, change step) {
		if len(change.configs) > 0 || len(change.remove) > 0 {
			if err := m.ApplyConfig(s.config); err != nil {
				t.Fatal(err)
			}
		}
		all := map[string][]*targetgroup.Group{}
		for job, groups := range s.groups {
			all[job] = groups
		}
		sets <- all
	}, func(n int, s *state) { outcomes.take(steps[n], s, m.TargetsActive()) })
	m.Stop()
	<-done
	outcomes.end()
	out = r.result()
	out.requests = e.requests()
	return out, outcomes.good
}

// parseST tells whether start timestamps can be compared: promrelay takes them from protobuf alone. (With OpenMetrics
// text Prometheus would drop the _created series for them, and an exemplar that is cut short makes it spin for ever.)
func parseST(steps []step) bool {
	return !hasPage(steps, "openmetrics-text") && !hasConfig(steps, "fallback_scrape_protocol: OpenMetrics")
}

func hasProtobuf(steps []step) bool {
	return hasPage(steps, "protobuf") || hasConfig(steps, "fallback_scrape_protocol: PrometheusProto")
}

// hasPage tells whether a page may be of the type.
func hasPage(steps []step, contentType string) (has bool) {
	for _, s := range steps {
		for _, a := range s.answers {
			a.each(func(t, _ string) { has = has || strings.Contains(t, contentType) })
		}
	}
	return has
}

// hasConfig tells whether a configuration has the text.
func hasConfig(steps []step, text string) bool {
	for _, s := range steps {
		for _, c := range s.configs {
			if strings.Contains(c, text) {
				return true
			}
		}
	}
	return false
}

// oneTable tells whether all pages are those of one target, which keeps its table.
func oneTable(steps []step) bool {
	for i, s := range steps {
		if i > 0 && s.changesA() || len(s.answers) > 1 || len(s.targets["job"]) > 1 {
			return false
		}
	}
	return true
}

// nameless tells whether a page of protobuf has labels that sort before the name and that relabelling may take away, or whose sample
// may not come through: the recorder does not see that the metadata is lost behind them.
func nameless(steps []step) (is bool) {
	hidden := hasConfig(steps, "metric_relabel_configs") || hasConfig(steps, "_limit: ")
	for _, s := range steps {
		for _, a := range s.answers {
			a.each(func(_, body string) { is = is || beforeName(body, hidden) })
		}
	}
	return is
}

func beforeName(page string, hidden bool) bool {
	p, err := textparse.New([]byte(page), protobuf, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return false
	}
	for {
		entry, err := p.Next()
		if err != nil {
			return false
		}
		var ls labels.Labels
		if entry == textparse.EntrySeries || entry == textparse.EntryHistogram {
			p.Labels(&ls)
		}
		if !ls.IsEmpty() && before(ls) && (hidden || ls.Get("Upper") == "") {
			return true
		}
	}
}
