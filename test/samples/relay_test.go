package samples

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/config"
	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/scrape/order"
	"promrelay/targets"
	"promrelay/wal"
)

// host is the host name of both scrapers: it decides when in its interval a target is scraped.
const host = "host"

// delivery is the way of samples after the scrapes: a log, a relay that can be replaced by another one, and a receiver. It serves one
// sequence after the other.
type delivery struct {
	dir      string
	wal      *wal.WAL
	recv     *receiver
	queue    string // of the destination
	relays   int    // so far
	stopWAL  context.CancelFunc
	walEnded chan error

	mu    sync.Mutex
	relay *relay.Relay
	stop  func() error
}

// newDelivery opens a log with small segments, so that tables are written often, and starts the rest.
func newDelivery(r *rand.Rand) (*delivery, error) {
	dir, err := os.MkdirTemp("", "samples")
	if err != nil {
		return nil, err
	}
	segment := []int64{512, 4 << 10, 16 << 10, 128 << 10}[r.IntN(4)]
	w, err := wal.Open(wal.Options{Dir: dir, MinFreeBytes: -1, SegmentBytes: segment})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &delivery{
		dir: dir, wal: w, recv: newReceiver(), stopWAL: cancel, walEnded: make(chan error, 1),
		queue: fmt.Sprintf("{batch_send_deadline: 1ms, min_backoff: 1ms, max_backoff: 5ms, min_shards: %d, max_samples_per_send: %d}",
			1+r.IntN(4), []int{1, 7, 100, 2000}[r.IntN(4)]),
	}
	go func() { f.walEnded <- w.Run(ctx) }()
	return f, f.start()
}

// start starts a relay.
func (f *delivery) start() error {
	f.relays++
	text := fmt.Sprintf("remote_write:\n- url: %s\n  name: far\n  headers: {%s: '%d'}\n  queue_config: %s\n", f.recv.URL, incarnation, f.relays, f.queue)
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		return err
	}
	r, err := relay.New(relay.Options{WAL: f.wal})
	if err != nil {
		return err
	}
	set := relay.Settings{Destinations: []config.Destination{{RemoteWriteConfig: c.RemoteWriteConfigs[0], Negotiate: true}}, Relay: config.DefaultRelay}
	set.Relay.DrainFactor = 0
	if err := r.Apply(set); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.relay, f.stop = r, func() error { cancel(); return <-ended }
	return nil
}

// restart ends the relay in the middle of its work, and starts another one.
func (f *delivery) restart() error { return errors.Join(f.stop(), f.start()) }

// arrived waits until everything before p was delivered, and returns what was.
func (f *delivery) arrived(p wal.Position) (got, error) {
	f.mu.Lock()
	r := f.relay
	f.mu.Unlock()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		s := r.Statuses()[0]
		if len(s.Refusals) > 0 {
			return got{}, errors.New(s.Refusals[0].Error)
		}
		if !s.Position.Before(p) {
			return f.recv.result()
		}
		if time.Now().After(deadline) {
			return got{}, fmt.Errorf("the destination has not taken everything up to %v: %+v", p, s)
		}
	}
}

func (f *delivery) close() error {
	err := f.stop()
	f.recv.Close()
	f.stopWAL()
	return errors.Join(err, <-f.walEnded, f.wal.Close(), os.RemoveAll(f.dir))
}

// log is the log of one sequence. It remembers where the sequence ends.
type log struct {
	*wal.WAL
	mu  sync.Mutex
	end wal.Position
	err error
}

func (l *log) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	p, err := l.WAL.Append(segment, group...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.end = p
	} else if rotated := (*wal.RotatedError)(nil); !errors.As(err, &rotated) {
		l.err = errors.Join(l.err, err)
	}
	return p, err
}

// runRelay runs the sequence through the relay: the scrapes in a bubble, the delivery outside. Meanwhile the relay of the delivery is
// replaced as many times as restarts says.
func runRelay(t *testing.T, f *delivery, steps []step, restarts int) got {
	t.Helper()
	l := &log{WAL: f.wal}
	f.recv.expect(f.relays, restarts > 0)
	restarted := make(chan error, 1)
	go func() {
		var err error
		for range restarts {
			time.Sleep(rand.N(3 * time.Millisecond))
			err = errors.Join(err, f.restart())
		}
		restarted <- err
	}()
	var requests map[string][]string
	synctest.Test(t, func(t *testing.T) { requests = scrapes(t, l, steps) })
	if err := errors.Join(<-restarted, l.err); err != nil {
		t.Fatal(err)
	}
	out, err := f.arrived(l.end)
	if err != nil {
		t.Fatal(err)
	}
	out.requests = requests
	return out
}

// scrapes runs the sequence through a pool, and returns the headers of its requests.
func scrapes(t testing.TB, log scrape.Log, steps []step) map[string][]string {
	e := newExporter()
	defer e.stop()
	p, err := scrape.New(scrape.Options{Log: log, Guard: order.New(), Host: host, HTTPClientOptions: e.options()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	jobs := map[string]*targets.Job{}
	all := map[string][]*targets.Target{}
	play(t, e, steps, func(s *state, change step) {
		p.Apply(changes(t, s, change, jobs, all))
	}, func(int, *state) {})
	cancel()
	<-done
	return e.requests()
}

// changes returns the changes that the room targets would make of a step.
func changes(t testing.TB, s *state, change step, jobs map[string]*targets.Job, all map[string][]*targets.Target) (out []targets.Change) {
	for _, name := range change.remove {
		out = append(out, targets.Change{Job: jobs[name], Gone: true})
		delete(jobs, name)
		delete(all, name)
	}
	for name := range s.configs {
		_, configured := change.configs[name]
		_, moved := change.targets[name]
		if !configured && !moved || len(s.groups[name]) == 0 {
			continue
		}
		if configured || jobs[name] == nil {
			jobs[name] = &targets.Job{Name: name, Config: s.job(name)}
		}
		next, err := targets.FromGroup(jobs[name], s.groups[name][0])
		if err != nil {
			t.Fatal(err)
		}
		c := targets.Change{Job: jobs[name], Added: next}
		for _, old := range all[name] {
			if !slices.ContainsFunc(next, func(n *targets.Target) bool { return n.Hash == old.Hash }) {
				c.Removed = append(c.Removed, old)
			}
		}
		all[name] = next
		out = append(out, c)
	}
	return out
}

func environment(name string, otherwise uint64) uint64 {
	if v, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return v
	}
	return otherwise
}
