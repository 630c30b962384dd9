package relay

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"time"
)

const (
	// badRun is after how many refused samples in a row the others of a series are not tried one by one.
	badRun = 3
	// lateTime is how long samples are looked into of which the receiver says that they come too late. After lateSteps not each one is
	// asked for any more.
	lateSearchTime, lateSearchSteps = 20 * time.Second, 4 * time.Second
	// wordsAsked is how many samples of a series are tried in turn for the first one that is not too late.
	lateProbes = 30
)

// search is the way through a part that was refused, down to single samples.
type search struct {
	begun    time.Time
	splitter        *splitter
	part        *part
	limit    int // refusals in a row that show that nothing passes
	refusals int
	accepted    int
	last     decision // the last refusal
	allLate  bool     // in the receiver's words, each refusal is because of samples that come too late
	stack    [][]*timeSeries
	suspects []suspect
	open     []*timeSeries  // that cannot be looked into now
	run      map[uint32]int // single samples in a row that were refused, by series
}

// resolve sends a part that was refused in smaller ones, until what is refused is alone, and drops that. It returns what
// it could not judge, since nothing passes.
func (t *splitter) resolve(ctx context.Context, p *part) (open []*timeSeries) {
	if t.tooOld(p.series, *p.refusal, time.Now()) {
		t.dropLate(p.series, *p.refusal)
		return nil
	}
	if t.sendWithoutExemplars(ctx, p) {
		return nil
	}
	limit := bits.Len(uint(len(p.series))) + 2 // down to one series and its neighbour
	if p.rounds > 0 && !p.refusal.late && !t.othersPass(ctx, p.passesBefore) && !t.newestAccepted(ctx, p) {
		limit = 2 // nothing passes, it seems
	}
	f := &search{splitter: t, part: p, begun: time.Now(), last: *p.refusal, limit: limit, allLate: p.refusal.late, run: map[uint32]int{}}
	f.divide(ctx, p.series, *p.refusal)
	for len(f.stack) > 0 && f.mayContinue(ctx) {
		ts := f.stack[len(f.stack)-1]
		f.stack = f.stack[:len(f.stack)-1]
		f.step(ctx, ts)
	}
	for n := len(f.stack); n > 0 && f.overdue() && ctx.Err() == nil; n = len(f.stack) {
		ts := f.stack[n-1]
		f.stack = f.stack[:n-1]
		t.tryOnceMore(ctx, ts, f.last)
	}
	open = append(f.open, t.dropConfirmed(ctx, p, f)...)
	for _, ts := range f.stack {
		open = append(open, ts...)
	}
	for _, s := range open {
		s.restore()
	}
	return open
}

// tryNewest asks whether anything passes with the newest sample of one series, the one that has the fewest. A receiver that has newer
// samples than those of the part, and says nothing of that, refuses all else. As it may cost that series its older samples, if an outage
// ends just now, it is not done in each round, and not where the receiver's words lead to a sample that is not too late.
func (t *splitter) newestAccepted(ctx context.Context, p *part) bool {
	if p.rounds%4 != 1 {
		return false
	}
	s := slices.MinFunc(p.series, func(a, b *timeSeries) int { return cmp.Compare(a.samples(), b.samples()) })
	times := s.times()
	older := 1 // as the outage may have ended a moment ago
	if p.refusal.saysLate {
		older = lateProbes
	}
	ask := prober{splitter: t}
	if slices.ContainsFunc(times[:min(len(times), older)], func(ms int64) bool { return ask.accepts(ctx, s, ms) }) {
		return true
	}
	return t.send(ctx, []*timeSeries{s.between(times[len(times)-1], maxTime)}) == nil
}

// goesOn tells whether there is hope that something passes, or that the receiver has what it refuses.
func (f *search) mayContinue(ctx context.Context) bool {
	return ctx.Err() == nil && !f.overdue() && (f.refusals <= f.limit || f.accepted > 0 || f.allLate || f.splitter.othersPass(ctx, f.part.passesBefore))
}

// overdue tells whether samples that come too late were looked into for long enough.
func (f *search) overdue() bool { return f.last.late && time.Since(f.begun) > lateSearchTime }

// step sends series together, and divides them where they are refused.
func (f *search) step(ctx context.Context, ts []*timeSeries) {
	v := f.splitter.send(ctx, ts)
	switch {
	case ctx.Err() != nil && v != nil:
		f.stack = append(f.stack, ts)
	case v == nil:
		f.accepted++
		delete(f.run, ts[0].hash)
		f.splitter.finish(ts, true)
	default:
		if len(ts) > 1 || f.run[ts[0].hash] == 0 {
			f.refusals++
		}
		f.last, f.allLate = *v, f.allLate && v.late
		f.divide(ctx, ts, *v)
	}
}

// divide prepares the next steps for series that were refused together.
func (f *search) divide(ctx context.Context, ts []*timeSeries, v decision) {
	if f.dropLateQuickly(ctx, ts, v) {
		return
	}
	fresh, stale, all := f.splitLate(ctx, ts, v)
	if all {
		if v.tooOld {
			f.splitter.noteTooOld(ts, time.Now())
		}
		f.splitter.dropLate(ts, v)
		return
	}
	if len(fresh) > 0 {
		if len(stale) > 0 {
			f.stack = append(f.stack, stale)
		}
		f.stack = append(f.stack, fresh)
		return
	}
	if parts := f.splitter.halves(ts); parts != nil {
		f.stack = append(f.stack, parts...)
		return
	}
	if h := ts[0].hash; !v.late && f.hasNewer(h) {
		// Newer samples must not overtake this one because an outage ends just now.
		if !f.splitter.othersPass(ctx, f.splitter.sender.passes.Load()) {
			f.open = append(f.open, ts[0])
			for ; f.hasNewer(h); f.stack = f.stack[:len(f.stack)-1] {
				f.open = append(f.open, f.stack[len(f.stack)-1]...)
			}
			return
		}
		if !f.splitter.refusedAgain(ctx, ts[0]) && ctx.Err() == nil {
			f.accepted++
			f.splitter.finish(ts, true)
			return
		}
	}
	f.addSuspect(ts[0], v)
	if h := ts[0].hash; f.run[h] >= badRun && !v.late && !v.tiny && f.hasNewer(h) {
		f.skipSeries(ctx, h, v)
	}
}

// skip ends the way through the samples of one series after some were refused in a row: the newest one tells whether the series is
// bad, or was late so far.
func (f *search) skipSeries(ctx context.Context, hash uint32, v decision) {
	var rest []*timeSeries
	for ; f.hasNewer(hash); f.stack = f.stack[:len(f.stack)-1] {
		rest = append(rest, f.stack[len(f.stack)-1]...)
	}
	newest := rest[len(rest)-1]
	times := newest.times()
	newest.withhold(times[len(times)-1])
	if f.splitter.send(ctx, []*timeSeries{newest}) != nil {
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

// hasNewer tells whether newer samples of a series are to be sent next.
func (f *search) hasNewer(hash uint32) bool {
	n := len(f.stack)
	return n > 0 && len(f.stack[n-1]) == 1 && f.stack[n-1][0].hash == hash
}

func (f *search) addSuspect(s *timeSeries, v decision) {
	f.run[s.hash]++
	f.suspects = append(f.suspects, suspect{s, v, f.splitter.sender.passes.Load()})
}

// halves splits series in two, one alone by time; the first one to send comes last. It returns nil for what cannot be split.
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
	for _, k := range older.holds {
		k.pieces[s.id]++
	}
	t.series[s.hash].pieces++
	return [][]*timeSeries{{newer}, {older}}
}

// stripExemplars sends a part without its exemplars. True: that was all, or ctx has ended.
func (t *splitter) sendWithoutExemplars(ctx context.Context, p *part) bool {
	_, n := count(p.series)
	if n == 0 {
		return false
	}
	for _, s := range p.series {
		s.unsentExemplars, s.exemplars = s.exemplars, nil
	}
	v := t.send(ctx, p.series)
	if v == nil {
		t.finish(p.series, true)
		return true
	}
	p.refusal = v
	return false
}
