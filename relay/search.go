package relay

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"time"
)

const (
	// badRun is the number of refused samples in a row after which the other samples of a series are not tried one by one.
	badRun = 3
	// lateSearchTime bounds the search among samples that come too late, as the receiver says. After lateSearchSteps, it skips samples.
	lateSearchTime, lateSearchSteps = 20 * time.Second, 4 * time.Second
	// lateProbes is how many samples of a series are tried in turn to find the first one that does not come too late.
	lateProbes = 30
)

// search is the work on one refused part: it divides the series, down to single samples, until each refused sample is alone.
type search struct {
	splitter *splitter
	part     *part
	begun    time.Time
	stack    [][]*timeSeries // series to be sent together; the last ones come first
	accepted int             // requests
	refusals int             // requests; for one series in a row, only the first
	limit    int             // refusals without anything accepted, after which the receiver seems to refuse everything
	last     decision        // the last refusal
	allLate  bool            // the receiver says of each refusal that samples come too late
	run      map[uint32]int  // single samples in a row that were refused, by the hash of the labels
	suspects []suspect
	open     []*timeSeries // series that nothing can be found out about now
}

// suspect has samples that were refused alone. They are dropped if the receiver accepts others.
type suspect struct {
	series       *timeSeries
	refusal      decision
	passesBefore uint64 // sender.passes at that time
}

// resolve sends a refused part in smaller parts until each refused sample is alone, and drops these samples. If the receiver refuses
// everything, it cannot decide: it returns the series that remain open.
func (t *splitter) resolve(ctx context.Context, p *part) (open []*timeSeries) {
	if t.tooOld(p.series, *p.refusal, time.Now()) {
		t.dropLate(p.series, *p.refusal)
		return nil
	}
	switch t.sendWithoutExemplars(ctx, p) {
	case settled:
		return nil
	case cancelled:
		return restored(p.series)
	case refused:
	}
	limit := bits.Len(uint(len(p.series))) + 2 // enough to reach one series and its neighbour
	if p.rounds > 0 && !p.refusal.late && !t.othersPass(ctx, p.passesBefore) && !t.newestAccepted(ctx, p) {
		limit = 2 // the receiver still seems to refuse everything
	}
	f := &search{splitter: t, part: p, begun: time.Now(), last: *p.refusal, limit: limit, allLate: p.refusal.late, run: map[uint32]int{}}
	f.divide(ctx, p.series, *p.refusal)
	for len(f.stack) > 0 && f.mayContinue(ctx) {
		f.step(ctx, f.pop())
	}
	for len(f.stack) > 0 && f.overdue() && ctx.Err() == nil {
		t.tryOnceMore(ctx, f.pop(), f.last)
	}
	open = append(f.open, t.dropConfirmed(ctx, p, f)...)
	for _, ts := range f.stack {
		open = append(open, ts...)
	}
	return restored(open)
}

// restored returns ts, each with all its samples and exemplars again.
func restored(ts []*timeSeries) []*timeSeries {
	for _, s := range ts {
		s.restore()
	}
	return ts
}

// sendWithoutExemplars sends a part without its exemplars, if it has some: the receiver may refuse only those. If the result is not
// settled, the part must still be divided.
func (t *splitter) sendWithoutExemplars(ctx context.Context, p *part) end {
	if _, n := count(p.series); n == 0 {
		return refused
	}
	for _, s := range p.series {
		s.unsentExemplars, s.exemplars = s.exemplars, nil
	}
	o := t.send(ctx, p.series)
	switch o.end {
	case settled:
		t.finish(p.series, true)
	case refused:
		p.refusal = &o.decision
	case cancelled:
	}
	return o.end
}

// newestAccepted tries the newest sample of the series that has the fewest samples. If the receiver already has newer samples than all
// others of the part, and does not say so, it accepts nothing else. If an outage ends at this moment, the try can cost that series its
// older samples. So not every round makes this try. The oldest samples are tried first: the outage may have ended a moment ago. And if
// the receiver says that samples come too late, one of these may be the first that does not.
func (t *splitter) newestAccepted(ctx context.Context, p *part) bool {
	if p.rounds%4 != 1 {
		return false
	}
	s := slices.MinFunc(p.series, func(a, b *timeSeries) int { return cmp.Compare(a.samples(), b.samples()) })
	times := s.times()
	older := 1
	if p.refusal.saysLate {
		older = lateProbes
	}
	probe := prober{splitter: t}
	if slices.ContainsFunc(times[:min(len(times), older)], func(ms int64) bool { return probe.accepts(ctx, s, ms) }) {
		return true
	}
	return t.send(ctx, []*timeSeries{s.between(times[len(times)-1], maxTime)}).end == settled
}

// pop returns the series that are to be sent next.
func (f *search) pop() []*timeSeries {
	n := len(f.stack) - 1
	ts := f.stack[n]
	f.stack = f.stack[:n]
	return ts
}

// mayContinue reports whether the receiver may still accept something, or may have the samples that it refuses.
func (f *search) mayContinue(ctx context.Context) bool {
	return ctx.Err() == nil && !f.overdue() && (f.refusals <= f.limit || f.accepted > 0 || f.allLate || f.splitter.othersPass(ctx, f.part.passesBefore))
}

// overdue reports whether the search among samples that come too late has used all its time.
func (f *search) overdue() bool { return f.last.late && time.Since(f.begun) > lateSearchTime }

// step sends series together, and divides them if they are refused.
func (f *search) step(ctx context.Context, ts []*timeSeries) {
	o := f.splitter.send(ctx, ts)
	switch {
	case o.end == settled:
		f.accepted++
		delete(f.run, ts[0].hash)
		f.splitter.finish(ts, true)
	case ctx.Err() != nil:
		f.stack = append(f.stack, ts)
	default:
		if len(ts) > 1 || f.run[ts[0].hash] == 0 {
			f.refusals++
		}
		f.last, f.allLate = o.decision, f.allLate && o.decision.late
		f.divide(ctx, ts, o.decision)
	}
}

// divide prepares the next steps for series that were refused together.
func (f *search) divide(ctx context.Context, ts []*timeSeries, v decision) {
	if f.dropLateQuickly(ctx, ts, v) {
		return
	}
	switch late := f.splitLate(ctx, ts, v); late.kind {
	case lateAll:
		if v.tooOld {
			f.splitter.noteTooOld(ts, time.Now())
		}
		f.splitter.dropLate(ts, v)
		return
	case lateSome:
		if len(late.stale) > 0 {
			f.stack = append(f.stack, late.stale)
		}
		f.stack = append(f.stack, late.fresh)
		return
	case lateNone:
	}
	if parts := f.splitter.halves(ts); parts != nil {
		f.stack = append(f.stack, parts...)
		return
	}
	f.refusedAlone(ctx, ts[0], v)
}

// refusedAlone handles refused samples of one series and time. They cannot be divided any more.
func (f *search) refusedAlone(ctx context.Context, s *timeSeries, v decision) {
	h := s.hash
	if !v.late && f.hasNewer(h) {
		// It is tried again before the newer samples are sent. Otherwise they would overtake it if an outage ends at this moment.
		if !f.splitter.othersPass(ctx, f.splitter.sender.passes.Load()) {
			f.open = append(f.open, s)
			for f.hasNewer(h) {
				f.open = append(f.open, f.pop()...)
			}
			return
		}
		if f.splitter.tryAgain(ctx, s) == settled {
			f.accepted++
			f.splitter.finish([]*timeSeries{s}, true)
			return
		}
	}
	f.addSuspect(s, v)
	if f.run[h] >= badRun && !v.late && !v.tiny && f.hasNewer(h) {
		f.skipSeries(ctx, h, v)
	}
}

// skipSeries ends the search in a series after some refused samples in a row. It tries the newest sample. If that is accepted, the
// samples before it came too late; else the series is bad.
func (f *search) skipSeries(ctx context.Context, hash uint32, v decision) {
	var rest []*timeSeries
	for f.hasNewer(hash) {
		rest = append(rest, f.pop()...)
	}
	newest := rest[len(rest)-1]
	times := newest.times()
	newest.withhold(times[len(times)-1])
	if f.splitter.send(ctx, []*timeSeries{newest}).end != settled {
		newest.restore()
		for _, s := range rest {
			f.addSuspect(s, v)
		}
		return
	}
	f.accepted++
	f.splitter.finish([]*timeSeries{newest}, true)
	if rest = rest[:len(rest)-1]; len(rest) > 0 {
		f.splitter.dropLate(rest, v)
	}
}

// hasNewer reports whether newer samples of a series are to be sent next.
func (f *search) hasNewer(hash uint32) bool {
	n := len(f.stack)
	return n > 0 && len(f.stack[n-1]) == 1 && f.stack[n-1][0].hash == hash
}

func (f *search) addSuspect(s *timeSeries, v decision) {
	f.run[s.hash]++
	f.suspects = append(f.suspects, suspect{s, v, f.splitter.sender.passes.Load()})
}

// halves splits series in two halves, or a single series by time. The half to be sent first comes last. It returns nil if ts cannot be
// split.
func (t *splitter) halves(ts []*timeSeries) [][]*timeSeries {
	if n := len(ts); n > 1 {
		return [][]*timeSeries{ts[n/2:], ts[:n/2]}
	}
	s := ts[0]
	times := s.times()
	if len(times) < 2 || times[0] == times[len(times)-1] {
		return nil
	}
	at := times[len(times)/2]
	if at == times[0] {
		at++
	}
	older, newer := s.between(minTime, at), s.between(at, maxTime)
	t.mu.Lock()
	defer t.mu.Unlock()
	older.heldSamples, older.older = 0, s.older
	for _, h := range older.holds {
		h.pieces[s.id]++
	}
	t.series[s.hash].pieces++
	return [][]*timeSeries{{newer}, {older}}
}
