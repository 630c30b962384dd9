package targets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"promrelay/config"
)

// The kinds of subjects that are no owners of jobs.
const (
	NodeSubject    = "Node"
	ServiceSubject = "Service"
	TargetSubject  = "Target"
)

// subjectKinds are the names by which people name kinds, without letter case: as kubectl does, and some more.
var subjectKinds = []struct {
	kind  string
	names []string
}{
	{string(ServiceMonitor), []string{"servicemonitor", "servicemonitors", "smon"}},
	{string(PodMonitor), []string{"podmonitor", "podmonitors", "pmon"}},
	{string(Probe), []string{"probe", "probes", "prb"}},
	{string(ScrapeConfig), []string{"scrapeconfig", "scrapeconfigs", "scfg"}},
	{NodeSubject, []string{"node", "nodes", "no"}},
	{ServiceSubject, []string{"service", "services", "svc"}},
	{TargetSubject, []string{"target", "targets"}},
	{string(ScrapeConfigBlock), []string{"scrape_config", "scrape_configs", "job"}},
}

// SubjectKinds are the usual names of the kinds of subjects.
func SubjectKinds() (out []string) {
	for _, k := range subjectKinds {
		out = append(out, k.names[0])
	}
	return out
}

// ParseSubject reads a subject as people write it. The name may hold the namespace: namespace/name.
func ParseSubject(kind, namespace, name string) (Subject, error) {
	i := slices.IndexFunc(subjectKinds, func(k struct {
		kind  string
		names []string
	},
	) bool {
		return slices.Contains(k.names, strings.ToLower(kind))
	})
	if i < 0 {
		return Subject{}, fmt.Errorf("kind %q%s", kind, config.Suggest(kind, SubjectKinds()))
	}
	s := Subject{subjectKinds[i].kind, namespace, name}
	if s.Name == "" {
		return s, errors.New("name is missing")
	}
	switch s.Kind {
	case NodeSubject, TargetSubject, string(ScrapeConfigBlock):
		if s.Namespace != "" {
			return s, fmt.Errorf("namespace %q: a %s has none", s.Namespace, s.Kind)
		}
		return s, nil
	}
	if ns, rest, ok := strings.Cut(s.Name, "/"); ok && s.Namespace == "" {
		s.Namespace, s.Name = ns, rest
	}
	if s.Namespace == "" || s.Name == "" || strings.Contains(s.Name, "/") {
		return s, fmt.Errorf("%q: want NAMESPACE/NAME of a %s", name, s.Kind)
	}
	return s, nil
}
