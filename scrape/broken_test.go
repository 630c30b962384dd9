package scrape

import (
	"slices"
	"testing"
	"time"

	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/value"
)

// TestBrokenPage: a scrape that fails in mid-page ends every series that was alive, and none that
// never had a sample.
func TestBrokenPage(t *testing.T) {
	for name, c := range map[string]struct {
		contentType, broken string
		limit               uint
	}{
		"line that cannot be parsed": {typeText, "a 1\nnew 1\nb{ 2\nc 3\n", 0},
		"no # EOF":                   {typeOpenMetrics, "a 1\nnew 1\n", 0},
		"sample_limit":               {typeText, "a 1\nb 1\nnew 1\nc 1\n", 3},
		"family cut short":           {typeProtobuf, familyOf("a", "", metric(1)) + familyOf("new", "", metric(1)) + "\x7f", 0},
		"nothing but rubbish":        {typeText, "{\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			good := map[string]string{typeText: "a 1\nb 2\n", typeOpenMetrics: "a 1\nb 2\n# EOF\n", typeProtobuf: familyOf("a", "", metric(1)) + familyOf("b", "", metric(1))}[c.contentType]
			cfg := promconfig.DefaultScrapeConfig
			cfg.SampleLimit = c.limit
			log := &readLog{t: t, points: map[string][]point{}}
			l := testLoop(t, log, cfg, served(c.contentType, false, good, c.broken, c.broken, good, c.broken))
			start := time.Now()
			for i := range 5 {
				l.scrape(t.Context(), start.Add(time.Duration(i)*time.Second))
			}
			const end = "end" // of a series
			for series, want := range map[string][]string{"a@a:1": {"0", "1 " + end, "3", "4 " + end}, "b@a:1": {"0", "1 " + end, "3", "4 " + end}, "new@a:1": nil, "c@a:1": nil, "up@a:1": {"0", "1", "2", "3", "4"}} {
				var have []string
				for _, p := range log.points[series] {
					s := string(rune('0' + (p.ms-start.UnixMilli())/1000))
					if value.IsStaleNaN(p.v) {
						s += " " + end
					}
					have = append(have, s)
				}
				if !slices.Equal(have, want) {
					t.Errorf("%s has samples at %q, want %q", series, have, want)
				}
			}
			if n := l.table.previous.Count(len(l.table.slots)); n > 0 {
				t.Errorf("%d series are held to be alive", n)
			}
		})
	}
}
