package scrape

import (
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"

	"promrelay/targets"
)

// settings says how the pages of one target are read.
type settings struct {
	labels []labels.Label // that the target's series get
	size   int            // bytes that labels add to a series, prefixes of its own names included
	rules  []*relabel.Config
	job    *targets.Job // whose keys errors name

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

// maxSchema returns the finest resolution of native histograms that the smallest factor between
// buckets allows (pickSchema of prometheus/scrape).
func maxSchema(factor float64) int32 {
	if factor <= 1 {
		factor = 1.00271
	}
	f := math.Floor(-math.Log2(math.Log2(factor)))
	return int32(min(max(f, float64(histogram.ExponentialSchemaMin)), float64(histogram.ExponentialSchemaMax)))
}
