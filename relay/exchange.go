package relay

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// round sends r in the version that the destination understands. If the answer may mean that it does not understand this version,
// round sends r at once in the other version. It returns the request whose answer counts, and the meaning of that answer.
func (s *sender) round(ctx context.Context, r *request, attempt int) (*request, decision) {
	q, of := s.inVersion(r, s.dialect.forNext(time.Now())), sent{attempt: attempt}
	a, v := s.exchange(ctx, q, of, "")
	if v.action != otherVersion {
		return q, v
	}
	of.otherTried = true
	q2 := s.inVersion(r, version1+version2-q.version)
	v2 := decision{action: retry, loss: loss{err: v.err}}
	if q2.all() > 0 { // else 1.0 cannot carry any of it
		_, v2 = s.exchange(ctx, q2, of, v.err.Error())
	}
	if v2.action != hold && v2.action != retry {
		return q2, v2
	}
	if v = decide(describe(q, of), a, s.knows()); v2.action == retry && v.action == hold {
		v.action = retry
	}
	v.after = max(v.after, v2.after)
	return q, v
}

// inVersion returns r as a message of a version. It leaves out data that 1.0 cannot carry, and counts that data in omitted.
func (s *sender) inVersion(r *request, version int) *request {
	if r.version == version {
		return r
	}
	ts, err := r.content()
	if err != nil {
		s.log.Error("a request cannot be read back", seeOperations, zap.NamedError("err", err))
		return r
	}
	var omitted totals
	for i := range ts {
		c := *ts[i]
		if !sends(version, s.cfg.NativeHistograms) {
			omitted.histograms += len(c.histograms)
			c.histograms = nil
		}
		if !sends(version, s.cfg.Exemplars) {
			omitted.exemplars += len(c.exemplars)
			c.exemplars = nil
		}
		ts[i] = &c
	}
	q := r.with(ts, version)
	q.omitted = omitted
	return q
}

// exchange sends r once, and returns the answer and its meaning. Instead is the answer to the same samples in the other version; it is
// empty if that version was not tried.
func (s *sender) exchange(ctx context.Context, r *request, of sent, instead string) (answer, decision) {
	start := time.Now()
	s.heartbeat.until(time.Duration(s.cfg.RemoteTimeout))
	a := s.client.post(ctx, r, of.attempt)
	s.metrics.duration.Observe(time.Since(start).Seconds())
	s.metrics.bytes.Add(float64(len(r.payload)))
	s.metrics.request(a)
	s.report.answered(a, time.Now())
	v := decide(describe(r, of), a, s.knows())
	s.learnVersion(r, start, a, v, instead)
	s.learnSize(r, v)
	return a, v
}

// learnVersion records whether an answer shows that the version of r is understood.
func (s *sender) learnVersion(r *request, start time.Time, a answer, v decision, instead string) {
	switch {
	case v.confirms && s.dialect.confirm2():
		s.log.Info("the destination accepts remote write 2.0")
	case v.rule == ruleMismatch:
		s.dialect.mismatch()
	case r.version == version1 && a.ok() && s.dialect.accept1(start, instead):
		s.log.Warn("remote write 1.0 is used, since the destination does not accept 2.0; it is asked again later", seeReceivers, zap.String("answer", instead))
	}
	switch {
	case r.version == version2 && a.hasCounts && a.samples > 0 && v.action == settle:
		s.dialect.clearRefusals()
	case r.version == version2 && (v.action == hold || v.action == split):
		s.dialect.noteRefusal(time.Now())
	}
}

// learnSize records whether the receiver finds r too large.
func (s *sender) learnSize(r *request, v decision) {
	switch {
	case v.action == settle:
		s.size.accepted(r.all(), time.Now())
	case v.reason == dropTooLarge:
		if n, changed := s.size.tooLarge(r.all(), time.Now()); changed {
			s.log.Warn("the destination finds requests too large; they are smaller for a while", seeOperations, zap.Int("samples", n), zap.String("answer", v.err.Error()))
		}
	}
}

// describe completes the facts about r that a decision needs.
func describe(r *request, of sent) sent {
	of.version, of.samples, of.exemplars, of.size = r.version, r.all(), r.exemplars, r.size
	return of
}

// knows returns the facts about the destination that a decision needs.
func (s *sender) knows() known {
	k := known{split: s.relay.SplitRefused, keepUnauthorized: s.relay.KeepUnauthorized, retryStatus: s.relay.RetryStatusCodes}
	s.dialect.fill(&k, time.Now())
	return k
}
