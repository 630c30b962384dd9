package scrape

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"
)

var errBucketLimit = errors.New("histogram bucket limit exceeded")

// sampleValue is the value of a sample: a float, or one of the two kinds of histograms.
type sampleValue struct {
	v         float64
	histogram bool
	int       *histogram.Histogram
	float     *histogram.FloatHistogram
}

// limit reduces the resolution of a histogram as the settings demand.
func (v *sampleValue) limit(set *settings) error {
	if !v.histogram {
		return nil
	}
	if set.maxSchema < histogram.ExponentialSchemaMax {
		if v.int != nil && histogram.IsExponentialSchemaReserved(v.int.Schema) && v.int.Schema > set.maxSchema {
			if err := v.int.ReduceResolution(set.maxSchema); err != nil {
				return err
			}
		}
		if v.float != nil && histogram.IsExponentialSchemaReserved(v.float.Schema) && v.float.Schema > set.maxSchema {
			if err := v.float.ReduceResolution(set.maxSchema); err != nil {
				return err
			}
		}
	}
	for set.bucketLimit > 0 && v.buckets() > set.bucketLimit {
		if err := v.halve(); err != nil {
			return err
		}
	}
	return nil
}

// buckets returns how many buckets a histogram has.
func (v *sampleValue) buckets() int {
	if v.int != nil {
		return len(v.int.PositiveBuckets) + len(v.int.NegativeBuckets)
	}
	return len(v.float.PositiveBuckets) + len(v.float.NegativeBuckets)
}

// halve merges the buckets of a histogram in pairs.
func (v *sampleValue) halve() error {
	schema := func(s int32) error {
		if !histogram.IsExponentialSchema(s) || s <= histogram.ExponentialSchemaMin {
			return errBucketLimit
		}
		return nil
	}
	if v.int != nil {
		if err := schema(v.int.Schema); err != nil {
			return err
		}
		return v.int.ReduceResolution(v.int.Schema - 1)
	}
	if err := schema(v.float.Schema); err != nil {
		return err
	}
	return v.float.ReduceResolution(v.float.Schema - 1)
}

func (v *sampleValue) validate() error {
	switch {
	case v.int != nil:
		return v.int.Validate()
	case v.float != nil:
		return v.float.Validate()
	}
	return nil
}
