package lint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/informers/manifests"
	"promrelay/informers/manifests/workloads"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// place is a monitor with the file that it is in.
type place struct {
	c     *checker
	owner targets.Owner
	found *manifests.Found
}

// add adds a finding about a field. An error in a template is a note: what the template gives is not known.
func (p place) add(rule Rule, s Severity, field, message, mend string) {
	line, _ := p.found.Line(field)
	if s == Error && p.found.Templated() {
		s, mend = Note, "Check what the template gives: helm template . | promrelay lint -"
	}
	p.c.add(Finding{Rule: rule.ID, Severity: s, Path: p.found.Path, Line: line, Object: p.owner.String(), Message: p.owner.String() + " " + message, Mend: mend})
}

var fieldPath = regexp.MustCompile(`^[A-Za-z]\w*(\[\d+\])?(\.[A-Za-z]\w*(\[\d+\])?)*`)

// locate returns the field of a message that begins with its path, such as "endpoints[0]: tlsConfig: ...". It returns the given one
// if the message names none.
func (p place) locate(message, otherwise string) string {
	at := "spec"
	for part := range strings.SplitSeq(message, ": ") {
		path := fieldPath.FindString(part)
		if _, there := p.found.Line(at + "." + path); path == "" || !there {
			break
		}
		at += "." + path
	}
	if at == "spec" {
		return otherwise
	}
	return at
}

// monitor adds what is wrong with a monitor.
func (c *checker) monitor(p place, m *targets.MonitorStatus) {
	for _, missing := range c.made.Secrets[p.owner.String()] {
		p.add(NotChecked, Note, "metadata", "names "+missing+", which is not in the files: its values are not checked.", "")
	}
	if class := classOf(p.found.Object); class != "" && !c.configured {
		p.add(NotChecked, Note, "spec.scrapeClass", fmt.Sprintf("has the scrape class %q, which is not known without a configuration.", class), "Name the configuration with --config.file.")
	}
	_, undecoded := p.found.Object.(*objects.Undecoded)
	switch {
	case m.State == targets.Rejected && undecoded: // a finding about the file says so
	case m.State == targets.Rejected:
		p.add(Rejected, Error, p.locate(m.Reason, "metadata"), "is rejected: "+m.Reason+".", sentence(m.Mend, "correct this field"))
	case m.State == targets.Pending:
		p.add(NotChecked, Warning, "metadata", "is not checked: "+m.Reason+".", "")
	case m.State == targets.Unselected:
		p.unselected(m.Reason, m.Mend)
	case len(m.Jobs) == 0:
		p.add(NoEndpoints, Warning, "spec", "has no endpoints, so that it scrapes nothing.", "Add an endpoint.")
	}
	for i := range m.Jobs {
		p.job(&m.Jobs[i])
	}
}

// sentence makes a sentence of what to change, or of another text if it is empty.
func sentence(mend, otherwise string) string {
	text := cmp.Or(mend, otherwise)
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// unselected adds that the configuration does not select the monitor.
func (p place) unselected(reason, mend string) {
	s := Warning
	if strings.Contains(reason, "are not known") {
		s = Note
	}
	p.add(NotSelected, s, "metadata", "is not selected by the configuration: "+reason+".", sentence(mend, "give it the labels that the selector asks for, or change the selector"))
}

// fieldOf is the path of a job in its monitor.
func (p place) fieldOf(j *targets.Job) string {
	list := map[targets.Kind]string{targets.ServiceMonitor: "endpoints", targets.PodMonitor: "podMetricsEndpoints"}[p.owner.Kind]
	if list == "" {
		return "spec"
	}
	return "spec." + list + "[" + j.Name[strings.LastIndexByte(j.Name, '/')+1:] + "]"
}

// job adds what is wrong with a job.
func (p place) job(j *targets.JobStatus) {
	p.c.report.Targets += j.Count + j.Elsewhere
	p.metricRules(j.Job)
	for _, n := range j.Notes {
		if !strings.Contains(n, "in sums they count twice") { // duplicates has them
			p.add(Remark, Note, p.locate(n, p.fieldOf(j.Job)), "works, but: "+n+".", "")
		}
	}
	if j.Count+j.Elsewhere > 0 {
		return
	}
	switch byPort := len(j.Dropped) > 0 && !slices.ContainsFunc(j.Dropped, func(d targets.Dropped) bool { return !d.ByPort }); {
	case p.targetPort(j):
	case byPort && p.unknownPods(j, targetLabels(j.Job.Port)):
		p.add(NotChecked, Note, p.locate(j.Why, p.fieldOf(j.Job)), "cannot be checked: "+j.Why+", and the Pods behind it are not in the files.", "")
	case byPort:
		p.add(NoSuchPort, Error, p.locate(j.Why, p.fieldOf(j.Job)), "has no targets: "+j.Why+".", sentence(j.Nothing.Mend, "correct the port"))
	case len(j.Dropped) > 0:
		p.dropped(j)
	case p.nothing(j.Why):
		s := Note
		if p.c.cluster {
			s = Warning
		}
		p.add(NoMatch, s, p.selectorField(j.Job), "selects nothing: "+j.Why+".", sentence(j.Nothing.Mend, "compare its selector and namespaceSelector with the labels and namespaces of the objects"))
	case len(j.Job.Config.ServiceDiscoveryConfigs) > 0:
		p.add(NotChecked, Note, p.fieldOf(j.Job), "cannot be checked: "+j.Why+".", "")
	default:
		p.add(NoEndpoints, Warning, p.fieldOf(j.Job), "has no targets: "+j.Why+".", sentence(j.Nothing.Mend, ""))
	}
}

// nothing reports whether a reason says that nothing is selected.
func (p place) nothing(why string) bool {
	return slices.ContainsFunc([]string{"no ", "none of ", "there are no ", "there is no "}, func(prefix string) bool { return strings.HasPrefix(why, prefix) })
}

// selectorField is the field that selects objects, or that of the job if there is none.
func (p place) selectorField(j *targets.Job) string {
	if _, there := p.found.Line("spec.selector"); there {
		return "spec.selector"
	}
	return p.fieldOf(j)
}

// targetLabels are the labels that a rule for ports reads.
func targetLabels(r *targets.PortRule) []string {
	if r == nil {
		return nil
	}
	return []string{r.Label}
}

// unknownPods reports whether labels come from Pods that are not in the files.
func (p place) unknownPods(j *targets.JobStatus, labels []string) bool {
	return slices.ContainsFunc(labels, workloads.OfPod) && slices.ContainsFunc(j.Dropped, func(d targets.Dropped) bool {
		return p.c.made.Bare[serviceOf(d.Discovered)]
	})
}

// serviceOf names the Service of a target.
func serviceOf(discovered map[string]string) string {
	return discovered["__meta_kubernetes_namespace"] + "/" + discovered["__meta_kubernetes_service_name"]
}

// targetPort adds that a Service whose targets a job drops names a port that no container has. It reports whether that is so.
func (p place) targetPort(j *targets.JobStatus) (found bool) {
	for service, missing := range p.c.made.Missing {
		selects := strings.Contains(j.Why+" ", "Service "+service+" ") || slices.ContainsFunc(j.Dropped, func(d targets.Dropped) bool { return serviceOf(d.Discovered) == service })
		for _, gap := range missing {
			name, _, _ := strings.Cut(strings.TrimPrefix(gap, "port "), " ")
			if selects && (j.Job.Port == nil || j.Job.Port.Regex.MatchString(name)) {
				p.add(TargetPort, Error, p.fieldOf(j.Job), fmt.Sprintf("has no targets: Service %s: %s.", service, gap), "Name the port in the container, or write its name or number as the targetPort of the Service.")
				found = true
			}
		}
	}
	return found
}

var labelName = regexp.MustCompile(`__\w+`)

// dropped adds that all targets of a job were dropped.
func (p place) dropped(j *targets.JobStatus) {
	others := slices.DeleteFunc(slices.Clone(j.Dropped), func(d targets.Dropped) bool { return d.ByPort })
	field := p.locate(others[0].Reason, p.fieldOf(j.Job))
	sure := slices.ContainsFunc(others, func(d targets.Dropped) bool {
		reads := labelName.FindAllString(d.Reason, -1)
		return !slices.ContainsFunc(reads, workloads.MadeUp) && !p.unknownPods(j, reads)
	})
	if sure || p.c.cluster {
		p.add(DropsAll, Warning, field, "has no targets: "+j.Why+".", sentence(j.Nothing.Mend, "change the rule that is named, or the labels that it reads"))
		return
	}
	p.add(NotChecked, Note, field, "cannot be checked: a rule reads labels that only a cluster has: "+j.Why+".", "")
}

// metricRules adds rules for samples that drop all of them, whatever their labels are.
func (p place) metricRules(j *targets.Job) {
	for i, r := range j.Config.MetricRelabelConfigs {
		all := r.Action == relabel.Drop && everything(r.Regex) ||
			len(r.SourceLabels) == 0 && (r.Action == relabel.Drop && r.Regex.MatchString("") || r.Action == relabel.Keep && !r.Regex.MatchString(""))
		if all {
			from := j.MetricOrigin(i).String()
			p.add(DropsAllSamples, Warning, p.locate(from, p.fieldOf(j)), "sends no samples: "+from+" drops all of them.", "Name sourceLabels and a regex that matches what the rule is about.")
		}
	}
}

// everything reports whether a regular expression matches all values as it stands.
func everything(r relabel.Regexp) bool {
	return slices.Contains([]string{"", ".*", "(.*)"}, r.String()) && r.MatchString("any")
}
