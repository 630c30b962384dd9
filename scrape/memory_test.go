package scrape

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/value"

	"promrelay/wal"
)

// TestMemory: scrapes wait for memory that others hold, in their order, those that hold some first;
// and never all for each other.
func TestMemory(t *testing.T) {
	const granule = memoryStep
	synctest.Test(t, func(t *testing.T) {
		m := &memory{limit: 10 * granule}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a, b, c, d := allowance{of: m}, allowance{of: m}, allowance{of: m}, allowance{of: m}
		need := func(l *allowance, granules int64, want bool) {
			t.Helper()
			if err := l.atLeast(ctx, granules*granule); (err == nil) != want {
				t.Errorf("got %d of %d: %v", l.held/granule, granules, err)
			}
		}
		need(&a, 6, true)
		need(&a, 11, false) // more than there is
		need(&b, 3, true)
		var wg sync.WaitGroup
		wg.Go(func() { need(&a, 9, true) })
		synctest.Wait()
		wg.Go(func() { need(&c, 1, true) })
		synctest.Wait()
		if c.held != 0 {
			t.Error("a scrape that begins goes before one that others wait for")
		}
		need(&b, 8, false) // b and a would wait for each other
		b.release()
		synctest.Wait()
		if a.held != 9*granule || c.held != granule {
			t.Errorf("held are %d and %d", a.held/granule, c.held/granule)
		}
		short, cancelShort := context.WithTimeout(t.Context(), time.Second)
		defer cancelShort()
		if err := d.atLeast(short, 5*granule); err == nil {
			t.Error("got what others hold")
		}
		a.release()
		c.release()
		wg.Wait()
		if m.used != 0 || m.holders != 0 || len(m.growing)+len(m.starting) > 0 {
			t.Errorf("in use are %d, by %d", m.used, m.holders)
		}
	})
}

// TestMemoryOfGrowing: where the last scrape that did not wait ends, one that waits is refused, so
// that the others go on.
func TestMemoryOfGrowing(t *testing.T) {
	const granule = memoryStep
	synctest.Test(t, func(t *testing.T) {
		m := &memory{limit: 10 * granule}
		leases := [3]allowance{{of: m}, {of: m}, {of: m}}
		for i, n := range []int64{4, 4, 1} {
			if err := leases[i].atLeast(t.Context(), n*granule); err != nil {
				t.Fatal(err)
			}
		}
		failed := make(chan int, 2)
		for i := range 2 {
			go func() {
				if err := leases[i].atLeast(t.Context(), 9*granule); err != nil {
					failed <- i
					leases[i].release()
				}
			}()
			synctest.Wait()
		}
		leases[2].release()
		synctest.Wait()
		if len(failed) != 1 || <-failed != 1 || leases[0].held != 9*granule {
			t.Errorf("%d failed, the first holds %d", len(failed), leases[0].held/granule)
		}
	})
}

// TestMemoryReserve: large scrapes that hold all that they may, and others that wait, are not in
// the way of small ones.
func TestMemoryReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(64 * 64 * memoryStep)
		large, waits := allowance{of: m}, allowance{of: m}
		if err := large.atLeast(t.Context(), m.limit-m.reserve+1); err == nil {
			t.Error("a large scrape gets what small ones have to themselves")
		}
		if err := large.atLeast(t.Context(), m.limit-m.reserve); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- waits.atLeast(t.Context(), 2*m.small) }()
		synctest.Wait()
		small := make([]allowance, m.reserve/m.small)
		for i := range small {
			small[i].of = m
			for _, n := range []int64{m.small / 4, m.small} { // it grows
				if err := small[i].atLeast(t.Context(), n); err != nil {
					t.Fatalf("small scrape %d: %v", i, err)
				}
			}
		}
		last := make(chan error, 1)
		go func() {
			l := allowance{of: m}
			defer l.release()
			last <- l.atLeast(t.Context(), m.small)
		}()
		synctest.Wait()
		select {
		case err := <-last:
			t.Errorf("one more got memory that is not there: %v", err)
		default:
		}
		small[0].release()
		if err := <-last; err != nil {
			t.Error(err)
		}
		large.release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		waits.release()
		for i := range small {
			small[i].release()
		}
		synctest.Wait()
		if m.used != 0 || m.holders != 0 {
			t.Errorf("in use are %d, by %d", m.used, m.holders)
		}
	})
}

// TestLargeTexts: a page of few series with large texts that change each time is refused if they
// exceed their limit. It does not use more memory each time, and does not affect the good pages
// that follow.
func TestLargeTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	round := 0
	page := func(*http.Request) (*http.Response, error) {
		var b strings.Builder
		switch round++; {
		case round == 1:
			b.WriteString("# HELP was h\nwas 1\n")
		case round < 8:
			for i := range 140 {
				fmt.Fprintf(&b, "# HELP m%d Help %0*d\n# TYPE m%d gauge\nm%d{l=\"%0*d\"} 1\n", i, 80_000, round*1000+i, i, i, 80_000, round*1000+i)
			}
		default:
			b.WriteString("sound 1\n")
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {typeText}}, Body: io.NopCloser(strings.NewReader(b.String()))}, nil
	}
	log := &sizedLog{readLog: readLog{t: t, points: map[string][]point{}}}
	l := testLoop(t, log, promconfig.DefaultScrapeConfig, roundTrip(page))
	l.shared.setLimits(Limits{BodyBytes: 256 << 20, LineBytes: 1 << 20, MemoryBytes: 64 << 20})
	at := time.Now().Add(-time.Hour)
	scrape := func() Status {
		at = at.Add(time.Second)
		l.scrape(t.Context(), at)
		return l.state()
	}
	scrape()
	for round < 7 {
		if s := scrape(); s.Health != HealthDown || !strings.Contains(s.Error, "scrape.memory_limit: what the series of the target consist of") {
			t.Fatalf("round %d: %s %q", round, s.Health, s.Error)
		}
		if size := l.table.rows.FullBytes(); size > 1<<20 {
			t.Fatalf("round %d: the table takes %d bytes", round, size)
		}
	}
	for range 3 {
		if s := scrape(); s.Health != HealthUp || s.Samples != 1 {
			t.Errorf("a sound page after that: %+v", s)
		}
	}
	if was := log.points["was@a:1"]; len(was) != 2 || !value.IsStaleNaN(was[1].v) || was[1].ms != was[0].ms+1000 {
		t.Errorf("a series of the page before that has %v, want a staleness marker a second later", was)
	}
	if n := len(log.points["sound@a:1"]); n != 3 || log.bytes > 1<<20 {
		t.Errorf("the log has %d samples of the sound series, and %d bytes", n, log.bytes)
	}
}

// sizedLog counts the bytes that it is given.
type sizedLog struct {
	readLog
	bytes int
}

func (l *sizedLog) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	for _, f := range group {
		l.bytes += len(f.Payload)
	}
	return l.readLog.Append(segment, group...)
}
