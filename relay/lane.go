package relay

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"
)

// lane sends the requests of one shard in turn, until its queue is closed or ctx ends.
func (d *destination) lane(ctx context.Context, s *shard) {
	for {
		select {
		case <-ctx.Done():
			return
		case r, ok := <-s.queue:
			if !ok {
				return
			}
			start := time.Now()
			done := d.forward(ctx, r)
			d.mu.Lock()
			d.busy += time.Since(start)
			if done {
				s.from = s.from[1:]
			}
			d.mu.Unlock()
			if !done {
				return // ctx has ended
			}
			d.advance()
		}
	}
}

// forward sends a request, but for the series that are being looked into. What the receiver refuses is looked into beside
// the live data. False: ctx has ended.
func (d *destination) forward(ctx context.Context, r *request) bool {
	rest, ok := d.triage.divert(ctx, r)
	if !ok || rest == nil {
		return ok
	}
	o := d.deliver(ctx, rest)
	switch o.end {
	case refused:
		d.triage.refused(o.request, o.decision)
	case cancelled:
		return false
	}
	return true
}

// outcome is how the delivery of a request ended.
type outcome struct {
	end      end
	request  *request // what was refused
	decision decision // why
}

type end int

const (
	settled   end = iota // the request is done and accounted for
	refused              // the request is to be sent in parts
	cancelled            // ctx has ended; nothing is known
)

// deliver sends r until the destination has answered for good, or ctx ends.
func (d *destination) deliver(ctx context.Context, r *request) outcome {
	b := backoff{min: time.Duration(d.cfg.QueueConfig.MinBackoff), max: time.Duration(d.cfg.QueueConfig.MaxBackoff)}
	h := backoff{min: min(d.pace.hold, time.Second), max: d.pace.hold}
	for attempt := 0; ; attempt++ {
		try, ok := d.gate.wait(ctx)
		if !ok {
			return outcome{end: cancelled}
		}
		if r = d.young(r); r.all() == 0 {
			d.gate.leave(try)
			return outcome{end: settled}
		}
		q, v := d.round(ctx, r, attempt)
		if ctx.Err() != nil && v.action != settle {
			d.gate.leave(try)
			return outcome{end: cancelled}
		}
		var pause time.Duration
		switch v.action {
		case settle, drop:
			d.account(q, v)
			return outcome{end: settled}
		case separate:
			if v.late {
				d.gate.passed() // it works, and has what it refuses
			}
			d.gate.leave(try)
			return outcome{end: refused, request: r, decision: v}
		case hold:
			pause = h.pause(v.after)
		default:
			pause = b.pause(v.after)
		}
		d.trouble(v, pause)
		d.gate.fail(try, pause)
		select {
		case <-ctx.Done():
			return outcome{end: cancelled}
		case <-time.After(pause):
		}
		if v.action == halve {
			if ts, err := r.content(); err == nil && len(ts) > 1 {
				return d.deliverHalves(ctx, r, ts)
			}
		}
	}
}

// round sends r by the version that the destination speaks, and at once by the other one where the answer may mean that this
// is not understood. It returns the request whose answer counts.
func (d *destination) round(ctx context.Context, r *request, attempt int) (*request, decision) {
	q := d.inVersion(r, d.dialect.speaks(time.Now()))
	s := sent{attempt: attempt}
	a, v := d.exchange(ctx, q, s, "")
	if v.action != other {
		return q, v
	}
	s.otherTried = true
	q2 := d.inVersion(r, version1+version2-q.version)
	v2 := decision{action: retry, err: v.err}
	if q2.all() > 0 { // else 1.0 cannot carry any of it
		_, v2 = d.exchange(ctx, q2, s, v.err.Error())
	}
	if v2.action != hold && v2.action != retry {
		return q2, v2
	}
	if v = decide(d.describe(q, s), a, d.knows()); v2.action == retry && v.action == hold {
		v.action = retry
	}
	v.after = max(v.after, v2.after)
	return q, v
}

// deliverHalves delivers r in two requests, one after the other.
func (d *destination) deliverHalves(ctx context.Context, r *request, ts []*timeSeries) outcome {
	for _, half := range [][]*timeSeries{ts[:len(ts)/2], ts[len(ts)/2:]} {
		switch o := d.deliver(ctx, r.with(half, r.version)); o.end {
		case refused:
			d.triage.refused(o.request, o.decision)
		case cancelled:
			return o
		}
	}
	return outcome{end: settled}
}

// young returns r without the samples that are older than sample_age_limit by now.
func (d *destination) young(r *request) *request {
	oldest := d.oldest()
	if r.oldest >= oldest {
		return r
	}
	ts, err := r.content()
	if err != nil {
		return r
	}
	for i, s := range ts {
		ts[i] = s.between(oldest, math.MaxInt64)
	}
	y := r.with(ts, r.version)
	d.lose(decision{lost: r.all() - y.all(), reason: dropOld, exemplars: r.exemplars - y.exemplars})
	return y
}

// inVersion returns r as a message of this version. What 1.0 is not to have is left out and counted in left.
func (d *destination) inVersion(r *request, version int) *request {
	if r.version == version {
		return r
	}
	ts, err := r.content()
	if err != nil {
		d.log.Error("read a request back", zap.Error(err))
		return r
	}
	var left totals
	for i, s := range ts {
		c := *s
		if !d.sends(version, d.cfg.NativeHistograms) {
			left.histograms += len(s.histograms)
			c.histograms = nil
		}
		if !d.sends(version, d.cfg.Exemplars) {
			left.exemplars += len(s.exemplars)
			c.exemplars = nil
		}
		ts[i] = &c
	}
	q := r.with(ts, version)
	q.left = left
	return q
}

// exchange sends r once and says what the answer means. Instead is why the other version is not used, empty if it was not tried.
func (d *destination) exchange(ctx context.Context, r *request, s sent, instead string) (answer, decision) {
	start := time.Now()
	d.beat.until(time.Duration(d.cfg.RemoteTimeout))
	a := d.client.post(ctx, r, s.attempt)
	d.metrics.duration.Observe(time.Since(start).Seconds())
	d.metrics.bytes.Add(float64(len(r.payload)))
	d.metrics.request(a)
	v := decide(d.describe(r, s), a, d.knows())
	switch {
	case v.confirms && d.dialect.confirm():
		d.log.Info("the destination takes remote write 2.0")
	case v.rule == ruleOdd:
		d.dialect.doubt()
	case r.version == version1 && a.ok() && d.dialect.took(start, instead):
		d.log.Warn("send by remote write 1.0, since the destination does not take 2.0; it is asked again later", zap.String("answer", instead))
	}
	switch {
	case r.version == version2 && a.told && a.samples > 0 && v.action == settle:
		d.dialect.heard()
	case r.version == version2 && (v.action == hold || v.action == separate):
		d.dialect.refusal(time.Now())
	}
	switch {
	case v.action == settle:
		d.size.taken(r.all(), time.Now())
	case v.reason == dropTooLarge:
		if n := d.size.tooLarge(r.all(), time.Now()); n > 0 {
			d.log.Warn("send smaller requests for a while, since the destination finds them too large", zap.Int("samples", n), zap.String("answer", v.err.Error()))
		}
	}
	return a, v
}

// describe completes what a decision needs to know of r.
func (d *destination) describe(r *request, s sent) sent {
	s.version, s.samples, s.exemplars, s.size = r.version, r.all(), r.exemplars, r.size
	return s
}

// knows returns what a decision needs to know of the destination.
func (d *destination) knows() known {
	k := known{split: d.relay.SplitRefused, keep: d.relay.KeepUnauthorized, retryStatus: d.relay.RetryStatusCodes}
	d.dialect.fill(&k, time.Now())
	return k
}
