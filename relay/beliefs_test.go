package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestManyLate: the time that late samples cost adds up, and is forgotten after a while. It does not include the time in which the
// receiver was unreachable.
func TestManyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b beliefs
		for range 40 {
			b.noteLateTime(time.Minute) // counts maxLatency
		}
		if b.manyLate(time.Now()) {
			t.Errorf("%s are too much", b.lateSpent)
		}
		if b.noteLateTime(time.Millisecond); !b.manyLate(time.Now()) {
			t.Errorf("%s are not too much", b.lateSpent)
		}
		if time.Sleep(lateDecay * time.Second); b.manyLate(time.Now()) {
			t.Error("nothing is forgotten")
		}
	})
}

func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aged := func(age time.Duration) []*timeSeries {
			return []*timeSeries{{floats: []sample{{time: time.Now().Add(-2 * time.Hour).UnixMilli()}, {time: time.Now().Add(-age).UnixMilli()}}}}
		}
		var b beliefs
		says := decision{tooOld: true}
		if b.tooOld(aged(time.Hour), says, time.Now()) {
			t.Error("samples are too old for a receiver of which nothing is known")
		}
		b.noteTooOld(aged(30*time.Minute), time.Now())
		for age, want := range map[time.Duration]bool{29 * time.Minute: false, 30 * time.Minute: true, time.Hour: true} {
			if got := b.tooOld(aged(age), says, time.Now()); got != want {
				t.Errorf("%s: too old %t, want %t", age, got, want)
			}
		}
		if b.tooOld(aged(time.Hour), decision{}, time.Now()) {
			t.Error("a refusal for another reason means the age")
		}
		if time.Sleep(tooOldLife); b.tooOld(aged(time.Hour), says, time.Now()) {
			t.Error("it is believed for ever")
		}
	})
}
