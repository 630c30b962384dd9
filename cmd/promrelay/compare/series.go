package compare

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Querier answers instant queries of PromQL.
type Querier interface {
	Query(ctx context.Context, query string, at time.Time) (model.Vector, error)
}

// Question says which series are compared.
type Question struct {
	// Old and New are matchers of the series that Prometheus writes, and of those that the relay writes.
	Old, New string
	Window   time.Duration // of the past
	At       time.Time
}

// JobSeries compares the series of a job.
type JobSeries struct {
	Job        string  `json:"job"`
	OldSeries  float64 `json:"prometheusSeries"`
	NewSeries  float64 `json:"relaySeries"`
	OldSamples float64 `json:"prometheusSamples"`
	NewSamples float64 `json:"relaySamples"`
	// Missing are series that Prometheus writes and the relay does not, and Extra the reverse, by metric.
	Missing map[string]float64 `json:"missing,omitempty"`
	Extra   map[string]float64 `json:"extra,omitempty"`
}

// nameLabel holds the name of a metric: an aggregation drops __name__.
const nameLabel = "promrelay_compare_name"

// parsed are the selectors of a question, and the labels that tell its sides apart.
type parsed struct {
	old, new selector
	apart    []string
}

// selector is matchers, as they stand between braces.
type selector string

// of returns the selector, for one metric if a name is given.
func (s selector) of(metric string) string {
	if metric == "" {
		return "{" + string(s) + "}"
	}
	return fmt.Sprintf("{%s,__name__=%q}", s, metric)
}

func (q Question) parse() (p parsed, err error) {
	names := map[string]bool{}
	for _, side := range []struct {
		flag, text string
		out        *selector
	}{{"--old", q.Old, &p.old}, {"--new", q.New, &p.new}} {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(side.text)
		if err != nil {
			return p, fmt.Errorf("%s=%s: want a selector such as {prometheus_replica=\"a\"}: %w", side.flag, side.text, err)
		}
		var texts []string
		for _, m := range matchers {
			texts = append(texts, m.String())
			if m.Name != model.MetricNameLabel && m.Name != "job" {
				names[m.Name] = true
			}
		}
		*side.out = selector(strings.Join(texts, ","))
	}
	p.apart = slices.Sorted(maps.Keys(names))
	if p.old == p.new {
		return p, fmt.Errorf("--old and --new are the same, %s: want selectors that tell the two apart", q.Old)
	}
	return p, nil
}

// Compare asks for the series of both sides, and adds them to a result.
func (q Question) Compare(ctx context.Context, ask Querier, to *Result) error {
	p, err := q.parse()
	if err != nil {
		return err
	}
	window := model.Duration(q.Window).String()
	all := map[string]*JobSeries{}
	job := func(s *model.Sample) *JobSeries {
		name := string(s.Metric["job"])
		if all[name] == nil {
			all[name] = &JobSeries{Job: name, Missing: map[string]float64{}, Extra: map[string]float64{}}
		}
		return all[name]
	}
	take := func(query string, take func(*model.Sample)) {
		if err != nil {
			return
		}
		var found model.Vector
		found, err = ask.Query(ctx, query, q.At)
		for _, s := range found {
			take(s)
		}
	}
	for _, side := range []struct {
		of              selector
		series, samples func(*JobSeries) *float64
	}{
		{p.old, func(j *JobSeries) *float64 { return &j.OldSeries }, func(j *JobSeries) *float64 { return &j.OldSamples }},
		{p.new, func(j *JobSeries) *float64 { return &j.NewSeries }, func(j *JobSeries) *float64 { return &j.NewSamples }},
	} {
		var metrics []string
		take(fmt.Sprintf("count by (__name__, job) (last_over_time(%s[%s]))", side.of.of(""), window), func(s *model.Sample) {
			*side.series(job(s)) += float64(s.Value)
			metrics = append(metrics, string(s.Metric[model.MetricNameLabel]))
		})
		slices.Sort(metrics)
		for some := range slices.Chunk(slices.Compact(metrics), metricsAtOnce) {
			take(samplesOf(side.of, some, window), func(s *model.Sample) { *side.samples(job(s)) += float64(s.Value) })
		}
	}
	take(p.less(p.old, p.new, window), func(s *model.Sample) { job(s).Missing[string(s.Metric[nameLabel])] = float64(s.Value) })
	take(p.less(p.new, p.old, window), func(s *model.Sample) { job(s).Extra[string(s.Metric[nameLabel])] = float64(s.Value) })
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		to.addSeries(*all[name])
	}
	return nil
}

// metricsAtOnce bounds the length of a query.
const metricsAtOnce = 50

// samplesOf asks for the number of samples of some metrics, by job. Each metric stands alone, since count_over_time drops the name, and two
// metrics with the same labels would then be one.
func samplesOf(s selector, metrics []string, window string) string {
	var parts []string
	for _, m := range metrics {
		parts = append(parts, fmt.Sprintf(`label_replace(count_over_time(%s[%s]), %q, %q, "", "")`, s.of(m), window, nameLabel, m))
	}
	return "sum by (job) (" + strings.Join(parts, " or ") + ")"
}

// less asks for the series of one side that the other one lacks, by job and metric. Labels that tell the sides apart do not count.
func (p parsed) less(of, without selector, window string) string {
	set := func(s selector) string {
		return fmt.Sprintf(`group without (%s) (label_replace(last_over_time(%s[%s]), %q, "$1", "__name__", "(.+)"))`, strings.Join(p.apart, ", "), s.of(""), window, nameLabel)
	}
	return fmt.Sprintf("count by (job, %s) (%s unless %s)", nameLabel, set(of), set(without))
}

// addSeries adds the series of a job, and what differs.
func (r *Result) addSeries(s JobSeries) {
	r.Series = append(r.Series, s)
	for _, side := range []struct {
		words  [2]string
		series map[string]float64
	}{
		{[2]string{"series is missing at the relay", "series are missing at the relay"}, s.Missing},
		{[2]string{"series is only at the relay", "series are only at the relay"}, s.Extra},
	} {
		if len(side.series) > 0 {
			r.Differences = append(r.Differences, Difference{Kind: Series, Job: s.Job, Text: counted(total(side.series), side.words) + ": " + largest(side.series)})
		}
	}
	if !near(s.OldSamples, s.NewSamples, max(s.OldSeries, s.NewSeries)) {
		r.Differences = append(r.Differences, Difference{Kind: Samples, Job: s.Job, Text: counted(s.OldSamples, [2]string{"sample", "samples"}) + fmt.Sprintf(" of Prometheus, %.0f of the relay", s.NewSamples)})
	}
}

// near reports whether two numbers of samples differ by no more than where a window begins and ends: a sample of each series, or 2 %.
func near(a, b, series float64) bool {
	return math.Abs(a-b) <= max(series, 0.02*max(a, b))
}

func total(series map[string]float64) (n float64) {
	for _, v := range series {
		n += v
	}
	return n
}

// shownMetrics is how many metrics are named.
const shownMetrics = 5

// largest names the metrics with the most series.
func largest(series map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(series), func(a, b string) int {
		if series[a] != series[b] {
			return int(series[b] - series[a])
		}
		return strings.Compare(a, b)
	})
	text := strings.Join(names[:min(len(names), shownMetrics)], ", ")
	if more := len(names) - shownMetrics; more > 0 {
		text += fmt.Sprintf(" and %d more metrics", more)
	}
	return text
}
