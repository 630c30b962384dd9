package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestProgress: on a terminal one line shows how far a long work is, and goes away at its end. Elsewhere there is nothing.
func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		terminal bool
		took     time.Duration // of a step
		want     string
	}{
		"quick":  {true, time.Millisecond, ""},
		"long":   {true, 100 * time.Millisecond, "\r5 of 8 files, 62%\x1b[K\r6 of 8 files, 75%\x1b[K\r7 of 8 files, 87%\x1b[K\r8 of 8 files, 100%\x1b[K\r\x1b[K"},
		"a pipe": {false, time.Second, ""},
	} {
		var out strings.Builder
		now := time.Now()
		p := &progress{what: "file", start: now, now: func() time.Time { return now }}
		if c.terminal {
			p.out = &out
		}
		for i := range 8 {
			now = now.Add(c.took)
			p.at(i+1, 8)
		}
		p.end()
		if out.String() != c.want {
			t.Errorf("%s: %q, want %q", name, out.String(), c.want)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if newProgress(w, "file").out != nil {
		t.Error("a pipe is taken for a terminal")
	}
}
