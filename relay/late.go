package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// probedSeries is how many series are probed with single samples.
	probedSeries = 3
	// fewSeries is the largest number of series that are all tried. If there are more, some of them represent all.
	fewSeries = 16
	// quickProbes is how many series represent all when late samples are dropped without a full search.
	quickProbes = 6
)

// lateness describes which samples of some series come too late.
type lateness struct {
	kind         lateKind
	fresh, stale []*timeSeries // for lateSome
}

type lateKind int

const (
	lateNone lateKind = iota + 1 // none, as far as is known
	lateSome                     // those of stale, and those that are withheld of fresh
	lateAll                      // all of them
)

// splitLate finds out which samples come too late. A receiver refuses a sample when it has a newer one of the series, or when the sample
// is too old. Both happen after the receiver stored a part of a request and refused the rest, or after its answer was lost. In these
// cases, mere division would go down to each single sample.
//
// So splitLate looks for the time from which on the receiver accepts samples, and withholds the samples before that time. When the
// newer ones are accepted, the receiver has the withheld ones already, or will never want them.
//
// It probes with single samples of a few series, the oldest samples first. If the receiver accepts the oldest, samples are not
// late. If it refuses them, the probes do no harm.
func (f *search) splitLate(ctx context.Context, ts []*timeSeries, v decision) lateness {
	t, none := f.splitter, lateness{kind: lateNone}
	times := allTimes(ts)
	if v.reason == dropTooLarge || len(ts) == 1 && (len(times) < 2 || !v.late) || !v.late && (len(times) < 2 || t.allOrNothing()) {
		return none
	}
	if !v.late && !t.othersPass(ctx, t.sender.passes.Load()) {
		return none
	}
	probe := prober{splitter: t, late: v.late, skips: v.late && time.Since(f.begun) > lateSearchSteps}
	rest := slices.Clone(ts)
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	few := rest[:min(probedSeries, len(rest))]
	rest = rest[len(few):]
	for _, s := range few {
		if probe.accepts(ctx, s, s.times()[0]) {
			f.accepted += probe.accepted
			t.noteAllOrNothing()
			return none
		}
	}
	// Either some series are bad, or the receiver refuses everything, or it has newer samples.
	from, found := probe.firstAccepted(ctx, few, times)
	f.accepted += probe.accepted
	if ctx.Err() != nil || probe.otherRefusal {
		return none
	}
	if found && t.readAgain(times) {
		return f.splitAt(ctx, ts, few, times[from], &probe)
	}
	if found {
		return f.splitAt(ctx, ts, few, times[from], nil)
	}
	if len(ts) > fewSeries && probe.acceptsNewest(ctx, rest[:probedSeries]) {
		f.accepted++
	}
	all := len(ts) == 1 || len(ts) > fewSeries && f.accepted == 0 && !probe.otherRefusal && ctx.Err() == nil && !t.readAgain(times)
	if v.late && all {
		return lateness{kind: lateAll}
	}
	return none
}

// splitAt withholds the samples before a time, and returns which series have newer ones. The series in few were probed already. If
// there is a probe, the other series are probed one by one: when the log is read again, the receiver may have fewer of their samples.
func (f *search) splitAt(ctx context.Context, ts, few []*timeSeries, from int64, probe *prober) lateness {
	l := lateness{kind: lateSome}
	for _, s := range ts {
		times := s.times()
		if probe != nil && times[0] < from && !slices.Contains(few, s) && probe.accepts(ctx, s, times[0]) {
			l.fresh = append(l.fresh, s)
			continue
		}
		if times[len(times)-1] >= from {
			s.withhold(from)
			l.fresh = append(l.fresh, s)
		} else {
			l.stale = append(l.stale, s)
		}
	}
	if len(l.fresh) == 0 { // the only newer samples were those that the probes have delivered
		return lateness{kind: lateNone}
	}
	return l
}

// readAgain reports whether samples are read again from the log, after a restart or a reload. Then the receiver has fewer samples of
// some series than of others: of those that the splitter of the earlier run had.
func (t *splitter) readAgain(times []int64) bool { return times[0] < t.started.UnixMilli() }

// dropLateQuickly drops late samples without a full search if many came too late recently, as with a long backlog that the receiver
// has already. All of them count as late if some random series are refused alone, and their newest samples too. False: a full search
// is needed.
func (f *search) dropLateQuickly(ctx context.Context, ts []*timeSeries, v decision) bool {
	t := f.splitter
	if !v.late || !t.manyLate(time.Now()) {
		return false
	}
	if len(ts) > 1 && len(ts) <= fewSeries { // after some divisions, more of a part may be late than of all
		f.halveOrKeep(ts)
		return true
	}
	probe := prober{splitter: t, late: true}
	for i := range min(quickProbes, len(ts)) {
		j := i + rand.IntN(len(ts)-i)
		ts[i], ts[j] = ts[j], ts[i]
		s := ts[i]
		if len(ts) > 1 && t.send(ctx, []*timeSeries{s}).end == settled {
			f.accepted++
			t.finish([]*timeSeries{s}, true)
			f.halveOrKeep(slices.Delete(ts, i, i+1))
			return true
		}
		times := s.times()
		if probe.accepts(ctx, s, times[len(times)-1]) || probe.otherRefusal || ctx.Err() != nil {
			f.halveOrKeep(ts)
			return true
		}
	}
	t.dropLate(ts, v)
	return true
}

// halveOrKeep divides series for the next steps, if they can be divided.
func (f *search) halveOrKeep(ts []*timeSeries) {
	if parts := f.splitter.halves(ts); parts != nil {
		f.stack = append(f.stack, parts...)
	} else {
		f.stack = append(f.stack, ts)
	}
}

// allTimes returns the timestamps of the samples of all series, sorted, each once.
func allTimes(ts []*timeSeries) (out []int64) {
	for _, s := range ts {
		out = append(out, s.times()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
