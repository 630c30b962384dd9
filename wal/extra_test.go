package wal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestExtra(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d, func(o *Options) { o.Grace = -1 })
	a := destination(t, w, "main")
	if got := a.Extra(); got != nil {
		t.Errorf("%q before anything was set", got)
	}
	for _, text := range []string{"first", "a longer second", strings.Repeat("x", 3*slotBytes), "short"} {
		if err := a.SetExtra([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := a.Extra(); string(got) != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	closeLog(t, w)
	w = openOn(t, d, func(o *Options) { o.Grace = -1 })
	a = destination(t, w, "main")
	if got := a.Extra(); string(got) != "short" {
		t.Errorf("%q after a restart", got)
	}
	if got := destination(t, w, "other").Extra(); got != nil {
		t.Errorf("%q of another destination", got)
	}
	if err := a.SetExtra(make([]byte, maxExtra+1)); !errors.Is(err, ErrTooLarge) || string(a.Extra()) != "short" {
		t.Errorf("error %v for too many bytes, which leave %q", err, a.Extra())
	}
	for range 2 {
		if err := a.SetExtra(nil); err != nil || a.Extra() != nil {
			t.Errorf("error %v, %q are left", err, a.Extra())
		}
	}
	if err := a.SetExtra([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if err := w.Keep([]string{"other"}); err != nil {
		t.Fatal(err)
	}
	if got := destination(t, w, "main").Extra(); got != nil {
		t.Errorf("%q of a destination that was forgotten", got)
	}
	closeLog(t, w)
	if err := a.SetExtra([]byte("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v after Close", err)
	}
}

// TestExtraDamaged: of a damaged file nothing is returned.
func TestExtraDamaged(t *testing.T) {
	d := newMemDisk()
	w := openOn(t, d)
	defer closeLog(t, w)
	a := destination(t, w, "main")
	if err := a.SetExtra([]byte("what was set")); err != nil {
		t.Fatal(err)
	}
	f := d.live[w.positionsPath(a.extraName())]
	sound := bytes.Clone(f.data)
	for i := range sound {
		f.data = bytes.Clone(sound)
		f.data[i] ^= 4
		if got := a.Extra(); got != nil {
			t.Errorf("%q with byte %d damaged", got, i)
		}
		f.data = sound[:i]
		if got := a.Extra(); got != nil {
			t.Errorf("%q of the first %d bytes", got, i)
		}
	}
	f.data = sound
	if string(a.Extra()) != "what was set" {
		t.Error("the sound file is not read")
	}
}
