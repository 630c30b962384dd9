package scrape

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/record"
	"promrelay/scrape/order"
	"promrelay/wal"
)

// frameLog keeps what it is given. Its segments hold so many bytes.
type frameLog struct {
	frames   []wal.Frame
	segments []uint64 // of frames
	segment  uint64
	held     int
	full     int
}

func (l *frameLog) Segment() uint64 { return l.segment }

func (l *frameLog) Append(segment uint64, group ...wal.Frame) (wal.Position, error) {
	if l.held >= l.full {
		l.segment, l.held = l.segment+1, 0
	}
	if segment != l.segment {
		return wal.Position{}, &wal.RotatedError{Segment: l.segment}
	}
	for _, f := range group {
		l.held += len(f.Payload)
		f.Payload = append([]byte(nil), f.Payload...)
		l.frames, l.segments = append(l.frames, f), append(l.segments, segment)
	}
	return wal.Position{}, nil
}

// read reads all frames of a segment but one, and returns how many samples come, and how many are
// counted as lost.
func (l *frameLog) read(t testing.TB, segment uint64, without int) (came, lost int) {
	t.Helper()
	var tables record.Tables
	var s record.Scrape
	var cur record.Cursor
	for i, f := range l.frames {
		switch {
		case l.segments[i] != segment:
			continue
		case i == without:
			lost += int(f.Count)
			continue
		case f.Type == record.FrameTable:
			_, _ = tables.Apply(f.Payload)
			continue
		}
		table, missing, err := tables.Scrape(f.Payload, &s)
		if err != nil {
			lost += int(f.Count)
			continue
		}
		lost += missing
		came += s.Samples()
		cur.Reset(table)
		for row := 0; cur.Next() && row < len(s.Values); row++ {
			if !s.Present.Has(row) {
				continue
			}
			if have := table.Symbols().Bytes(cur.Values[2]); string(have) != rowNames[int(s.Values[row])%10_000] {
				t.Fatalf("without frame %d: row %d of frame %d is %s, and worth %v", without, row, i, have, s.Values[row])
			}
		}
	}
	return came, lost
}

var rowNames = func() (out [10_000]string) {
	for row := range out {
		out[row] = fmt.Sprint(row)
	}
	return out
}()

// scraped is some targets that are scraped every 15 s.
type scraped struct {
	w      writer
	log    *frameLog
	tables []*table
	round  int
}

func newScraped(full int) *scraped {
	g, log := order.New(), &frameLog{segment: 1, full: full}
	return &scraped{w: writer{guard: g, log: log, metrics: newMetrics(nil, g), clock: newClock(), saved: repeatSaved}, log: log}
}

// add gives the target more series.
func (s *scraped) add(target, n int) {
	for len(s.tables) <= target {
		s.tables = append(s.tables, newTable(s.w.guard))
	}
	tab := s.tables[target]
	for range n {
		row := tab.rows.Len()
		ls := labels.FromStrings("__name__", fmt.Sprintf("family_%d_seconds_total", row/50), "instance", fmt.Sprintf("10.0.0.%d:9100", target), "row", fmt.Sprint(row))
		slot, _ := s.w.guard.Acquire(ls.Bytes(nil))
		tab.addRow(ls, slot, float64(row))
	}
}

// scrape commits a scrape of each target, and waits. One in three values changes, and ends in the
// number of its row.
func (s *scraped) scrape(t testing.TB) {
	t.Helper()
	s.round++
	for _, tab := range s.tables {
		values := make([]float64, tab.rows.Len())
		for row := range values {
			changes := s.round
			if row%3 > 0 {
				changes = row % 100
			}
			values[row] = float64(1e4*changes + row)
		}
		if err := s.w.commit(tab, &record.Scrape{Time: time.Now().UnixMilli(), Values: values}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(15 * time.Second)
}

// TestDamagedFrames loses each frame in turn of what targets wrote that grow now and then: each
// missing sample is counted. A lost scrape loses its own samples, and a lost table loses samples
// until its next repetition.
func TestDamagedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScraped(12 << 10)
		for target := range 3 {
			s.add(target, 20+10*target)
		}
		for round := range 160 { // 40 minutes
			if round%7 == 3 {
				s.add(1, 3)
			}
			if round%40 == 30 {
				s.add(2, 2)
			}
			s.scrape(t)
		}
		if n := s.log.segment; n < 3 || n > 6 {
			t.Errorf("%d segments", n)
		}
		fulls, parts := 0, 0
		for i, f := range s.log.frames {
			all, lost := s.log.read(t, s.log.segments[i], -1)
			if lost > 0 {
				t.Fatalf("%d samples are lost of a sound log", lost)
			}
			came, lost := s.log.read(t, s.log.segments[i], i)
			if came+lost != all {
				t.Errorf("without frame %d: %d samples come, %d are counted as lost, of %d", i, came, lost, all)
			}
			most := int(f.Count)
			switch {
			case f.Type == record.FrameScrape:
			case part(f.Payload):
				parts++
				most = 21 * 3 // the rows of a part in five minutes
			default:
				fulls++
				most = 4 * s.tables[1].rows.Len() // all rows in one minute
			}
			if lost > most {
				t.Errorf("without frame %d of type %d, %d bytes: %d samples are lost, more than %d", i, f.Type, len(f.Payload), lost, most)
			}
		}
		if parts < 6 || fulls < 12 {
			t.Errorf("%d records of parts, %d of whole tables", parts, fulls)
		}
	})
}

// TestRepeatedTablesCostLittle counts the bytes of tables that are repeated, in clusters small and
// large.
func TestRepeatedTablesCostLittle(t *testing.T) {
	for name, c := range map[string]struct {
		targets, series, segment, grows int
		repeats                         bool // each table soon
	}{
		"small":          {10, 200, 2 << 20, 0, true},
		"large":          {40, 2000, 3 << 20, 0, false},
		"grows all time": {10, 500, 2 << 20, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScraped(c.segment)
				s.w.saved = c.segment / repeatShare
				for target := range c.targets {
					s.add(target, c.series)
				}
				var bytes, repeated, first int
				copies := map[string]int{}
				for range 600 { // 150 minutes
					for target := range c.targets {
						s.add(target, c.grows)
					}
					s.scrape(t)
					for i, f := range s.log.frames {
						bytes += len(f.Payload)
						if f.Type != record.FrameTable || part(f.Payload) {
							continue
						}
						key := fmt.Sprint(s.log.segments[i], f.Payload[0])
						if copies[key]++; copies[key] > 1 {
							repeated += len(f.Payload)
						} else {
							first += len(f.Payload)
						}
					}
					s.log.frames, s.log.segments = s.log.frames[:0], s.log.segments[:0]
				}
				once := 0
				for _, n := range copies {
					if n == 1 {
						once++
					}
				}
				t.Logf("%d bytes, tables first %.2f%%, repeated %.2f%%; %d of %d tables stand in a segment once", bytes, 100*float64(first)/float64(bytes), 100*float64(repeated)/float64(bytes), once, len(copies))
				if most := bytes/repeatShare + c.segment/repeatShare + 100<<10; repeated > most {
					t.Errorf("repeated tables are %d bytes of %d", repeated, bytes)
				}
				if repeated == 0 || c.repeats && once > 2*c.targets {
					t.Errorf("%d of %d tables are not repeated", once, len(copies))
				}
			})
		})
	}
}

// part reports whether a record appends to a table: its first symbol is not 0.
func part(payload []byte) bool {
	for range 3 {
		for payload[0] >= 0x80 {
			payload = payload[1:]
		}
		payload = payload[1:]
	}
	return payload[0] != 0
}
