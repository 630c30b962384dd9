package main

import (
	"strings"
	"testing"
	"time"
)

// What is compiled is shown now and then, with how far it is; the end tells how long it took.
func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		terminal bool
		want     []string
	}{
		"a terminal": {true, []string{"\r  3s, 1 of 3 packages, promrelay: net/http", "\r  4s, 2 of 3 packages, promrelay: downloading example.com/x v1.2.3", "compiled 3 packages in 1m4s"}},
		"a file":     {false, []string{"  1m4s, 3 of 3 packages, promrelay: io\n", "compiled 3 packages in 1m4s"}},
	} {
		now := time.Unix(0, 0)
		var out strings.Builder
		p := &progress{out: &out, terminal: c.terminal, now: func() time.Time { return now }, start: now, last: now, total: 3}
		p.begin("promrelay")
		for _, step := range []struct {
			pause time.Duration
			what  string
		}{{3 * time.Second, "net/http"}, {time.Millisecond, "net/url"}, {time.Second, "downloading example.com/x v1.2.3"}, {time.Minute, "io"}} {
			now = now.Add(step.pause)
			p.show(step.what)
		}
		p.end()
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %q lacks %q", name, out.String(), w)
			}
		}
		if strings.Contains(out.String(), "net/url") || !c.terminal && strings.Contains(out.String(), "net/http") {
			t.Errorf("%s: too much is shown: %q", name, out.String())
		}
		for line := range strings.SplitSeq(out.String(), "\r") {
			if c.terminal && len(strings.TrimRight(line, "\n")) > 79 {
				t.Errorf("%s: a line of %d characters: %q", name, len(line), line)
			}
		}
	}
}
