package relay

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/config"
	"promrelay/record"
	fake "promrelay/test/receiver"
	"promrelay/wal"
)

// A panic in a shard while pump waits for a shard.
func TestPanicInShardCostsNoBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain().With(fake.Back(fake.Latency(300*time.Millisecond))), 60,
			"queue_config: {batch_send_deadline: 500ms, min_shards: 1, max_shards: 1, max_samples_per_send: 20}\n")
		w.close()
		w.through = func(next http.RoundTripper) http.RoundTripper {
			return &panicky{RoundTripper: next, host: "receiver.test", fatal: func(n int64) bool { return n%20 == 0 && n < 100 }}
		}
		w.open()
		w.play(500*time.Millisecond, 60*time.Second)
		w.drain()
		lost, panics := w.dropped(dropLost), w.counters()["panics_total"]
		b := w.audit()
		t.Logf("%v panics; scraped %d, missing %d, counted lost %d", panics, b.scraped, b.missing, lost)
		if b.missing > 0 {
			t.Errorf("%d good samples are missing after a panic in a shard", b.missing)
		}
	})
}

// A panic of nextLocked leaves the mutex locked.
func TestPanicLeavesNoMutexLocked(t *testing.T) {
	w := newWorld(t, fake.Plain(), 20, "")
	time.Sleep(200 * time.Millisecond)
	d := w.relay.running[0].current.Load()
	d.splitter.mu.Lock()
	d.splitter.series[7] = &seriesState{aside: true, waiting: []*timeSeries{nil}} // as a fault would
	d.splitter.notifyLocked()
	d.splitter.mu.Unlock()
	time.Sleep(time.Second)
	done := make(chan int)
	go func() { w.relay.Statuses(); close(done) }()
	select {
	case <-done:
		w.close()
	case <-time.After(10 * time.Second):
		t.Fatal("Statuses (and with it /targets, /metrics, Apply) hangs after a panic in nextLocked")
	}
}

func poisonRule(t *testing.T, w *world) {
	d := *w.settings.Destinations[0].RemoteWriteConfig
	d.WriteRelabelConfigs = []*relabel.Config{{
		SourceLabels: model.LabelNames{"poison"}, Regex: relabel.MustNewRegexp("yes"), Action: relabel.Replace, TargetLabel: "x", Replacement: "y", Separator: ";",
	}}
	w.settings.Destinations = []config.Destination{{RemoteWriteConfig: &d, Negotiate: true}}
	if err := w.relay.Apply(w.settings); err != nil {
		t.Fatal(err)
	}
}

// Two poisoned blocks soon after each other: is each counted once?
func TestBlocksThatPanicAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain().With(fake.Back(fake.Latency(200*time.Millisecond))), 5, "queue_config: {batch_send_deadline: 500ms}\n")
		poisonRule(t, w)
		w.play(time.Second, 3*time.Second)
		poison := record.NewTable(2)
		poison.Add(labels.FromStrings("__name__", "m", "poison", "yes"), 0)
		wr := &writer{t: t, wal: w.wal, tables: []*record.Table{poison}, written: []uint64{0}}
		for range 10 {
			wr.append(0, &record.Scrape{Time: time.Now().UnixMilli(), Values: []float64{1}})
			w.scrape()
			time.Sleep(50 * time.Millisecond)
		}
		w.play(time.Second, 3*time.Second)
		w.drain()
		if n := w.dropped(dropLost); n != 10 {
			t.Errorf("%d samples are counted as lost, want 10", n)
		}
		if b := w.audit(); b.missing > 0 {
			t.Errorf("%d of %d good samples are missing", b.missing, b.scraped)
		}
	})
}

// Each scrape of one table causes a panic; other tables are good.
func TestBlocksThatPanicDoNotStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain().With(fake.Back(fake.Latency(200*time.Millisecond))), 5, "queue_config: {batch_send_deadline: 5s}\n")
		poisonRule(t, w)
		w.play(time.Second, 10*time.Second)
		poison := record.NewTable(2)
		poison.Add(labels.FromStrings("__name__", "m", "poison", "yes"), 0)
		wr := &writer{t: t, wal: w.wal, tables: []*record.Table{poison}, written: []uint64{0}}
		begin := time.Now()
		for range 200 {
			wr.append(0, &record.Scrape{Time: time.Now().UnixMilli(), Values: []float64{1}})
			w.scrape()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		s := w.relay.Statuses()[0]
		stored := w.receiver.Stored()[w.names[0]]
		age := time.Since(time.UnixMilli(stored[len(stored)-1].Time))
		t.Logf("after %s with a poisoned scrape a second: behind %d, newest stored is %s old, panics %v, counted lost %d of 200", time.Since(begin), s.Behind, age, w.counters()["panics_total"], w.dropped(dropLost))
		if age > 30*time.Second {
			t.Errorf("nothing good is stored since the poison came")
		}
		w.close()
	})
}

// The first block of a segment is a loss: the catalog keeps what it knows of the segment before.
func TestLossAtTheStartOfASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain().With(fake.OnWire(fake.NoConnection())), 2, "queue_config: {batch_send_deadline: 500ms}\n")
		w.play(time.Second, 5*time.Second)
		w.close()
		w.open() // the next process: tables are numbered from 1 again
		lost := record.NewTable(9)
		lost.Add(labels.FromStrings("__name__", "lost"), 0)
		lost.AppendFull(nil, nil, nil) // its record is damaged, say
		one := &record.Scrape{Time: time.Now().UnixMilli(), Values: []float64{1}}
		seg := w.wal.Segment()
		if _, err := w.wal.Append(seg, wal.Frame{Type: record.FrameScrape, Count: 1, Payload: record.AppendScrape(nil, lost, one)}); err != nil {
			t.Fatal(err)
		}
		next := record.NewTable(1)
		next.Add(labels.FromStrings("__name__", "other", "i", "1"), 0)
		next.Add(labels.FromStrings("__name__", "other", "i", "2"), 0)
		wr := &writer{t: t, wal: w.wal, tables: []*record.Table{next}, written: []uint64{0}}
		for range 5 {
			wr.append(0, &record.Scrape{Time: time.Now().UnixMilli(), Values: []float64{1, 2}})
			time.Sleep(time.Second)
		}
		w.receiver.Set(fake.Plain())
		time.Sleep(2 * time.Minute)
		w.drain()
		for name, s := range w.receiver.Stored() {
			t.Logf("%s: %d samples %+v", name, len(s), s)
		}
		t.Log(w)
		for _, e := range w.logs.FilterMessage("none").All() {
			t.Log(e.Message, e.ContextMap())
		}
		if n := len(w.receiver.Stored()[`{__name__="other", i="1"}`]); n != 5 {
			t.Errorf("%d samples of other, want 5", n)
		}
		w.close()
	})
}
