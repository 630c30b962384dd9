package samples

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// settings are the lines of a job's configuration, by name.
type settings map[string]string

func (s settings) String() string {
	if len(s) == 0 {
		return "honor_labels: false\n"
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&out, "%s: %s\n", name, s[name])
	}
	return out.String()
}

// option is a setting that a configuration may have.
type option struct {
	name    string
	percent int // of the configurations that have it
	value   string
	edited  bool // a reload may change it alone
}

// keepers are the settings that a reload changes without a new table.
var keepers = []string{"sample_limit", "follow_redirects", "basic_auth", "enable_http2"}

// rules are relabelling rules by what they show.
var rules = map[string]string{
	"drop":              "{source_labels: [a], regex: '1', action: drop}",
	"keep":              "{source_labels: [__name__], regex: 'm.*', action: keep}",
	"labeldrop":         "{regex: b, action: labeldrop}",
	"labeldrop of some": "{regex: 'a|b|c', action: labeldrop}",
	"replace":           "{source_labels: [c], target_label: d}",
	"new name":          "{source_labels: [__name__], regex: '(.*)_total', target_label: __name__, replacement: '${1}'}",
	"no name":           "{source_labels: [a], target_label: __name__, regex: '3', replacement: ''}",
	"labelmap":          "{regex: '(a|b|i)', replacement: 'mapped_$1', action: labelmap}",
	"labelkeep":         "{regex: '__name__|job|instance|le|quantile|a', action: labelkeep}",
	"hashmod":           "{source_labels: [i, a], modulus: 3, target_label: a, action: hashmod}",
	"lowercase":         "{source_labels: [__name__], target_label: __name__, action: lowercase}",
	"uppercase":         "{source_labels: [a], target_label: b, action: uppercase}",
	"keepequal":         "{source_labels: [zone], target_label: exported_zone, action: keepequal}",
	"dropequal":         "{source_labels: [a], target_label: b, action: dropequal}",
	"invalid name":      "{source_labels: [a], regex: '2', target_label: __name__, replacement: 'x-$1'}",
	"instance":          "{source_labels: [a], regex: '(.+)', target_label: instance}",
	"job":               "{target_label: job, replacement: one}",
	"collisions":        "{regex: 'i|a', action: labeldrop}",
	"some series":       "{source_labels: [i], regex: '.*[05]', action: drop}",
}

func (g *generator) rules() string {
	var out []string
	for range 1 + g.IntN(2) {
		out = append(out, rules[pick(g, slices.Sorted(maps.Keys(rules))...)])
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// options draws a value for each setting that a configuration may have.
func (g *generator) options() []option {
	native, fallback := 5, 15
	if g.format == protobuf || g.mixed || g.negotiates {
		native = 70
	}
	if g.typeless {
		fallback = 100
	}
	protocols := []string{"OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusProto", "PrometheusText0.0.4", "PrometheusText1.0.0"}
	g.Shuffle(len(protocols), func(i, j int) { protocols[i], protocols[j] = protocols[j], protocols[i] })
	return []option{
		{"honor_labels", 20, "true", true},
		{"honor_timestamps", 20, "false", false},
		{"track_timestamps_staleness", 20, "true", false},
		{"sample_limit", 12, fmt.Sprint(5 + g.IntN(40)), true},
		{"label_limit", 6, fmt.Sprint(4 + g.IntN(5)), true},
		{"label_name_length_limit", 4, fmt.Sprint(pick(g, 8+g.IntN(10), len(nonASCIIName)+g.IntN(3)-1, len([]rune(nonASCIIName))+g.IntN(3)-1)), true},
		{"label_value_length_limit", 5, fmt.Sprint(pick(g, 8+g.IntN(10), len(nonASCIIValue)+g.IntN(3)-1, len([]rune(nonASCIIValue))+g.IntN(3)-1)), true},
		{"body_size_limit", 5, fmt.Sprintf("%dB", 200+g.IntN(2000)), false},
		{"fallback_scrape_protocol", fallback, pick(g, "PrometheusText0.0.4", "OpenMetricsText1.0.0", "PrometheusProto"), false},
		{"extra_scrape_metrics", 15, "true", false},
		{"metric_name_validation_scheme", 20, pick(g, "legacy", "utf8") + "\nmetric_name_escaping_scheme: " + pick(g, "underscores", "underscores", "dots", "values"), false},
		{"scrape_protocols", 20, "[" + strings.Join(protocols[:1+g.IntN(5)], ", ") + "]", false},
		{"enable_compression", 10, "false", false},
		{"scrape_native_histograms", native, "true", false},
		{"always_scrape_classic_histograms", 20, "true", false},
		{"native_histogram_bucket_limit", native * 5 / 7, fmt.Sprint(1 + g.IntN(9)), false},
		{"native_histogram_min_bucket_factor", native * 2 / 7, pick(g, "0", "1", "1.0027", "1.0028", "1.09", "2", "4", "16", "65536"), false},
		{"convert_classic_histograms_to_nhcb", 20, "true", false},
		{"metric_relabel_configs", 40, g.rules(), true},
		{"follow_redirects", 5, "false", true},
		{"enable_http2", 5, "false", true},
		{"basic_auth", 5, pick(g, "{username: u, password: p}", "{username: u, password: q}"), true},
	}
}

// config makes a configuration for the job. Its target limit stays what it is.
func (g *generator) config(job string) string {
	next := settings{}
	for _, o := range g.options() {
		if g.chance(o.percent) {
			next[o.name] = o.value
		}
	}
	limit, ok := g.configs[job]["target_limit"]
	if g.configs[job] == nil && g.targets > 1 && g.chance(15) {
		limit, ok = "1", true
	}
	if ok {
		next["target_limit"] = limit
	}
	return g.configure(job, next)
}

func (g *generator) configure(job string, next settings) string {
	if s := next["metric_name_validation_scheme"]; s != "" {
		g.seen.add("escaping schemes")
	}
	if next["scrape_protocols"] != "" {
		g.seen.add("scrape_protocols")
	}
	if next["convert_classic_histograms_to_nhcb"] != "" && next["always_scrape_classic_histograms"] != "" {
		g.seen.add("classic lines kept beside those converted")
	}
	for name, text := range rules {
		if strings.Contains(next["metric_relabel_configs"], text) {
			g.seen.add("relabelling: " + name)
		}
	}
	for name, text := range map[string]string{"label_name_length_limit": nonASCIIName, "label_value_length_limit": nonASCIIValue} {
		if l := next[name]; l == fmt.Sprint(len(text)) || l == fmt.Sprint(len([]rune(text))) {
			g.seen.add(name + " at the border of what is not ASCII")
		}
	}
	if g.configs == nil {
		g.configs = map[string]settings{}
	}
	g.configs[job] = next
	return next.String()
}

// edit changes one or two lines of the job's configuration. Kept tells that its targets keep their tables.
func (g *generator) edit(job string) (text string, kept bool) {
	old := g.configs[job]
	only := []string(nil)
	if g.chance(50) || g.steady && g.chance(70) {
		only = keepers
	}
	for {
		next := maps.Clone(old)
		var changed []string
		options := g.options()
		for range 1 + g.IntN(2) {
			o := pick(g, options...)
			if !o.edited || only != nil && !slices.Contains(only, o.name) {
				continue
			}
			if _, on := next[o.name]; on && g.chance(50) {
				delete(next, o.name)
			} else {
				next[o.name] = o.value
			}
			changed = append(changed, o.name)
		}
		if maps.Equal(old, next) {
			continue
		}
		g.seen.add("reload of one or two lines")
		kept = !slices.ContainsFunc(changed, func(name string) bool { return !slices.Contains(keepers, name) && old[name] != next[name] })
		if kept {
			g.seen.add("reload that keeps tables")
		}
		return g.configure(job, next), kept
	}
}
