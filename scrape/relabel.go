package scrape

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// attach sets b to the labels of a series and of its target (mutateSampleLabels of
// prometheus/scrape).
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

// relabel applies the rules to b, whose labels have at most size bytes. It returns the index of the
// rule that drops the series, -1 if the series stays. It stops before a rule that could make labels too large. The number of times that a
// rule names its sources bounds the size of its result.
func (s *settings) relabel(b *labels.Builder, size int) (droppedBy int, err error) {
	count := 0 // upper bound; 0 means not known
	for i, rule := range s.rules {
		more := growth(rule, size)
		if size+more > maxText || rule.Action == relabel.LabelMap && (count == 0 || 2*count > maxLabels) {
			size, count = measure(b)
			if more = growth(rule, size); size+more > maxText {
				return -1, ruleError{s.job.MetricOrigin(i).Field, size}
			}
			if count > maxLabels {
				return -1, countError(count)
			}
		}
		if !relabel.ProcessBuilder(b, s.rules[i:i+1]...) {
			return i, nil
		}
		size += more
		if rule.Action == relabel.LabelMap {
			count *= 2
		}
	}
	return -1, nil
}

// growth is an upper bound of the bytes that a rule adds to labels of size bytes, and of the bytes
// that it joins to match.
func growth(r *relabel.Config, size int) int {
	sources := len(r.SourceLabels) * (size + len(r.Separator))
	refs := func(s string, of int) int { return len(s) + strings.Count(s, "$")*of }
	switch r.Action {
	case relabel.Replace:
		return sources + refs(r.Replacement, sources) + refs(r.TargetLabel, sources)
	case relabel.Lowercase, relabel.Uppercase:
		return 4*sources + len(r.TargetLabel)
	case relabel.HashMod:
		return sources + len(r.TargetLabel) + 20
	case relabel.LabelMap:
		return size + strings.Count(r.Replacement, "$")*size + len(r.Replacement)*min(size+1, maxLabels)
	}
	return sources
}

// measure returns the size in bytes and the number of the labels in b.
func measure(b *labels.Builder) (size, count int) {
	b.Range(func(l labels.Label) {
		size += len(l.Name) + len(l.Value)
		count++
	})
	return size, count
}

// ruleError is about a relabelling rule that could make labels too large.
type ruleError struct {
	field string // where the rule stands
	bytes int    // of the series before it
}

func (e ruleError) Error() string {
	return fmt.Sprintf("%s could make more than %d bytes of labels of a series that has %d", e.field, maxText, e.bytes)
}

// countError is about a series with too many labels.
type countError int

func (e countError) Error() string {
	return fmt.Sprintf("a series has %d labels, more than %d", int(e), maxLabels)
}

// checkLimits is verifyLabelLimits of prometheus/scrape.
func (s *settings) checkLimits(ls labels.Labels) error {
	metric := ls.Get(model.MetricNameLabel)
	if n := ls.Len(); s.labelLimit > 0 && n > s.labelLimit {
		return labelLimitError{"label_limit", fmt.Sprintf("%s exceeded (metric: %.50s, number of labels: %d, limit: %d)", s.job.LimitKey("label_limit"), metric, n, s.labelLimit)}
	}
	if s.nameLengthLimit == 0 && s.valueLenLimit == 0 {
		return nil
	}
	return ls.Validate(func(l labels.Label) error {
		if n := len(l.Name); s.nameLengthLimit > 0 && n > s.nameLengthLimit {
			return labelLimitError{"label_name_length_limit", fmt.Sprintf("%s exceeded (metric: %.50s, label name: %.50s, length: %d, limit: %d)", s.job.LimitKey("label_name_length_limit"), metric, l.Name, n, s.nameLengthLimit)}
		}
		if n := len(l.Value); s.valueLenLimit > 0 && n > s.valueLenLimit {
			return labelLimitError{"label_value_length_limit", fmt.Sprintf("%s exceeded (metric: %.50s, label name: %.50s, value: %.50q, length: %d, limit: %d)", s.job.LimitKey("label_value_length_limit"), metric, l.Name, l.Value, n, s.valueLenLimit)}
		}
		return nil
	})
}

// labelLimitError is about a series that exceeds label_limit or a similar limit.
type labelLimitError struct {
	key  string // of a scrape_config
	text string
}

func (e labelLimitError) Error() string { return e.text }
