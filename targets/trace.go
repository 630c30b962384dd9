package targets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/config/redact"
)

// trace adds the targets of a job, the broken ones first.
func (x *JobExplanation) trace(j *Job, live []*Target, drops []Drop, scrapes []Scraped) {
	last := map[*Target]Scraped{}
	for _, s := range scrapes {
		last[s.Target] = s
	}
	rank := func(t *Target) int { return slices.Index([]string{"down", "unknown", "", "up"}, last[t].Health) }
	live = slices.SortedStableFunc(slices.Values(live), func(a, b *Target) int { return cmp.Compare(rank(a), rank(b)) })
	broken := slices.IndexFunc(live, func(t *Target) bool { return rank(t) > 0 })
	if broken < 0 {
		broken = len(live)
	}
	var all []func() TargetTrace
	add := func(some []*Target) {
		for _, t := range some {
			all = append(all, func() TargetTrace { return t.trace(last[t]) })
		}
	}
	add(live[:broken])
	for _, d := range drops {
		all = append(all, func() TargetTrace { return d.trace(j) })
	}
	add(live[broken:])
	x.More = max(0, len(all)-maxTraces)
	for _, f := range all[:len(all)-x.More] {
		x.Targets = append(x.Targets, f())
	}
}

// trace says what the rules did to a target, and how its last scrape went.
func (t *Target) trace(s Scraped) TargetTrace {
	before := t.Discovered()
	out := TargetTrace{Discovered: ShownLabels(before).Map(), URL: t.ShownURL(), Labels: ShownLabels(t.Public()).Map(), Health: s.Health, Error: s.Error, Mend: s.Mend}
	out.Rules, _ = TraceRules(before, t.Job.Config.RelabelConfigs, t.Job.Origin)
	return out
}

func (d Drop) trace(j *Job) TargetTrace {
	shown := d.Shown(j)
	out := TargetTrace{Discovered: shown.Discovered, Dropped: shown.Reason, Mend: shown.mend(j)}
	out.Rules, _ = TraceRules(d.Discovered(j), j.Config.RelabelConfigs, j.Origin)
	return out
}

// TraceRules applies rules to labels, and returns what each rule did that changed or dropped them. Kept are the labels that are left,
// empty if a rule dropped them. Values that may be secret are not shown. Origin gives the origin of a rule by its index.
func TraceRules(ls labels.Labels, rules []*relabel.Config, origin func(int) Origin) (out []RuleTrace, kept labels.Labels) {
	b := labels.NewBuilder(ls)
	before := ls
	for i, r := range rules {
		keep := relabel.ProcessBuilder(b, r)
		after := b.Labels()
		if keep && labels.Equal(before, after) {
			continue
		}
		from := origin(i)
		t := RuleTrace{Index: i, Origin: cmp.Or(from.String(), "every job of this kind"), Own: from.Own(), Rule: DescribeRule(r), Dropped: !keep}
		if keep {
			t.Before, t.After = changed(before, after)
		} else {
			t.Before = map[string]string{}
			for _, n := range append(slices.Clone(r.SourceLabels), model.LabelName(r.TargetLabel)) {
				if name := string(n); name != "" {
					t.Before[name] = redact.Param(name, before.Get(name))
				}
			}
		}
		out = append(out, t)
		if !keep {
			return out, labels.EmptyLabels()
		}
		before = after
	}
	return out, before
}

// changed are the labels that differ. An empty value is a missing label.
func changed(a, b labels.Labels) (before, after map[string]string) {
	before, after = map[string]string{}, map[string]string{}
	note := func(name string) {
		if v, w := a.Get(name), b.Get(name); v != w {
			before[name], after[name] = redact.Param(name, v), redact.Param(name, w)
		}
	}
	a.Range(func(l labels.Label) { note(l.Name) })
	b.Range(func(l labels.Label) { note(l.Name) })
	return before, after
}

// Own reports whether the author of a monitor, or of a scrape_config, wrote the rule. Otherwise a field stands for it.
func (o Origin) Own() bool {
	return o.Field != "" && o.Value == "" && o.Field != enforcedLabel && !strings.Contains(o.Field, " of the scrape class ")
}

// DescribeRule says in one line what a rule does.
func DescribeRule(r *relabel.Config) string {
	var from []string
	for _, n := range r.SourceLabels {
		from = append(from, string(n))
	}
	sources, replacement := strings.Join(from, r.Separator), redact.Param(r.TargetLabel, r.Replacement)
	switch r.Action {
	case relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual:
		return describe(r)
	case relabel.LabelMap:
		return fmt.Sprintf("labelmap: copy labels that match %q to %q", r.Regex.String(), r.Replacement)
	case relabel.LabelDrop, relabel.LabelKeep:
		return fmt.Sprintf("%s %q", r.Action, r.Regex.String())
	case relabel.HashMod:
		return fmt.Sprintf("hashmod: set %s to the hash of %s modulo %d", r.TargetLabel, sources, r.Modulus)
	case relabel.Lowercase, relabel.Uppercase:
		return fmt.Sprintf("%s: set %s from %s", r.Action, r.TargetLabel, sources)
	}
	if len(from) == 0 {
		return fmt.Sprintf("set %s to %q", r.TargetLabel, replacement)
	}
	if r.Regex.String() == relabel.DefaultRelabelConfig.Regex.String() {
		return fmt.Sprintf("set %s to %q from %s", r.TargetLabel, replacement, sources)
	}
	return fmt.Sprintf("set %s to %q where %s matches %q", r.TargetLabel, replacement, sources, r.Regex.String())
}
