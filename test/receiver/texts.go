package receiver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// plainText names the first refusal.
func plainText(o Outcome) string {
	f := o.Refused[0]
	return fmt.Sprintf("%s: %s (%d refused)", cmp.Or(stored(f), string(f.Reason)), f.Series.Name, len(o.Refused))
}

// stored is what Prometheus's storage says of a sample.
func stored(f Refusal) string {
	if f.Kind == Exemplar {
		return map[Reason]string{OutOfOrder: "out of order exemplar", Duplicate: "duplicate exemplar"}[f.Reason]
	}
	switch f.Reason {
	case OutOfOrder:
		return "out of order sample"
	case Duplicate:
		return fmt.Sprintf("duplicate sample for timestamp %d; overrides not allowed: %s", f.Sample.Time, f.Text)
	case BeforeAll:
		return "too old sample"
	case TooOld, TooNew:
		return "out of bounds"
	}
	return ""
}

// prometheusText is one line for each refusal by 2.0; by 1.0 the first ends it.
func prometheusText(o Outcome) string {
	var lines []string
	for _, f := range o.Refused {
		text := cmp.Or(stored(f), "invalid metric name or labels, got "+f.Series.Name)
		if o.Version == 1 {
			return text
		}
		if stored(f) != "" {
			text += " for series " + f.Series.Name
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n")
}

// terseText says no more than it must.
func terseText(o Outcome) string {
	for _, f := range o.Refused {
		if text := stored(f); text != "" {
			return text
		}
	}
	return "bad request"
}

func clock(f Refusal) string { return time.UnixMilli(f.Sample.Time).UTC().Format(time.RFC3339Nano) }

// braced is the form with the name before the braces.
func braced(f Refusal) string {
	name := f.Series.Labels.Get("__name__")
	return name + strings.Replace(strings.Replace(f.Series.Name, fmt.Sprintf("__name__=%q", name), "", 1), "{, ", "{", 1)
}

// cortexText is about the first refusal.
func cortexText(o Outcome) string {
	f := o.Refused[0]
	switch f.Reason {
	case SeriesLimit:
		return fmt.Sprintf("user=fake: per-user series limit of %s exceeded, please contact administrator to raise it (local limit: %[1]s global limit: 0 actual local limit: %[1]s)", f.Text)
	case LabelValue:
		return fmt.Sprintf("label value too long for metric: %.200q label value: %.200q", braced(f), f.Series.Labels.Get(f.Text))
	case LabelNames:
		return fmt.Sprintf("series has too many labels (actual: %d, limit: %s) series: '%s'", f.Series.Labels.Len(), f.Text, braced(f))
	case Duplicate:
		return fmt.Sprintf("user=fake: err: %s. series=%s", stored(f), f.Series.Name)
	case BadSeries, Once:
		return fmt.Sprintf("sample invalid metric name: %.200q", f.Series.Labels.Get("__name__"))
	}
	text := fmt.Sprintf("user=fake: err: %s. timestamp=%s, series=%s", cmp.Or(stored(f), string(f.Reason)), clock(f), f.Series.Name)
	if f.Kind == Exemplar {
		text += ", exemplar={}"
	}
	return text
}

// mimirText is about the first refusal; some of its texts are sampled.
func mimirText(o Outcome) string {
	f := o.Refused[0]
	tenant := func(text, id, flag string) string {
		return fmt.Sprintf("%s (err-mimir-%s). To adjust the related per-tenant limit, configure -%s, or contact your service administrator.", text, id, flag)
	}
	sample := func(text, id string) string {
		return fmt.Sprintf("failed pushing to ingester ingester-0: user=anonymous: %s (err-mimir-%s). The affected sample has timestamp %s and is from series %s (sampled 1/10)", text, id, clock(f), braced(f))
	}
	switch f.Reason {
	case SeriesLimit:
		return "failed pushing to ingester ingester-0: user=anonymous: " + tenant("per-user series limit of "+f.Text+" exceeded", "max-series-per-user", "ingester.max-global-series-per-user") + " (sampled 1/10)"
	case LabelValue:
		return tenant(fmt.Sprintf("received a series whose label value length exceeds the limit, label: '%s', value: '%.200s' (truncated) series: '%.200s'", f.Text, f.Series.Labels.Get(f.Text), braced(f)), "label-value-too-long", "validation.max-length-label-value")
	case LabelNames:
		return tenant(fmt.Sprintf("received a series whose number of labels exceeds the limit (actual: %d, limit: %s) series: '%.200s'", f.Series.Labels.Len(), f.Text, braced(f)), "max-label-names-per-series", "validation.max-label-names-per-series")
	case OutOfOrder:
		if f.Kind == Exemplar {
			return sample("out of order exemplar", "exemplar-out-of-order")
		}
		return sample("the sample has been rejected because another sample with a more recent timestamp has already been ingested and out-of-order samples are not allowed", "sample-out-of-order")
	case BeforeAll:
		return sample("the sample has been rejected because another sample with a more recent timestamp has already been ingested and this sample is beyond the out-of-order time window of "+f.Text, "sample-timestamp-too-old")
	case Duplicate:
		return sample("the sample has been rejected because another sample with the same timestamp, but a different value, has already been ingested", "sample-duplicate-timestamp")
	case TooOld:
		return sample("the sample has been rejected because its timestamp is too old", "sample-timestamp-too-old")
	case TooNew:
		return tenant(fmt.Sprintf("received a sample whose timestamp is too far in the future, timestamp: %d series: '%.200s'", f.Sample.Time, braced(f)), "too-far-in-future", "validation.create-grace-period")
	}
	return fmt.Sprintf("received a series with invalid metric name: '%.200s' (err-mimir-metric-name-invalid)", f.Series.Labels.Get("__name__"))
}

// thanosText counts refusals by kind.
func thanosText(o Outcome) string {
	counts := map[string]int{}
	for _, f := range o.Refused {
		what, text := "samples", stored(f)
		switch {
		case f.Kind == Exemplar:
			what = "exemplars"
		case f.Reason == Duplicate:
			text = "duplicate sample for timestamp"
		case text == "":
			what, text = "series", "label set contains a label with empty name or value"
		}
		counts[what+": "+text]++
	}
	var reasons []string
	for k, n := range counts {
		reasons = append(reasons, fmt.Sprintf("add %d %s", n, k))
	}
	slices.Sort(reasons)
	if len(reasons) > 1 {
		return fmt.Sprintf("%d errors: %s", len(reasons), strings.Join(reasons, "; "))
	}
	return strings.Join(reasons, "")
}
