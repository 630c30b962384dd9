package samples

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// generator makes random sequences: a page that changes a little from step to step, in all ways that pages and configurations are known
// to change.
type generator struct {
	*rand.Rand
	format  string
	now     int64 // milliseconds, of the step at hand
	epoch   int64 // milliseconds, when the target started
	page    []*pageFamily
	serial  int // of labels that make lines different
	who     int // which target the page is written for
	configs map[string]settings
	targets int
	seen    *features

	typeless   bool // answers have no Content-Type
	steady     bool // few troubles, and changes in the middle of the page
	mixed      bool // the format changes
	negotiates bool // targets answer as Accept prefers
	differs    bool // the second target has other values and lines
	stamped    bool // every line bears a timestamp
	failing    bool // some pages have many new lines, and fail
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// often draws whether the sequence has a feature.
func (g *generator) often(percent int, name string) bool {
	if !g.chance(percent) {
		return false
	}
	g.seen.add(name)
	return true
}

// sequence is the steps of a test, and for each the skeleton of the page that target a:80 shows.
type sequence struct {
	steps     []step
	skeletons [][]string
}

const addressA, addressB = "a:80", "b:80"

// newGenerator draws what holds for a whole sequence.
func newGenerator(seed uint64, seen *features) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), seen: seen, epoch: 946684800000}
	g.now = time.Date(2000, 1, 1, 0, 0, 20, 0, time.UTC).UnixMilli()
	g.format = pick(g, plain, plain, plain, openMetrics, openMetrics, protobuf)
	g.typeless, g.steady = g.chance(4), g.chance(90)
	g.mixed = g.chance(15) && !g.typeless
	g.negotiates = !g.mixed && !g.typeless && g.often(30, "answers as Accept prefers")
	g.stamped = g.often(10, "every line stamped")
	g.failing = g.often(2, "failing pages of many new lines")
	for range 1 + g.IntN(5) {
		g.page = append(g.page, g.family())
	}
	return g
}

// labelSets draws the labels of the targets.
func (g *generator) labelSets() []model.LabelSet {
	all := []model.LabelSet{{"__address__": addressA, "zone": "z1"}}
	if g.chance(25) {
		all = append(all, model.LabelSet{"__address__": addressB, "zone": "z1"})
		if g.chance(80) { // the same series from another target
			all[1]["instance"] = addressA
		}
		g.differs = g.often(50, "two targets that differ")
	}
	if g.often(15, "target label exported_zone") {
		for _, ls := range all {
			ls["exported_zone"] = "z2"
		}
	}
	g.targets = len(all)
	return all
}

func (g *generator) length() int {
	switch {
	case g.often(5, "15 steps or more"):
		return 15 + g.IntN(11)
	case g.steady:
		return 9 + g.IntN(6)
	}
	return 2 + g.IntN(7)
}

// newSequence makes a sequence from a seed.
func newSequence(seed uint64, seen *features) sequence {
	g := newGenerator(seed, seen)
	j := jobs{generator: g, all: g.labelSets(), at: "job"}
	j.other = g.chance(15)
	if j.other && g.chance(50) {
		for _, ls := range j.all { // and their series stay what they are
			ls["job"] = "fixed"
		}
	}
	n := g.length()
	s := sequence{steps: make([]step, n), skeletons: make([][]string, n)}
	for i := range s.steps {
		to := &s.steps[i]
		to.answers = map[string]answer{}
		j.change(i, to)
		if i > 0 && to.changes() {
			for addr, a := range s.steps[i-1].answers { // Prometheus would wait for what is under way
				a.delay = 0
				s.steps[i-1].answers[addr] = a
			}
		}
		if g.mixed && g.chance(15) {
			g.format = pick(g, plain, openMetrics, protobuf)
			seen.add("page changes its format")
		}
		for who, target := range j.all {
			g.who = who
			to.answers[string(target["__address__"])] = g.answer()
		}
		g.who = 0
		s.skeletons[i] = g.skeleton()
		if g.chance(3) {
			delete(to.answers, addressA)
			seen.add("connection refused")
		}
		g.now += interval.Milliseconds()
		g.change()
	}
	return s
}

// jobs changes jobs and targets.
type jobs struct {
	*generator
	all   []model.LabelSet
	now   []model.LabelSet // of them, those that are targets
	at    string           // the job of the targets
	moved int              // the step in which they changed
	other bool             // there is another job, to which they may move
}

func (j *jobs) change(i int, to *step) {
	switch {
	case i == 0:
		to.configs = map[string]string{"job": j.config("job")}
		j.set(to, j.all)
		if j.other {
			to.configs["other"], to.targets["other"] = j.config("other"), []model.LabelSet{}
		}
	case j.other && j.chance(10):
		from := j.at
		j.at = map[string]string{"job": "other", "other": "job"}[j.at]
		j.set(to, j.all)
		to.targets[from] = []model.LabelSet{}
		j.seen.add("target moves to another job")
	case j.chance(12): // not with targets: Prometheus then forgets the staleness markers
		j.reload(to)
	case len(j.now) < len(j.all) && j.chance(40):
		j.set(to, j.all)
	case j.chance(5), len(j.all) > 1 && j.chance(15):
		j.set(to, j.some())
	case j.other && j.at == "job" && i > j.moved+3 && j.chance(25): // not sooner, see TestJobGoesMatchesPrometheus
		to.remove = []string{"other"}
		j.other = false
		j.seen.add("job goes")
	}
	if to.targets != nil {
		j.moved = i
	}
}

func (j *jobs) reload(to *step) {
	j.seen.add("configuration changes")
	wholly := 75
	if j.steady {
		wholly = 10
	}
	var text string
	if j.chance(wholly) {
		text = j.config(j.at)
	} else {
		text, to.kept = j.edit(j.at)
	}
	to.configs = map[string]string{j.at: text}
}

func (j *jobs) set(to *step, targets []model.LabelSet) {
	j.now = targets
	to.targets = map[string][]model.LabelSet{j.at: targets}
}

// some draws some of the targets.
func (j *jobs) some() []model.LabelSet {
	out := []model.LabelSet{}
	for _, ls := range j.all {
		if j.chance(50) {
			out = append(out, ls)
		}
	}
	if len(out) == 1 && out[0]["__address__"] == addressB {
		j.seen.add("only the second target stays")
	}
	return out
}

func (g *generator) answer() answer {
	a := answer{status: 200, contentType: g.format, body: g.write(), gzip: g.chance(20)}
	if g.typeless {
		a.contentType = ""
	}
	if a.gzip {
		g.seen.add("gzip")
	}
	if g.failing && g.chance(30) {
		a.contentType, a.body = plain, g.manyLines()
		return a
	}
	troubles := 36
	if g.steady {
		troubles = 150
	}
	if what := g.IntN(troubles); what < 10 {
		g.trouble(&a, what)
	} else if g.negotiates {
		a.forms = g.forms()
	}
	return a
}

// forms returns the page in each format.
func (g *generator) forms() map[string]string {
	defer func(was string) { g.format = was }(g.format)
	out := map[string]string{}
	for _, format := range []string{plain, openMetrics, protobuf} {
		g.format = format
		media, _, _ := strings.Cut(format, ";")
		out[media] = g.write()
	}
	return out
}

func (g *generator) trouble(a *answer, what int) {
	switch what {
	case 0:
		a.status = pick(g, 503, 500, 404, 401, 204)
		if a.status == 204 {
			a.body, a.gzip = "", false
		}
	case 1:
		a.body = a.body[:g.IntN(len(a.body)+1)]
		g.seen.add("truncated body")
	case 2:
		a.contentType = pick(g, "", "", "", "text/html", "application/json", "text/plain", "nonsense/", "application/openmetrics-text; version=2.0.0",
			"application/openmetrics-text", "text/plain; version=1.0.0; escaping=underscores", "application/vnd.google.protobuf; proto=other; encoding=text", "TEXT/PLAIN")
		g.seen.add("content type that is wrong")
	case 3:
		a.body = ""
		g.seen.add("empty body")
	case 4:
		a.delay = 6 * time.Second // beyond the timeout
	case 5:
		a.delay = 1500 * time.Millisecond
	case 6:
		a.body = strings.ReplaceAll(a.body, "\n", "\r\n")
		g.seen.add("CRLF")
	case 7:
		if i := g.IntN(len(a.body) + 1); i < len(a.body) {
			a.body = a.body[:i] + pick(g, "\x00", "\xff", "\"", "{", "\n", " ", "}", "#") + a.body[i+1:]
			g.seen.add("damaged body")
		}
	case 8:
		if g.format == plain {
			a.body = strings.TrimSuffix(a.body, "\n")
			g.seen.add("missing last newline")
		}
	case 9:
		a.cut = true
		g.seen.add("connection cut within the body")
	}
}
