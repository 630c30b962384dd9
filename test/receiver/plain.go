package receiver

import "net/http"

// Plain takes everything by both versions, in any order.
func Plain() Profile { return Profile{Name: "plain"} }

// Plain10 takes everything by 1.0 and answers a status and a text to 2.0.
func Plain10(status int, text string) Profile {
	return Profile{Name: "plain 1.0", Versions: []Gate{Status(status, text).When(By(2))}}
}

// Atomic10 is a receiver of 1.0 that stores nothing of a request of which it refuses anything, as Prometheus does without an
// out-of-order window: 415 to 2.0, 400 to what is older than the newest of its series.
func Atomic10() Profile {
	return Profile{
		Name:     "atomic 1.0",
		Versions: []Gate{onlyVersion1("io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest")},
		Rules:    []Rule{InOrder()},
		Refused:  Tell(http.StatusBadRequest, Absent, prometheusText),
	}.With(Atomically())
}

// Atomic20 is the same by both versions: the headers of a refusal say that nothing was stored, or are absent.
func Atomic20(w Written) Profile {
	return Profile{
		Name: "atomic 2.0", Rules: []Rule{InOrder()}, Refused: Tell(http.StatusBadRequest, w, prometheusText),
	}.With(Atomically())
}

// Silent200 answers 200 to everything and stores nothing, without headers.
func Silent200() Profile { return Profile{Name: "silent", Faults: []Gate{Status(http.StatusOK, "")}} }

// Deduplicating takes everything, stores each sample once, and claims only what is new.
func Deduplicating() Profile {
	return Profile{Name: "deduplicating", Taken: Tell(http.StatusNoContent, Fresh, nil)}
}

// Standby is the receiver of a pair that drops the samples that match, since it takes them from another replica: by 2.0 the headers
// leave them out.
func Standby(is func(series string) bool) Profile {
	return Profile{
		Name:  "standby",
		Rules: []Rule{Drop("another replica", true, func(i Item) bool { return is(i.Series.Name) })},
		Taken: Tell(http.StatusAccepted, Fresh, nil),
	}
}
