package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"promrelay/informers"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// pair is two jobs that scrape the same pages; one job if it has a page twice.
type pair struct{ a, b string }

// duplicates adds the pairs of jobs that scrape the same page.
func (c *checker) duplicates(d *informers.Discovery, all []targets.MonitorStatus) {
	at := map[string][]*targets.Target{}
	for i := range all {
		for n := range all[i].Jobs {
			for _, t := range d.Targets(all[i].Jobs[n].Job.Name) {
				at[t.URL] = append(at[t.URL], t)
			}
		}
	}
	shared := map[pair][]*targets.Target{} // those of b
	for _, url := range slices.Sorted(maps.Keys(at)) {
		there := at[url]
		seen := map[pair]bool{}
		for i, a := range there {
			for _, b := range there[i+1:] {
				p := pair{min(a.Job.Name, b.Job.Name), max(a.Job.Name, b.Job.Name)}
				if !seen[p] {
					seen[p] = true
					shared[p] = append(shared[p], b)
				}
			}
		}
	}
	for p, ts := range shared {
		c.duplicate(p, ts)
	}
}

// duplicate adds a pair of jobs. It is shown at the second one.
func (c *checker) duplicate(p pair, shared []*targets.Target) {
	t, owner := shared[0], ownerOf(p.b)
	found, ok := c.tree.Find(objects.OfKind(owner.Kind), owner.Namespace+"/"+owner.Name)
	if !ok {
		return
	}
	more := ""
	if n := len(shared) - 1; n > 0 {
		more = fmt.Sprintf(", and %d more", n)
	}
	at := place{c, owner, found}
	field := at.fieldOf(&targets.Job{Name: p.b})
	if p.a == p.b {
		at.add(Duplicate, Warning, field, fmt.Sprintf("scrapes %s twice%s, because several Services that it selects lead there.", page(t), more), "Select one of the Services.")
		return
	}
	at.add(Duplicate, Warning, field, fmt.Sprintf("scrapes %s%s, which %s scrapes too (jobs %s and %s): the page is scraped twice.", page(t), more, ownerOf(p.a), p.a, p.b),
		"Remove one of the two endpoints, or make one of the selectors narrower.")
}

// ownerOf returns the monitor of a job, by the job's name.
func ownerOf(job string) targets.Owner {
	parts := strings.SplitN(job, "/", 4)
	if len(parts) < 3 {
		return targets.Owner{Name: job}
	}
	return targets.Owner{Kind: objects.OfKind(targets.Kind(parts[0])).Kind, Namespace: parts[1], Name: parts[2]}
}

// page names what a target is in the words of its object, because its address is made up.
func page(t *targets.Target) string {
	d := t.Discovered()
	_, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(t.ShownURL(), "https://"), "http://"), "/")
	port := t.URL
	if _, rest, ok := strings.Cut(t.URL, "://"); ok {
		port, _, _ = strings.Cut(rest, "/")
		port = port[strings.LastIndexByte(port, ':')+1:]
	}
	name := "Pod " + d.Get("__meta_kubernetes_namespace") + "/" + d.Get("__meta_kubernetes_pod_name")
	switch {
	case d.Get("__meta_kubernetes_pod_name") != "":
	case d.Get("__meta_kubernetes_service_name") != "":
		name = "Service " + d.Get("__meta_kubernetes_namespace") + "/" + d.Get("__meta_kubernetes_service_name")
	default:
		return t.ShownURL()
	}
	return fmt.Sprintf("/%s at port %s of %s", path, port, name)
}
