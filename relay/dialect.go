package relay

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// askAgain is after how long a destination that takes 1.0 is asked for 2.0 again.
	askAgain = time.Hour
	// askSoon is that time where the destination took 2.0 before: it doubles, up to askAgain.
	askSoon = time.Minute
	// barrenAfter is after how long of refusals, with no sample taken, a confirmed 2.0 is doubted: another receiver may stand there now.
	barrenAfter = 10 * time.Second
)

// dialect knows which version of remote write a destination speaks. Where the configuration leaves it open, that is 2.0
// until the destination shows that it takes 1.0 instead.
type dialect struct {
	negotiate bool
	url       string             // whose answers it knows
	keep      func(string) error // stores what was learnt beside the position; may be nil

	mu          sync.Mutex
	version     int
	confirmed   bool // 2.0
	taken       bool // 1.0
	odd         int  // answers in a row that do not fit a confirmed 2.0
	confirmedAt time.Time
	refused     time.Time // when the first refusal came since 2.0 was confirmed last, zero for none
	again       time.Duration
	askAt       time.Time // when 2.0 is asked for again, while the version is 1.0
	reason      string    // the answer to 2.0 for which it is
}

// learnt is what a dialect stores.
type learnt struct {
	URL     string    `json:"url"` // without what may be secret
	Version int       `json:"version"`
	Reason  string    `json:"reason,omitempty"`
	AskAt   time.Time `json:"ask_at,omitzero"`
}

// maxReason bounds what is stored of an answer, in bytes: it stands beside a position, where there is little room.
const maxReason = 300

// newDialect returns what is known of a destination, note being what an earlier one has stored. Version is that of
// the configuration, which holds where negotiate is false.
func newDialect(url string, negotiate bool, version int, note string, keep func(string) error) *dialect {
	d := &dialect{negotiate: negotiate, url: url, keep: keep, version: version, again: askAgain}
	var l learnt
	if json.Unmarshal([]byte(note), &l) != nil || l.URL != url || !negotiate && l.Version != version {
		return d
	}
	switch l.Version {
	case version1:
		d.version, d.taken, d.reason, d.askAt = version1, true, l.Reason, l.AskAt
		if most := time.Now().Add(askAgain); d.askAt.After(most) { // the clock was ahead
			d.askAt = most
		}
	case version2:
		d.confirmed = true
	}
	return d
}

// speaks returns the version for the next request. Where it is time to ask for 2.0 again, one request does.
func (d *dialect) speaks(now time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version == version1 && d.negotiate && !now.Before(d.askAt) {
		d.again = min(2*d.again, askAgain)
		d.askAt = now.Add(d.again)
		return version2
	}
	return d.version
}

// inForce returns the version that is not being tried.
func (d *dialect) inForce() (version int, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version, d.reason
}

// understood tells whether an answer has shown that the version in force is understood.
func (d *dialect) understood() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version == version2 && d.confirmed || d.version == version1 && d.taken
}

// fill sets what a decision needs to know.
func (d *dialect) fill(k *known, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k.negotiate, k.confirmed, k.taken, k.odd = d.negotiate, d.confirmed && d.version == version2, d.taken, d.odd
	k.barren = k.confirmed && !d.refused.IsZero() && now.Sub(d.refused) > barrenAfter
}

// confirm takes note that 2.0 was understood. Changed tells that it is news.
func (d *dialect) confirm() (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = !d.confirmed || d.version != version2
	d.odd, d.refused, d.confirmedAt = 0, time.Time{}, time.Now()
	if !changed {
		return false
	}
	d.version, d.confirmed, d.reason = version2, true, ""
	d.storeLocked()
	return changed
}

// doubt takes note of an answer that does not fit a confirmed 2.0.
func (d *dialect) doubt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.odd++
}

// heard takes note of an answer that shows that a confirmed 2.0 is understood, though it refuses something.
func (d *dialect) heard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = time.Time{}
}

// refusal takes note of a refusal by 2.0.
func (d *dialect) refusal(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused.IsZero() {
		d.refused = now
	}
}

// took takes note that 1.0 was understood by a request that was sent at a time, which 2.0 was not for the reason; empty where 2.0 was not
// tried. Changed tells that the version has changed.
func (d *dialect) took(sent time.Time, reason string) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := !d.taken
	d.taken = true
	if !d.negotiate || reason == "" || d.version == version1 {
		if news && d.version == version1 {
			d.storeLocked()
		}
		return false
	}
	if d.confirmedAt.After(sent) {
		return false
	}
	d.again = askAgain
	if d.confirmed {
		d.again = askSoon
	}
	d.askAt = sent.Add(d.again)
	if d.confirmed && !d.refused.IsZero() {
		d.askAt = sent // it may be that the receiver is well since a moment ago, by 2.0 too
	}
	d.version, d.odd, d.refused = version1, 0, time.Time{}
	d.reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	d.storeLocked()
	return true
}

// storeLocked stores what is known; the caller holds mu. A note that does not fit is stored without the reason.
func (d *dialect) storeLocked() {
	if d.keep == nil {
		return
	}
	l := learnt{URL: d.url, Version: d.version, Reason: d.reason, AskAt: d.askAt}
	if l.Version == version2 {
		l.AskAt = time.Time{}
	}
	for _, reason := range slices.Compact([]string{l.Reason, ""}) {
		l.Reason = reason
		text, err := json.Marshal(l)
		if errors.Join(err, d.keep(string(text))) == nil {
			return
		}
	}
}
