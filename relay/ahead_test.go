package relay

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	fake "promrelay/test/receiver"
	"promrelay/wal"
)

// hangsAlone is a receiver that refuses a series together with others, and does not answer if it is alone: so the search takes long.
func hangsAlone(is func(string) bool) fake.Profile {
	with, hang := fake.WithSeries("bad", is), fake.Hang()
	return fake.Plain().With(fake.Fault(fake.Gate{Name: "hangs alone", Ask: func(q *fake.Request) *fake.Answer {
		switch {
		case !with.Is(q):
			return nil
		case len(q.Series) > 1:
			return fake.Status(http.StatusBadRequest, "bad").Ask(q)
		}
		return hang.Ask(q)
	}}))
}

// TestKillWhilePartsAreLookedInto: samples that were delivered meanwhile are not sent again after a kill, a second kill, or a reload.
// Samples that were not delivered are sent again.
func TestKillWhilePartsAreLookedInto(t *testing.T) {
	const series = 60
	for name, again := range map[string]func(*world){
		"kill": (*world).kill,
		"two kills": func(w *world) {
			w.kill()
			time.Sleep(100 * time.Millisecond)
			w.kill()
		},
		"reload": func(w *world) { w.reload(1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fake.Plain(), series, "queue_config: {batch_send_deadline: 500ms}\n")
				w.play(time.Second, 5*time.Second)
				w.receiver.Set(hangsAlone(isSeries(series - 1)))
				w.play(time.Second, 25*time.Second)
				again(w)
				w.receiver.Set(fake.Plain())
				w.play(time.Second, 5*time.Second)
				w.drain()
				b := w.audit()
				if b.missing > 0 {
					t.Errorf("%d of %d samples are missing", b.missing, b.scraped)
				}
				if b.repeated > 3*series {
					t.Errorf("%d samples came twice, want no more than those of the last seconds", b.repeated)
				}
			})
		})
	}
}

// TestAheadOtherLabels: if series have other labels than before, it is unknown what was delivered of them, and everything is sent.
func TestAheadOtherLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const series = 20
		w := newWorld(t, fake.Plain(), series, "queue_config: {batch_send_deadline: 500ms}\n")
		w.play(time.Second, 5*time.Second)
		w.receiver.Set(hangsAlone(isSeries(series - 1)))
		w.play(time.Second, 20*time.Second)
		d := *w.settings.Destinations[0].RemoteWriteConfig
		d.WriteRelabelConfigs = []*relabel.Config{{Regex: relabel.MustNewRegexp("(.*)"), Separator: ";", Action: relabel.Replace, TargetLabel: "new", Replacement: "x", NameValidationScheme: model.UTF8Validation}}
		w.settings.Destinations[0].RemoteWriteConfig = &d
		w.receiver.Set(fake.Plain())
		if err := w.relay.Apply(w.settings); err != nil {
			t.Fatal(err)
		}
		w.drain()
		w.close()
		for i, name := range w.names {
			if n := len(w.receiver.Stored()[fmt.Sprintf(`{__name__="m", i="%04d", new="x"}`, i)]); n < 18 {
				t.Errorf("%d samples of %s with its new label, want those of 20 s", n, name)
			}
		}
	})
}

func TestAheadDecode(t *testing.T) {
	a := &ahead{upTo: wal.Position{Segment: 3, Offset: 40}, series: map[uint64]wal.Position{1: {Segment: 2, Offset: 8}, 1 << 63: {Segment: 3}}}
	if got := decodeAhead(a.encode(5), 5); !reflect.DeepEqual(got, a) {
		t.Errorf("%+v, want %+v", got, a)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "other settings": a.encode(6), "another version": append([]byte{aheadVersion + 1}, a.encode(5)[1:]...), "cut": a.encode(5)[:40],
	} {
		if got := decodeAhead(b, 5); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzAhead(f *testing.F) {
	f.Add((&ahead{upTo: wal.Position{Segment: 3, Offset: 40}, series: map[uint64]wal.Position{1: {Segment: 2, Offset: 8}}}).encode(5))
	f.Add([]byte{aheadVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		if y := decodeAhead(b, 5); y != nil && !reflect.DeepEqual(decodeAhead(y.encode(5), 5), y) {
			t.Errorf("%q is read as %+v, and that is not read back", b, y)
		}
	})
}

// TestAheadOfTheLog: a record may point behind the end of the log, for example after a restore from elsewhere. It is ignored, also in a
// later run that has reached that position.
func TestAheadOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fake.Plain(), 20, "queue_config: {batch_send_deadline: 500ms}\n")
		w.play(time.Second, 3*time.Second)
		d := w.relay.running[0].current.Load()
		other := &ahead{upTo: wal.Position{Segment: w.wal.Head().Segment + 2}, series: map[uint64]wal.Position{}}
		w.receiver.Set(fake.Plain().With(fake.Fault(fake.Status(http.StatusServiceUnavailable, "away"))))
		settings, mark := d.ahead.settings, d.position
		w.relay.stop()
		w.relay.stop = func() {}
		if err := mark.SetExtra(other.encode(settings)); err != nil {
			t.Fatal(err)
		}
		w.close()
		w.open()
		for range 4 { // each run has a segment of its own, and is ended before it writes a record
			w.scrape()
			time.Sleep(aheadEvery / 2)
			w.kill()
		}
		w.receiver.Set(fake.Plain())
		w.play(time.Second, 2*time.Second)
		w.drain()
		if b := w.audit(); b.missing > 0 {
			t.Errorf("%d of %d samples are missing: they were held to be delivered", b.missing, b.scraped)
		}
	})
}
