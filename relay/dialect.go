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
	maxAskPause = time.Hour
	// askSoon is that time where the destination took 2.0 before: it doubles, up to askAgain.
	minAskPause = time.Minute
	// barrenAfter is after how long of refusals, with no sample taken, a confirmed 2.0 is doubted: another receiver may stand there now.
	doubtAfter = 10 * time.Second
)

// dialect knows which version of remote write a destination speaks. Where the configuration leaves it open, that is 2.0
// until the destination shows that it takes 1.0 instead.
type dialect struct {
	negotiate bool
	url       string             // whose answers it knows
	store      func(string) error // stores what was learnt beside the position; may be nil

	mu          sync.Mutex
	version     int
	confirmed2   bool // 2.0
	accepted1       bool // 1.0
	mismatches         int  // answers in a row that do not fit a confirmed 2.0
	confirmedAt time.Time
	refusedSince     time.Time // when the first refusal came since 2.0 was confirmed last, zero for none
	askPause       time.Duration
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
	d := &dialect{negotiate: negotiate, url: url, store: keep, version: version, askPause: maxAskPause}
	var l learnt
	if json.Unmarshal([]byte(note), &l) != nil || l.URL != url || !negotiate && l.Version != version {
		return d
	}
	switch l.Version {
	case version1:
		d.version, d.accepted1, d.reason, d.askAt = version1, true, l.Reason, l.AskAt
		if most := time.Now().Add(maxAskPause); d.askAt.After(most) { // the clock was ahead
			d.askAt = most
		}
	case version2:
		d.confirmed2 = true
	}
	return d
}

// speaks returns the version for the next request. Where it is time to ask for 2.0 again, one request does.
func (d *dialect) forNext(now time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.version == version1 && d.negotiate && !now.Before(d.askAt) {
		d.askPause = min(2*d.askPause, maxAskPause)
		d.askAt = now.Add(d.askPause)
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
	return d.version == version2 && d.confirmed2 || d.version == version1 && d.accepted1
}

// fill sets what a decision needs to know.
func (d *dialect) fill(k *known, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k.negotiate, k.confirmed2, k.accepted1, k.mismatches = d.negotiate, d.confirmed2 && d.version == version2, d.accepted1, d.mismatches
	k.onlyRefuses = k.confirmed2 && !d.refusedSince.IsZero() && now.Sub(d.refusedSince) > doubtAfter
}

// confirm takes note that 2.0 was understood. Changed tells that it is news.
func (d *dialect) confirm2() (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = !d.confirmed2 || d.version != version2
	d.mismatches, d.refusedSince, d.confirmedAt = 0, time.Time{}, time.Now()
	if !changed {
		return false
	}
	d.version, d.confirmed2, d.reason = version2, true, ""
	d.storeLocked()
	return changed
}

// doubt takes note of an answer that does not fit a confirmed 2.0.
func (d *dialect) mismatch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mismatches++
}

// heard takes note of an answer that shows that a confirmed 2.0 is understood, though it refuses something.
func (d *dialect) clearRefusals() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusedSince = time.Time{}
}

// refusal takes note of a refusal by 2.0.
func (d *dialect) noteRefusal(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refusedSince.IsZero() {
		d.refusedSince = now
	}
}

// took takes note that 1.0 was understood by a request that was sent at a time, which 2.0 was not for the reason; empty where 2.0 was not
// tried. Changed tells that the version has changed.
func (d *dialect) accept1(sent time.Time, reason string) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news := !d.accepted1
	d.accepted1 = true
	if !d.negotiate || reason == "" || d.version == version1 {
		if news && d.version == version1 {
			d.storeLocked()
		}
		return false
	}
	if d.confirmedAt.After(sent) {
		return false
	}
	d.askPause = maxAskPause
	if d.confirmed2 {
		d.askPause = minAskPause
	}
	d.askAt = sent.Add(d.askPause)
	if d.confirmed2 && !d.refusedSince.IsZero() {
		d.askAt = sent // it may be that the receiver is well since a moment ago, by 2.0 too
	}
	d.version, d.mismatches, d.refusedSince = version1, 0, time.Time{}
	d.reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	d.storeLocked()
	return true
}

// storeLocked stores what is known; the caller holds mu. A note that does not fit is stored without the reason.
func (d *dialect) storeLocked() {
	if d.store == nil {
		return
	}
	l := learnt{URL: d.url, Version: d.version, Reason: d.reason, AskAt: d.askAt}
	if l.Version == version2 {
		l.AskAt = time.Time{}
	}
	for _, reason := range slices.Compact([]string{l.Reason, ""}) {
		l.Reason = reason
		text, err := json.Marshal(l)
		if errors.Join(err, d.store(string(text))) == nil {
			return
		}
	}
}
