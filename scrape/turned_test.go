package scrape

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

// TestTurned: a pool has advanced when Run has turned and, where there are targets, when a scrape has ended.
func TestTurned(t *testing.T) {
	for name, c := range map[string]struct {
		ticked, scraped time.Duration // after the start; 0 for never
		shortest        time.Duration
		want            time.Duration // -1 for never
	}{
		"before Run":             {want: -1},
		"no targets":             {ticked: time.Hour, want: time.Hour},
		"scrapes end":            {ticked: time.Hour, scraped: time.Hour, shortest: 30 * time.Second, want: time.Hour},
		"scrapes hang":           {ticked: time.Hour, scraped: time.Minute, shortest: 30 * time.Second, want: 2 * time.Minute},
		"scrapes are seldom":     {ticked: time.Hour, scraped: time.Minute, shortest: time.Hour, want: time.Hour},
		"Run hangs":              {ticked: time.Minute, scraped: time.Hour, shortest: 30 * time.Second, want: time.Minute},
		"nothing scraped so far": {ticked: time.Minute, shortest: time.Minute, want: time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := progress{made: time.Now()}
			p.ticked.Store(int64(c.ticked))
			p.scraped.Store(int64(c.scraped))
			p.shortest.Store(int64(c.shortest))
			want := p.made.Add(c.want)
			if c.want < 0 {
				want = time.Time{}
			}
			if got := p.turned(); !got.Equal(want) {
				t.Errorf("%s: %s after the start", name, got.Sub(p.made))
			}
		})
	}
}

// TestShortestInterval: it follows the targets of all jobs.
func TestShortestInterval(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		want := func(every time.Duration) {
			t.Helper()
			if got := time.Duration(b.progress.shortest.Load()); got != every {
				t.Errorf("the shortest interval is %s, want %s", got, every)
			}
		}
		every := func(s model.Duration) promconfig.ScrapeConfig {
			return promconfig.ScrapeConfig{ScrapeInterval: s, ScrapeTimeout: s}
		}
		want(0)
		b.apply(every(model.Duration(time.Minute)), "a:1", "b:1")
		want(time.Minute)
		b.apply(every(model.Duration(10*time.Second)), "a:1", "b:1")
		want(10 * time.Second)
		b.Apply([]targets.Change{{Job: b.job, Gone: true}})
		want(0)
	})
}
