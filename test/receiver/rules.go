package receiver

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// View is the store as a rule sees it, with what the request has added so far.
type View struct {
	Now time.Time

	receiver *Receiver
	pending  map[string]*track
	added    int
}

// track is the newest of a series.
type track struct {
	newest   Sample
	known    bool
	exemplar exemplar
}

func (v *View) track(name string) *track {
	t := v.pending[name]
	if t == nil {
		t = &track{}
		if b := v.receiver.series[name]; b != nil {
			t.newest, t.known, t.exemplar = b.newest, len(b.stored) > 0, b.exemplar
		}
		v.pending[name] = t
	}
	return t
}

// Newest returns the newest sample of a series, if it has any.
func (v *View) Newest(series string) (Sample, bool) {
	t := v.track(series)
	return t.newest, t.known
}

// Series is how many series there are.
func (v *View) Series() int { return v.receiver.known + v.added }

// judge asks the rules, and remembers what is taken.
func (v *View) judge(rules []Rule, i Item) Verdict {
	for _, rule := range rules {
		if verdict := rule.Judge(v, i); verdict.Reason != "" {
			return verdict
		}
	}
	t := v.track(i.Series.Name)
	if i.Kind == Exemplar {
		if i.Sample.Time >= t.exemplar.time {
			t.exemplar = exemplar{i.Sample.Time, i.exemplar}
		}
		return Verdict{}
	}
	if !t.known {
		v.added++
	}
	if !t.known || i.Sample.Time > t.newest.Time {
		t.newest, t.known = i.Sample, true
	}
	return Verdict{}
}

// samples is a rule about samples and histograms.
func samples(name string, judge func(*View, Item) Verdict) Rule {
	return Rule{name, func(v *View, i Item) Verdict {
		if i.Kind == Exemplar {
			return Verdict{}
		}
		return judge(v, i)
	}}
}

// InOrder is Prometheus's storage without a window for out-of-order samples: older than the newest of its series is refused, and so is
// another value at the same time; the newest itself is taken again.
func InOrder() Rule { return Window(0) }

// Window is Prometheus's storage with a window for out-of-order samples, back from the newest sample of all series.
func Window(d time.Duration) Rule {
	return samples(fmt.Sprintf("window %s", d), func(v *View, i Item) Verdict {
		newest, ok := v.Newest(i.Series.Name)
		switch {
		case !ok || i.Sample.Time > newest.Time:
			return Verdict{}
		case i.Sample.Time == newest.Time:
			if i.Sample.Equal(newest) {
				return Verdict{}
			}
			return Verdict{Reason: Duplicate, Text: fmt.Sprintf("existing %g, new value %g", newest.Value, i.Sample.Value)}
		case d == 0:
			return Verdict{Reason: OutOfOrder}
		case i.Sample.Time < max(v.receiver.head, newest.Time)-d.Milliseconds():
			return Verdict{Reason: BeforeAll, Text: d.String()}
		}
		return Verdict{}
	})
}

// Bounds refuses samples that are older than age, or further ahead than ahead; 0 means no bound.
func Bounds(age, ahead time.Duration) Rule {
	return samples(fmt.Sprintf("bounds -%s +%s", age, ahead), func(v *View, i Item) Verdict {
		switch now := v.Now.UnixMilli(); {
		case age > 0 && i.Sample.Time < now-age.Milliseconds():
			return Verdict{Reason: TooOld}
		case ahead > 0 && i.Sample.Time > now+ahead.Milliseconds():
			return Verdict{Reason: TooNew}
		}
		return Verdict{}
	})
}

// MaxSeries refuses series beyond so many.
func MaxSeries(n int) Rule {
	return samples(fmt.Sprintf("max %d series", n), func(v *View, i Item) Verdict {
		if _, known := v.Newest(i.Series.Name); known || v.Series() < n {
			return Verdict{}
		}
		return Verdict{Reason: SeriesLimit, Text: fmt.Sprint(n)}
	})
}

// MaxLabelValue refuses series with a label value of more bytes.
func MaxLabelValue(n int) Rule {
	return samples(fmt.Sprintf("label values up to %d", n), func(_ *View, i Item) (out Verdict) {
		i.Series.Labels.Range(func(l labels.Label) {
			if len(l.Value) > n {
				out = Verdict{Reason: LabelValue, Text: l.Name}
			}
		})
		return out
	})
}

// MaxLabels refuses series with more labels.
func MaxLabels(n int) Rule {
	return samples(fmt.Sprintf("up to %d labels", n), func(_ *View, i Item) Verdict {
		if i.Series.Labels.Len() > n {
			return Verdict{Reason: LabelNames, Text: fmt.Sprint(n)}
		}
		return Verdict{}
	})
}

// Bad refuses series.
func Bad(name string, is func(series string) bool) Rule {
	return samples(name, func(_ *View, i Item) Verdict {
		if is(i.Series.Name) {
			return Verdict{Reason: BadSeries}
		}
		return Verdict{}
	})
}

// LegacyNames refuses metric and label names that need UTF-8, as Cortex does unless name_validation_scheme says otherwise.
func LegacyNames() Rule {
	return samples("legacy names", func(_ *View, i Item) (out Verdict) {
		i.Series.Labels.Range(func(l labels.Label) {
			if !model.LegacyValidation.IsValidLabelName(l.Name) || l.Name == model.MetricNameLabel && !model.LegacyValidation.IsValidMetricName(l.Value) {
				out = Verdict{Reason: BadSeries}
			}
		})
		return out
	})
}

// RefuseOnce refuses the first n samples of series that match, each sample once.
func RefuseOnce(n int, is func(series string) bool) Rule {
	type key struct {
		series string
		time   int64
	}
	seen := map[key]bool{}
	return samples(fmt.Sprintf("refuse %d samples once", n), func(_ *View, i Item) Verdict {
		k := key{i.Series.Name, i.Sample.Time}
		if seen[k] || len(seen) >= n || !is(i.Series.Name) {
			return Verdict{}
		}
		seen[k] = true
		return Verdict{Reason: Once}
	})
}

// Drop refuses items. If silently, the answer does not say so: a receiver that picks one of two replicas does that.
func Drop(why Reason, silently bool, is func(Item) bool) Rule {
	return Rule{string(why), func(_ *View, i Item) Verdict {
		if is(i) {
			return Verdict{Reason: why, Silent: silently}
		}
		return Verdict{}
	}}
}

// NoHistograms refuses native histograms, or drops them silently.
func NoHistograms(silently bool) Rule {
	return Drop(NoHistogram, silently, func(i Item) bool { return i.Kind == Histogram })
}

// NoExemplars refuses exemplars.
func NoExemplars() Rule {
	return Drop(NoExemplar, false, func(i Item) bool { return i.Kind == Exemplar })
}

// ExemplarsInOrder refuses exemplars that are older than the newest of their series, silently where the predicate says so.
func ExemplarsInOrder(silently func(version int) bool) Rule {
	return Rule{"exemplars in order", func(v *View, i Item) Verdict {
		if i.Kind != Exemplar || i.Sample.Time >= v.track(i.Series.Name).exemplar.time {
			return Verdict{}
		}
		return Verdict{Reason: OutOfOrder, Silent: silently != nil && silently(i.Version)}
	}}
}
