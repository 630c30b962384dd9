package targets

import (
	"maps"
	"reflect"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

// Set holds jobs and the targets that they make from discovered groups. Replace, Offer and OfferAll change it; the next Settle returns
// the changes. A Set is not safe for concurrent use. The results of Settle and of the read methods do not change.
type Set struct {
	jobs    map[string]*jobState
	owners  map[Owner][]string     // names of their jobs
	sources map[Source]*sourceJobs // which jobs use groups of a source
	touched map[*jobState]bool     // since the last Settle
	gone    map[string]*jobState   // of jobs that were settled and removed since
	builder *labels.Builder
	// places holds who has targets at a URL, live ones or in node mode: one occupant for each target.
	places        map[string][]occupant
	shared        map[string]bool    // URLs that got a second occupant since the last Settle
	yielding      map[*jobState]bool // the jobs that yield
	gaveWay       map[*jobState]bool // monitors' jobs that left a target to node mode
	coverage      Coverage
	duplicates    map[Duplicate]bool // those found so far
	newDuplicates []Duplicate        // those that NewDuplicates has not returned yet
}

// NewSet returns a set without jobs.
func NewSet() *Set {
	return &Set{
		jobs: map[string]*jobState{}, owners: map[Owner][]string{}, sources: map[Source]*sourceJobs{},
		touched: map[*jobState]bool{}, gone: map[string]*jobState{}, builder: labels.NewBuilder(labels.EmptyLabels()),
		places: map[string][]occupant{}, shared: map[string]bool{}, yielding: map[*jobState]bool{}, gaveWay: map[*jobState]bool{},
		duplicates: map[Duplicate]bool{},
	}
}

// jobState is a job with its targets.
type jobState struct {
	job    *Job
	groups map[groupKey]*groupState
	// live holds the targets as of the last Settle, by hash. settled is the job at that time, nil before the first Settle.
	live    map[uint64]*Target
	settled *Job
	new     bool // it was not settled yet
	// elsewhere holds the targets that relays in node mode scrape, as of the last Settle.
	elsewhere map[uint64]*Target
	// yielded holds the targets that the job leaves to others, as of the last Settle. at holds the URLs where others decide what it has.
	yielded []Drop
	at      map[string]bool
}

// groupKey identifies a group of a job.
type groupKey struct {
	source Source
	name   string // Group.Source
}

// groupState holds the targets that a job makes from a group.
type groupState struct {
	group   *targetgroup.Group
	targets []*Target
	dropped []Drop
}

// Drop is a target of a group that a job does not scrape.
type Drop struct {
	Group *targetgroup.Group
	Index int   // of Group.Targets
	Rule  int   // index in Config.RelabelConfigs of the rule that dropped it; -1 for none
	Err   error // why it is dropped where no rule did
}

// sourceJobs finds the jobs that may use a group.
type sourceJobs struct {
	// byLabel holds jobs by a namespace, "" for all, and a label with its value that their selectors demand, "" if they demand none.
	byLabel map[jobIndex]map[*jobState]bool
	// with holds the jobs that use a group, by its name.
	with map[string]map[*jobState]bool
}

type jobIndex struct{ namespace, name, value string }

// Replace sets the jobs of an owner; without jobs it removes the owner. A job that is equal to the present one is not touched. It
// returns the jobs that are new or changed and have Discoveries: the caller offers them the groups of these before Settle.
func (s *Set) Replace(owner Owner, jobs []*Job) (changed []*Job) {
	before := s.owners[owner]
	var names []string
	for _, j := range jobs {
		names = append(names, j.Name)
		if old := s.jobs[j.Name]; old != nil && sameJob(old.job, j) {
			continue
		}
		s.put(j)
		if len(j.Discoveries) > 0 {
			changed = append(changed, j)
		}
	}
	for _, name := range before {
		if !slices.Contains(names, name) {
			s.remove(name)
		}
	}
	if s.owners[owner] = names; len(names) == 0 {
		delete(s.owners, owner)
	}
	return changed
}

// sameJob reports whether two jobs are equal.
func sameJob(a, b *Job) bool {
	return a.Owner == b.Owner && a.OwnToken == b.OwnToken && a.Yields == b.Yields && a.Half == b.Half && reflect.DeepEqual(a.Discoveries, b.Discoveries) && reflect.DeepEqual(a.Static, b.Static) &&
		reflect.DeepEqual(a.Config, b.Config) && slices.Equal(a.Notes, b.Notes) && slices.Equal(a.Origins, b.Origins) && slices.Equal(a.MetricOrigins, b.MetricOrigins)
}

func (s *Set) put(j *Job) {
	state := &jobState{job: j, groups: map[groupKey]*groupState{}, new: true}
	old := s.jobs[j.Name]
	if old != nil {
		state.live, state.elsewhere, state.settled = old.live, old.elsewhere, old.settled
		s.unindex(old)
		delete(s.touched, old)
	} else if gone := s.gone[j.Name]; gone != nil {
		state.live, state.elsewhere, state.settled = gone.live, gone.elsewhere, gone.settled
		delete(s.gone, j.Name)
	}
	s.jobs[j.Name] = state
	s.touched[state] = true
	if j.Yields != YieldsNever {
		s.yielding[state] = true
	}
	for _, d := range j.Discoveries {
		src := s.sources[d.Source]
		if src == nil {
			src = &sourceJobs{byLabel: map[jobIndex]map[*jobState]bool{}, with: map[string]map[*jobState]bool{}}
			s.sources[d.Source] = src
		}
		for _, at := range indexesOf(j, d) {
			if src.byLabel[at] == nil {
				src.byLabel[at] = map[*jobState]bool{}
			}
			src.byLabel[at][state] = true
		}
	}
	for _, g := range j.Static {
		s.take(state, Source{}, g)
	}
	if old != nil && len(j.Config.ServiceDiscoveryConfigs) > 0 {
		for key, gs := range old.groups { // groups of OfferAll, which removes them when they are gone
			if key.source == (Source{}) && !old.job.static(key.name) {
				s.take(state, key.source, gs.group)
			}
		}
	}
}

func (s *Set) remove(name string) {
	state := s.jobs[name]
	if state == nil {
		return
	}
	s.unindex(state)
	delete(s.touched, state)
	delete(s.jobs, name)
	if state.settled != nil {
		s.gone[name] = state
	}
}

func (s *Set) unindex(state *jobState) {
	delete(s.yielding, state)
	delete(s.gaveWay, state)
	for _, d := range state.job.Discoveries {
		src := s.sources[d.Source]
		if src == nil {
			continue
		}
		for _, at := range indexesOf(state.job, d) {
			if delete(src.byLabel[at], state); len(src.byLabel[at]) == 0 {
				delete(src.byLabel, at)
			}
		}
		for key := range state.groups {
			if key.source != d.Source {
				continue
			}
			if delete(src.with[key.name], state); len(src.with[key.name]) == 0 {
				delete(src.with, key.name)
			}
		}
		if len(src.byLabel) == 0 {
			delete(s.sources, d.Source)
		}
	}
}

// indexesOf returns the keys under which find looks for a job: its namespaces with the first label that its selector demands.
func indexesOf(j *Job, d Discovery) []jobIndex {
	var label, want string
	if len(j.Demands) > 0 {
		label, want = j.Demands[0].Label(), j.Demands[0].Value
	}
	namespaces := d.Namespaces
	if len(namespaces) == 0 || d.Role == RoleNode { // Nodes have no namespace
		namespaces = []string{""}
	}
	var out []jobIndex
	for _, ns := range namespaces {
		out = append(out, jobIndex{ns, label, want})
	}
	return out
}

// Sources returns the sources whose groups some job uses.
func (s *Set) Sources() []Source { return slices.Collect(maps.Keys(s.sources)) }

// Offer passes a group of a source to the jobs that may use it. A group without targets is gone. Namespace is that of its object, empty
// if it has none. With onlyNew the group is unchanged, and only jobs that were not settled yet look at it.
func (s *Set) Offer(src Source, namespace string, g *targetgroup.Group, onlyNew bool) {
	jobs := s.sources[src]
	if jobs == nil {
		return
	}
	candidates := map[*jobState]bool{}
	if len(g.Targets) > 0 {
		jobs.find(candidates, namespace, g.Labels)
	}
	if !onlyNew {
		for state := range jobs.with[g.Source] {
			if !candidates[state] {
				s.drop(state, src, g.Source)
			}
		}
	}
	for state := range candidates {
		if !onlyNew || state.new {
			s.take(state, src, g)
		}
	}
}

// find adds the jobs that may use a group with these labels.
func (sj *sourceJobs) find(out map[*jobState]bool, namespace string, ls model.LabelSet) {
	for _, ns := range [...]string{namespace, ""} {
		for state := range sj.byLabel[jobIndex{namespace: ns}] {
			out[state] = true
		}
		for name, v := range ls {
			for state := range sj.byLabel[jobIndex{ns, string(name), string(v)}] {
				out[state] = true
			}
		}
		if namespace == "" {
			return
		}
	}
}

// OfferAll sets the groups that a job finds by its Config's service discovery. Their Sources are distinct. The job keeps the groups
// until the next call. An edited job keeps them too, as long as its Config has service discovery.
func (s *Set) OfferAll(job string, groups []*targetgroup.Group) {
	state := s.jobs[job]
	if state == nil {
		return
	}
	have := map[string]bool{}
	for _, g := range groups {
		if len(g.Targets) > 0 {
			have[g.Source] = true
			s.take(state, Source{}, g)
		}
	}
	for key := range state.groups {
		if key.source == (Source{}) && !have[key.name] && !state.job.static(key.name) {
			s.drop(state, key.source, key.name)
		}
	}
}

// take adds the group to the job, and replaces an older version of it.
func (s *Set) take(state *jobState, src Source, g *targetgroup.Group) {
	key := groupKey{src, g.Source}
	if old := state.groups[key]; old != nil && old.group == g {
		return
	}
	gs := s.populate(state.job, g)
	if gs == nil {
		s.drop(state, src, g.Source)
		return
	}
	state.groups[key] = gs
	s.touched[state] = true
	if jobs := s.sources[src]; jobs != nil {
		if jobs.with[g.Source] == nil {
			jobs.with[g.Source] = map[*jobState]bool{}
		}
		jobs.with[g.Source][state] = true
	}
}

func (s *Set) drop(state *jobState, src Source, name string) {
	key := groupKey{src, name}
	if state.groups[key] == nil {
		return
	}
	delete(state.groups, key)
	s.touched[state] = true
	if jobs := s.sources[src]; jobs != nil {
		if delete(jobs.with[name], state); len(jobs.with[name]) == 0 {
			delete(jobs.with, name)
		}
	}
}

// populate makes targets from a group. It returns nil if the job's Select drops the group.
func (s *Set) populate(j *Job, g *targetgroup.Group) *groupState {
	if len(j.Select) > 0 {
		s.builder.Reset(labels.EmptyLabels())
		for _, r := range j.Select {
			for _, name := range r.SourceLabels {
				s.builder.Set(string(name), string(g.Labels[name]))
			}
		}
		if !relabel.ProcessBuilder(s.builder, j.Select...) {
			return nil
		}
	}
	gs := &groupState{group: g}
	for i, own := range g.Targets {
		discovered(s.builder, j.Config, own, g.Labels)
		ls, err := populate(s.builder, j.Config.RelabelConfigs)
		switch {
		case err != nil:
			gs.dropped = append(gs.dropped, Drop{g, i, -1, err})
		case ls.IsEmpty():
			gs.dropped = append(gs.dropped, Drop{g, i, s.culprit(j, g, i), nil})
		default:
			gs.targets = append(gs.targets, newTarget(j, ls, g, i))
		}
	}
	return gs
}

// culprit returns the index of the rule that drops a target.
func (s *Set) culprit(j *Job, g *targetgroup.Group, i int) int {
	discovered(s.builder, j.Config, g.Targets[i], g.Labels)
	for n, r := range j.Config.RelabelConfigs {
		if !relabel.ProcessBuilder(s.builder, r) {
			return n
		}
	}
	return -1
}
