package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.uber.org/zap"

	"promrelay/wal"
)

// aheadEvery is how often the record of what was delivered ahead of the position is written.
const aheadEvery = time.Second

// ahead records what was delivered ahead of the position: everything before upTo, except for some series. While the splitter has a
// part of a request, the position stays where that request begins, and the other series go on. Without this record, the run after a
// kill would send those other series again.
type ahead struct {
	upTo   wal.Position
	series map[uint64]wal.Position // by seriesID: samples of such a series may be undelivered from this position on
}

// seriesID identifies a series across restarts. If two series share an ID, both are sent again, and nothing is lost.
func seriesID(labels []string) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, l := range labels {
		addLabel(&h, l)
	}
	return h.Sum64()
}

func addLabel[T string | []byte](h *xxhash.Digest, l T) {
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(l)))
	_, _ = h.Write(size[:]) // it never fails
	_, _ = h.Write([]byte(l))
}

// has reports whether the samples of a series may be undelivered, in a block at this position.
func (a *ahead) has(id uint64, at wal.Position) bool {
	from, ok := a.series[id]
	return ok && !at.Before(from)
}

// add records that the samples of a series may be undelivered from a position on.
func (a *ahead) add(id uint64, from wal.Position) {
	if was, ok := a.series[id]; !ok || from.Before(was) {
		a.series[id] = from
	}
}

// aheadVersion is the first byte of an encoded record.
const aheadVersion = 1

// encode writes a, and a hash of the settings that the series' labels depend on.
func (a *ahead) encode(settings uint64) []byte {
	b := make([]byte, 0, 1+8+16+24*len(a.series))
	b = append(b, aheadVersion)
	b = binary.LittleEndian.AppendUint64(b, settings)
	b = appendPosition(b, a.upTo)
	for id, from := range a.series {
		b = appendPosition(binary.LittleEndian.AppendUint64(b, id), from)
	}
	return b
}

func appendPosition(b []byte, p wal.Position) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.Segment)
	return binary.LittleEndian.AppendUint64(b, uint64(p.Offset))
}

func positionAt(b []byte) wal.Position {
	return wal.Position{Segment: binary.LittleEndian.Uint64(b), Offset: int64(binary.LittleEndian.Uint64(b[8:]))}
}

// decodeAhead is the inverse of encode. It returns nil if another release, or a release with other settings, wrote b.
func decodeAhead(b []byte, settings uint64) *ahead {
	const header, entry = 1 + 8 + 16, 24
	if len(b) < header || (len(b)-header)%entry != 0 || b[0] != aheadVersion || binary.LittleEndian.Uint64(b[1:]) != settings {
		return nil
	}
	a := &ahead{upTo: positionAt(b[9:]), series: map[uint64]wal.Position{}}
	for b = b[header:]; len(b) > 0; b = b[entry:] {
		a.add(binary.LittleEndian.Uint64(b), positionAt(b[8:]))
	}
	return a
}

// labelSettings is a hash of what the labels of the series depend on.
func labelSettings(external []labels.Label, rules []*relabel.Config) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, l := range external {
		addLabel(&h, l.Name)
		addLabel(&h, l.Value)
	}
	for _, r := range rules {
		addLabel(&h, fmt.Sprintf("%q %q %q %d %q %q %q", r.SourceLabels, r.Separator, r.Regex.String(), r.Modulus, r.TargetLabel, r.Replacement, r.Action))
	}
	return h.Sum64()
}

// aheadStore stores the ahead record next to the position.
type aheadStore struct {
	log      *zap.Logger
	position *wal.Destination
	settings uint64 // labelSettings of the destination
	stored   bool   // there is a record
}

// load returns the record of an earlier run, nil for none. It removes a record that does not fit this log or these settings:
// otherwise a later run might find that it fits.
func (s *aheadStore) load(head wal.Position) *ahead {
	b := s.position.Extra()
	if len(b) == 0 {
		return nil
	}
	s.stored = true
	a := decodeAhead(b, s.settings)
	if a == nil || head.Before(a.upTo) || !s.position.Position().Before(a.upTo) {
		s.save(nil)
		return nil
	}
	s.log.Info("part of the log after the position was delivered before, and is not sent again", zap.Int("series_left", len(a.series)), zap.Uint64("segment", a.upTo.Segment), zap.Int64("offset", a.upTo.Offset))
	return a
}

// run saves what delivered returns, every second until ctx ends.
func (s *aheadStore) run(ctx context.Context, delivered func() *ahead) {
	tick := time.NewTicker(aheadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.save(delivered())
		}
	}
}

// save writes the record; nil removes it.
func (s *aheadStore) save(a *ahead) {
	if a == nil && !s.stored {
		return
	}
	var b []byte
	if a != nil {
		b = a.encode(s.settings)
	}
	if err := s.position.SetExtra(b); err != nil {
		s.log.Debug("what was delivered ahead of the position is not recorded: after a kill it is sent again", zap.NamedError("err", err))
		return
	}
	s.stored = a != nil
}

// deliveredAhead returns what was delivered ahead of the position, nil for nothing.
func (d *destination) deliveredAhead() *ahead {
	at := d.progress.finished()
	a := &ahead{upTo: at, series: map[uint64]wal.Position{}}
	held := d.splitter.eachHeld(a.add)
	if before := d.packer.ahead; before != nil && at.Before(before.upTo) { // this run is not yet where the earlier one was
		for id, from := range before.series {
			if from.Before(at) {
				from = at
			}
			a.add(id, from)
		}
		a.upTo, held = before.upTo, true
	}
	if !held {
		return nil
	}
	return a
}
