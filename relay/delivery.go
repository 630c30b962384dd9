package relay

import (
	"context"
	"math"
	"time"
)

// delivery is a request on its way to the receiver, over several tries.
type delivery struct {
	*sender
	request *request
	backoff backoff
	hold    backoff // where a person must do something first
	halve   bool    // the next try is in halves
	outcome outcome // cancelled until there is another one
}

// try sends the request once. It returns the pause before the next try, or that the delivery has ended.
func (d *delivery) try(ctx context.Context, attempt int) (pause time.Duration, done bool) {
	if d.halve && d.inHalves(ctx) {
		return 0, true
	}
	trial, ok := d.breaker.wait(ctx)
	if !ok {
		return 0, true
	}
	d.request = d.young(d.request)
	if d.request.all() == 0 {
		d.breaker.release(trial)
		return d.end(outcome{end: settled})
	}
	q, v := d.round(ctx, d.request, attempt)
	if ctx.Err() != nil && v.action != settle {
		d.breaker.release(trial)
		return 0, true
	}
	switch v.action {
	case settle, drop:
		d.account(q, v)
		return d.end(outcome{end: settled})
	case split:
		if v.late {
			d.breaker.succeed() // the receiver works: it refuses these samples only because they come too late
		}
		d.breaker.release(trial)
		return d.end(outcome{end: refused, request: d.request, decision: v})
	case hold:
		pause = d.hold.pause(v.after)
	default:
		pause = d.backoff.pause(v.after)
	}
	d.halve = v.action == halve
	d.trouble(v, pause)
	d.breaker.fail(trial, pause)
	return pause, false
}

// end ends the delivery.
func (d *delivery) end(o outcome) (pause time.Duration, done bool) {
	d.outcome = o
	return 0, true
}

// inHalves delivers the request in two, one after the other. False: it has only one series.
func (d *delivery) inHalves(ctx context.Context) bool {
	ts, err := d.request.content()
	if err != nil || len(ts) < 2 {
		return false
	}
	for _, half := range [][]*timeSeries{ts[:len(ts)/2], ts[len(ts)/2:]} {
		if !d.deliverOrSplit(ctx, d.request.with(half, d.request.version)) {
			return true // ctx has ended
		}
	}
	d.outcome = outcome{end: settled}
	return true
}

// young returns r without the samples that are older than sample_age_limit by now.
func (s *sender) young(r *request) *request {
	oldest := oldestSent(s.cfg, time.Now())
	if r.oldest >= oldest {
		return r
	}
	ts, err := r.content()
	if err != nil {
		return r
	}
	for i, series := range ts {
		ts[i] = series.between(oldest, math.MaxInt64)
	}
	y := r.with(ts, r.version)
	s.lose(loss{lost: r.all() - y.all(), reason: dropOld, exemplars: r.exemplars - y.exemplars})
	return y
}
