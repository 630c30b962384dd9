package relay

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
)

// rule is a row of the table of decisions. The first rule whose condition, when, is true decides.
type rule struct {
	name string
	when func(sent, answer, known) bool
	then func(sent, answer, known) decision
}

// rules is the table of decisions. A decision depends on the request, the answer, and the known facts about the destination. The
// quoted titles are sections of the specification of remote write 2.0.
//
// The rules under "Doubt" come before all rules that can drop something: up to there, the receiver may not have understood the message.
var rules = []rule{
	// No answer: the samples may be stored or not. "Retries & Backoff".
	{
		"no answer",
		func(_ sent, a answer, _ known) bool { return a.status == 0 },
		always(retry),
	},
	// Accepted. "Required Written Response Headers": only the headers confirm that the receiver understands 2.0.
	{
		"2.0 written",
		func(s sent, a answer, _ known) bool { return a.ok() && s.version == version2 && a.hasCounts },
		func(s sent, a answer, _ known) decision {
			return decision{action: settle, confirms: true, loss: loss{lost: max(s.samples-a.samples, 0), reason: dropNotWritten, exemplars: max(s.exemplars-a.exemplars, 0)}}
		},
	},
	{
		"2.0 accepted without headers",
		func(s sent, a answer, k known) bool { return a.ok() && s.version == version2 && !k.negotiate },
		func(s sent, _ answer, _ known) decision {
			return decision{action: settle, loss: loss{lost: s.samples, lostAtMost: true, reason: dropNotWritten}}
		},
	},
	{
		"1.0 accepted",
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
			return s.version == version2 && k.negotiate && !s.otherTried && maybeNot2(s, a, k)
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
	// Later. "Retries & Backoff": 5xx MUST and 429 MAY be tried again.
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
			return decision{action: split, tiny: s.size < tinyBody, loss: loss{reason: dropTooLarge}}
		},
	},
	// Refused: the cause is in the data. "Partial Write", "Invalid Samples". In 2.0, headers say how much was stored. Two receivers
	// send wrong headers: Cortex says 0 although it stored the rest, and Mimir says all although it did not.
	{
		"refused in part",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples > 0 && a.samples < s.samples
		},
		func(s sent, a answer, _ known) decision {
			return decision{action: settle, loss: loss{lost: s.samples - a.samples, reason: dropRefused, exemplars: max(s.exemplars-a.exemplars, 0)}}
		},
	},
	{
		"exemplars refused",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples >= s.samples && s.samples > 0 && a.exemplars < s.exemplars
		},
		func(s sent, a answer, _ known) decision {
			return decision{action: settle, loss: loss{exemplars: s.exemplars - a.exemplars}}
		},
	},
	{
		"refused, number unknown",
		func(s sent, a answer, k known) bool {
			return refusal(a) && s.version == version2 && k.confirmed2 && a.hasCounts && a.samples >= s.samples
		},
		func(sent, answer, known) decision { return decision{action: settle, loss: loss{unclear: true}} },
	},
	{
		"refused",
		func(_ sent, a answer, k known) bool { return refusal(a) && k.split },
		func(s sent, a answer, k known) decision {
			old := oldText.MatchString(a.text)
			words, understood := old || lateText.MatchString(a.text), k.understood(s.version)
			return decision{action: split, saysLate: words, late: words && understood, tooOld: old && understood, loss: loss{reason: dropRefused}}
		},
	},
	{
		"refused, not to be split",
		func(s sent, a answer, k known) bool { return refusal(a) && k.understood(s.version) },
		func(s sent, _ answer, _ known) decision {
			return decision{action: drop, loss: loss{lost: s.samples, lostAtMost: true, exemplars: s.exemplars, reason: dropRefused}}
		},
	},
	{
		"unauthorized, not to be kept",
		func(s sent, a answer, k known) bool {
			return !k.keepUnauthorized && k.understood(s.version) && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, a.status)
		},
		func(s sent, _ answer, _ known) decision {
			return decision{action: drop, loss: loss{lost: s.samples, exemplars: s.exemplars, reason: dropRefused}}
		},
	},
	// The rest: credentials, a wrong path, a redirect, a method, a proxy. The cause is not in the data.
	{
		"outside of the data",
		func(sent, answer, known) bool { return true },
		func(_ sent, a answer, _ known) decision { return decision{action: hold, after: a.retryAfter} },
	},
}

func always(a action) func(sent, answer, known) decision {
	return func(sent, answer, known) decision { return decision{action: a} }
}

// decide returns what an answer means. It depends only on its arguments.
func decide(s sent, a answer, k known) decision {
	if !a.ok() && a.samples > s.samples {
		a.hasCounts = false // headers that claim more than was sent say nothing
	}
	for _, r := range rules {
		if r.when(s, a, k) {
			d := r.then(s, a, k)
			d.rule, d.err = r.name, a.problem()
			if d.err == nil && (d.lost > 0 || d.action != settle) {
				d.err = fmt.Errorf("%s: %s", a.statusText(), complaint(s, a))
			}
			return d
		}
	}
	panic("relay: the last rule holds for everything")
}

// complaint describes what is wrong with a 2xx.
func complaint(s sent, a answer) string {
	if a.hasCounts {
		return fmt.Sprintf("the receiver says that it wrote %d of %d samples", a.samples, s.samples)
	}
	return "remote write 2.0 is answered without the headers that tell what was written"
}

// maybeNot2 reports whether an answer to 2.0 may mean that the receiver does not understand it.
func maybeNot2(s sent, a answer, k known) bool {
	switch {
	case a.ok() || a.status == http.StatusUnsupportedMediaType:
		return true
	case later(a, k):
		return !k.confirmed2 && s.attempt >= laterTries-1 && a.status != http.StatusTooManyRequests
	case k.confirmed2:
		return k.onlyRefuses && !a.hasCounts && !lateText.MatchString(a.text) && !oldText.MatchString(a.text)
	}
	return true
}

// later reports whether the answer means that the receiver does not accept the request now. Nightingale answers 499 when its queue
// is full.
func later(a answer, k known) bool {
	switch a.status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly, 499:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return !k.negotiate || k.confirmed2 || k.accepted1
	}
	return a.status/100 == 5 || slices.Contains(k.retryStatus, a.status)
}

// refusal reports whether the answer may be about the data.
func refusal(a answer) bool {
	return a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity || a.status == http.StatusConflict
}

// largeText matches the words of Cortex and Mimir for a request that is too large. They answer 400 to it.
var largeText = regexp.MustCompile(`(?i)received message larger than max|message size of \d+ bytes|larger than the allowed limit|request (body|entity) too large|body too large`)

func tooLarge(a answer) bool {
	return a.status == http.StatusRequestEntityTooLarge || refusal(a) && largeText.MatchString(a.text)
}

// lateText and oldText match the words of receivers for samples that come too late: the receiver has a newer sample of the series, or
// the sample is too old.
var (
	lateText = regexp.MustCompile(`(?i)out[ -]of[ -]order (sample|histogram|exemplar)|sample[^.;]{0,30}out[ -]of[ -]order|duplicate sample|sample[ -]duplicate`)
	oldText  = regexp.MustCompile(`(?i)(^|: )out of bounds|(sample|timestamp)[^.;]{0,30}(out[ -]of[ -]bounds|too[ -]old|too far in the past|older than)|too old sample`)
)
