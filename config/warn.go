package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// warnAll warns of accepted settings that are likely to be a mistake. It reads the text of the file, so it also works if the file has
// mistakes.
func (l *loader) warnAll() {
	l.warnMeaningless()
	l.warnEmpty()
	l.warnIdleFields()
	l.warnSelectors()
	l.warnUnset("global", "external_labels")
	l.warnUnset("monitors", "externalLabels")
	l.warnSegments()
	l.warnIdleNodes()
	l.warnIdleNodeMode()
	l.warnIdleJobs()
	l.noteLabels()
}

// warnIdleNodes warns of a nodes block in which every job is off.
func (l *loader) warnIdleNodes() {
	n := l.c.Nodes
	if n != nil && !n.Kubelet.Enabled && !n.Cadvisor.Enabled && !n.Probes.Enabled && !n.Resource.Enabled && !n.KubeProxy.Enabled {
		l.warn(l.doc.line("nodes"), "nodes: no job is enabled, so no node is scraped; enable one, or leave the block out")
	}
}

// warnIdleJobs warns of jobs that find no targets.
func (l *loader) warnIdleJobs() {
	for i, sc := range l.c.ScrapeConfigs {
		if len(sc.ServiceDiscoveryConfigs) == 0 {
			line, block := l.jobLine(i)
			l.warn(line, "%s: job_name %q: it has no targets: want static_configs or one of ..._sd_configs", block, sc.JobName)
		}
	}
}

// warnEmpty warns of blocks that would turn something on but have no value. YAML treats them as if the key were missing.
func (l *loader) warnEmpty() {
	c := l.c
	for _, block := range []struct {
		key, write string
		off        bool // nothing else has turned it on
	}{
		{"kubernetes", "{}", c.Kubernetes == nil && c.Manifests == nil},
		{"monitors", "{}", c.Monitors == nil},
		{"nodes", "{}", c.Nodes == nil},
		{"node_mode", "{}", c.NodeMode == nil},
		{"annotations", "{}", c.Annotations == nil},
		{"manifests", "{directory: DIRECTORY}", c.Manifests == nil && c.Kubernetes == nil},
	} {
		if n := resolved(find(l.doc.root, block.key)); n != nil && isNull(n) && block.off {
			l.warn(l.doc.line(block.key), "%s is empty, which is as if it were not there; write `%s: %s` to turn it on", block.key, block.key, block.write)
		}
	}
}

// selectorsOf are the kinds of monitors, with the prefix of the names of their selectors.
var selectorsOf = []struct{ name, kind string }{
	{"serviceMonitor", "ServiceMonitor"}, {"podMonitor", "PodMonitor"}, {"probe", "Probe"}, {"scrapeConfig", "ScrapeConfig"},
}

// warnSelectors warns of selectors that are left out while others are given. By the operator's rule such a selector selects nothing. Few
// users expect that when they narrow one kind. There is no warning for a selector that is written, even as `probeSelector: null`.
func (l *loader) warnSelectors() {
	block := resolved(find(l.doc.root, "monitors"))
	said := func(key string) bool { return find(block, key) != nil }
	var given, left, kinds, own []string
	line := 0
	for _, s := range selectorsOf {
		selector, namespaces := s.name+"Selector", s.name+"NamespaceSelector"
		for _, key := range []string{selector, namespaces} {
			if n := resolved(find(block, key)); n != nil && !isNull(n) {
				given = append(given, key)
				if at := l.doc.line("monitors", key); line == 0 || at < line {
					line = at
				}
			}
		}
		switch {
		case !said(selector):
			left, kinds = append(left, selector), append(kinds, s.kind)
		case !isNull(resolved(find(block, selector))) && !said(namespaces):
			own = append(own, namespaces)
		}
	}
	if len(given) == 0 {
		return
	}
	if len(left) > 0 {
		l.warn(line, "monitors: %s given and %s not, so no %s is selected; write `%s: {}` to select all, or `%s: null` to select none",
			are(given), are(left), listed(kinds, "or"), left[0], left[0])
	}
	if len(own) > 0 && !l.confined() {
		l.warn(line, "monitors: %s not given, so only the relay's own namespace counts for these kinds; write `%s: {}` for all namespaces, or `%s: null` for its own",
			are(own), own[0], own[0])
	}
}

// confined reports whether the relay reads only namespaces that are named.
func (l *loader) confined() bool { return l.c.Kubernetes != nil && len(l.c.Kubernetes.Namespaces) > 0 }

// are returns a list of names and its verb.
func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return listed(names, "and") + " are"
}

// listed joins names with commas, and word before the last one.
func listed(names []string, word string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " " + word + " " + names[last]
}

// noteLabels notes that nothing distinguishes the series from those of other clusters. It is no warning, because one cluster needs no such
// label.
func (l *loader) noteLabels() {
	if l.c.Monitors == nil && l.c.Nodes == nil && l.c.Annotations == nil {
		return
	}
	labels := func(path ...string) bool {
		n := resolved(l.doc.value(path...))
		return n != nil && n.Kind == yaml.MappingNode && len(n.Content) > 0
	}
	if !labels("global", "external_labels") && !labels("monitors", "externalLabels") {
		l.notes = append(l.notes, Problem{
			Line: l.doc.line("global", "external_labels"),
			Text: "no external_labels: series of several clusters cannot be told apart; set global.external_labels, such as {cluster: NAME}",
		})
	}
}
