package relay

import (
	"context"
	"slices"
	"time"
)

// prober sends single samples, to find out what the receiver accepts.
type prober struct {
	splitter     *splitter
	late         bool // the receiver has said that samples come too late
	skips        bool // firstAccepted skips samples: up to a fifth of those before the one that it finds
	accepted     int  // samples
	otherRefusal bool // the receiver has refused a sample without saying that it comes too late: something else is wrong
}

// firstAccepted returns the index in times of the first sample that the receiver accepts. It refuses the oldest sample of these series.
// False: there is no such sample, or the series differ.
func (p *prober) firstAccepted(ctx context.Context, few []*timeSeries, times []int64) (i int, found bool) {
	for i := 1; i < len(times); i += p.step(i) {
		if !p.accepts(ctx, few[0], times[i]) {
			continue
		}
		for _, s := range few[1:] {
			if p.accepts(ctx, s, times[i-1]) {
				return 0, false
			}
		}
		return i, true
	}
	return 0, false
}

// step returns the distance from sample i to the next one to try.
func (p *prober) step(i int) int {
	if p.skips {
		return max(1, i/4)
	}
	return 1
}

// acceptsNewest reports whether the receiver accepts the newest sample of at least one of ts.
func (p *prober) acceptsNewest(ctx context.Context, ts []*timeSeries) bool {
	return slices.ContainsFunc(ts, func(s *timeSeries) bool {
		times := s.times()
		return p.accepts(ctx, s, times[len(times)-1])
	})
}

// accepts reports whether the receiver accepts a single sample, that of a time. If so, accepts removes it from s, unless s has no other
// sample.
func (p *prober) accepts(ctx context.Context, s *timeSeries, ms int64) bool {
	one := s.between(ms, ms+1)
	if one.samples() == 0 || ctx.Err() != nil || p.otherRefusal {
		return false
	}
	begun := time.Now()
	o := p.splitter.send(ctx, []*timeSeries{one})
	if o.end == refused {
		p.splitter.noteLateTime(time.Since(begun))
		p.otherRefusal = p.late && !o.decision.late
	}
	if o.end != settled {
		return false
	}
	p.accepted++
	if s.samples() > one.samples() {
		before, after := s.between(minTime, ms), s.between(ms+1, maxTime)
		s.floats, s.histograms = append(before.floats, after.floats...), append(before.histograms, after.histograms...)
	}
	return true
}
