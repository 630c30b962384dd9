package categraf

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

const agentHostname = "agent_hostname"

// pageLabels reads the labels that categraf adds to all series of an instance.
func (t *translation) pageLabels(m *mainFile, in *table, p *page) {
	add := func(label, value string, at position, key string) {
		v := m.vars.expand(value)
		switch {
		case len(v.unknown) > 0:
			t.report.add(at, key, NoCounterpart, "the label %s=%q has unknown variables: %s", label, value, quoted(v.unknown))
		default:
			p.labels[label] = v
			if v.value != value {
				t.report.add(at, key, Translated, "%s=%q has variables, which the relay takes from the Node", label, value)
			}
		}
	}
	labels := in.pairs("labels")
	for _, label := range sortedKeys(labels) {
		if labels[label] == "-" {
			p.without = append(p.without, label)
			t.report.add(in.at("labels"), in.name("labels."+label), Translated, "%q takes the label away from the page's series; up keeps it", "-")
			continue
		}
		add(label, labels[label], in.at("labels"), in.name("labels."+label))
	}
	if len(labels) > 0 {
		t.report.add(in.at("labels"), in.name("labels"), Translated, "labels of the target, or of global.external_labels if all jobs have them")
	}
	for _, label := range sortedKeys(m.labels) {
		if _, own := p.labels[label]; own {
			continue
		}
		add(label, m.labels[label], m.labelsAt, "global.labels."+label)
		if _, ok := p.labels[label]; ok {
			t.report.add(m.labelsAt, "global.labels."+label, Translated, "on series of plugins alone, as in categraf: it does not reach those of the embedded agent")
		}
	}
	if _, own := p.labels[agentHostname]; own || m.omitHostname || t.labels != Same {
		return
	}
	value := m.hostname
	if value == "" {
		value = "$hostname"
	}
	add(agentHostname, value, m.hostnameAt, "global.hostname")
}

// ownNames are the labels that the block nodes gives.
var ownNames = []string{"node", "namespace", "service", "endpoint", "metrics_path"}

// metricRules reads the keys that change the series of the page.
func (t *translation) metricRules(in *table, p *page) {
	filter := func(key, action, suffix, what string) {
		globs := in.strs(key)
		if len(globs) == 0 {
			return
		}
		expr, err := alternatives(globs, suffix)
		if err != nil {
			t.report.add(in.at(key), in.name(key), NoCounterpart, "%v", err)
			return
		}
		p.metrics = append(p.metrics, rule{SourceLabels: []string{"__name__"}, Regex: expr, Action: action})
		t.report.add(in.at(key), in.name(key), Translated, "%s", what)
	}
	filter("ignore_metrics", "drop", "(_bucket|_sum|_count)?", "metric_relabel_configs drop these families")
	t.ignoredLabels(in, p)
	filter("metrics_drop", "drop", "", "metric_relabel_configs drop these metrics; up stays")
	filter("metrics_pass", "keep", "", "metric_relabel_configs keep these metrics; up stays")
	if len(p.without) > 0 {
		p.metrics = append(p.metrics, rule{Regex: literals(p.without), Action: "labeldrop"})
	}
	if prefix := strings.TrimSuffix(in.str("name_prefix"), "_"); prefix != "" {
		// A name that has the prefix already stays as it is.
		p.metrics = append(p.metrics, rename("(.+)", prefix+"_${1}"), rename(regexp.QuoteMeta(prefix)+"_("+regexp.QuoteMeta(prefix)+".*)", "${1}"))
		t.report.add(in.at("name_prefix"), in.name("name_prefix"), Translated, "metric_relabel_configs put it before the names")
	}
	if prefix := in.str("metrics_name_prefix"); prefix != "" {
		p.metrics = append(p.metrics, rename("(.+)", strings.ReplaceAll(prefix, "$", "$$")+"${1}"))
		t.report.add(in.at("metrics_name_prefix"), in.name("metrics_name_prefix"), Translated, "metric_relabel_configs put it before the names; up has no prefix")
	}
	for key, text := range map[string]string{
		"processor_enum":      "the relay does not change values",
		"duplication_allowed": "the relay sends one sample for each series and time",
	} {
		if in.has(key) {
			t.report.add(in.at(key), in.name(key), NoCounterpart, "%s", text)
		}
	}
}

func rename(regex, replacement string) rule {
	return rule{SourceLabels: []string{"__name__"}, Regex: regex, TargetLabel: "__name__", Replacement: &replacement}
}

// ignoredLabels reads ignore_label_keys. categraf takes these labels from the page alone: le, quantile and its own labels stay.
func (t *translation) ignoredLabels(in *table, p *page) {
	var globs []string
	stays := append(slices.Collect(maps.Keys(p.labels)), "__name__", "le", "quantile", "job", "instance", agentHostname)
	for _, g := range in.strs("ignore_label_keys") {
		expr, err := alternatives([]string{g}, "")
		if err == nil && slices.ContainsFunc(stays, regexp.MustCompile("^(?:"+expr+")$").MatchString) {
			t.report.add(in.at("ignore_label_keys"), in.name("ignore_label_keys"), NoCounterpart, "%q also fits a label that must stay, such as le or instance: name the labels one by one", g)
			continue
		}
		globs = append(globs, g)
	}
	if len(globs) == 0 {
		return
	}
	expr, err := alternatives(globs, "")
	if err != nil {
		t.report.add(in.at("ignore_label_keys"), in.name("ignore_label_keys"), NoCounterpart, "%v", err)
		return
	}
	p.metrics = append(p.metrics, rule{Regex: expr, Action: "labeldrop"})
	t.report.add(in.at("ignore_label_keys"), in.name("ignore_label_keys"), Translated, "metric_relabel_configs take these labels away")
}

// sameNumbers are the rules that write le and quantile as categraf does: 1 for 1.0.
func sameNumbers() []rule {
	return []rule{
		{SourceLabels: []string{"le"}, Regex: `(-?\d+)\.0`, TargetLabel: "le"},
		{SourceLabels: []string{"quantile"}, Regex: `(-?\d+)\.0`, TargetLabel: "quantile"},
	}
}
