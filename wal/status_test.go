package wal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The sums of the status are those of the frames that were appended and of the files on the disk.
func TestStatusOfLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		w := openOn(t, d, func(o *Options) { o.MaxBytes = 1 << 20 })
		defer closeLog(t, w)
		slow, err := w.Destination("slow")
		if err != nil {
			t.Fatal(err)
		}
		quick, err := w.Destination("quick")
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 60; i += 10 {
			appendNumbered(t, w, i, i+10)
			time.Sleep(time.Second)
		}
		quick.Acknowledge(w.Head())

		s := w.Status()
		if len(s.Segments) < 3 || s.Head != w.Head() || s.Unready != "" {
			t.Fatalf("status %+v", s)
		}
		var samples uint64
		var bytes int64
		for i, g := range s.Segments {
			samples, bytes = samples+g.Samples, bytes+g.Bytes
			last := i == len(s.Segments)-1
			if g.Closed == last || g.First.IsZero() || g.Last.IsZero() != last {
				t.Errorf("segment %+v", g)
			}
			if !last && g.Last != s.Segments[i+1].First {
				t.Errorf("segment %d ends at %s, the next one begins at %s", g.Number, g.Last, s.Segments[i+1].First)
			}
		}
		if samples != w.Head().Count || bytes != s.Bytes || bytes != sizeOf(d) {
			t.Errorf("%d samples of %d, %d bytes of %d, %d on the disk", samples, w.Head().Count, bytes, s.Bytes, sizeOf(d))
		}
		if len(s.Destinations) != 2 || s.Destinations[0].Label != "quick" || s.Destinations[0].Samples != 0 || s.Destinations[0].Bytes != 0 {
			t.Errorf("destinations %+v", s.Destinations)
		}
		behind := s.Destinations[1]
		read := readOn(t, newReader(t, w, slow.Position()))
		if behind.Position != slow.Position() || behind.Samples != w.Head().Count || behind.Bytes != w.Behind(slow.Position()) || behind.Bytes <= 0 || behind.Bytes > bytes || len(read) < 60 {
			t.Errorf("the slow destination is %+v, %d entries are left", behind, len(read))
		}
	})
}

func TestPaceAndTimeUntilFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openOn(t, newMemDisk(), func(o *Options) { o.MaxBytes, o.SegmentBytes, o.SyncInterval = 1<<20, 1<<16, time.Second })
		if s := w.Status(); s.Rate != 0 || s.UntilFull() >= 0 || s.Free != -1 {
			t.Errorf("without an append: rate %v, %v until full, %d free", s.Rate, s.UntilFull(), s.Free)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		for range 600 {
			mustAppend(t, w, Frame{Type: 2, Count: 1, Payload: make([]byte, 1000-frameHeaderBytes)})
			time.Sleep(time.Second)
		}
		s := w.Status()
		if s.Rate < 950 || s.Rate > 1050 {
			t.Errorf("1,000 bytes a second are measured as %.1f", s.Rate)
		}
		room := float64(s.MaxBytes-s.Bytes) / s.Rate
		if got := s.UntilFull().Seconds(); got < room*0.99 || got > room*1.01 {
			t.Errorf("%.0f s until full, want %.0f", got, room)
		}
		time.Sleep(10 * time.Minute)
		if s := w.Status(); s.Rate > 1 {
			t.Errorf("10 minutes after the last append the rate is %.2f", s.Rate)
		}
		stop()
		<-done
		closeLog(t, w)
	})
}

// The floor of free space ends the room earlier than the bound of the log.
func TestTimeUntilFullByFreeSpace(t *testing.T) {
	s := Status{MaxBytes: 1000, Bytes: 100, Rate: 10, MinFreeBytes: 50, Free: 80}
	for want, change := range map[time.Duration]func(*Status){
		3 * time.Second:  func(*Status) {},
		90 * time.Second: func(s *Status) { s.Free = -1 },
		0:                func(s *Status) { s.Free = 10 },
	} {
		one := s
		change(&one)
		if got := one.UntilFull(); got != want {
			t.Errorf("%+v: %s, want %s", one, got, want)
		}
	}
}
