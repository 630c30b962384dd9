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
	// maxAskPause is the time after which 2.0 is tried again with a destination that gets 1.0.
	maxAskPause = time.Hour
	// minAskPause is that time where the destination has understood 2.0 before. It doubles each time, up to maxAskPause.
	minAskPause = time.Minute
	// doubtAfter is how long a destination only refuses until a confirmed 2.0 is no longer sure: the URL may lead to another receiver now.
	doubtAfter = 10 * time.Second
)

// dialect knows which version of remote write a destination understands. Where the configuration leaves the version open, it is 2.0
// until answers show that the destination understands only 1.0.
type dialect struct {
	negotiate bool
	url       string             // without what may be secret
	store     func(string) error // stores a note with the position; may be nil

	mu           sync.Mutex // guards what follows
	version      int
	confirmed2   bool          // see known
	accepted1    bool          // see known
	mismatches   int           // see known
	confirmedAt  time.Time     // the last time that 2.0 was confirmed
	refusedSince time.Time     // the first refusal since then, zero for none
	askPause     time.Duration // the last pause before askAt
	askAt        time.Time     // when 2.0 is tried again, while the version is 1.0
	reason       string        // why the version is 1.0: the answer to 2.0
}

// learnt is the note that a dialect stores.
type learnt struct {
	URL     string    `json:"url"` // without what may be secret
	Version int       `json:"version"`
	Reason  string    `json:"reason,omitempty"`
	AskAt   time.Time `json:"ask_at,omitzero"`
}

// maxReason is how many bytes of an answer are stored at most. There is little room for a note with a position.
const maxReason = 300

// newDialect returns the dialect of a destination. Note is the one that an earlier dialect has stored. Version is the configured one
// if negotiate is false, else 2.0.
func newDialect(url string, negotiate bool, version int, note string, store func(string) error) *dialect {
	d := &dialect{negotiate: negotiate, url: url, store: store, version: version, askPause: maxAskPause}
	var l learnt
	if json.Unmarshal([]byte(note), &l) != nil || l.URL != url || !negotiate && l.Version != version {
		return d
	}
	switch l.Version {
	case version1:
		d.version, d.accepted1, d.reason, d.askAt = version1, true, l.Reason, l.AskAt
		if latest := time.Now().Add(maxAskPause); d.askAt.After(latest) { // the clock was ahead
			d.askAt = latest
		}
	case version2:
		d.confirmed2 = true
	}
	return d
}

// forNext returns the version for the next request. When it is time to try 2.0 again, one request gets 2.0.
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

// inForce returns the version of all requests except those that try 2.0 again, and why it is 1.0.
func (d *dialect) inForce() (version int, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version, d.reason
}

// understood reports whether an answer has shown that the version in force is understood.
func (d *dialect) understood() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version == version2 && d.confirmed2 || d.version == version1 && d.accepted1
}

// fill sets the fields of k that depend on the dialect.
func (d *dialect) fill(k *known, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k.negotiate, k.confirmed2, k.accepted1, k.mismatches = d.negotiate, d.confirmed2 && d.version == version2, d.accepted1, d.mismatches
	k.onlyRefuses = k.confirmed2 && !d.refusedSince.IsZero() && now.Sub(d.refusedSince) > doubtAfter
}

// confirm2 records that 2.0 was understood. Changed: that was not known before.
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

// mismatch records an answer that does not fit a confirmed 2.0.
func (d *dialect) mismatch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mismatches++
}

// clearRefusals records that at least a part of a 2.0 request was accepted.
func (d *dialect) clearRefusals() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refusedSince = time.Time{}
}

// noteRefusal records that a 2.0 request was refused.
func (d *dialect) noteRefusal(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refusedSince.IsZero() {
		d.refusedSince = now
	}
}

// accept1 records that a 1.0 request was accepted. Sent is when it was sent. Reason is the answer to the same samples by 2.0; it is
// empty if 2.0 was not tried. Changed: the version is 1.0 from now on.
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
		d.askAt = sent // the receiver may have recovered a moment ago, also for 2.0
	}
	d.version, d.mismatches, d.refusedSince = version1, 0, time.Time{}
	d.reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	d.storeLocked()
	return true
}

// storeLocked stores a note of the dialect. If the note is too long, it is stored without the reason.
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
