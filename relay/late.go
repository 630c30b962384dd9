package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// wholeLife is how long it is believed that the receiver stores nothing of a request that it refuses.
	allOrNothingLife = 10 * time.Minute
	// seriesAsked is of how many series single samples are tried.
	probedSeries = 3
	// fewSeries are looked into one by one; of more some speak for all.
	fewSeries = 16
	// lateSpent is how much time, of all workers, may be spent on single samples that are late before the search hurries. One second of it is forgotten every lateForgotten seconds.
	maxLateSpent, lateDecay = 20 * time.Second, 6
	// mostLatency is what an answer takes at the most from a receiver that is there.
	maxLatency = 500 * time.Millisecond
	// hurryAsked is how many series speak for all of many where the search hurries.
	quickProbes = 6
	// oldLife is how long it is believed that samples of an age are refused.
	tooOldLife = 10 * time.Minute
)

// late is about samples that the receiver may refuse because it has newer ones, since it stored what was good of the request or its
// answer was lost, or because they are too old by now. Then every part would be refused again down to single samples. Late looks
// for the time from which on samples are taken, and sets those before apart: if the others are taken, these are there already,
// or will never be wanted. It returns the series with samples from that time on, and those without; or, with all, that it takes none of
// them; or nothing where it found no such time.
//
// It asks with single samples of a few series, the oldest first: a receiver that takes them has no such time, and one that does not
// loses nothing.
func (f *search) splitLate(ctx context.Context, ts []*timeSeries, v decision) (fresh, stale []*timeSeries, all bool) {
	t := f.splitter
	times := allTimes(ts)
	if v.reason == dropTooLarge || len(ts) == 1 && (len(times) < 2 || !v.late) || !v.late && (len(times) < 2 || t.allOrNothing()) {
		return nil, nil, false
	}
	if !v.late && !t.othersPass(ctx, t.sender.passes.Load()) {
		return nil, nil, false
	}
	ask := prober{splitter: t, late: v.late, skips: v.late && time.Since(f.begun) > lateSearchSteps}
	rest := slices.Clone(ts)
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	few := rest[:min(probedSeries, len(rest))]
	rest = rest[len(few):]
	for _, s := range few {
		if ask.accepts(ctx, s, s.times()[0]) {
			f.accepted += ask.accepted
			t.noteAllOrNothing()
			return nil, nil, false
		}
	}
	// Some bad series, or nothing passes, or the receiver has newer ones.
	from := ask.firstAccepted(ctx, few, times)
	f.accepted += ask.accepted
	if ctx.Err() != nil || ask.otherRefusal {
		return nil, nil, false
	}
	if from < 0 {
		if len(ts) > fewSeries && ask.acceptsNewest(ctx, rest[:probedSeries]) {
			f.accepted++
		}
		return nil, nil, v.late && (len(ts) == 1 || len(ts) > fewSeries && f.accepted == 0 && !ask.otherRefusal && !t.readAgain(times))
	}
	for _, s := range ts {
		own := s.times()
		if own[0] < times[from] && t.readAgain(times) && !slices.Contains(few, s) && ask.accepts(ctx, s, own[0]) {
			fresh = append(fresh, s)
			continue
		}
		if own[len(own)-1] >= times[from] {
			s.withhold(times[from])
			fresh = append(fresh, s)
		} else {
			stale = append(stale, s)
		}
	}
	return fresh, stale, false
}

// again tells whether samples are read again from the log, after a restart or a reload. Then series may differ in what the receiver has of
// them: of those that were looked into before it has less.
func (t *splitter) readAgain(times []int64) bool { return times[0] < t.started.UnixMilli() }

// hurry is for late samples where it was found lately that many are: a long backlog that the receiver has already is passed over so. Where
// some random series are refused alone, and so are their newest samples, all is late. It returns false where it is not to be used.
func (f *search) dropLateQuickly(ctx context.Context, ts []*timeSeries, v decision) bool {
	t := f.splitter
	if !v.late || !t.manyLate(time.Now()) {
		return false
	}
	if len(ts) > 1 && len(ts) <= fewSeries { // those that were divided may have late ones above the average
		f.halveOrKeep(ts)
		return true
	}
	ask := prober{splitter: t, late: true}
	for i := range min(quickProbes, len(ts)) {
		j := i + rand.IntN(len(ts)-i)
		ts[i], ts[j] = ts[j], ts[i]
		s := ts[i]
		if len(ts) > 1 {
			if r := t.send(ctx, []*timeSeries{s}); r == nil {
				f.accepted++
				t.finish([]*timeSeries{s}, true)
				f.halveOrKeep(slices.Delete(ts, i, i+1))
				return true
			}
		}
		times := s.times()
		if ask.accepts(ctx, s, times[len(times)-1]) || ask.otherRefusal || ctx.Err() != nil {
			f.halveOrKeep(ts)
			return true
		}
	}
	t.dropLate(ts, v)
	return true
}

// part divides series for the next steps, if it can.
func (f *search) halveOrKeep(ts []*timeSeries) {
	if parts := f.splitter.halves(ts); parts != nil {
		f.stack = append(f.stack, parts...)
	} else {
		f.stack = append(f.stack, ts)
	}
}

// hasty tells whether to look no longer for each sample that may not be late.
func (t *splitter) manyLate(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.manyLateLocked(now)
}

func (t *splitter) manyLateLocked(now time.Time) bool {
	return t.lateSpent-now.Sub(t.lateSpentAt)/lateDecay > maxLateSpent
}

// spendLate counts the time of a question; what it waited for a receiver that was away is no part of it.
func (t *splitter) noteLateTime(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.lateSpent = max(0, t.lateSpent-now.Sub(t.lateSpentAt)/lateDecay) + min(took, maxLatency)
	t.lateSpentAt = now
}

// asker asks with single samples.
type prober struct {
	splitter       *splitter
	late    bool // the receiver speaks of samples that come too late
	skips bool // from the oldest on, it leaves out up to a fifth of those before the first one that is taken
	accepted   int  // samples
	otherRefusal bool // it did not each time: something else is wrong
}

// firstTaken returns the place among times of the first sample that is taken of series of which the oldest are not, -1 for none.
func (a *prober) firstAccepted(ctx context.Context, few []*timeSeries, times []int64) int {
	for i := 1; i < len(times); i += a.step(i) {
		if !a.accepts(ctx, few[0], times[i]) {
			continue
		}
		for _, s := range few[1:] {
			if a.accepts(ctx, s, times[i-1]) {
				return -1
			}
		}
		return i
	}
	return -1
}

// step is how many samples to go on after the one at i.
func (a *prober) step(i int) int {
	if a.skips {
		return max(1, i/4)
	}
	return 1
}

// takesNewest tells whether the receiver takes the newest sample of one of some series.
func (a *prober) acceptsNewest(ctx context.Context, ts []*timeSeries) bool {
	return slices.ContainsFunc(ts, func(s *timeSeries) bool {
		times := s.times()
		return a.accepts(ctx, s, times[len(times)-1])
	})
}

// takes tells whether the receiver takes the sample of a time alone. One that is taken is done, unless it is the last one.
func (a *prober) accepts(ctx context.Context, s *timeSeries, ms int64) bool {
	one := s.between(ms, ms+1)
	if one.samples() == 0 || ctx.Err() != nil || a.otherRefusal {
		return false
	}
	begun := time.Now()
	if v := a.splitter.send(ctx, []*timeSeries{one}); v != nil {
		a.splitter.noteLateTime(time.Since(begun))
		a.otherRefusal = a.otherRefusal || a.late && !v.late
		return false
	}
	a.accepted++
	if s.samples() > one.samples() {
		before, after := s.between(minTime, ms), s.between(ms+1, maxTime)
		s.floats, s.histograms = append(before.floats, after.floats...), append(before.histograms, after.histograms...)
	}
	return true
}

// allTimes returns the timestamps of the samples of all series, sorted, each once.
func allTimes(ts []*timeSeries) (out []int64) {
	for _, s := range ts {
		out = append(out, s.times()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// setApart sets the samples before a time apart.
func (s *timeSeries) withhold(before int64) {
	older, rest := s.between(minTime, before), s.between(before, maxTime)
	if older.samples() == 0 {
		return
	}
	if s.older != nil {
		older.floats, older.histograms = append(s.older.floats, older.floats...), append(s.older.histograms, older.histograms...)
	}
	s.older, s.floats, s.histograms = older, rest.floats, rest.histograms
}

// join brings back what was set apart.
func (s *timeSeries) restore() {
	s.exemplars, s.unsentExemplars = append(s.exemplars, s.unsentExemplars...), nil
	if s.older != nil {
		s.floats, s.histograms = append(s.older.floats, s.floats...), append(s.older.histograms, s.histograms...)
		s.older = nil
	}
}

// storesWhole tells whether the receiver is known to store nothing of a request that it refuses.
func (t *splitter) allOrNothing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.allOrNothingUntil)
}

func (t *splitter) noteAllOrNothing() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.allOrNothingUntil = time.Now().Add(allOrNothingLife)
}

// tooOld tells whether the receiver has refused younger samples than these for their age.
func (t *splitter) tooOld(ts []*timeSeries, v decision, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return v.tooOld && now.Before(t.tooOldUntil) && now.Sub(time.UnixMilli(newest(ts))) >= t.tooOldAge
}

// learnOld takes note that the receiver refuses all of these samples for their age.
func (t *splitter) noteTooOld(ts []*timeSeries, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tooOldAge, t.tooOldUntil = now.Sub(time.UnixMilli(newest(ts))), now.Add(tooOldLife)
}

// newest returns the newest timestamp of some series, in milliseconds since the epoch.
func newest(ts []*timeSeries) int64 {
	at := int64(minTime)
	for _, s := range ts {
		for _, ms := range s.times() {
			at = max(at, ms)
		}
	}
	return at
}
