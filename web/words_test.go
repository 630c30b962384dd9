package web

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct{ got, want string }{
		"never scraped":    {before(now, time.Time{}), none},
		"nothing took":     {seconds(0), none},
		"less than a µs":   {seconds(5), "1 µs"},
		"µs":               {seconds(250 * time.Microsecond), "250 µs"},
		"ms":               {seconds(12 * time.Millisecond), "12 ms"},
		"seconds":          {seconds(1234 * time.Millisecond), "1.2 s"},
		"more seconds":     {seconds(61 * time.Second), "61 s"},
		"minutes":          {seconds(150 * time.Second), "2 min"},
		"hours":            {seconds(3 * time.Hour), "3 h"},
		"days":             {seconds(72 * time.Hour), "3 days"},
		"now":              {before(now, now.Add(-time.Millisecond)), "just now"},
		"a clock is ahead": {before(now, now.Add(time.Hour)), "just now"},
		"a while":          {before(now, now.Add(-time.Minute)), "60 s ago"},
		"one":              {count(1, "target", "targets"), "1 target"},
		"many":             {count(1234, "target", "targets"), "1\u2009234 targets"},
		"short":            {clip("short"), "short"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
	long := clip(strings.Repeat("µ", clipAt))
	if !utf8.ValidString(long) || len(long) > clipAt+30 || !strings.HasSuffix(long, "… (2\u2009000 bytes)") {
		t.Errorf("clipped to %d bytes: %q", len(long), long[len(long)-30:])
	}
}
