package web

import (
	"strings"
	"time"

	"promrelay/relay"
)

// refusalNews is how long a refusal is news: an older one is shown without a colour.
const refusalNews = time.Hour

// destination is what the page shows of one.
type destination struct {
	relay.Status
	State    string // up, down, or waiting where nothing was sent yet
	Lag      string // age of the newest sample that was taken; empty if none was
	Refusals []refusal
}

// refusal is a kind of answers that cost samples.
type refusal struct {
	relay.Refusal
	Reason string // for people
	Label  string // of promrelay_relay_dropped_samples_total, empty where nothing is counted there
	Count  string // of samples, in words
	Old    bool   // it is no news any more
}

// Told tells whether there is more to say of the destination than its numbers.
func (d destination) Told() bool {
	return d.Error != "" || d.Status.Reason != "" || d.Aside > 0 || len(d.Refusals) > 0
}

// Refuses tells whether the receiver has refused something lately.
func (d destination) Refuses() bool {
	return len(d.Refusals) > 0 && !d.Refusals[0].Old
}

func newDestination(s relay.Status, now time.Time) destination {
	d := destination{Status: s, State: "waiting"}
	if s.Newest > 0 {
		d.State = "up"
		d.Lag = seconds(max(now.Sub(time.UnixMilli(s.Newest)), 0))
	}
	if s.Error != "" {
		d.State = "down"
	}
	for _, r := range s.Refusals {
		d.Refusals = append(d.Refusals, newRefusal(r, now))
	}
	return d
}

func newRefusal(r relay.Refusal, now time.Time) refusal {
	const atMost = "_at_most"
	name, bound := strings.CutSuffix(r.Reason, atMost)
	out := refusal{Refusal: r, Reason: strings.ReplaceAll(name, "_", " "), Label: name, Old: now.Sub(r.Last) > refusalNews}
	if out.AtMost = r.AtMost || bound; out.AtMost {
		out.Label += atMost
	}
	switch {
	case r.Samples == 0:
		out.Count, out.Label = "number unknown", ""
		out.Reason = strings.TrimSuffix(out.Reason, ", "+out.Count)
	case r.Samples == 1:
		out.Count = "1 sample"
	default:
		out.Count = thousands(r.Samples) + " samples"
	}
	if out.AtMost && r.Samples > 0 {
		out.Count = "at most " + out.Count
	}
	return out
}
