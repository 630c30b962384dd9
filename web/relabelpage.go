package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"

	"promrelay/config/redact"
	"promrelay/targets"
)

// Bounds of a request to the relabel debugger. They keep an expensive rule from occupying the relay.
const (
	relabelBody   = 256 << 10 // bytes of labels and rules
	relabelRules  = 200
	relabelLabels = 500
	relabelLength = 64 << 10 // bytes of the labels, before the first rule and after each
	relabelField  = 4000     // bytes of a field of a rule
	relabelUses   = 20       // labels that a rule reads, and groups that its replacement names
)

// relabelPage is what relabel.html shows.
type relabelPage struct {
	Job, Target string // that the labels and rules come from; empty if they do not come from a job
	Jobs        []string
	Targets     []relabelTarget // of Job

	Labels, Rules string // as they are in the form
	Errors        []string
	Ran           bool
	Steps         []relabelStep
	Dropped       bool
	Result        []labels.Label
}

// relabelTarget is a target to choose.
type relabelTarget struct {
	ID, Name string
	On       bool
}

// relabelStep is a rule and what it did.
type relabelStep struct {
	targets.RuleTrace
	Origin  string // the field that the rule comes from; empty for an edited rule
	Reached bool   // no rule before it dropped the target
	Changed bool
}

func (s *Server) relabelPage(w http.ResponseWriter, r *http.Request, src *Sources) {
	r.Body = http.MaxBytesReader(w, r.Body, relabelBody)
	p := &relabelPage{}
	if err := r.ParseForm(); err != nil {
		say(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("Labels and rules are too large: at most %s are evaluated.", bytesOf(relabelBody)))
		return
	}
	p.Job, p.Target = r.Form.Get("job"), r.Form.Get("target")
	job := p.choose(src)
	posted := r.Method == http.MethodPost && r.PostForm.Has("labels")
	if posted {
		p.Labels, p.Rules = r.PostForm.Get("labels"), r.PostForm.Get("rules")
	}
	if p.Labels != "" || p.Rules != "" {
		p.run(job)
	}
	s.show(w, src, content{file: "relabel.html", title: "Relabel debugger", active: "relabel", body: p})
}

// choose fills in the lists of jobs and targets, and the labels and rules of those that are chosen.
func (p *relabelPage) choose(src *Sources) (chosen *targets.Job) {
	var jobs []*targets.Job
	for _, m := range src.Monitors.Monitors() {
		for _, j := range m.Jobs {
			jobs = append(jobs, j.Job)
		}
	}
	for _, j := range jobs[:min(len(jobs), groupsPerPage)] {
		p.Jobs = append(p.Jobs, j.Name)
	}
	i := slices.IndexFunc(jobs, func(j *targets.Job) bool { return j.Name == p.Job })
	if i < 0 {
		p.Job, p.Target = "", ""
		return nil
	}
	chosen = jobs[i]
	p.Rules = rulesText(chosen.Config.RelabelConfigs)
	statuses, dropped := targetsOf(src, p.Job)
	add := func(id string, discovered labels.Labels, name string) {
		byLabels := "d" + strconv.FormatUint(discovered.Hash(), 36)
		on := p.Target == id || p.Target == byLabels
		if p.Target == "" && len(p.Targets) == 0 {
			on = true
		}
		if on {
			p.Target, p.Labels = id, labelsText(discovered)
		}
		if on || len(p.Targets) < rowsOpened {
			p.Targets = append(p.Targets, relabelTarget{ID: id, Name: clip(name), On: on})
		}
	}
	for _, d := range dropped {
		ls := labels.FromMap(d.Discovered)
		add(idOfDropped(d), ls, "dropped: "+describe(d.Discovered))
	}
	for _, t := range statuses {
		ls := targets.ShownLabels(t.Target.Discovered())
		add(idOf(t.Target), ls, t.Target.ShownURL()+" ("+describe(ls.Map())+")")
	}
	return chosen
}

// run evaluates the labels and rules of the form. While the rules are those of a job, each of them has its origin.
func (p *relabelPage) run(job *targets.Job) {
	found, err := parseLabels(p.Labels)
	if err != nil {
		p.Errors = append(p.Errors, "Labels: "+err.Error())
	}
	rules, err := parseRules(p.Rules)
	if err != nil {
		p.Errors = append(p.Errors, "Rules: "+err.Error())
	}
	if len(p.Errors) > 0 {
		return
	}
	if job != nil && p.Rules != rulesText(job.Config.RelabelConfigs) {
		job = nil
	}
	if err := p.trace(found, rules, job); err != nil {
		p.Errors = append(p.Errors, "Rules: "+err.Error())
		return
	}
	p.Ran = true
}

// trace applies the rules one by one.
func (p *relabelPage) trace(ls labels.Labels, rules []*relabel.Config, job *targets.Job) error {
	for i, r := range rules {
		step := relabelStep{RuleTrace: targets.RuleTrace{Index: i, Rule: targets.DescribeRule(r)}, Reached: !p.Dropped}
		if job != nil {
			step.Origin = job.Origin(i).String()
		}
		if step.Reached {
			traces, kept := targets.TraceRules(ls, []*relabel.Config{r}, func(int) targets.Origin { return targets.Origin{} })
			if len(traces) > 0 {
				step.Before, step.After, step.RuleTrace.Dropped, step.Changed = traces[0].Before, traces[0].After, traces[0].Dropped, true
			}
			p.Dropped, ls = step.RuleTrace.Dropped, kept
		}
		p.Steps = append(p.Steps, step)
		if err := bounded(ls); err != nil {
			return fmt.Errorf("after rule %d %w", i, err)
		}
	}
	if !p.Dropped {
		p.Result = list(targets.ShownLabels(ls))
	}
	return nil
}

// bounded returns an error if labels are too long to be evaluated.
func bounded(ls labels.Labels) error {
	size := 0
	ls.Range(func(l labels.Label) { size += len(l.Name) + len(l.Value) })
	if size > relabelLength {
		return fmt.Errorf("the labels have %s; at most %s are evaluated", bytesOf(size), bytesOf(relabelLength))
	}
	return nil
}

// boundedRule returns an error if a rule may cost too much.
func boundedRule(r *relabel.Config) error {
	switch {
	case len(r.SourceLabels) > relabelUses:
		return fmt.Errorf("it has %d source labels; at most %d are evaluated", len(r.SourceLabels), relabelUses)
	case strings.Count(r.Replacement, "$")+strings.Count(r.TargetLabel, "$") > relabelUses:
		return fmt.Errorf("its replacement names more than %d groups", relabelUses)
	case max(len(r.Separator), len(r.Regex.String()), len(r.Replacement), len(r.TargetLabel)) > relabelField:
		return fmt.Errorf("a field is longer than %d bytes", relabelField)
	}
	return nil
}

// DroppedBy is the index of the rule that drops the target.
func (p *relabelPage) DroppedBy() int {
	return slices.IndexFunc(p.Steps, func(s relabelStep) bool { return s.RuleTrace.Dropped })
}

// parseLabels reads labels: a JSON object, or lines such as name="value" or name: value.
func parseLabels(text string) (labels.Labels, error) {
	text = strings.TrimSpace(text)
	found := map[string]string{}
	if json.Unmarshal([]byte(text), &found) != nil {
		clear(found)
		text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSuffix(strings.TrimSpace(line), ",")
			if line == "" {
				continue
			}
			end := strings.IndexAny(line, "=:")
			if end <= 0 {
				return labels.EmptyLabels(), fmt.Errorf("line %d is %q; want name=\"value\"", n, clip(line))
			}
			name, value := strings.TrimSpace(line[:end]), strings.TrimSpace(line[end+1:])
			if strings.HasPrefix(value, `"`) {
				plain, err := strconv.Unquote(value)
				if err != nil {
					return labels.EmptyLabels(), fmt.Errorf("line %d: the value %s has no end or a wrong escape; write one label a line", n, clip(value))
				}
				value = plain
			}
			found[name] = value
		}
	}
	if len(found) > relabelLabels {
		return labels.EmptyLabels(), fmt.Errorf("there are %d; at most %d are evaluated", len(found), relabelLabels)
	}
	ls := labels.FromMap(found)
	return ls, bounded(ls)
}

// parseRules reads rules as they stand in relabel_configs, or in relabelings of a monitor.
func parseRules(text string) ([]*relabel.Config, error) {
	var nodes []map[string]any
	if err := yaml.Unmarshal([]byte(text), &nodes); err != nil {
		return nil, fmt.Errorf("want a YAML list of relabel rules: %w", err)
	}
	if len(nodes) > relabelRules {
		return nil, fmt.Errorf("there are %d; at most %d are evaluated", len(nodes), relabelRules)
	}
	var rules []*relabel.Config
	for i, node := range nodes {
		for ours, theirs := range map[string]string{"sourceLabels": "source_labels", "targetLabel": "target_label"} { // of monitors
			if v, ok := node[ours]; ok {
				delete(node, ours)
				node[theirs] = v
			}
		}
		if action, ok := node["action"].(string); ok {
			node["action"] = strings.ToLower(action)
		}
		one, err := yaml.Marshal(node)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		r := &relabel.Config{}
		d := yaml.NewDecoder(bytes.NewReader(one))
		d.KnownFields(true)
		if err := d.Decode(r); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		r.NameValidationScheme = model.UTF8Validation
		if err := cmp.Or(r.Validate(model.UTF8Validation), boundedRule(r)); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// labelsText writes labels as parseLabels reads them.
func labelsText(ls labels.Labels) string {
	var b strings.Builder
	ls.Range(func(l labels.Label) { fmt.Fprintf(&b, "%s=%q\n", l.Name, l.Value) })
	return b.String()
}

// rulesText writes rules in YAML, without the fields that have their defaults, and without what may be secret.
func rulesText(rules []*relabel.Config) string {
	var b strings.Builder
	field := func(name, value, byDefault string) {
		if value != byDefault {
			fmt.Fprintf(&b, "  %s: %s\n", name, strconv.Quote(value))
		}
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "- action: %s\n", r.Action)
		if len(r.SourceLabels) > 0 {
			var names []string
			for _, n := range r.SourceLabels {
				names = append(names, string(n))
			}
			text, err := json.Marshal(names) // also a list of YAML
			if err == nil {
				fmt.Fprintf(&b, "  source_labels: %s\n", text)
			}
		}
		field("separator", r.Separator, relabel.DefaultRelabelConfig.Separator)
		field("regex", r.Regex.String(), relabel.DefaultRelabelConfig.Regex.String())
		if r.Modulus > 0 {
			fmt.Fprintf(&b, "  modulus: %d\n", r.Modulus)
		}
		field("target_label", r.TargetLabel, "")
		field("replacement", redact.Param(r.TargetLabel, r.Replacement), relabel.DefaultRelabelConfig.Replacement)
	}
	return b.String()
}
