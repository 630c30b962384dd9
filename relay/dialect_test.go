package relay

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slot is where a dialect stores its note, with room for so many bytes.
type slot struct {
	room  int
	note  string
	tries int
}

func (s *slot) keep(note string) error {
	s.tries++
	if len(note) > s.room {
		return errors.New("too large")
	}
	s.note = note
	return nil
}

const here = "http://receiver/api/v1/write"

func (s *slot) dialect() *dialect { return newDialect(here, true, version2, s.note, s.keep) }

// TestDialectNote stores what was learnt and reads it in the next life.
func TestDialectNote(t *testing.T) {
	type want struct {
		version             int
		confirmed, accepted bool
		reason              string
	}
	tests := map[string]struct {
		room  int
		learn func(*dialect)
		want  want
	}{
		"nothing":                          {1000, func(*dialect) {}, want{version2, false, false, ""}},
		"2.0":                              {1000, func(d *dialect) { d.confirm2() }, want{version2, true, false, ""}},
		"1.0":                              {1000, func(d *dialect) { d.accept1(time.Now(), "415: no") }, want{version1, false, true, "415: no"}},
		"1.0 and then 2.0":                 {1000, func(d *dialect) { d.accept1(time.Now(), "415: no"); d.confirm2() }, want{version2, true, false, ""}},
		"2.0 and then 1.0":                 {1000, func(d *dialect) { d.confirm2(); d.accept1(time.Now(), "415: no") }, want{version1, false, true, "415: no"}},
		"1.0 that was not asked for":       {1000, func(d *dialect) { d.accept1(time.Now(), "") }, want{version2, false, false, ""}},
		"a reason that is too long":        {1000, func(d *dialect) { d.accept1(time.Now(), strings.Repeat("x", 2*maxReason)) }, want{version1, false, true, strings.Repeat("x", maxReason)}},
		"a reason that has no room":        {200, func(d *dialect) { d.accept1(time.Now(), strings.Repeat("x", maxReason)) }, want{version1, false, true, ""}},
		"no room at all":                   {3, func(d *dialect) { d.accept1(time.Now(), "415: no") }, want{version2, false, false, ""}},
		"a reason that JSON writes longer": {1000, func(d *dialect) { d.accept1(time.Now(), strings.Repeat("<", maxReason)) }, want{version1, false, true, ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &slot{room: tt.room}
			tt.learn(s.dialect())
			d := s.dialect()
			var got want
			var k known
			got.version, got.reason = d.inForce()
			d.fill(&k, time.Now())
			got.confirmed, got.accepted = k.confirmed2, k.accepted1
			if got != tt.want {
				t.Errorf("%+v, want %+v, of %s", got, tt.want, s.note)
			}
			if strings.Contains(s.note, "ask_at") != (got.version == version1) {
				t.Errorf("note: %s", s.note)
			}
		})
	}
}

// TestDialectForced: a version of the configuration is neither changed nor stored, whatever comes.
func TestDialectForced(t *testing.T) {
	for _, version := range []int{version1, version2} {
		s := &slot{room: 1000, note: `{"url":"` + here + `","version":1,"reason":"of another life"}`}
		d := newDialect(here, false, version, s.note, s.keep)
		d.accept1(time.Now(), "415: no")
		for range 2 * maxMismatches {
			d.mismatch()
		}
		if got := d.forNext(time.Now().Add(2 * maxAskPause)); got != version || s.tries > 0 {
			t.Errorf("%d instead of %d; %d notes", got, version, s.tries)
		}
		if d.accept1(time.Now(), "415") {
			t.Error("the version has changed")
		}
	}
}

// TestDialectStrangeNotes are read as none.
func TestDialectStrangeNotes(t *testing.T) {
	tests := map[string]string{
		"garbage":         "\x00\xff",
		"another JSON":    `["1.0"]`,
		"another text":    `by 1.0`,
		"cut":             `{"url":"` + here + `","version":1`,
		"another URL":     `{"url":"http://receiver/other","version":1}`,
		"no URL":          `{"version":1}`,
		"no version":      `{"url":"` + here + `"}`,
		"unknown version": `{"url":"` + here + `","version":3}`,
		"bad time":        `{"url":"` + here + `","version":1,"ask_at":"tomorrow"}`,
	}
	for name, note := range tests {
		t.Run(name, func(t *testing.T) {
			var k known
			d := (&slot{note: note}).dialect()
			d.fill(&k, time.Now())
			if version, reason := d.inForce(); version != version2 || reason != "" || k.confirmed2 || k.accepted1 {
				t.Errorf("version %d for %q, %+v", version, reason, k)
			}
		})
	}
}

// TestDialectAsks checks when 2.0 is tried again.
func TestDialectAsks(t *testing.T) {
	// asks returns the times at which a request is to go by 2.0, one a second.
	asks := func(d *dialect, within time.Duration) (at []time.Duration) {
		start := time.Now()
		for end := start.Add(within); !time.Now().After(end); time.Sleep(time.Second) {
			if d.forNext(time.Now()) == version2 {
				at = append(at, time.Since(start))
			}
		}
		return at
	}
	same := func(t *testing.T, got []time.Duration, want ...time.Duration) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("asked at %s, want %s", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("asked at %s, want %s", got, want)
			}
		}
	}
	tests := map[string]func(*testing.T, *slot){
		"once an hour": func(t *testing.T, s *slot) {
			d := s.dialect()
			d.accept1(time.Now(), "415")
			same(t, asks(d, 3*time.Hour), time.Hour, 2*time.Hour, 3*time.Hour)
		},
		"doubling where 2.0 was confirmed": func(t *testing.T, s *slot) {
			d := s.dialect()
			d.confirm2()
			d.accept1(time.Now(), "415")
			m := time.Minute
			same(t, asks(d, 4*time.Hour), m, 3*m, 7*m, 15*m, 31*m, 63*m, 123*m, 183*m)
		},
		"anew after it was confirmed again": func(t *testing.T, s *slot) {
			d := s.dialect()
			d.confirm2()
			d.accept1(time.Now(), "415")
			asks(d, 30*time.Minute)
			d.confirm2()
			if got := d.forNext(time.Now()); got != version2 {
				t.Fatalf("version %d", got)
			}
			d.accept1(time.Now(), "415")
			same(t, asks(d, 4*time.Minute), time.Minute, 3*time.Minute)
		},
		"what it takes by 1.0 does not put it off": func(t *testing.T, s *slot) {
			d := s.dialect()
			d.accept1(time.Now(), "415")
			time.Sleep(time.Hour - time.Second)
			d.accept1(time.Now(), "415 again")
			d.accept1(time.Now(), "")
			same(t, asks(d, 10*time.Second), time.Second)
		},
		"a restart does not put it off": func(t *testing.T, s *slot) {
			s.dialect().accept1(time.Now(), "415")
			time.Sleep(50 * time.Minute)
			same(t, asks(s.dialect(), 20*time.Minute), 10*time.Minute)
		},
		"after a restart that took long at once": func(t *testing.T, s *slot) {
			s.dialect().accept1(time.Now(), "415")
			time.Sleep(5 * time.Hour)
			same(t, asks(s.dialect(), time.Hour), 0, time.Hour)
		},
		"within the hour where the clock was ahead": func(t *testing.T, s *slot) {
			s.dialect().accept1(time.Now().AddDate(1, 0, 0), "415")
			same(t, asks(s.dialect(), 90*time.Minute), time.Hour)
		},
		"a note without a time at once": func(t *testing.T, s *slot) {
			s.note = `{"url":"` + here + `","version":1}`
			same(t, asks(s.dialect(), time.Minute), 0)
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, &slot{room: 1000}) })
		})
	}
}

// TestDialectMismatches: mismatches count in a row.
func TestDialectMismatches(t *testing.T) {
	d := (&slot{room: 1000}).dialect()
	mismatches := func() int {
		var k known
		d.fill(&k, time.Now())
		return k.mismatches
	}
	if !d.confirm2() || d.confirm2() {
		t.Error("the first confirmation is news, and no other")
	}
	for range maxMismatches {
		d.mismatch()
	}
	if mismatches() != maxMismatches {
		t.Errorf("%d mismatches", mismatches())
	}
	if d.confirm2(); mismatches() != 0 {
		t.Errorf("%d mismatches after one that fits", mismatches())
	}
	d.mismatch()
	if !d.accept1(time.Now(), "415") || mismatches() != 0 {
		t.Errorf("%d mismatches after the change to 1.0", mismatches())
	}
	var k known
	if d.fill(&k, time.Now()); k.confirmed2 {
		t.Error("2.0 counts as confirmed while 1.0 is in force")
	}
	if !d.confirm2() {
		t.Error("the way back is no news")
	}
}

// TestDialectNoteIsText: what is stored can be read whatever the receiver said.
func TestDialectNoteIsText(t *testing.T) {
	for _, reason := range []string{"no \xff\xfe", strings.Repeat("x", maxReason-1) + "ü", `"quoted" \ and`, "a\nb"} {
		s := &slot{room: 4000}
		s.dialect().accept1(time.Now(), reason)
		if !json.Valid([]byte(s.note)) {
			t.Errorf("%q", s.note)
		}
		if version, got := s.dialect().inForce(); version != version1 || got == "" {
			t.Errorf("version %d for %q", version, got)
		}
	}
}

// A version counts as understood only when an answer has shown that, also in an earlier life.
func TestDialectUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		learn func(*dialect)
		want  bool
	}{
		"nothing answered":         {func(*dialect) {}, false},
		"a mismatch of 2.0":        {func(d *dialect) { d.mismatch() }, false},
		"2.0 confirmed":            {func(d *dialect) { d.confirm2() }, true},
		"1.0 accepted after 2.0":   {func(d *dialect) { d.accept1(time.Now(), "415") }, true},
		"1.0 accepted, 2.0 before": {func(d *dialect) { d.confirm2(); d.accept1(time.Now(), "415") }, true},
	} {
		s := &slot{room: 1000}
		d := s.dialect()
		c.learn(d)
		if got := d.understood(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := s.dialect().understood(); got != c.want {
			t.Errorf("%s: %v after a restart", name, got)
		}
	}
}

// TestDialectBarren: a confirmed 2.0 is doubted after refusals for a while, and not after a while without requests.
func TestDialectBarren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := (&slot{room: 1000}).dialect()
		onlyRefuses := func() bool {
			var k known
			d.fill(&k, time.Now())
			return k.onlyRefuses
		}
		d.noteRefusal(time.Now())
		time.Sleep(2 * doubtAfter)
		if onlyRefuses() {
			t.Error("2.0 is doubted before it was confirmed")
		}
		d.confirm2()
		time.Sleep(time.Hour)
		d.noteRefusal(time.Now())
		if onlyRefuses() {
			t.Error("one refusal after an hour without requests is enough")
		}
		time.Sleep(doubtAfter / 2)
		d.noteRefusal(time.Now())
		time.Sleep(doubtAfter/2 + time.Second)
		if !onlyRefuses() {
			t.Error("refusals for a while are not enough")
		}
		if d.confirm2(); onlyRefuses() {
			t.Error("2.0 is doubted though a sample was accepted")
		}
	})
}
