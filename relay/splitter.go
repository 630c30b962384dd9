package relay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"promrelay/wal"
)

const (
	// triageWorkers is how many parts are sent at a time, hastyWorkers how many more where many samples were found to be late.
	splitWorkers, extraWorkers = 4, 12
	// triageRate and triageBurst bound the requests that look for what is refused: a second, and at once.
	splitRate, splitBurst = 100, 400
	// triageBatches is how many full requests are held while parts of them are looked into. Then the live data waits.
	heldRequests = 10
	// asideSamples is how many samples of series that are set aside are kept for when they are tried again.
	maxAsideSamples = 20000
)

// triage looks into requests that were refused, beside the live data: it sends them in parts until what the receiver does not take
// is alone. The series of such a request are its members. While a series is a member, lanes leave its samples here, where they wait
// for those that came before, so that the samples of a series stay in order.
//
// Nothing is dropped as long as nothing of the destination passes: then the cause is not in the data, and all of it is tried
// again. A series whose samples are refused a second time is set aside for some seconds, then twice as long, and so on.
type splitter struct {
	sender *sender
	started  time.Time // what was scraped before may have been sent before, by an earlier run
	limiter *rate.Limiter
	active atomic.Bool // there are members

	mu      sync.Mutex         // guards what follows
	series map[uint32]*seriesState // by the hash of the labels
	parts   []*part            // to be worked off
	heldSamples    int                // samples in parts and waiting, without those set aside
	asideSamples   int                // samples of series that are set aside
	holds []*positionHold
	refusals map[uint32]refusalCount
	change  chan struct{}

	allOrNothingUntil  time.Time     // until when it is believed that the receiver stores nothing of a request that it refuses
	tooOldAge      time.Duration // of samples that the receiver refused for their age
	tooOldUntil    time.Time     // until when that is believed
	lateSpent   time.Duration // on such searches, at lateAt
	lateSpentAt      time.Time
	inconsistentUntil time.Time // until when it is believed that the receiver refuses what it could take
}

// member is a series that is looked into, or set aside.
type seriesState struct {
	pieces  int           // of it in parts
	waiting []*timeSeries // samples that come after those
	aside   bool          // set aside
	retryAt   time.Time     // when a series that is set aside is tried again
	holdsPosition   bool          // the position waits for it all the same

	unheld map[uint64]wal.Position // where the samples begin for which the position does not wait, by the id of their series
}

// loosen records where the samples of s begin, since the position no longer waits for them.
func (m *seriesState) stopHolding(s *timeSeries) {
	for _, k := range s.holds {
		if from, ok := m.unheld[s.id]; !ok || k.from.Before(from) {
			if m.unheld == nil {
				m.unheld = map[uint64]wal.Position{}
			}
			m.unheld[s.id] = k.from
		}
	}
}

// part is some series that are sent together.
type part struct {
	series  []*timeSeries
	refusal *decision // for which it is sent in parts; nil: it was not sent yet
	passesBefore  uint64    // how many requests of the destination had passed when it was refused
	aside   bool      // a series that was set aside
	pause   backoff   // before it is tried again where nothing passes
	alone   bool      // a series that was refused before: others are not to join it
	rounds  int       // in which nothing passed
	refusedAt   time.Time // when it was refused first
}

// ticket keeps the position from moving past a request of which series are here.
type positionHold struct {
	from wal.Position
	pieces map[uint64]int // pieces that are here, by the id of their series
}

// release forgets one piece of a series.
func (k *positionHold) release(id uint64) {
	if k.pieces[id]--; k.pieces[id] <= 0 {
		delete(k.pieces, id)
	}
}

// strike counts how often new samples of a series were refused.
type refusalCount struct {
	count  int
	part     *part // that counted last: once for each part
	newest int64 // timestamp of the last one that counted, milliseconds since the epoch
	at     time.Time
}

func newSplitter(s *sender) *splitter {
	return &splitter{
		sender: s, started: time.Now(), limiter: rate.NewLimiter(splitRate, splitBurst), series: map[uint32]*seriesState{}, refusals: map[uint32]refusalCount{},
		change: make(chan struct{}),
	}
}

// run works until ctx ends. Each worker runs within safely.
func (t *splitter) run(ctx context.Context, safely func(func())) {
	var wg sync.WaitGroup
	for i := range splitWorkers + extraWorkers {
		hasty := i >= splitWorkers
		wg.Go(func() {
			safely(func() {
				for p := t.next(ctx, hasty); p != nil; p = t.next(ctx, hasty) {
					t.work(ctx, p)
				}
			})
		})
	}
	wg.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.series {
		for _, s := range m.waiting {
			if len(s.holds) == 0 { // for the others the position waits
				t.sender.metrics.dropped.WithLabelValues(dropAside).Add(float64(s.samples()))
			}
		}
	}
}

// refused takes a request that the receiver refuses.
func (t *splitter) add(r *request, v decision) {
	ts, err := r.content()
	if err != nil {
		t.sender.lose(decision{lost: r.all(), reason: dropRefused, err: err})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holdLocked(r.from, ts)
	for _, s := range ts {
		if t.series[s.hash] == nil {
			t.series[s.hash] = &seriesState{}
		}
		t.series[s.hash].pieces++
	}
	rest := ts
	if !v.late { // else it is about the samples, and not about the series
		rest = t.separateRefusedLocked(ts)
	}
	if len(rest) == len(ts) {
		t.parts = append(t.parts, t.newPart(ts, &v))
	} else {
		t.addPartsLocked(rest, nil)
	}
	t.notifyLocked()
}

// suspectsFirstLocked makes a part of each series that was refused before, and returns the others: they may pass together.
func (t *splitter) separateRefusedLocked(ts []*timeSeries) (rest []*timeSeries) {
	for _, s := range ts {
		if t.refusals[s.hash].count == 0 {
			rest = append(rest, s)
		} else {
			p := t.newPart([]*timeSeries{s}, nil)
			p.alone = true
			t.parts = append(t.parts, p)
		}
	}
	return rest
}

func (t *splitter) newPart(ts []*timeSeries, v *decision) *part {
	q := t.sender.cfg.QueueConfig
	return &part{series: ts, refusedAt: time.Now(), refusal: v, passesBefore: t.sender.passes.Load(), pause: backoff{min: time.Duration(q.MinBackoff), max: time.Duration(q.MaxBackoff)}}
}

// holdLocked keeps the position before from until all of ts are done.
func (t *splitter) holdLocked(from wal.Position, ts []*timeSeries) {
	k := &positionHold{from: from, pieces: make(map[uint64]int, len(ts))}
	t.holds = append(t.holds, k)
	for _, s := range ts {
		s.id = seriesID(s.labels)
		k.pieces[s.id]++
		s.holds = append(s.holds, k)
		s.heldSamples = s.samples()
		t.heldSamples += s.heldSamples
	}
}

// releaseLocked is the end of holdLocked for s.
func (t *splitter) releaseLocked(s *timeSeries) {
	for _, k := range s.holds {
		k.release(s.id)
	}
	t.heldSamples -= s.heldSamples
	s.holds, s.heldSamples = nil, 0
}

// oldest returns the position that holds the acknowledged one back. False: there is none.
func (t *splitter) oldest() (at wal.Position, ok bool) {
	if !t.active.Load() {
		return at, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holds = slices.DeleteFunc(t.holds, func(k *positionHold) bool { return len(k.pieces) == 0 })
	for i, k := range t.holds {
		if i == 0 || k.from.Before(at) {
			at = k.from
		}
	}
	return at, len(t.holds) > 0
}

func (t *splitter) notifyLocked() {
	close(t.change)
	t.change = make(chan struct{})
	t.active.Store(len(t.series) > 0)
}

// next returns what is to be done, nil when ctx has ended. A hasty worker waits until many samples were found to be late.
func (t *splitter) next(ctx context.Context, hasty bool) *part {
	for ctx.Err() == nil {
		p, wait, change := t.tryNext(hasty)
		if p != nil {
			return p
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-change:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func (t *splitter) tryNext(hasty bool) (p *part, wait time.Duration, change <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); !hasty || t.manyLateLocked(now) {
		p, wait = t.nextLocked(now)
		return p, wait, t.change
	}
	return nil, time.Hour, t.change
}

func (t *splitter) nextLocked(now time.Time) (p *part, wait time.Duration) {
	if len(t.parts) > 0 {
		p, t.parts = t.parts[0], t.parts[1:]
		return p, 0
	}
	wait = time.Hour
	for _, m := range t.series {
		if !m.aside || m.pieces > 0 || len(m.waiting) == 0 {
			continue
		}
		if d := m.retryAt.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		p = t.newPart(merge(m.waiting), nil)
		p.aside, m.pieces = true, len(p.series)
		n, _ := count(p.series)
		t.asideSamples -= n
		m.waiting = nil
		return p, 0
	}
	return nil, wait
}

// pushLocked makes parts of ts, which are all the pieces of their members. After is the part that they were in, if nothing of it passed.
func (t *splitter) requeueLocked(ts []*timeSeries, after *part) {
	for _, s := range ts {
		t.series[s.hash].pieces = 0
	}
	for _, s := range ts {
		t.series[s.hash].pieces++
	}
	t.addPartsLocked(ts, after)
	t.notifyLocked()
}

// partsLocked makes parts of ts, none larger than a request may be.
func (t *splitter) addPartsLocked(ts []*timeSeries, after *part) {
	most := t.sender.size.samples()
	if after == nil {
		ts = t.fillLastPartLocked(ts, most)
	}
	for len(ts) > 0 {
		n, samples := 0, 0
		for n < len(ts) && (n == 0 || samples+ts[n].samples() <= most) {
			samples += ts[n].samples()
			n++
		}
		p := t.newPart(ts[:n:n], nil)
		if after != nil {
			p.pause, p.rounds, p.refusedAt = after.pause, after.rounds+1, after.refusedAt
		}
		t.parts = append(t.parts, p)
		ts = ts[n:]
	}
}

// joinPartLocked adds series to the last part, if it was not sent yet and has room, and returns the others: or else series that were
// looked into one by one would go on one by one.
func (t *splitter) fillLastPartLocked(ts []*timeSeries, most int) []*timeSeries {
	if len(t.parts) == 0 {
		return ts
	}
	p := t.parts[len(t.parts)-1]
	if p.refusal != nil || p.rounds > 0 || p.aside || p.alone {
		return ts
	}
	samples, _ := count(p.series)
	for len(ts) > 0 && samples+ts[0].samples() <= most {
		samples += ts[0].samples()
		p.series, ts = append(p.series, ts[0]), ts[1:]
	}
	return ts
}

// prune forgets old strikes.
func (t *splitter) prune(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h, k := range t.refusals {
		if now.Sub(k.at) > refusalLife && (t.series[h] == nil || !t.series[h].aside) {
			delete(t.refusals, h)
		}
	}
}

// asideSeries is how many series are set aside.
func (t *splitter) asideSeries() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.series {
		if m.aside {
			n++
		}
	}
	return n
}

// eachHeld calls add for each series of which samples are here. False: for none of them the position waits.
func (t *splitter) eachHeld(add func(id uint64, from wal.Position)) (held bool) {
	if !t.active.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.holds {
		for id := range k.pieces {
			add(id, k.from)
			held = true
		}
	}
	for _, m := range t.series {
		for id, from := range m.unheld {
			add(id, from)
		}
	}
	return held
}
