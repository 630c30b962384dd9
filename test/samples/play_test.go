package samples

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// interval is that of scrapes, and of the steps of a sequence.
const interval = 10 * time.Second

// answer is what a target says to one scrape.
type answer struct {
	status      int
	contentType string
	body        string
	forms       map[string]string // bodies by media type, where the target answers as Accept prefers
	delay       time.Duration
	gzip        bool
	cut         bool // the connection ends in the middle of the body
}

// negotiate returns the answer to a request with this Accept header.
func (a answer) negotiate(accept string) (contentType, body string) {
	first, _, _ := strings.Cut(accept, ",")
	typ, _, _ := strings.Cut(first, ";q=")
	media, _, _ := strings.Cut(typ, ";")
	if body, ok := a.forms[media]; ok {
		return typ, body
	}
	return a.contentType, a.body
}

// each calls f with all pages that the answer may consist of.
func (a answer) each(f func(contentType, body string)) {
	f(a.contentType, a.body)
	for media, body := range a.forms {
		f(media, body)
	}
}

// step is one interval of a sequence: at its start configurations and targets may change, then each target gives one answer.
type step struct {
	configs map[string]string           // by job, as YAML; jobs that are not there stay as they are
	remove  []string                    // jobs that go
	targets map[string][]model.LabelSet // by job; jobs that are not there keep theirs
	answers map[string]answer           // by address; a target without one refuses the connection
	kept    bool                        // targets keep their tables though configurations change
}

func (s *step) changes() bool { return len(s.configs) > 0 || len(s.remove) > 0 || len(s.targets) > 0 }

// changesA tells whether target a:80 may get another table.
func (s *step) changesA() bool {
	for _, ls := range s.targets {
		if len(ls) == 0 || ls[0]["__address__"] != addressA {
			return true
		}
	}
	return len(s.configs) > 0 && !s.kept || len(s.remove) > 0
}

// state is the jobs after the steps so far.
type state struct {
	config  *promconfig.Config
	configs map[string]string
	groups  map[string][]*targetgroup.Group
}

// apply makes the changes of a step.
func (s *state) apply(t testing.TB, next step) {
	t.Helper()
	if s.configs == nil {
		s.configs, s.groups = map[string]string{}, map[string][]*targetgroup.Group{}
	}
	maps.Copy(s.configs, next.configs)
	for _, job := range next.remove {
		delete(s.configs, job)
		delete(s.groups, job)
	}
	for job, ls := range next.targets {
		s.groups[job] = []*targetgroup.Group{{Source: "static", Targets: ls}}
	}
	if len(next.configs) == 0 && len(next.remove) == 0 {
		return
	}
	text := "global:\n  scrape_interval: 10s\n  scrape_timeout: 5s\nscrape_configs:\n"
	for _, job := range slices.Sorted(maps.Keys(s.configs)) {
		text += "- job_name: " + job + "\n"
		for line := range strings.Lines(s.configs[job]) {
			text += "  " + line
		}
	}
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	s.config = c
}

func (s *state) job(name string) *promconfig.ScrapeConfig {
	for _, c := range s.config.ScrapeConfigs {
		if c.JobName == name {
			return c
		}
	}
	return nil
}

// play goes through the steps in time. Changes come at the start of a step, answers change with it; done is called at its end.
func play(t testing.TB, e *exporter, steps []step, apply func(*state, step), done func(n int, s *state)) {
	// Not a whole second, so that no scrape falls on the border of two steps.
	time.Sleep(time.Until(time.Now().Truncate(interval).Add(interval + 7*time.Millisecond)))
	var now state
	for n, s := range steps {
		e.set(s.answers)
		if s.changes() {
			now.apply(t, s)
			apply(&now, s)
		}
		time.Sleep(interval)
		done(n, &now)
	}
	prompt := map[string]answer{} // so that no scrape is under way at the end
	for addr, a := range steps[len(steps)-1].answers {
		a.delay = 0
		prompt[addr] = a
	}
	e.set(prompt)
	time.Sleep(4 * interval) // staleness markers of what has gone
	synctest.Wait()
}

// sample is a sample as it is compared.
type sample struct {
	ms, start int64
	value     string // bits of a float, or a histogram
	meta      string // "" for none
	// known is the metadata that the sample may bear: Prometheus gives none with some samples, as staleness markers, where
	// the relay gives what the target said last.
	known map[string]bool
}

func (s sample) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s st=%d %s", s.ms, s.value, s.start, s.meta))
}

// anyMeta stands for metadata that is not compared.
const anyMeta = "any"

// same compares a sample of Prometheus with one of the relay.
func same(want, have sample) bool {
	if want.ms != have.ms || want.value != have.value || want.start != have.start {
		return false
	}
	return want.meta == anyMeta || want.meta == have.meta || want.meta == "" && (want.known[have.meta] || want.known[anyMeta])
}

// got is the result of a sequence by series, in order.
type got struct {
	samples   map[string][]sample
	exemplars map[string][]string
	requests  map[string][]string // headers, by address
}

func newGot() got { return got{samples: map[string][]sample{}, exemplars: map[string][]string{}} }

func diff(want, have got) string {
	var out strings.Builder
	each(want.samples, have.samples, func(name string, w, h []sample) {
		if !slices.EqualFunc(w, h, same) {
			fmt.Fprintf(&out, "%s:\n", name)
			beside(&out, w, h, same)
		}
	})
	equal := func(what string) func(name string, w, h []string) {
		return func(name string, w, h []string) {
			if !slices.Equal(w, h) {
				fmt.Fprintf(&out, "%s %s:\n", what, name)
				beside(&out, w, h, func(a, b string) bool { return a == b })
			}
		}
	}
	each(want.exemplars, have.exemplars, equal("exemplars of"))
	each(want.requests, have.requests, equal("requests to"))
	return out.String()
}

func each[T any](want, have map[string][]T, f func(name string, w, h []T)) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(want)), maps.Keys(have))
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		f(n, want[n], have[n])
	}
}

// beside writes two lists, and both lines where they differ.
func beside[T any](out *strings.Builder, want, have []T, same func(a, b T) bool) {
	for i := range max(len(want), len(have)) {
		switch {
		case i < len(want) && i < len(have) && same(want[i], have[i]):
			fmt.Fprintf(out, "    %v\n", want[i])
		default:
			if i < len(want) {
				fmt.Fprintf(out, "  - %v\n", want[i])
			}
			if i < len(have) {
				fmt.Fprintf(out, "  + %v\n", have[i])
			}
		}
	}
}

// show writes a sequence for a person.
func show(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&b, "--- step %d\n", i)
		for _, job := range slices.Sorted(maps.Keys(s.configs)) {
			fmt.Fprintf(&b, "configuration of %s:\n%s", job, s.configs[job])
		}
		for _, job := range s.remove {
			fmt.Fprintf(&b, "without job %s\n", job)
		}
		for _, job := range slices.Sorted(maps.Keys(s.targets)) {
			fmt.Fprintf(&b, "targets of %s: %v\n", job, s.targets[job])
		}
		for _, addr := range slices.Sorted(maps.Keys(s.answers)) {
			a := s.answers[addr]
			text := func(contentType, body string) string {
				if strings.ContainsFunc(body, func(r rune) bool { return r < ' ' && r != '\n' }) || strings.Contains(contentType, "protobuf") {
					return fmt.Sprintf("%q", body)
				}
				return body
			}
			fmt.Fprintf(&b, "%s: %d %q after %s, gzip %t, cut %t\n%s\n", addr, a.status, cmp.Or(a.contentType, "no type"), a.delay, a.gzip, a.cut, text(a.contentType, a.body))
			for _, media := range slices.Sorted(maps.Keys(a.forms)) {
				fmt.Fprintf(&b, "or %s, if that is accepted first:\n%s\n", media, text(media, a.forms[media]))
			}
		}
	}
	return b.String()
}
