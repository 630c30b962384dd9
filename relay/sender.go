package relay

import (
	"context"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/prompb"
	"go.uber.org/zap"
)

// splitBudget is how many requests a minute a destination may cost to find the series that it refuses.
const splitBudget = 200

// sender sends the requests of one shard in turn, until its queue is closed or ctx ends. What it cannot settle is an
// event; then it waits for the end.
func (d *destination) sender(ctx context.Context, s *shard, events chan<- event) {
	for {
		select {
		case <-ctx.Done():
			return
		case r, ok := <-s.queue:
			if !ok {
				return
			}
			start := time.Now()
			v := d.deliver(ctx, r)
			d.mu.Lock()
			d.busy += time.Since(start)
			d.mu.Unlock()
			switch v.outcome {
			case delivered, refused:
				d.finish(s, r)
			case downgrade, tooLarge:
				events <- event{v.outcome, v.err}
				<-ctx.Done()
				return
			default: // ctx has ended
				return
			}
		}
	}
}

// finish takes the request out of what is under way.
func (d *destination) finish(s *shard, r *request) {
	d.mu.Lock()
	s.from = s.from[1:]
	if r.newest > 0 {
		d.state.Newest = max(d.state.Newest, r.newest)
	}
	d.mu.Unlock()
	d.advance()
}

// deliver sends r until the destination has answered for good, or ctx ends.
func (d *destination) deliver(ctx context.Context, r *request) verdict {
	b := backoff{min: time.Duration(d.cfg.QueueConfig.MinBackoff), max: time.Duration(d.cfg.QueueConfig.MaxBackoff)}
	for attempt := 0; ; attempt++ {
		v := d.exchange(ctx, r, attempt)
		if ctx.Err() != nil && v.outcome != delivered {
			return v
		}
		var pause time.Duration
		switch v.outcome {
		case retry:
			pause = b.pause(v.after)
		case hold:
			pause = b.pause(d.pace.hold)
		case refused:
			if d.settleRefused(ctx, r, v); ctx.Err() != nil {
				v.outcome = retry // not all of it was settled
			}
			return v
		case tooLarge:
			if r.samples+r.histograms > 1 {
				return v
			}
			d.drop(r.samples+r.histograms, dropRefused, v.err)
			v.outcome = refused
			return v
		default:
			return v
		}
		d.trouble(v.err, pause)
		select {
		case <-ctx.Done():
			return v
		case <-time.After(pause):
		}
	}
}

// exchange sends r once and accounts for the answer.
func (d *destination) exchange(ctx context.Context, r *request, attempt int) verdict {
	start := time.Now()
	v := d.client.post(ctx, r, attempt)
	d.metrics.duration.Observe(time.Since(start).Seconds())
	d.metrics.request(v)
	d.metrics.bytes.Add(float64(len(r.payload)))
	if v.outcome == delivered {
		d.metrics.samples.Add(float64(r.samples + r.histograms))
		d.metrics.exemplars.Add(float64(r.totals.exemplars))
		d.wellAgain()
	}
	return v
}

// settleRefused ends a request that the destination will not take: by 2.0 it says what it stored, by 1.0 the series that it
// does not take can be found.
func (d *destination) settleRefused(ctx context.Context, r *request, v verdict) {
	all := r.samples + r.histograms
	switch {
	case r.version == version2 && v.written >= 0:
		d.metrics.samples.Add(float64(min(v.written, all)))
		d.metrics.exemplars.Add(float64(v.exemplars))
		d.metrics.refusedExemplars.Add(float64(max(r.totals.exemplars-v.exemplars, 0)))
		if all <= v.written {
			d.log.Debug("the destination refuses exemplars", zap.Error(v.err))
			return
		}
		d.drop(all-v.written, dropRefused, v.err)
	case r.version == version1 && len(r.ends) > 0 && d.relay.SplitRefused && (v.status == http.StatusBadRequest || v.status == http.StatusUnprocessableEntity):
		d.split(ctx, r, v)
	default:
		d.drop(all, dropRefused, v.err)
	}
}

// split sends the time series of a refused request in halves, and these again in halves where they are refused, until
// the ones that the destination does not take are alone.
func (d *destination) split(ctx context.Context, r *request, v verdict) {
	n := len(r.ends)
	if n == 1 {
		d.setAside(r)
		d.drop(r.samples, dropRefused, v.err)
		return
	}
	for _, half := range []*request{r.part(0, n/2), r.part(n/2, n)} {
		if !d.affordSplit(time.Now()) {
			d.drop(half.samples, dropRefused, v.err)
			continue
		}
		switch got := d.deliverPart(ctx, half); {
		case got.outcome == delivered || ctx.Err() != nil:
		case got.outcome == refused:
			d.split(ctx, half, got)
		default:
			d.drop(half.samples, dropRefused, got.err)
		}
	}
}

// deliverPart is deliver for a part of a request: what to do with a refused one is the caller's business.
func (d *destination) deliverPart(ctx context.Context, r *request) verdict {
	b := backoff{min: time.Duration(d.cfg.QueueConfig.MinBackoff), max: time.Duration(d.cfg.QueueConfig.MaxBackoff)}
	for attempt := 0; ; attempt++ {
		v := d.exchange(ctx, r, attempt)
		if v.outcome != retry && v.outcome != hold {
			return v
		}
		pause := b.pause(v.after)
		if v.outcome == hold {
			pause = b.pause(d.pace.hold)
		}
		d.trouble(v.err, pause)
		select {
		case <-ctx.Done():
			return v
		case <-time.After(pause):
		}
	}
}

// affordSplit takes one request from the minute's budget.
func (d *destination) affordSplit(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(d.splitMinute) {
		d.splitMinute, d.splits = minute, 0
	}
	d.splits++
	return d.splits <= splitBudget
}

// setAside leaves the one series of r out of requests for a while.
func (d *destination) setAside(r *request) {
	var m prompb.WriteRequest
	if err := m.Unmarshal(r.body); err != nil || len(m.Timeseries) != 1 {
		return
	}
	var h contentHash
	for _, l := range m.Timeseries[0].Labels {
		h.add(maphash.String(seed, l.Name) | 1)
		h.add(maphash.String(seed, l.Value) | 1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aside == nil {
		d.aside = map[uint32]time.Time{}
	}
	d.aside[h.sum()] = time.Now().Add(asideTime)
	d.hasAside.Store(true)
}

// leftOut tells whether the series with this hash is set aside.
func (d *destination) leftOut(hash uint32) bool {
	if !d.hasAside.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.aside[hash]
	return ok && time.Now().Before(until)
}

// drop counts samples that the destination will never get.
func (d *destination) drop(n int, reason string, err error) {
	d.metrics.dropped.WithLabelValues(reason).Add(float64(n))
	d.mu.Lock()
	text := err.Error()
	news := d.state.Refusal != text
	d.state.Refusal, d.state.Refused = text, d.state.Refused+n
	d.mu.Unlock()
	if news {
		d.log.Error("the destination refuses samples", zap.Int("samples", n), zap.Error(err))
	}
}

// trouble takes note that requests must wait.
func (d *destination) trouble(err error, pause time.Duration) {
	d.metrics.retries.Inc()
	d.mu.Lock()
	news := d.state.Error == ""
	d.state.Error, d.retry = err.Error(), true
	d.mu.Unlock()
	if news {
		d.log.Warn("the destination takes nothing; keep the samples and try again", zap.Duration("pause", pause), zap.Error(err))
	}
}

func (d *destination) wellAgain() {
	d.mu.Lock()
	news := d.state.Error != ""
	d.state.Error = ""
	d.mu.Unlock()
	if news {
		d.log.Info("the destination takes samples again")
	}
}
