package test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const (
	alertFile = "deploy/alerts.yml"
	alertRule = kustomize + "/components/alerts/prometheusrule.yaml"
)

var promql = parser.NewParser(parser.Options{})

// alert is a rule of Prometheus.
type alert struct {
	Alert, Expr         string
	For                 model.Duration
	Labels, Annotations map[string]string
}

// alerts reads the rules of deploy/alerts.yml.
func alerts(t *testing.T) (out []alert) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, alertFile))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range file.Groups {
		if names[g.Name] || g.Name == "" {
			t.Errorf("two groups are called %q", g.Name)
		}
		names[g.Name] = true
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("there are no rules")
	}
	return out
}

// shown replaces the functions of Prometheus's templates that annotations use.
var shown = template.FuncMap{"humanize": fmt.Sprint, "humanize1024": fmt.Sprint, "humanizeDuration": fmt.Sprint}

// selectors returns the vector selectors of an expression.
func selectors(expr string) ([]*parser.VectorSelector, error) {
	e, err := promql.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	var out []*parser.VectorSelector
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			out = append(out, s)
		}
		return nil
	})
	return out, nil
}

var (
	labelUsed = regexp.MustCompile(`\$labels\.(\w+)`)
	// scraped are the labels that a scrape adds to each series, and the label that external_labels of deploy/ add.
	scraped = []string{"job", "instance", "cluster"}
)

// wrongAlert lists what a rule names that does not exist: metrics, labels, values of labels.
func wrongAlert(r alert, all map[string]metric) (out []string) {
	say := func(format string, args ...any) { out = append(out, r.Alert+": "+fmt.Sprintf(format, args...)) }
	used, err := selectors(r.Expr)
	if err != nil {
		say("%v", err)
	}
	for name, text := range r.Annotations {
		if _, err := template.New(name).Funcs(shown).Parse("{{$labels := 0}}{{$value := 0}}" + text); err != nil {
			say("%v", err)
		}
	}
	for _, s := range used {
		m, known := all[s.Name]
		if s.Name == "up" {
			m, known = metric{name: s.Name}, true
		}
		if !known {
			say("there is no metric %s", s.Name)
			continue
		}
		for _, l := range s.LabelMatchers {
			if l.Name == model.MetricNameLabel || slices.Contains(scraped, l.Name) {
				continue
			}
			if !slices.Contains(m.labels, l.Name) {
				say("%s has no label %s", s.Name, l.Name)
			} else if values := m.values[l.Name]; len(values) > 0 && len(matched(l, values)) == 0 {
				say("%s matches no %s of %v", l, l.Name, values)
			}
			values := m.values[l.Name]
			for _, one := range strings.Split(l.Value, "|") {
				if len(values) > 0 && !slices.Contains(values, one) {
					say("%s has no %s %q, want one of %v", s.Name, l.Name, one, values)
				}
			}
		}
		for _, text := range r.Annotations {
			for _, l := range labelUsed.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(m.labels, l[1]) && !slices.Contains(scraped, l[1]) {
					say("an annotation shows the label %s, which %s does not have", l[1], s.Name)
				}
			}
		}
	}
	return out
}

// matched returns the values that a matcher matches.
func matched(m *labels.Matcher, values []string) (out []string) {
	for _, v := range values {
		if m.Matches(v) {
			out = append(out, v)
		}
	}
	return out
}

// harmless are the values of the label reason that need no alert: the configuration asks for them, or they are usual.
var harmless = map[string][]string{
	"promrelay_relay_dropped_samples_total":  {"relabel"},
	"promrelay_scrape_dropped_samples_total": {"repeated"},
	"promrelay_wal_deleted_segments_total":   {"acknowledged"},
}

// TestAlerts has Prometheus read the rules, and demands that what they name exists.
func TestAlerts(t *testing.T) {
	all := allMetrics(t)
	seen := map[string]bool{}
	reasons := map[string][]string{}
	for _, r := range alerts(t) {
		for _, wrong := range wrongAlert(r, all) {
			t.Error(wrong)
		}
		if seen[r.Alert] || !strings.HasPrefix(r.Alert, "Promrelay") {
			t.Errorf("%s: want a name of its own that begins with Promrelay", r.Alert)
		}
		seen[r.Alert] = true
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, s) {
			t.Errorf("%s: severity %q, want critical, warning or info", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || !strings.HasSuffix(r.Annotations["description"], ".") {
			t.Errorf("%s: want a summary, and a description in sentences", r.Alert)
		}
		if want := runbooks + "/" + r.Alert + ".md"; r.Annotations["runbook"] != want {
			t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook"], want)
		}
		used, _ := selectors(r.Expr) // the error was told above
		for _, s := range used {
			seen[s.Name] = true
			for _, m := range s.LabelMatchers {
				if m.Name == "reason" || m.Name == "limit" {
					reasons[s.Name] = append(reasons[s.Name], matched(m, all[s.Name].values[m.Name])...)
				}
			}
		}
	}
	for name, m := range all {
		if strings.HasSuffix(name, "_panics_total") && !seen[name] {
			t.Errorf("nothing alerts on %s", name)
		}
		if len(reasons[name]) == 0 {
			continue
		}
		for _, v := range slices.Concat(m.values["reason"], m.values["limit"]) {
			if slices.Contains(reasons[name], v) == slices.Contains(harmless[name], v) {
				t.Errorf("%s: %q is to have an alert or to be harmless, and not both", name, v)
			}
		}
	}
	for name := range harmless {
		if len(reasons[name]) == 0 {
			t.Errorf("nothing alerts on %s", name)
		}
	}
}

// TestWrongAlert shows that the check can fail.
func TestWrongAlert(t *testing.T) {
	all := map[string]metric{"a_total": {name: "a_total", labels: []string{"reason", "free"}, values: map[string][]string{"reason": {"x", "y"}}}}
	for expr, want := range map[string]string{
		`rate(a_total{reason="x", free="z", job="j"}[5m]) > 0`: "",
		`a_total{reason=~"x|y"} or up`:                         "",
		`a_total{reason!="y"}`:                                 "",
		`a_total >`:                                            "unexpected end of input",
		`sum(rate(b_total[5m]))`:                               "there is no metric b_total",
		`a_total / c`:                                          "there is no metric c",
		`{__name__=~"a.*"}`:                                    "there is no metric",
		`a_total{destination="d"}`:                             "a_total has no label destination",
		`a_total{reason="z"}`:                                  `a_total has no reason "z"`,
		`a_total{reason=~"x|z"}`:                               `a_total has no reason "z"`,
		`a_total{reason!~"z"}`:                                 `a_total has no reason "z"`,
	} {
		if got := strings.Join(wrongAlert(alert{Alert: "A", Expr: expr}, all), "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
	shows := alert{Alert: "A", Expr: "a_total", Annotations: map[string]string{"description": "{{ $labels.instance }} {{ $labels.other }}"}}
	broken := alert{Alert: "A", Expr: "a_total", Annotations: map[string]string{"summary": "{{ $value | humanise }}"}}
	if got := wrongAlert(broken, all); len(got) != 1 || !strings.Contains(got[0], `"humanise" not defined`) {
		t.Errorf("got %q", got)
	}
	if got := wrongAlert(shows, all); len(got) != 1 || !strings.Contains(got[0], "shows the label other") {
		t.Errorf("got %q", got)
	}
}

// generated compares a file with the text that it should have, or writes it.
func generated(t *testing.T, name string, want []byte, how string) {
	t.Helper()
	file := filepath.Join(repository, name)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is stale (%v): run %q", name, err, how)
	}
}

// TestPrometheusRule demands that the object of the component holds the rules of deploy/alerts.yml.
func TestPrometheusRule(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, alertFile))
	if err != nil {
		t.Fatal(err)
	}
	_, rules, ok := strings.Cut("\n"+string(text), "\ngroups:\n")
	if !ok {
		t.Fatalf("%s has no groups", alertFile)
	}
	out := `# The rules of deploy/alerts.yml. Written by "make update-deploy". Do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: promrelay
  namespace: promrelay
  labels:
    app.kubernetes.io/name: promrelay
spec:
  groups:
` + regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(rules, "  $1")
	generated(t, alertRule, []byte(out), "make update-deploy")
	o, _, err := decoder(t).Decode([]byte(out), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range o.(*monitoringv1.PrometheusRule).Spec.Groups {
		for _, r := range g.Rules {
			want := alerts(t)[n]
			if r.Alert != want.Alert || r.Expr.String() != want.Expr || !maps.Equal(r.Annotations, want.Annotations) || !maps.Equal(r.Labels, want.Labels) {
				t.Errorf("got %v, want %v", r, want)
			}
			n++
		}
	}
	if n != len(alerts(t)) {
		t.Errorf("%d rules, want %d", n, len(alerts(t)))
	}
}

const (
	alertsBegin = "<!-- What follows is written by \"make update-docs\" from deploy/alerts.yml. -->\n"
	alertsEnd   = "<!-- What was written ends here. -->\n"
)

// TestAlertTable demands that docs/operations.md lists the alerts.
func TestAlertTable(t *testing.T) {
	text := documents(t)["docs/operations.md"]
	before, rest, begins := strings.Cut(text, alertsBegin)
	_, after, ends := strings.Cut(rest, alertsEnd)
	if !begins || !ends {
		t.Fatalf("docs/operations.md lacks %q or %q", alertsBegin, alertsEnd)
	}
	var b strings.Builder
	b.WriteString("\n| alert | severity | tells |\n|---|---|---|\n")
	for _, r := range alerts(t) {
		fmt.Fprintf(&b, "| [`%s`](%s) | %s | %s |\n", r.Alert, strings.TrimPrefix(r.Annotations["runbook"], "docs/"), r.Labels["severity"], r.Annotations["summary"])
	}
	b.WriteString("\n")
	generated(t, "docs/operations.md", []byte(before+alertsBegin+b.String()+alertsEnd+after), "make update-docs")
}
