package samples

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

// series returns numbered lines of one family.
func series(from, n, value int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m{i=\"%d\"} %d\n", from+i, value+i)
	}
	return b.String()
}

func many(n int, page func(i int) string) (out []string) {
	for i := range n {
		out = append(out, page(i))
	}
	return out
}

// reloaded changes the configuration in the middle of the steps.
func reloaded(config string, steps []step) []step {
	steps[2].configs = map[string]string{"job": config}
	return steps
}

// overtaken is a sequence of two targets of the same labels, whose scrapes are 1.4 s apart. The late one answers so late once that the
// other one goes ahead and its reports are refused, if it is the one that is scraped first; the next page of it fails in its middle.
func overtaken(late, other string) []step {
	steps := pages("honor_labels: false\n", plain, slices.Repeat([]string{""}, 4)...)
	steps[0].targets["job"] = append(steps[0].targets["job"], model.LabelSet{"__address__": addressB, "instance": addressA, "zone": "z1"})
	for i, body := range []string{"m 1\nnot a line\n", "l 2\nm 2\n", "l 3\nnot a line\n", "l 4\nm 4\n"} {
		steps[i].answers[late] = answer{status: 200, contentType: plain, body: body}
		steps[i].answers[other] = answer{status: 200, contentType: plain, body: "n 1\n"}
	}
	a := steps[1].answers[late]
	a.delay = 3 * interval / 10
	steps[1].answers[late] = a
	return steps
}

// directed are sequences that are rare among random ones.
func directed() map[string][]step {
	const off = "honor_labels: false\n"
	churn := func(n int) []string {
		return many(12, func(i int) string { return "other 1\n" + series(i*n, n*2, i) })
	}
	failing := many(5, func(i int) string { return "m 2\n" + series(i*700, 700, i) + "not a line\n" })
	const first, again = "# HELP m Old.\n# TYPE m counter\nm_total 1\n", "# TYPE m counter\nm_total 2\n"
	forgotten := func(absent int) []string {
		return append(append([]string{first}, slices.Repeat([]string{"n 1\n"}, absent)...), again, first)
	}
	name := strings.Repeat("x", 300)
	wide := "m{" + strings.Join(many(70, func(i int) string { return fmt.Sprintf(`l%d="%d"`, i, i) }), ",") + "} 1\n"
	chain := func(config string) []step {
		s := pages(config, plain, `m{zone="a",exported_zone="b",exported_exported_zone="c",instance="i"} 1`+"\n", `m{zone="a",exported_zone="b"} 2`+"\n", "m 1\n")
		s[0].targets = map[string][]model.LabelSet{"job": {{"__address__": addressA, "zone": "z1", "exported_zone": "z2", "exported_instance": "q"}}}
		return s
	}
	const rename = "metric_relabel_configs: [{source_labels: [a], regex: '(.+)', target_label: __name__, replacement: 'x-$1'}]\n"
	return map[string][]step{
		"150 series come and go":  pages(off, plain, churn(150)...),
		"20 series come and go":   pages(off, plain, churn(20)...),
		"large pages that fail":   pages(off, plain, append(append([]string{"m 1\n"}, failing...), "m 3\n"+series(0, 10, 1), "m 4\n")...),
		"a family gone for long":  pages(off, plain, forgotten(12)...),
		"a family at its border":  pages(off, plain, forgotten(10)...),
		"long names":              pages(off, plain, fmt.Sprintf("m{a=%q,%s=\"1\"} 1\n%s 2\n", name, name, name)+wide, wide),
		"labels that conflict":    chain(off),
		"labels that are honored": chain("honor_labels: true\n"),
		"metadata that goes":      pages(off, plain, "# HELP m Help.\nm 1\n", "# HELP m \nm 2\n", "# HELP m \n# TYPE m untyped\nm 3\n"),
		"names that become wrong": pages("metric_name_validation_scheme: legacy\n"+rename, plain, "m 1\n", "m 1\nm{a=\"1\"} 2\n", "m 3\n"),
		"names that become UTF-8": pages(rename, plain, "m 1\n", "m 1\nm{a=\"1\"} 2\n", "m 3\n"),
		"another HTTP setting":    reloaded("follow_redirects: false\n", pages(off, plain, "m 1\nn 2\n", "m 1\n", "m 1\nn 2\n", "n 2\n")),
		"another sample limit":    reloaded("sample_limit: 1\n", pages(off, plain, "m 1\nn 2\no 3\n", "m 1\nn 2\n", "m 1\no 2\n", "m 1\nn 2\n", "m 4\n")),
		"a late, then broken":     overtaken(addressA, addressB),
		"b late, then broken":     overtaken(addressB, addressA),
		"the same in each format": {0: answers("# HELP m Help.\n# TYPE m gauge\nm 1\n", plain, off), 1: answers("# HELP m Help.\n# TYPE m gauge\nm 1\n# EOF\n", openMetrics, ""), 2: answers(delimited(named("m", 7)), protobuf, ""), 3: answers("m 1\n", plain, "")},
	}
}

func TestDirectedMatchesPrometheus(t *testing.T) {
	for name, steps := range directed() {
		t.Run(name, func(t *testing.T) { replay(t, steps) })
	}
}
