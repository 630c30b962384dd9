package scrape

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"

	"promrelay/targets"
)

// settings is how the pages of one target are read.
type settings struct {
	labels []labels.Label // that the target's series bear
	size   int            // bytes that they add to a series, with what the names of its own are prefixed with
	rules  []*relabel.Config
	job    *targets.Job // by whose words errors call what is configured

	honorLabels, honorTimestamps, trackTimestampsStaleness bool

	sampleLimit, bucketLimit                   int // 0 is none
	maxSchema                                  int32
	labelLimit, nameLengthLimit, valueLenLimit int

	scheme model.ValidationScheme
	parser textparse.ParserOptions
}

func newSettings(t *targets.Target) *settings {
	c := t.Job.Config
	native, classic, convert := t.NativeHistograms()
	s := &settings{
		rules: c.MetricRelabelConfigs, job: t.Job,
		honorLabels: c.HonorLabels, honorTimestamps: c.HonorTimestamps, trackTimestampsStaleness: c.TrackTimestampsStaleness,
		sampleLimit: int(c.SampleLimit), bucketLimit: int(c.NativeHistogramBucketLimit),
		maxSchema:  maxSchema(c.NativeHistogramMinBucketFactor),
		labelLimit: int(c.LabelLimit), nameLengthLimit: int(c.LabelNameLengthLimit), valueLenLimit: int(c.LabelValueLengthLimit),
		scheme: c.MetricNameValidationScheme,
		parser: textparse.ParserOptions{
			IgnoreNativeHistograms: !native, ConvertClassicHistogramsToNHCB: convert,
			KeepClassicOnClassicAndNativeHistograms: classic,
			FallbackContentType:                     c.ScrapeFallbackProtocol.HeaderMediaType(),
		},
	}
	t.Public().Range(func(l labels.Label) {
		s.labels = append(s.labels, l)
		s.size += len(l.Name) + len(l.Value)
	})
	return s
}

// maxSchema is the finest resolution of native histograms that the smallest factor from bucket to
// bucket allows (pickSchema of prometheus/scrape).
func maxSchema(factor float64) int32 {
	if factor <= 1 {
		factor = 1.00271
	}
	f := math.Floor(-math.Log2(math.Log2(factor)))
	return int32(min(max(f, float64(histogram.ExponentialSchemaMin)), float64(histogram.ExponentialSchemaMax)))
}

// series sets p.lset to the labels of the series at which parser stands, as they are after
// relabelling; to none if a rule dropped it.
func (p *page) series(parser textparse.Parser) error {
	parser.Labels(&p.lset)
	if n := p.lset.Len(); n > maxLabels {
		return countError(n)
	}
	if p.builder == nil {
		p.builder = labels.NewBuilder(labels.EmptyLabels())
	}
	size := int(p.lset.ByteSize()) + p.set.size
	p.set.attach(p.builder, p.lset)
	keep, err := p.set.relabel(p.builder, size)
	if err != nil {
		return err
	}
	if !keep {
		p.lset = labels.EmptyLabels()
		return nil
	}
	p.lset = p.builder.Labels()
	switch {
	case p.lset.IsEmpty():
		return nil
	case !p.lset.Has(model.MetricNameLabel):
		return errNameMissing
	case !p.lset.IsValid(p.set.scheme):
		return fmt.Errorf("invalid metric name or label names: %s", p.lset.String())
	}
	return p.set.checkLimits(p.lset)
}

// attach sets b to the labels of a series and of its target (mutateSampleLabels of prometheus/scrape).
func (s *settings) attach(b *labels.Builder, own labels.Labels) {
	b.Reset(own)
	var conflicts []labels.Label
	for _, l := range s.labels {
		if s.honorLabels {
			if !own.Has(l.Name) {
				b.Set(l.Name, l.Value)
			}
			continue
		}
		if v := own.Get(l.Name); v != "" {
			conflicts = append(conflicts, labels.Label{Name: l.Name, Value: v})
		}
		b.Set(l.Name, l.Value)
	}
	slices.SortStableFunc(conflicts, func(a, b labels.Label) int { return len(a.Name) - len(b.Name) })
	for _, l := range conflicts {
		name := model.ExportedLabelPrefix + l.Name
		for b.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		b.Set(name, l.Value)
	}
}

// checkLimits is verifyLabelLimits of prometheus/scrape.
func (s *settings) checkLimits(ls labels.Labels) error {
	metric := ls.Get(model.MetricNameLabel)
	if n := ls.Len(); s.labelLimit > 0 && n > s.labelLimit {
		return labelLimitError{fmt.Sprintf("%s exceeded (metric: %.50s, number of labels: %d, limit: %d)", s.job.Owner.Key("label_limit"), metric, n, s.labelLimit)}
	}
	if s.nameLengthLimit == 0 && s.valueLenLimit == 0 {
		return nil
	}
	return ls.Validate(func(l labels.Label) error {
		if n := len(l.Name); s.nameLengthLimit > 0 && n > s.nameLengthLimit {
			return labelLimitError{fmt.Sprintf("%s exceeded (metric: %.50s, label name: %.50s, length: %d, limit: %d)", s.job.Owner.Key("label_name_length_limit"), metric, l.Name, n, s.nameLengthLimit)}
		}
		if n := len(l.Value); s.valueLenLimit > 0 && n > s.valueLenLimit {
			return labelLimitError{fmt.Sprintf("%s exceeded (metric: %.50s, label name: %.50s, value: %.50q, length: %d, limit: %d)", s.job.Owner.Key("label_value_length_limit"), metric, l.Name, l.Value, n, s.valueLenLimit)}
		}
		return nil
	})
}

type labelLimitError struct{ text string }

func (e labelLimitError) Error() string { return e.text }

// reportSeries are the series that every target has beside its page's.
var reportSeries = [...]struct{ name, help, unit string }{
	{"up", "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.", "targets"},
	{"scrape_duration_seconds", "Duration of the last scrape in seconds.", "seconds"},
	{"scrape_samples_scraped", "Number of samples last scraped.", "samples"},
	{"scrape_samples_post_metric_relabeling", "Number of samples remaining after metric relabeling was applied.", "samples"},
	{"scrape_series_added", "Number of series in the last scrape.", "series"},
	{"scrape_timeout_seconds", "The configured scrape timeout for a target.", "seconds"},
	{"scrape_sample_limit", "The configured sample limit for a target. Returns zero if there is no limit configured.", "samples"},
	{"scrape_body_size_bytes", "The uncompressed size of the last scrape response, if successful. Scrapes failing because body_size_limit is exceeded report -1, other scrape failures report 0.", "bytes"},
}

// basicReports is how many of reportSeries a target has without extra_scrape_metrics.
const basicReports = 5

// reportLabels returns the labels of report series n (mutateReportSampleLabels of prometheus/scrape).
func (s *settings) reportLabels(n int) labels.Labels {
	name := labels.FromStrings(model.MetricNameLabel, reportSeries[n].name)
	b := labels.NewBuilder(name)
	for _, l := range s.labels {
		b.Set(model.ExportedLabelPrefix+l.Name, name.Get(l.Name))
		b.Set(l.Name, l.Value)
	}
	return b.Labels()
}

// reports tells how many report series a target of the job has.
func reports(c *promconfig.ScrapeConfig) int {
	if c.ExtraScrapeMetricsEnabled() {
		return len(reportSeries)
	}
	return basicReports
}
