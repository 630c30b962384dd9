package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"promrelay/wal"
)

const (
	// splitWorkers is how many parts are sent at a time. While many samples come too late, extraWorkers send more parts.
	splitWorkers, extraWorkers = 4, 12
	// splitRate and splitBurst bound the requests of the splitter: per second, and at once.
	splitRate, splitBurst = 100, 400
	// heldRequests is how many full requests the splitter holds. Beyond that, the live data of the same series waits.
	heldRequests = 10
	// maxAsideSamples is how many samples of series set aside are kept until these series are tried again.
	maxAsideSamples = 20000
)

// splitter sends refused requests again in parts, in parallel with the live data, until each refused sample is alone.
//
// It knows the series of those requests. As long as it has samples of a series, shards hand new samples of that series to the splitter.
// These wait for the earlier ones, so that the samples of a series stay in order.
//
// Nothing is dropped while the receiver refuses everything: then the data is not the cause, and all of it is tried again. A
// series whose new samples are refused a second time is set aside for some seconds, then for twice as long, and so on.
type splitter struct {
	sender  *sender
	started time.Time // an earlier run may have sent the scrapes before this time
	limiter *rate.Limiter
	active  atomic.Bool // there are series
	beliefs

	mu           sync.Mutex              // guards what follows
	series       map[uint32]*seriesState // by the hash of the labels
	parts        []*part                 // to be sent
	heldSamples  int                     // samples in parts and waiting, without those of series set aside
	asideSamples int                     // samples of series set aside that wait
	asideShown   map[uint32]AsideSeries  // what the status shows of some series, also of some that are no longer set aside
	holds        []*positionHold
	refusals     map[uint32]refusalCount // by the hash of the labels
	change       chan struct{}           // closed at the next change of the above
}

// seriesState is a series that the splitter has samples of, or that is set aside.
type seriesState struct {
	pieces        int           // of it in parts
	waiting       []*timeSeries // samples that come after those
	aside         bool          // set aside
	retryAt       time.Time     // when a series that is set aside is tried again
	holdsPosition bool          // the position waits for it although it is set aside

	unheld map[uint64]wal.Position // first positions of samples that the acknowledged position does not wait for, by seriesID
}

// part is some series that are sent together.
type part struct {
	series       []*timeSeries
	refusal      *decision // why it must be sent in smaller parts; nil if it was not sent yet
	passesBefore uint64    // sender.passes when it was refused
	aside        bool      // a series that was set aside
	alone        bool      // a series that was refused before: no other one joins it
	pause        backoff   // before the next try, while the receiver refuses everything
	rounds       int       // tries in which the receiver refused everything
	refusedAt    time.Time // the first time
}

// refusalCount is how often new samples of a series were refused.
type refusalCount struct {
	count  int
	part   *part     // the last part that was counted: each part counts once
	newest int64     // timestamp of the newest sample that counted, milliseconds since the epoch
	at     time.Time // of the last count
}

func newSplitter(s *sender) *splitter {
	return &splitter{
		sender: s, started: time.Now(), limiter: rate.NewLimiter(splitRate, splitBurst), series: map[uint32]*seriesState{},
		refusals: map[uint32]refusalCount{}, asideShown: map[uint32]AsideSeries{}, change: make(chan struct{}),
	}
}

// run works until ctx ends. Each worker runs within safely.
func (t *splitter) run(ctx context.Context, safely func(func())) {
	var wg sync.WaitGroup
	for i := range splitWorkers + extraWorkers {
		extra := i >= splitWorkers
		wg.Go(func() {
			safely(func() {
				for p := t.next(ctx, extra); p != nil; p = t.next(ctx, extra) {
					t.work(ctx, p)
				}
			})
		})
	}
	wg.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.series {
		t.countUnsent(m.waiting)
	}
}

// countUnsent runs at the end of the splitter. It counts samples as lost if the acknowledged position does not wait for them: no later
// run reads them again.
func (t *splitter) countUnsent(ts []*timeSeries) {
	for _, s := range ts {
		if len(s.holds) == 0 {
			t.sender.metrics.dropped.WithLabelValues(dropAside).Add(float64(s.all()))
		}
	}
}

// add adds the series of a request that the receiver refuses.
func (t *splitter) add(r *request, v decision) {
	ts, err := r.content()
	if err != nil {
		t.sender.lose(loss{lost: r.all(), reason: dropRefused, err: err})
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
	if !v.late { // late: the cause is in these samples, not in their series
		rest = t.separateRefusedLocked(ts)
	}
	if len(rest) == len(ts) {
		t.parts = append(t.parts, t.newPart(ts, &v))
	} else {
		t.addPartsLocked(rest, nil)
	}
	t.notifyLocked()
}

// notifyLocked wakes all goroutines that wait for a change.
func (t *splitter) notifyLocked() {
	close(t.change)
	t.change = make(chan struct{})
	t.active.Store(len(t.series) > 0)
}

// prune forgets old refusals.
func (t *splitter) prune(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h, k := range t.refusals {
		if now.Sub(k.at) > refusalLife && (t.series[h] == nil || !t.series[h].aside) {
			delete(t.refusals, h)
		}
	}
}
