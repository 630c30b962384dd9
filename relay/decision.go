package relay

import "time"

// action is the next step for a request after an answer.
type action int

const (
	settle       action = iota + 1 // the request is stored, apart from the loss of the decision
	retry                          // the same request again, later
	hold                           // the same request again, later; a person must do something first
	otherVersion                   // the same samples at once, by the other version of remote write
	halve                          // in halves, one after the other
	split                          // in parts, in parallel with the live data, until each refused sample is alone
	drop                           // the request is lost
)

func (a action) String() string {
	return [...]string{"none", "settle", "retry", "hold", "other version", "halve", "split", "drop"}[a]
}

// sent is what a decision needs to know of the request.
type sent struct {
	version    int
	samples    int // with native histograms
	exemplars  int
	size       int  // bytes before compression
	attempt    int  // how often it was sent before
	otherTried bool // it was sent by the other version just now
}

// known is what a decision needs to know of the destination.
type known struct {
	negotiate        bool  // the configuration leaves the version open
	confirmed2       bool  // a 2.0 request was answered with Written headers, and later answers do not contradict
	onlyRefuses      bool  // confirmed2, but nothing was accepted for a while
	accepted1        bool  // a 1.0 request was answered with 2xx
	mismatches       int   // answers in a row that do not fit a confirmed 2.0
	split            bool  // relay.split_refused
	keepUnauthorized bool  // relay.keep_unauthorized
	retryStatus      []int // relay.retry_status_codes
}

// understood reports whether the receiver has ever understood a message of this version.
func (k known) understood(version int) bool {
	return version == version2 && k.confirmed2 || version == version1 && k.accepted1
}

// decision is what an answer means for a request.
type decision struct {
	action   action
	after    time.Duration // the receiver wants no retry sooner; 0 if it did not say
	confirms bool          // the receiver has understood 2.0
	saysLate bool          // the receiver's words say that samples come too late
	late     bool          // saysLate, and the receiver has understood something before, so the words are trusted
	tooOld   bool          // late, because of the samples' age
	tiny     bool          // the receiver finds a tiny request too large: the cause must be something else
	loss
}

// loss is the part of a request that the receiver does not store, and why.
type loss struct {
	rule       string // the rule that decided
	reason     string // of the samples; a label of promrelay_relay_dropped_samples_total
	lost       int    // samples
	lostAtMost bool   // lost is an upper bound
	unclear    bool   // samples are lost, and nobody can tell how many
	exemplars  int    // exemplars
	err        error  // what is wrong, for a person; nil if nothing is
}

const (
	// maxMismatches is how many answers in a row may say that a confirmed 2.0 is not understood. A rollout of the receiver causes some.
	maxMismatches = 3
	// laterTries is the number of tries after which an answer that means "later" may mean something else: the version, or the size.
	laterTries = 3
	// ruleMismatch is the rule that counts mismatches.
	ruleMismatch = "lone mismatch"
	// tinyBody is the size in bytes, before compression, below which no receiver finds a request too large.
	tinyBody = 1024
)
