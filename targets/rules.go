package targets

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The regular expressions of the operator's own rules.
var (
	anything   = relabel.DefaultRelabelConfig.Regex
	something  = relabel.MustNewRegexp("(.+)")
	isTrue     = relabel.MustNewRegexp("true")
	phaseEnded = relabel.MustNewRegexp("(Failed|Succeeded)")
	ofNode     = relabel.MustNewRegexp("Node;(.*)")
	ofPod      = relabel.MustNewRegexp("Pod;(.*)")
	threeParts = relabel.MustNewRegexp("(.+);(.+);(.+)")
	portPart   = relabel.MustNewRegexp(`(.+):\d+`)
)

// Origin is the field that a rule comes from.
type Origin struct {
	// Field is its path, such as endpoints[0].port or endpoints[0].relabelings[2]; empty for a rule that all monitors of a kind have.
	Field string
	// Value is the value of the field if the rule is generated from it; empty if the field is the rule.
	Value string
	// Want says what the value that the rule looks at should be; empty if the rule is no check of a value.
	Want string
	// Port says that the field selects a port.
	Port bool
}

// ruleList collects rules and their origins. Its error is that of the first rule that is not valid.
type ruleList struct {
	rules   []*relabel.Config
	origins []Origin
	demands []Demand
	err     error
	at      string // path of the monitor's fields, such as "endpoints[0]."
}

func (l *ruleList) add(r relabel.Config) {
	l.rules, l.origins = append(l.rules, &r), append(l.origins, Origin{})
}

// written adds the rules of a list in the configuration file.
func (l *ruleList) written(key string, rules []*relabel.Config) {
	for i, r := range rules {
		l.rules, l.origins = append(l.rules, r), append(l.origins, Origin{Field: fmt.Sprintf("%s[%d]", key, i)})
	}
}

// setOrigin sets the origin of the rules from the nth on.
func (l *ruleList) setOrigin(n int, o Origin) {
	for i := n; i < len(l.origins); i++ {
		l.origins[i] = o
	}
}

// port keeps the targets whose port is the one that a field names.
func (l *ruleList) port(field, v, source string) {
	n := len(l.rules)
	l.filterBy(relabel.Keep, field, v, source)
	l.setOrigin(n, Origin{Field: l.at + field, Value: v, Port: true})
}

// running drops the targets of Pods that have ended, unless the field filterRunning says otherwise. It returns the rule, nil if there
// is none.
func (l *ruleList) running(filter *bool) *relabel.Config {
	if filter != nil && !*filter {
		return nil
	}
	n := len(l.rules)
	l.filter(relabel.Drop, phaseEnded, "__meta_kubernetes_pod_phase")
	l.setOrigin(n, Origin{Field: l.at + "filterRunning", Value: "true"})
	return l.rules[n]
}

func names(ss ...string) model.LabelNames {
	out := make(model.LabelNames, len(ss))
	for i, s := range ss {
		out[i] = model.LabelName(s)
	}
	return out
}

// copyLabel sets target to the value of sources. An empty value deletes it.
func (l *ruleList) copyLabel(target string, sources ...string) {
	l.replace(target, "$1", anything, sources...)
}

// set sets target to a value. An empty value deletes it.
func (l *ruleList) set(target, v string) { l.replace(target, v, anything) }

func (l *ruleList) replace(target, replacement string, regex relabel.Regexp, sources ...string) {
	r := relabel.DefaultRelabelConfig
	if len(sources) > 0 {
		r.SourceLabels = names(sources...)
	}
	r.TargetLabel, r.Replacement, r.Regex = target, replacement, regex
	l.add(r)
}

// filter keeps or drops targets by the value of sources.
func (l *ruleList) filter(action relabel.Action, regex relabel.Regexp, sources ...string) {
	r := relabel.DefaultRelabelConfig
	r.Action, r.Regex, r.SourceLabels = action, regex, names(sources...)
	l.add(r)
}

// filterBy is filter with a user's regular expression. Field names it in errors.
func (l *ruleList) filterBy(action relabel.Action, field, regex string, sources ...string) {
	re, err := relabel.NewRegexp(regex)
	if err != nil {
		if l.err == nil {
			l.err = fmt.Errorf("%s: %w", field, err)
		}
		return
	}
	l.filter(action, re, sources...)
}

// selector keeps the objects of a role that a label selector selects, by their labels of discovery. As in the operator, values are
// not escaped in the regular expressions.
func (l *ruleList) selector(role string, s metav1.LabelSelector) {
	n := len(l.rules)
	defer func() { l.setOrigin(n, Origin{Field: "selector", Value: selectorText(s)}) }()
	present := func(k string) string { return "__meta_kubernetes_" + role + "_labelpresent_" + sanitize(k) }
	either := func(action relabel.Action, key string, values ...string) {
		l.filterBy(action, "selector", "("+strings.Join(values, "|")+");true", objectLabel(role, sanitize(key)), present(key))
	}
	for _, k := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		either(relabel.Keep, k, s.MatchLabels[k])
		l.demand(role, k, s.MatchLabels[k])
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			either(relabel.Keep, e.Key, e.Values...)
			l.demand(role, e.Key, e.Values...)
		case metav1.LabelSelectorOpNotIn:
			either(relabel.Drop, e.Key, e.Values...)
		case metav1.LabelSelectorOpExists:
			l.filter(relabel.Keep, isTrue, present(e.Key))
		case metav1.LabelSelectorOpDoesNotExist:
			l.filter(relabel.Drop, isTrue, present(e.Key))
		}
	}
}

// demand records that a label must have a value, if there is only one value and it matches only itself as a regular expression.
func (l *ruleList) demand(role, key string, values ...string) {
	if len(values) == 1 && values[0] != "" && regexp.QuoteMeta(values[0]) == values[0] {
		l.demands = append(l.demands, Demand{role, sanitize(key), values[0]})
	}
}

// objectLabel is the label of discovery for an object's label, whose name is sanitized.
func objectLabel(role, name string) string { return "__meta_kubernetes_" + role + "_label_" + name }

// labelsFrom copies the labels of an object that are not empty to the target.
func (l *ruleList) labelsFrom(role string, labels ...string) {
	for _, name := range labels {
		l.replace(sanitize(name), "${1}", something, objectLabel(role, sanitize(name)))
	}
}

// ofClass appends the rules in a field of a scrape class.
func (l *ruleList) ofClass(c monitoringv1.ScrapeClass, field string, rcs []monitoringv1.RelabelConfig) {
	n := len(l.rules)
	l.user("scrapeClass: "+field, rcs)
	for i := n; i < len(l.origins); i++ {
		l.origins[i] = Origin{Field: fmt.Sprintf("%s[%d] of the scrape class %s", field, i-n, c.Name)}
	}
}

// enforced appends the rule of enforcedNamespaceLabel if it applies to the owner.
func (l *ruleList) enforced(c *compiler, owner Owner) {
	n := len(l.rules)
	l.user(enforcedLabel, c.enforcedNamespaceLabel(owner))
	l.setOrigin(n, Origin{Field: enforcedLabel})
}

// user appends the rules in a field of a monitor or scrape class.
func (l *ruleList) user(field string, rcs []monitoringv1.RelabelConfig) {
	rs, err := rules(rcs)
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("%s%w", field, err)
	}
	for i, r := range rs {
		l.rules, l.origins = append(l.rules, r), append(l.origins, Origin{Field: fmt.Sprintf("%s%s[%d]", l.at, field, i)})
	}
}

var invalidInName = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// sanitize makes a label name of a key (sanitizeLabelName of the operator, which accepts a leading digit).
func sanitize(name string) string { return invalidInName.ReplaceAllString(name, "_") }

// rules converts rules and validates them as the operator and Prometheus do (generateRelabelConfig of the operator).
func rules(rcs []monitoringv1.RelabelConfig) ([]*relabel.Config, error) {
	out := make([]*relabel.Config, 0, len(rcs))
	for i, rc := range rcs {
		r := relabel.DefaultRelabelConfig
		for _, s := range rc.SourceLabels {
			if !model.UTF8Validation.IsValidLabelName(string(s)) {
				return nil, fmt.Errorf("[%d]: sourceLabels: %q is not a label name", i, s)
			}
			r.SourceLabels = append(r.SourceLabels, model.LabelName(s))
		}
		if rc.Separator != nil {
			r.Separator = *rc.Separator
		}
		if rc.Regex != "" {
			re, err := relabel.NewRegexp(rc.Regex)
			if err != nil {
				return nil, fmt.Errorf("[%d]: invalid regex %q: %w", i, rc.Regex, err)
			}
			r.Regex = re
		}
		if rc.Modulus < 0 {
			return nil, fmt.Errorf("[%d]: modulus %d is negative", i, rc.Modulus)
		}
		r.TargetLabel, r.Modulus = rc.TargetLabel, uint64(rc.Modulus)
		if rc.Replacement != nil {
			r.Replacement = *rc.Replacement
		}
		if rc.Action != "" {
			r.Action = relabel.Action(strings.ToLower(rc.Action))
		}
		if !slices.Contains(actions, r.Action) {
			return nil, fmt.Errorf("[%d]: unknown relabel action %q", i, rc.Action)
		}
		if err := r.Validate(model.UTF8Validation); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		r.NameValidationScheme = model.UnsetValidation // the job's
		out = append(out, &r)
	}
	return out, nil
}

var actions = []relabel.Action{
	relabel.Replace, relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual, relabel.HashMod, relabel.LabelMap,
	relabel.LabelDrop, relabel.LabelKeep, relabel.Lowercase, relabel.Uppercase,
}
