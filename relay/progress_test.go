package relay

import (
	"testing"

	"promrelay/wal"
)

func TestProgress(t *testing.T) {
	at := func(offset int64) wal.Position { return wal.Position{Segment: 1, Offset: offset} }
	p := &progress{}
	p.start(2)
	want := func(offset int64) {
		t.Helper()
		if got := p.finished(); got != at(offset) {
			t.Errorf("all before %v is finished, want %v", got, at(offset))
		}
	}
	p.moveTo(at(10))
	want(10)
	p.begin(0, at(10))
	p.begin(1, at(20))
	p.moveTo(at(30))
	want(10)
	p.begin(0, at(30))
	p.moveTo(at(40))
	p.finish(0)
	want(20)
	p.finish(1)
	want(30)
	p.discard(0)
	want(40)
	p.begin(1, at(40))
	p.start(1)
	want(40)
}
