package scrape

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

// metadataOf returns type, HELP and unit of each series of a table that is fed, by its labels, ""
// for none.
func metadataOf(tab *table) map[string]string {
	out := map[string]string{}
	for name, row := range rowsOf(tab) {
		out[name] = ""
		if n := tab.rows.Meta(row); n != 0 {
			typ, family, help, unit := tab.rows.Entry(n)
			s := tab.rows.Symbols()
			out[name] = fmt.Sprintf("%s of %s: %s (%s)", typ, s.Bytes(family), s.Bytes(help), s.Bytes(unit))
		}
	}
	return out
}

// TestFamilies shows pages whose metadata changes. The series must have the metadata of the last
// page.
func TestFamilies(t *testing.T) {
	const head = "# HELP m A.\n# TYPE m counter\n"
	for name, c := range map[string]struct {
		pages []string
		want  map[string]string
	}{
		"type and HELP": {[]string{head + "m 1\n"}, map[string]string{"m": "counter of m: A. ()"}},
		"none":          {[]string{"m 1\n"}, map[string]string{"m": ""}},
		"HELP changes": {
			[]string{head + "m 1\n", "# HELP m B.\n# TYPE m counter\nm 1\n"},
			map[string]string{"m": "counter of m: B. ()"},
		},
		"HELP changes and comes back": {
			[]string{head + "m 1\n", "# HELP m B.\n# TYPE m counter\nm 1\n", head + "m 1\n"},
			map[string]string{"m": "counter of m: A. ()"},
		},
		"type changes": {
			[]string{head + "m 1\n", "# HELP m A.\n# TYPE m gauge\nm 1\n"},
			map[string]string{"m": "gauge of m: A. ()"},
		},
		"lines change places": {
			[]string{head + "m 1\n", "# TYPE m gauge\n# HELP m B.\nm 1\n"},
			map[string]string{"m": "gauge of m: B. ()"},
		},
		"metadata goes, and holds on": {[]string{head + "m 1\n", "m 1\n"}, map[string]string{"m": "counter of m: A. ()"}},
		"metadata comes later":        {[]string{"m 1\n", head + "m 1\n"}, map[string]string{"m": "counter of m: A. ()"}},
		"of the series before alone": {
			[]string{head + "m 1\nother 1\nm{a=\"b\"} 1\n"},
			map[string]string{"m": "counter of m: A. ()", "other": "", `m{a="b"}`: ""},
		},
		"of no series yet, then of a new one": {
			[]string{head + "m 1\n", head + "m 1\nm{a=\"b\"} 1\n"},
			map[string]string{"m": "counter of m: A. ()", `m{a="b"}`: "counter of m: A. ()"},
		},
		"two families change places": {
			[]string{
				"# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b counter\nb 1\n",
				"# HELP b B2.\n# TYPE b counter\nb 1\n# HELP a A2.\n# TYPE a gauge\na 1\n",
			},
			map[string]string{"a": "gauge of a: A2. ()", "b": "counter of b: B2. ()"},
		},
		"histogram": {
			[]string{"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\nh_more 1\n"},
			map[string]string{`h_bucket{le="+Inf"}`: "histogram of h:  ()", "h_sum": "histogram of h:  ()", "h_count": "histogram of h:  ()", "h_more": ""},
		},
		"unit": {
			[]string{typeOpenMetrics, "# TYPE m_seconds gauge\n# UNIT m_seconds seconds\nm_seconds 1\n# EOF\n"},
			map[string]string{"m_seconds": "gauge of m_seconds:  (seconds)"},
		},
		"unit goes from the line, and holds on": {
			[]string{typeOpenMetrics, "# TYPE m_seconds gauge\n# UNIT m_seconds seconds\nm_seconds 1\n# EOF\n", "# TYPE m_seconds gauge\nm_seconds 1\n# EOF\n"},
			map[string]string{"m_seconds": "gauge of m_seconds:  (seconds)"},
		},
		"an unknown type and no text": {[]string{"# TYPE m untyped\nm 1\n"}, map[string]string{"m": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			contentType := typeText
			if c.pages[0] == typeOpenMetrics {
				contentType, c.pages = typeOpenMetrics, c.pages[1:]
			}
			// Each page is read twice: by the parser, and walked.
			tab, p, at := testTable()
			for _, page := range c.pages {
				for range 2 {
					readPageOf(t, p, tab, at(), contentType, page)
				}
			}
			have := metadataOf(tab)
			for series, want := range c.want {
				if got, ok := have[series]; !ok || got != want {
					t.Errorf("%s: %q, %t, want %q", series, got, ok, want)
				}
			}
			if len(have) != len(c.want) {
				t.Errorf("%d series: %q", len(have), have)
			}
		})
	}
}

// TestFamiliesAreForgotten: a family whose lines are gone is kept for familyLife pages, and the
// others keep theirs.
func TestFamiliesAreForgotten(t *testing.T) {
	tab, p, at := testTable()
	const stays = "# HELP stays S.\n# TYPE stays gauge\nstays 1\n"
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, "# HELP m%d M.\n# TYPE m%d gauge\nm%d 1\n", i, i, i)
	}
	readPageOf(t, p, tab, at(), typeText, many.String()+stays)
	for i := range familyLife + 2 {
		if n := len(tab.families); i < familyLife && n != 51 {
			t.Fatalf("%d families after %d pages without", n, i)
		}
		readPageOf(t, p, tab, at(), typeText, stays)
	}
	if len(tab.families) != 1 || len(tab.metas) != 2 {
		t.Errorf("%d families and %d lines about them are left, want 1 and 2", len(tab.families), len(tab.metas))
	}
	if got := metadataOf(tab)["stays"]; got != "gauge of stays: S. ()" {
		t.Errorf("stays: %q", got)
	}
	if readPageOf(t, p, tab, at(), typeText, stays); p.walked != 1 {
		t.Error("the lines that stayed are not walked")
	}
}

func TestPartOfFamily(t *testing.T) {
	for _, c := range []struct {
		name, family string
		typ          model.MetricType
		want         bool
	}{
		{"m", "m", model.MetricTypeGauge, true},
		{"m_total", "m", model.MetricTypeGauge, false},
		{"m_total", "m", model.MetricTypeCounter, true},
		{"m_total", "m_total", model.MetricTypeCounter, true},
		{"m", "m", model.MetricTypeCounter, true},
		{"m_created", "m", model.MetricTypeCounter, false},
		{"m_bucket", "m", model.MetricTypeHistogram, true},
		{"m_sum", "m", model.MetricTypeHistogram, true},
		{"m_gsum", "m", model.MetricTypeHistogram, false},
		{"m_gsum", "m", model.MetricTypeGaugeHistogram, true},
		{"m_sum", "m", model.MetricTypeSummary, true},
		{"m_bucket", "m", model.MetricTypeSummary, false},
		{"m", "m", model.MetricTypeSummary, true},
		{"m_info", "m", model.MetricTypeInfo, true},
		{"m_info", "m_info", model.MetricTypeInfo, true},
		{"n", "m", model.MetricTypeUnknown, false},
		{"mm", "m", model.MetricTypeUnknown, false},
	} {
		if got := partOfFamily(c.name, c.family, c.typ); got != c.want {
			t.Errorf("%s of %s %s: %t", c.name, c.typ, c.family, got)
		}
	}
}
