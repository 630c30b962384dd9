package relay

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// action is what is done with a request after an answer.
type action int

const (
	settle   action = iota // it is done: stored, but for what the decision counts
	retry                  // the same again, later
	hold                   // the same again, later, but a person must do something first
	otherVersion                  // the same samples at once by the other version of remote write
	halve                  // in halves, one after the other
	split               // in parts, beside the live data, until what is refused is alone
	drop                   // it is lost
)

func (a action) String() string {
	return [...]string{"settle", "retry", "hold", "other", "halve", "separate", "drop"}[a]
}

// sent is what a decision needs to know of the request.
type sent struct {
	version    int
	samples    int // and native histograms
	exemplars  int
	size       int  // bytes before compression
	attempt    int  // how many times it was sent before and was to be sent again
	otherTried bool // by the other version, in this round
}

// known is what a decision needs to know of the destination.
type known struct {
	negotiate   bool  // the configuration leaves the version open
	confirmed2   bool  // 2.0 was answered with Written headers, and nothing since says otherwise
	onlyRefuses      bool  // confirmed, but nothing was taken for a while
	accepted1       bool  // 1.0 was answered with 2xx
	mismatches         int   // answers in a row that do not fit a confirmed 2.0
	split       bool  // relay.split_refused
	keepUnauthorized        bool  // relay.keep_unauthorized
	retryStatus []int // relay.retry_status_codes
}

// understood tells whether a message of this version was ever understood.
func (k known) understood(version int) bool {
	return version == version2 && k.confirmed2 || version == version1 && k.accepted1
}

// decision is what an answer means for a request.
type decision struct {
	action    action
	rule      string        // that decided
	after     time.Duration // before which the receiver wants no retry, 0 if it did not say
	confirms  bool          // 2.0
	reason    string        // of the samples that are not stored
	lost      int           // samples that are not stored
	lostAtMost     bool          // lost is an upper bound
	unclear   bool          // samples were refused, nobody can tell how many
	exemplars int           // that are not stored
	saysLate     bool          // the receiver's words say that samples come too late
	late      bool          // and it has understood something before, so that they count
	tooOld       bool          // late, for their age
	tiny      bool          // found too large, which cannot be: the cause is outside of the data
	err       error         // for a person: what was wrong, nil if nothing
}

const (
	// oddAnswers is how many answers in a row a confirmed 2.0 survives that say it is not understood: a rollout gives such.
	maxMismatches = 3
	// patience is after how many tries an answer that means "later" is no longer taken at its word: it may be the version, or the size.
	laterTries = 3
	// ruleOdd is the rule that counts odd answers.
	ruleMismatch = "lone odd answer"
	// tinyBody is the size in bytes, before compression, below which no receiver finds a request too large.
	tinyBody = 1024
)

// rule is a row of the table of decisions. The first one of which when is true decides.
type rule struct {
	name string
	when func(sent, answer, known) bool
	then func(sent, answer, known) decision
}

// rules is the table: what was sent, what was answered, what is known of the destination, and what follows. Sections of the
// specification are those of remote write 2.0.
//
// Up to "doubt" nothing is final, since it is not known whether the receiver understood the message. From there on it did.
var rules = []rule{
	// No answer: it may or may not be stored. "Retries & Backoff".
	{
		"no answer",
		func(_ sent, a answer, _ known) bool { return a.status == 0 },
		always(retry),
	},
	// 2xx. "Required Written Response Headers": 2.0 is confirmed by the headers and by nothing else.
	{
		"2.0 written",
		func(s sent, a answer, _ known) bool { return a.ok() && s.version == version2 && a.hasCounts },
		func(s sent, a answer, _ known) decision {
			return decision{
				action: settle, confirms: true, lost: max(s.samples-a.samples, 0), reason: dropNotWritten,
				exemplars: max(s.exemplars-a.exemplars, 0),
			}
		},
	},
	{
		"2.0 taken without a word",
		func(s sent, a answer, k known) bool { return a.ok() && s.version == version2 && !k.negotiate },
		func(s sent, _ answer, _ known) decision {
			return decision{action: settle, lost: s.samples, lostAtMost: true, reason: dropNotWritten}
		},
	},
	{
		"1.0 taken",
		func(s sent, a answer, _ known) bool { return a.ok() && s.version == version1 },
		always(settle),
	},
	// Doubt: 2.0 may not be understood. "Backward and forward compatibility", "Unsupported Request Content".
	{
		ruleMismatch,
		func(s sent, a answer, k known) bool {
			return s.version == version2 && k.negotiate && k.confirmed2 && (a.ok() || a.status == http.StatusUnsupportedMediaType) && k.mismatches < maxMismatches
		},
		always(retry),
	},
	{
		"2.0 not understood",
		func(s sent, a answer, k known) bool {
			return s.version == version2 && k.negotiate && !s.otherTried &&
				(a.ok() || a.status == http.StatusUnsupportedMediaType || k.onlyRefuses && !a.hasCounts && !later(a, k) && !lateText.MatchString(a.text) && !oldText.MatchString(a.text) || !k.confirmed2 && (!later(a, k) || s.attempt >= laterTries-1 && a.status != http.StatusTooManyRequests))
		},
		always(otherVersion),
	},
	{
		"1.0 not understood",
		func(s sent, a answer, k known) bool {
			return s.version == version1 && k.negotiate && !s.otherTried && a.status == http.StatusUnsupportedMediaType
		},
		always(otherVersion),
	},
	{
		"2.0 not understood, nor 1.0",
		func(_ sent, a answer, _ known) bool { return a.ok() },
		always(retry),
	},
	// Later. "Retries & Backoff": 5xx MUST, 429 MAY be tried again.
	{
		"too much at a time",
		func(s sent, a answer, _ known) bool {
			return a.status == http.StatusTooManyRequests && s.samples > 1 && s.attempt%(laterTries+1) == laterTries
		},
		func(_ sent, a answer, _ known) decision { return decision{action: halve, after: a.retryAfter} },
	},
	{
		"later",
		func(_ sent, a answer, k known) bool { return later(a, k) },
		func(_ sent, a answer, _ known) decision { return decision{action: retry, after: a.retryAfter} },
	},
	// Too large: the cause is the size of the request, or of one sample.
	{
		"too large",
		func(_ sent, a answer, _ known) bool { return tooLarge(a) },
		func(s sent, _ answer, _ known) decision {
			return decision{action: split, reason: dropTooLarge, tiny: s.size < tinyBody}
		},
	},
	// Refused: the cause is in the data. "Partial Write", "Invalid Samples". The headers of a 2.0 answer say what was stored, but Cortex
	// says 0 where it stored the rest, and Mimir says all where it did not.
	{
		"refused in part",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples > 0 && a.samples < s.samples
		},
		func(s sent, a answer, _ known) decision {
			return decision{
				action: settle, lost: s.samples - a.samples, reason: dropRefused, exemplars: max(s.exemplars-a.exemplars, 0),
			}
		},
	},
	{
		"exemplars refused",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples >= s.samples && s.samples > 0 && a.exemplars < s.exemplars
		},
		func(s sent, a answer, _ known) decision {
			return decision{action: settle, exemplars: s.exemplars - a.exemplars}
		},
	},
	{
		"refused, number unknown",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples >= s.samples
		},
		func(sent, answer, known) decision { return decision{action: settle, unclear: true} },
	},
	{
		"refused",
		func(_ sent, a answer, k known) bool { return refusal(a) && k.split },
		func(s sent, a answer, k known) decision {
			old := oldText.MatchString(a.text)
			words, understood := old || lateText.MatchString(a.text), k.understood(s.version)
			return decision{action: split, reason: dropRefused, saysLate: words, late: words && understood, tooOld: old && understood}
		},
	},
	{
		"refused, not to be split",
		func(s sent, a answer, k known) bool { return refusal(a) && k.understood(s.version) },
		func(s sent, _ answer, _ known) decision {
			return decision{action: drop, lost: s.samples, lostAtMost: true, exemplars: s.exemplars, reason: dropRefused}
		},
	},
	{
		"unauthorized, not to be kept",
		func(s sent, a answer, k known) bool {
			return !k.keepUnauthorized && k.understood(s.version) && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, a.status)
		},
		func(s sent, _ answer, _ known) decision {
			return decision{action: drop, lost: s.samples, exemplars: s.exemplars, reason: dropRefused}
		},
	},
	// All else (credentials, a wrong path, a redirect, a method, a proxy) has a cause outside of the data.
	{
		"outside of the data",
		func(sent, answer, known) bool { return true },
		func(_ sent, a answer, _ known) decision { return decision{action: hold, after: a.retryAfter} },
	},
}

func always(a action) func(sent, answer, known) decision {
	return func(sent, answer, known) decision { return decision{action: a} }
}

// decide says what an answer means. It is pure.
func decide(s sent, a answer, k known) decision {
	if !a.ok() && a.samples > s.samples {
		a.hasCounts = false // headers that claim more than was sent tell nothing
	}
	for _, r := range rules {
		if r.when(s, a, k) {
			d := r.then(s, a, k)
			d.rule, d.err = r.name, a.problem()
			if d.err == nil && (d.lost > 0 || d.action != settle) {
				d.err = fmt.Errorf("%s: %s", a.statusText(), r.complaint(s, a))
			}
			return d
		}
	}
	panic("relay: the last rule holds for everything")
}

// complaint says what is wrong with a 2xx.
func (r rule) complaint(s sent, a answer) string {
	if a.hasCounts {
		return fmt.Sprintf("the receiver says that it wrote %d of %d samples", a.samples, s.samples)
	}
	return "remote write 2.0 is answered without the headers that tell what was written"
}

// later tells whether the answer means: not now. 499 is what Nightingale answers when its queue is full.
func later(a answer, k known) bool {
	switch a.status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly, 499:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return !k.negotiate || k.confirmed2 || k.accepted1
	}
	return a.status/100 == 5 || slices.Contains(k.retryStatus, a.status)
}

// refusal tells whether the answer may be about the data.
func refusal(a answer) bool {
	return a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity || a.status == http.StatusConflict
}

// largeText are the words of Cortex and Mimir for a request that is too large, which they answer with 400.
var largeText = regexp.MustCompile(`(?i)received message larger than max|message size of \d+ bytes|larger than the allowed limit|request (body|entity) too large|body too large`)

func tooLarge(a answer) bool {
	return a.status == http.StatusRequestEntityTooLarge || refusal(a) && largeText.MatchString(a.text)
}

// Words of receivers for samples that come too late: what they refuse is there already, or will never be wanted. oldText are those
// of them that speak of the age.
var (
	lateText = regexp.MustCompile(`(?i)out[ -]of[ -]order (sample|histogram|exemplar)|sample[^.;]{0,30}out[ -]of[ -]order|duplicate sample|sample[ -]duplicate`)
	oldText  = regexp.MustCompile(`(?i)(^|: )out of bounds|(sample|timestamp)[^.;]{0,30}(out[ -]of[ -]bounds|too[ -]old|too far in the past|older than)|too old sample`)
)
