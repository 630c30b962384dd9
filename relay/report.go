package relay

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// logEvery is the pause before the same kind of failure or loss is logged again.
const logEvery = time.Minute

// Refusal is a kind of answer after which samples are lost, or after which it is unknown whether they are stored.
type Refusal struct {
	Reason  string // of promrelay_relay_dropped_samples_total
	Error   string // the last answer of the kind
	Advice  string // how a person can help, empty if there is no advice
	Samples uint64
	AtMost  bool // Samples is an upper bound
	Last    time.Time
}

// reporter reports losses, and why requests wait: in the log at once, then every minute with sums, and in the status.
type reporter struct {
	log *zap.Logger

	mu         sync.Mutex // guards what follows
	kinds      map[string]*kind
	waiting    string // why requests wait, empty if they do not
	advice     string
	logged     map[string]time.Time // the last time that the log said why requests wait, by rule and status
	waitLogged bool                 // the log says that requests wait
	last       LastAnswer
}

// LastAnswer is the last answer of a receiver.
type LastAnswer struct {
	At     time.Time // zero: there was none since the start
	Status int       // of HTTP, 0 if there was no answer
	Text   string    // the receiver's words, or why there was no answer; empty for a status of 2xx
}

// kind is a kind of answer, by reason and rule.
type kind struct {
	Refusal
	logged   time.Time // the last time that it was logged
	pending  bool      // something was added since then
	unlogged uint64    // samples since then
}

func newReporter(log *zap.Logger) *reporter {
	return &reporter{log: log, kinds: map[string]*kind{}, logged: map[string]time.Time{}}
}

// lost adds the loss that an answer caused.
func (r *reporter) lost(l loss, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := l.reason + l.rule
	k := r.kinds[key]
	if k == nil {
		reason := l.reason
		if l.lostAtMost {
			reason += atMost
		}
		k = &kind{Refusal: Refusal{Reason: reason, AtMost: strings.HasSuffix(reason, atMost)}}
		r.kinds[key] = k
	}
	k.Error, k.Advice, k.Last = l.err.Error(), advice(l.err.Error()), now
	if l.unclear {
		k.Reason, k.AtMost = unclear, true
	}
	k.Samples += uint64(l.lost)
	k.unlogged += uint64(l.lost)
	k.pending = true
	if now.Sub(k.logged) >= logEvery {
		r.logLocked(k, now)
	}
}

// flush logs the sums since the last line.
func (r *reporter) flush(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.kinds {
		if k.pending && now.Sub(k.logged) >= logEvery {
			r.logLocked(k, now)
		}
	}
}

func (r *reporter) logLocked(k *kind, now time.Time) {
	r.log.Error("the destination does not store samples", seeOperations, zap.String("reason", k.Reason), zap.Uint64("samples", k.unlogged),
		zap.Bool("at_most", k.AtMost), zap.String("advice", k.Advice), zap.String("answer", k.Error))
	k.unlogged, k.pending, k.logged = 0, false, now
}

// waits records that requests wait: for how long, by which rule and why.
func (r *reporter) waits(pause time.Duration, rule string, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	r.waiting, r.advice = text, advice(text)
	key := rule + text[:min(len(text), 3)] // the first three letters are the status
	if now.Sub(r.logged[key]) < logEvery {
		return
	}
	r.logged[key], r.waitLogged = now, true
	r.log.Warn("the destination accepts nothing; the samples are kept and sent again", seeOperations, zap.Duration("pause", pause), zap.String("advice", r.advice), zap.String("answer", text))
}

// recovered records that a request was settled.
func (r *reporter) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting, r.advice = "", ""
	if r.waitLogged {
		r.waitLogged = false
		r.log.Info("the destination accepts samples again")
	}
}

// answered records the answer to a request.
func (r *reporter) answered(a answer, now time.Time) {
	last := LastAnswer{At: now, Status: a.status}
	if err := a.problem(); err != nil {
		last.Text = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = last
}

// fill sets the fields of a status that the reporter knows.
func (r *reporter) fill(s *Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Error, s.Advice, s.Last = r.waiting, r.advice, r.last
	for _, k := range r.kinds {
		s.Refusals = append(s.Refusals, k.Refusal)
	}
	slices.SortFunc(s.Refusals, func(a, b Refusal) int { return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Reason, b.Reason)) })
}

// advices say how a person can help after an answer. They are found by words in the answer or by the status that it begins with. The
// first one that fits is used.
var advices = []struct{ words, status, advice string }{
	{words: unreadableWords, advice: "make that file, one that the relay may read; it is taken in when it is there, without a restart. In Kubernetes it is a key of a Secret that the pod mounts: look whether the Secret has it"},
	{words: "unable to use specified", advice: "look into the file that it names: a certificate or key in PEM must be in it; it is taken in when it is there, without a restart"},
	{words: "without the headers", advice: "the receiver may not store anything: set protobuf_message: prometheus.WriteRequest"},
	{words: "no org id", advice: "the receiver wants a tenant: set headers: {X-Scope-OrgID: ...}"},
	{words: "not followed", advice: "set the URL to where the receiver is; a POST follows 307 and 308 alone, and to another host only where relay.redirect_hosts names it"},
	{words: "redirect", advice: "set the URL to where the receiver is"},
	{status: "401", advice: "check the credentials of this remote_write"},
	{status: "403", advice: "check the credentials of this remote_write, and what they may do at the receiver"},
	{status: "404", advice: "check the path of the URL"},
	{status: "405", advice: "check the path of the URL"},
	{status: "415", advice: "the receiver takes another version: leave protobuf_message out"},
	{words: "out of order", advice: "the receiver takes no samples older than the last one of a series: give it an out-of-order window, or find who else writes these series"},
	{words: "out of bounds", advice: "the samples are older than the receiver takes: give it an out-of-order window, or set sample_age_limit"},
	{words: "too old", advice: "the samples are older than the receiver takes: give it an out-of-order window, or set sample_age_limit"},
	{words: "duplicate sample", advice: "another sender writes these series: give each sender a label of its own"},
	{words: "series limit", advice: "raise the receiver's limit of series, or drop some by write_relabel_configs"},
	{words: "max series", advice: "raise the receiver's limit of series, or drop some by write_relabel_configs"},
	{words: "label value", advice: "shorten or drop the label by write_relabel_configs, or raise the receiver's limit"},
	{words: "label name", advice: "drop labels by write_relabel_configs, or raise the receiver's limit"},
	{words: "larger than", advice: "lower max_samples_per_send, or raise the receiver's limit"},
	{status: "413", advice: "lower max_samples_per_send, or raise the receiver's limit"},
	{status: "429", advice: "raise the receiver's limit of the rate, or send less by write_relabel_configs"},
	{words: "the relay has a fault", advice: "please report it with the stack from the relay's log"},
	{words: "x509", advice: "set tls_config.ca_file, or tls_config.server_name"},
	{words: "connection refused", advice: "check that the receiver runs, and the port of the URL"},
	{words: "no such host", advice: "check the host of the URL"},
	{words: "no answer within", advice: "the receiver or the network is slow: raise remote_timeout if that is as it should be"},
}

func advice(text string) string {
	lower := strings.ToLower(text)
	for _, a := range advices {
		if a.words != "" && strings.Contains(lower, a.words) || a.status != "" && strings.HasPrefix(text, a.status+" ") {
			return a.advice
		}
	}
	if !statusFirst.MatchString(text) {
		return "no receiver has answered: check the URL, and what is on the way to it"
	}
	return "look at the receiver's words, and at its log"
}

// statusFirst matches an answer of a receiver: it begins with its status.
var statusFirst = regexp.MustCompile(`^[1-5]\d\d `)

// unclear is the reason shown for answers after which the number of missing samples is unknown.
const unclear = "refused, number unknown"
