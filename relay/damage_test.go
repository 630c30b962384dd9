package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// frameAt is where a frame lies in its segment's file.
type frameAt struct {
	wal.Entry
	bytes int
}

// entries reads the whole log in dir as a destination does, and counts the samples by series. Names come from a catalog with a rule, so
// conclusions from a table must be forgotten when rows become known.
func entries(t *testing.T, dir string) (frames []frameAt, came map[string]int, lost int) {
	t.Helper()
	w, err := wal.Open(wal.Options{Dir: dir, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeWAL(t, w)
	r, err := w.NewReader(w.Tail())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := decoder{log: zap.NewNop(), metrics: newMetrics(nil)}
	c := newCatalog(labels.EmptyLabels(), []*relabel.Config{{
		SourceLabels: model.LabelNames{"n"}, Regex: relabel.MustNewRegexp("(.*)"), Replacement: "$1", TargetLabel: "copy", Action: relabel.Replace, NameValidationScheme: model.UTF8Validation,
	}})
	came = map[string]int{}
	for {
		e, ok, err := r.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return frames, came, lost
		}
		frames = append(frames, frameAt{e, len(e.Payload)})
		var b block
		if !d.decode(e, &b) {
			continue
		}
		if lost += int(b.lost); b.table == nil {
			continue
		}
		v := c.of(b.table)
		rows := v.rows(b.table)
		cur := rows.Cursor()
		for row := 0; cur.Next() && row < len(b.scrape.Values); row++ {
			if b.scrape.Present.Has(row) {
				ls := c.series(v, rows, &cur)
				name := ""
				for _, ref := range ls {
					name += string(c.symbols.Bytes(ref)) + " "
				}
				came[name]++
			}
		}
	}
}

// TestDamagedFrames flips a byte of each frame in turn, in a segment of targets that grow and are repeated. Every missing sample is
// counted as lost, and no more samples are lost than the frame held.
func TestDamagedFrames(t *testing.T) {
	dir := t.TempDir()
	w := openWAL(t, dir)
	wr := newWriter(t, w, 3, 5)
	segment := w.Segment()
	for round := range 8 {
		for i, table := range wr.tables {
			if (round+i)%3 == 1 {
				for n := table.Len(); n < 5+2*round; n++ {
					row := table.Add(labels.FromStrings("__name__", fmt.Sprintf("late_%d", round), "n", strconv.Itoa(n), "target", strconv.Itoa(i)), 0)
					table.SetMeta(row, 1)
				}
			}
		}
		wr.scrape()
		if round == 4 {
			for _, table := range wr.tables {
				if _, err := w.Append(segment, wal.Frame{Type: record.FrameTable, Repeated: true, Payload: table.AppendRepeat(nil)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if w.Segment() != segment {
		t.Fatal("more than one segment")
	}
	closeWAL(t, w)
	found, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	path := found[0]
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	frames, all, lost := entries(t, dir)
	if lost != 0 {
		t.Fatalf("%d samples of a sound log are lost", lost)
	}
	for i, f := range frames[:len(frames)-1] { // a missing last frame shows only by what follows it
		damaged := t.TempDir()
		b := append([]byte(nil), sound...)
		b[f.End.Offset-1] ^= 1
		if err := os.WriteFile(filepath.Join(damaged, filepath.Base(path)), b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, came, lost := entries(t, damaged)
		missing := 0
		for series, n := range all {
			missing += n - came[series]
		}
		for series := range came {
			if all[series] == 0 {
				t.Errorf("without frame %d: %q came, which nobody wrote", i, series)
			}
		}
		if missing != lost {
			t.Errorf("without frame %d of type %d: %d samples do not come, %d are counted", i, f.Type, missing, lost)
		}
		most := int(f.Count)
		if f.Type == record.FrameTable {
			most = 5 * 15 // a table's samples until it is repeated
		}
		if lost > most {
			t.Errorf("without frame %d of type %d: %d samples are lost, more than %d", i, f.Type, lost, most)
		}
	}
	if len(frames) < 24+6+3 {
		t.Errorf("%d frames", len(frames))
	}
}

// TestDamage flips a byte of a record that was not sent yet: what is lost is counted to the sample.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	w := openWAL(t, dir)
	recv := newReceiver(t)
	settings := Settings{Destinations: []config.Destination{dest(t, recv.URL, "")}}
	if _, err := w.Destination(settings.Destinations[0].ID()); err != nil {
		t.Fatal(err)
	}
	wr := newWriter(t, w, 1, 50)
	for range 10 {
		wr.scrape()
	}
	closeWAL(t, w)
	segments, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := false
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err == nil && len(b) > 2000 {
			b[len(b)-300] ^= 4 // in one of the last scrapes
			flipped = true
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !flipped {
		t.Fatalf("no segment among %v", segments)
	}
	w = openWAL(t, dir)
	defer closeWAL(t, w)
	r := start(t, w, settings)
	after := newWriter(t, w, 1, 50)
	after.now = wr.now
	after.scrape()
	r.drain(t)
	n, _ := recv.count()
	if lost := wr.samples + after.samples - n; lost != 50 {
		t.Errorf("%d samples are lost, not those of one scrape", lost)
	}
	r.stop()
}
