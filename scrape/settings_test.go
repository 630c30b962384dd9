package scrape

import (
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/targets"
)

// TestAttach has a series' own labels meet those of its target.
func TestAttach(t *testing.T) {
	target := []labels.Label{{Name: "instance", Value: "a:1"}, {Name: "job", Value: "j"}}
	for name, c := range map[string]struct {
		own   labels.Labels
		honor bool
		want  labels.Labels
	}{
		"apart": {
			labels.FromStrings("__name__", "m", "x", "1"), false,
			labels.FromStrings("__name__", "m", "x", "1", "instance", "a:1", "job", "j"),
		},
		"conflict": {
			labels.FromStrings("__name__", "m", "job", "own"), false,
			labels.FromStrings("__name__", "m", "exported_job", "own", "instance", "a:1", "job", "j"),
		},
		"conflict, the other name is in use too": {
			labels.FromStrings("__name__", "m", "job", "own", "exported_job", "first"), false,
			labels.FromStrings("__name__", "m", "exported_job", "first", "exported_exported_job", "own", "instance", "a:1", "job", "j"),
		},
		"honored": {
			labels.FromStrings("__name__", "m", "job", "own"), true,
			labels.FromStrings("__name__", "m", "instance", "a:1", "job", "own"),
		},
	} {
		s := settings{labels: target, honorLabels: c.honor}
		b := labels.NewBuilder(labels.EmptyLabels())
		if s.attach(b, c.own); !labels.Equal(b.Labels(), c.want) {
			t.Errorf("%s: %s, want %s", name, b.Labels(), c.want)
		}
	}
}

func TestLabelLimits(t *testing.T) {
	ls := labels.FromStrings("__name__", "metric", "name", "value")
	for name, c := range map[string]struct {
		set  settings
		want string
	}{
		"none":           {settings{}, ""},
		"kept":           {settings{labelLimit: 2, nameLengthLimit: 8, valueLenLimit: 6}, ""},
		"labels":         {settings{labelLimit: 1}, "label_limit exceeded (metric: metric, number of labels: 2, limit: 1)"},
		"a label's name": {settings{nameLengthLimit: 7}, "label_name_length_limit exceeded (metric: metric, label name: __name__, length: 8, limit: 7)"},
		"a value":        {settings{valueLenLimit: 5}, `label_value_length_limit exceeded (metric: metric, label name: __name__, value: "metric", length: 6, limit: 5)`},
	} {
		c.set.job = &targets.Job{}
		err := c.set.checkLimits(ls)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && limitName(err) != "label_limit" {
			t.Errorf("%s counts as %q", name, limitName(err))
		}
	}
}

func TestMaxSchema(t *testing.T) {
	for factor, want := range map[float64]int32{0: 8, 1: 8, 1.0027: 8, 1.1: 2, 1.5: 0, 2: 0, 4: -1, 65536: -4, 1e9: -4} {
		if got := maxSchema(factor); got != want {
			t.Errorf("%g: schema %d, want %d", factor, got, want)
		}
	}
}

// TestReportLabels: a report series bears the target's labels; a target label called like one of
// its own goes first.
func TestReportLabels(t *testing.T) {
	s := settings{labels: []labels.Label{{Name: "__name__", Value: "odd"}, {Name: "job", Value: "j"}}}
	if got, want := s.reportLabels(0), labels.FromStrings("__name__", "odd", "exported___name__", "up", "job", "j"); !labels.Equal(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	extra := true
	if n, all := reports(&promconfig.ScrapeConfig{}), reports(&promconfig.ScrapeConfig{ExtraScrapeMetrics: &extra}); n != 5 || all != 8 {
		t.Errorf("%d report series, %d with the extra ones", n, all)
	}
}

// TestSeriesErrors: the result of relabelling a series must be a valid series.
func TestSeriesErrors(t *testing.T) {
	for page, want := range map[string]string{
		"m 1\n":                              "",
		"m{a=\"b\"} 1\n":                     "",
		"{a=\"b\"} 1\n":                      "line 1: ",
		strings.Repeat("m 1\n", 3) + "{ 1\n": "line 4: ",
	} {
		tab, p, at := testTable()
		win := newWindow(strings.NewReader(page))
		p.reset(tab, &settings{scheme: model.UTF8Validation}, at())
		p.maxTime = 1 << 40
		_, _ = win.fill(headroom)
		err := p.read(win, typeText)
		win.free()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", page, err, want)
		}
	}
}
