package relay

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/wal"
)

// Rules of both specifications for labels.

// Series whose labels are hard to put in order or to keep whole, with external labels that overlap and one that is empty.
var (
	unusualSeries = []labels.Labels{
		labels.FromStrings("__name__", "plain"),
		labels.FromStrings("__name__", "upper", "Zone", "z", "a", "1", "zz", "2"),
		labels.FromStrings("__name__", "own:name", "cluster", "of the page", "_x", "3"),
		labels.FromStrings("__name__", "values", "text", "日本 \"quoted\"\n\\ 🙂", "space", " "),
	}
	unusualExternal = labels.FromStrings("Region", "eu", "cluster", "c1", "empty", "", "zone", "b")
	unusualComplete = []string{
		`{Region eu} {__name__ plain} {cluster c1} {zone b}`,
		`{Region eu} {Zone z} {__name__ upper} {a 1} {cluster c1} {zone b} {zz 2}`,
		`{Region eu} {__name__ own:name} {_x 3} {cluster of the page} {zone b}`,
		"{Region eu} {__name__ values} {cluster c1} {space  } {text 日本 \"quoted\"\n\\ 🙂} {zone b}",
	}
)

// sendUnusual sends two scrapes of unusualSeries, without and with write_relabel_configs, for which there is other code.
func sendUnusual(t *testing.T, more string, check func(t *testing.T, s *wireSeries)) {
	t.Helper()
	for name, rules := range map[string]string{"": "", "relabelled": "write_relabel_configs: [{target_label: gone, replacement: ''}]\n"} {
		t.Run(name, func(t *testing.T) {
			posts := play(t, more+rules, unusualExternal, func(w *wal.WAL) {
				wr := withSeries(t, w, unusualSeries...)
				wr.give(1, 2, 3, 4)
				wr.give(5, 6, 7, 8)
			})
			for _, p := range posts {
				for i := range p.series {
					check(t, &p.series[i])
				}
			}
		})
	}
}

func TestSpec1_CompleteLabels(t *testing.T) { completeLabels(t, by1) }

func TestSpec2_CompleteLabels(t *testing.T) { completeLabels(t, by2) }

func completeLabels(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		if !slices.Contains(unusualComplete, strings.Trim(s.name(), "[]")) {
			t.Errorf("labels %s", s.name())
		}
	})
}

func TestSpec1_LabelsHaveAName(t *testing.T) { labelsHaveAName(t, by1) }

func TestSpec2_LabelsHaveAName(t *testing.T) { labelsHaveAName(t, by2) }

func labelsHaveAName(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		if s.label("__name__") == "" {
			t.Errorf("no name: %s", s.name())
		}
	})
}

func TestSpec1_NoRepeatedLabelNames(t *testing.T) { noRepeatedLabelNames(t, by1) }

func TestSpec2_NoRepeatedLabelNames(t *testing.T) { noRepeatedLabelNames(t, by2) }

func noRepeatedLabelNames(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		seen := map[string]bool{}
		for _, l := range s.labels {
			if seen[l.Name] {
				t.Errorf("%s stands twice in %s", l.Name, s.name())
			}
			seen[l.Name] = true
		}
	})
}

func TestSpec1_LabelsAreSorted(t *testing.T) { labelsAreSorted(t, by1) }

func TestSpec2_LabelsAreSorted(t *testing.T) { labelsAreSorted(t, by2) }

func labelsAreSorted(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		if !slices.IsSortedFunc(s.labels, func(a, b labels.Label) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("not in order: %s", s.name())
		}
	})
}

func TestSpec1_NoEmptyLabels(t *testing.T) { noEmptyLabels(t, by1) }

func TestSpec2_NoEmptyLabels(t *testing.T) { noEmptyLabels(t, by2) }

func noEmptyLabels(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		for _, l := range s.labels {
			if l.Name == "" || l.Value == "" {
				t.Errorf("empty: %q in %s", l.Name, s.name())
			}
		}
	})
}

func TestSpec1_LabelValuesAreUTF8(t *testing.T) { labelValuesAreUTF8(t, by1) }

func TestSpec2_StringsAreUTF8(t *testing.T) { labelValuesAreUTF8(t, by2) }

func labelValuesAreUTF8(t *testing.T, more string) {
	found := false
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		found = found || s.label("text") == "日本 \"quoted\"\n\\ 🙂"
		for _, l := range s.labels {
			if !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) {
				t.Errorf("no UTF-8: %q", s.labels)
			}
		}
	})
	if !found {
		t.Error("the value did not come as it was")
	}
}

var (
	classicMetric = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	classicLabel  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

func TestSpec1_MetricNames(t *testing.T) { metricNames(t, by1) }

func TestSpec2_MetricNames(t *testing.T) { metricNames(t, by2) }

func metricNames(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		if !classicMetric.MatchString(s.label("__name__")) {
			t.Errorf("name %q", s.label("__name__"))
		}
	})
}

func TestSpec1_LabelNames(t *testing.T) { labelNames(t, by1) }

func TestSpec2_LabelNames(t *testing.T) { labelNames(t, by2) }

func labelNames(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		for _, l := range s.labels {
			if !classicLabel.MatchString(l.Name) {
				t.Errorf("label %q", l.Name)
			}
		}
	})
}

func TestSpec1_NoReservedLabels(t *testing.T) { noReservedLabels(t, by1) }

func TestSpec2_NoReservedLabels(t *testing.T) { noReservedLabels(t, by2) }

func noReservedLabels(t *testing.T, more string) {
	sendUnusual(t, more, func(t *testing.T, s *wireSeries) {
		for _, l := range s.labels {
			if strings.HasPrefix(l.Name, "__") && l.Name != "__name__" {
				t.Errorf("reserved: %s", s.name())
			}
		}
	})
}

// TestDeviation_UTF8Names: names that a page has outside the classic alphabet pass, also by 1.0.
func TestDeviation_UTF8Names(t *testing.T) {
	for _, more := range []string{by1, by2} {
		posts := play(t, more, labels.EmptyLabels(), func(w *wal.WAL) {
			withSeries(t, w, labels.FromStrings("__name__", "http.requests", "service.name", "x", "__reserved", "y")).give(1)
		})
		if got := posts[0].series[0].name(); got != "[{__name__ http.requests} {__reserved y} {service.name x}]" {
			t.Errorf("labels %s", got)
		}
	}
}
