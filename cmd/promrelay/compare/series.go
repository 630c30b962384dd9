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
	"github.com/prometheus/prometheus/model/labels"
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

// parsed are the matchers of a question, and the labels that tell its sides apart.
type parsed struct {
	old, new string
	apart    []string
}

func (q Question) parse() (p parsed, err error) {
	names := map[string]bool{}
	for _, side := range []struct {
		flag, text string
		out        *string
	}{{"--old", q.Old, &p.old}, {"--new", q.New, &p.new}} {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(side.text)
		if err != nil {
			return p, fmt.Errorf("%s=%s: want a selector such as {prometheus_replica=\"a\"}: %w", side.flag, side.text, err)
		}
		*side.out = side.text
		for _, m := range matchers {
			if m.Name != labels.MetricName && m.Name != "job" {
				names[m.Name] = true
			}
		}
	}
	p.apart = slices.Sorted(maps.Keys(names))
	if p.old == p.new {
		return p, fmt.Errorf("--old and --new are the same, %s: want selectors that tell the two apart", p.old)
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
	for _, one := range []struct {
		query string
		take  func(*model.Sample)
	}{
		{"count by (job) (count_over_time(%[1]s[%[3]s]))", func(s *model.Sample) { job(s).OldSeries = float64(s.Value) }},
		{"count by (job) (count_over_time(%[2]s[%[3]s]))", func(s *model.Sample) { job(s).NewSeries = float64(s.Value) }},
		{"sum by (job) (count_over_time(%[1]s[%[3]s]))", func(s *model.Sample) { job(s).OldSamples = float64(s.Value) }},
		{"sum by (job) (count_over_time(%[2]s[%[3]s]))", func(s *model.Sample) { job(s).NewSamples = float64(s.Value) }},
		{p.less("%[1]s", "%[2]s"), func(s *model.Sample) { job(s).Missing[string(s.Metric[nameLabel])] = float64(s.Value) }},
		{p.less("%[2]s", "%[1]s"), func(s *model.Sample) { job(s).Extra[string(s.Metric[nameLabel])] = float64(s.Value) }},
	} {
		found, err := ask.Query(ctx, fmt.Sprintf(one.query, p.old, p.new, window), q.At)
		if err != nil {
			return err
		}
		for _, s := range found {
			one.take(s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		to.addSeries(*all[name])
	}
	return nil
}

// less asks for the series of one side that the other one lacks, by job and metric. Labels that tell the sides apart do not count.
func (p parsed) less(of, without string) string {
	set := func(selector string) string {
		return fmt.Sprintf(`group without (%s) (label_replace(last_over_time(%s[%%[3]s]), %q, "$1", "__name__", "(.+)"))`, strings.Join(p.apart, ", "), selector, nameLabel)
	}
	return fmt.Sprintf("count by (job, %s) (%s unless %s)", nameLabel, set(of), set(without))
}

// addSeries adds the series of a job, and what differs.
func (r *Result) addSeries(s JobSeries) {
	r.Series = append(r.Series, s)
	for _, side := range []struct {
		what   string
		series map[string]float64
	}{{"series are missing at the relay", s.Missing}, {"series are only at the relay", s.Extra}} {
		if len(side.series) > 0 {
			r.Differences = append(r.Differences, Difference{Kind: Series, Job: s.Job, Text: fmt.Sprintf("%.0f %s: %s", total(side.series), side.what, largest(side.series))})
		}
	}
	if !near(s.OldSamples, s.NewSamples, max(s.OldSeries, s.NewSeries)) {
		r.Differences = append(r.Differences, Difference{Kind: Samples, Job: s.Job, Text: fmt.Sprintf("%.0f samples of Prometheus, %.0f of the relay", s.OldSamples, s.NewSamples)})
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
