package receiver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is a sequence of profiles. With the last one the receiver is well, and stays so.
//
// Well means: it has a connection, answers within a second, understands at least one version and stores what it is sent, but for
// the series that it does not want, now or ever (Wants); it may have an order of samples to insist on, a limit of the size of requests
// that leaves room for 50 samples, and may refuse exemplars. Before that anything may happen.
//
// What may be asked of a sender that has sent on long enough after that:
//
//   - each sample of a wanted series is stored, but those that the receiver itself gave it reason to drop (Entry.Excused): Missing
//   - what it dropped was refused, and as often as it says
//   - samples that are made when the receiver is well are stored within seconds
//   - nothing is against the specification (Problems)
type Schedule struct {
	Phases []Phase

	wants func(series string) bool
}

// Phase is a profile from a time on.
type Phase struct {
	At      time.Duration // after the start
	Profile Profile
}

// Well is when the receiver is well.
func (s Schedule) Well() time.Duration { return s.Phases[len(s.Phases)-1].At }

// Wants tells whether the receiver takes samples of a series when it is well. Series are named as labels.Labels writes them.
func (s Schedule) Wants(series string) bool { return s.wants(series) }

// Play lets a receiver live, from now on until it is well or the context ends. A schedule is played once: its parts have state.
func (s Schedule) Play(ctx context.Context, r *Receiver) {
	start := time.Now()
	for _, p := range s.Phases {
		if !wait(ctx, max(0, p.At-time.Since(start)), nil) {
			return
		}
		r.Set(p.Profile)
	}
}

// Missing tells which of the given samples should be stored, and are not.
func (s Schedule) Missing(r *Receiver, sent map[string][]Sample) (out []string) {
	entries := r.Entries()
	for name, samples := range sent {
		if !s.Wants(name) {
			continue
		}
		known := map[int64]Entry{}
		for _, e := range entries[name] {
			known[e.Time] = e
		}
		for _, one := range samples {
			switch e, ok := known[one.Time]; {
			case !ok:
				out = append(out, fmt.Sprintf("%s at %d: never sent", name, one.Time))
			case e.Taken == 0 && !e.Excused():
				out = append(out, fmt.Sprintf("%s at %d: sent %d times, refused: %q", name, one.Time, e.Sent, e.Refused))
			case e.Taken > 0 && !e.Equal(one):
				out = append(out, fmt.Sprintf("%s at %d: another value is stored", name, one.Time))
			}
		}
	}
	slices.Sort(out)
	return out
}

// String has a line for each phase.
func (s Schedule) String() string {
	var b strings.Builder
	for _, p := range s.Phases {
		fmt.Fprintf(&b, "%6.1fs  %s\n", p.At.Seconds(), p.Profile)
	}
	return b.String()
}
