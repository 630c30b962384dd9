package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"promrelay/wal"
)

// beyondEvery is how often the record of what was delivered beyond the position is written.
const beyondEvery = time.Second

// beyond records what was delivered beyond the position: everything before upTo, except for some series. While parts of a request are looked
// into, the position stays where that request begins, and the other series go on. Without this record a kill would send them again.
type beyond struct {
	upTo   wal.Position
	series map[uint64]wal.Position // those series by seriesID, and from where on their samples may not have been delivered
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

// has reports whether the samples that a block at this position holds of a series may be undelivered.
func (y *beyond) has(id uint64, at wal.Position) bool {
	from, ok := y.series[id]
	return ok && !at.Before(from)
}

// add records that the samples of a series may be undelivered from a position on.
func (y *beyond) add(id uint64, from wal.Position) {
	if was, ok := y.series[id]; !ok || from.Before(was) {
		y.series[id] = from
	}
}

// beyondVersion is the first byte of what encode gives.
const beyondVersion = 1

// encode writes y, and a hash of the settings that the series' labels depend on.
func (y *beyond) encode(settings uint64) []byte {
	b := make([]byte, 0, 1+8+16+24*len(y.series))
	b = append(b, beyondVersion)
	b = binary.LittleEndian.AppendUint64(b, settings)
	b = appendPosition(b, y.upTo)
	for id, from := range y.series {
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

// decodeBeyond is the inverse of encode. It returns nil for what another release or other settings have written.
func decodeBeyond(b []byte, settings uint64) *beyond {
	const header, entry = 1 + 8 + 16, 24
	if len(b) < header || (len(b)-header)%entry != 0 || b[0] != beyondVersion || binary.LittleEndian.Uint64(b[1:]) != settings {
		return nil
	}
	y := &beyond{upTo: positionAt(b[9:]), series: map[uint64]wal.Position{}}
	for b = b[header:]; len(b) > 0; b = b[entry:] {
		y.add(binary.LittleEndian.Uint64(b), positionAt(b[8:]))
	}
	return y
}

// labelSettings is a hash of what the labels of the series depend on.
func (d *destination) labelSettings() uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, l := range d.catalog.external {
		addLabel(&h, l.Name)
		addLabel(&h, l.Value)
	}
	for _, r := range d.cfg.WriteRelabelConfigs {
		addLabel(&h, fmt.Sprintf("%q %q %q %d %q %q %q", r.SourceLabels, r.Separator, r.Regex.String(), r.Modulus, r.TargetLabel, r.Replacement, r.Action))
	}
	return h.Sum64()
}

// loadBeyond reads what an earlier run has kept. What does not fit this log, or these settings, is removed at once: it must not seem to fit a
// later run.
func (d *destination) loadBeyond() {
	b := d.mark.Extra()
	if len(b) == 0 {
		return
	}
	d.keptBeyond = true
	y := decodeBeyond(b, d.labelSettings())
	if y == nil || d.wal.Head().Before(y.upTo) || !d.mark.Position().Before(y.upTo) {
		d.keepBeyond(nil)
		return
	}
	d.before = y
	d.log.Info("part of the log behind the position was delivered before, and is not sent again", zap.Int("series_left", len(y.series)), zap.Uint64("segment", y.upTo.Segment), zap.Int64("offset", y.upTo.Offset))
}

// seriesID is seriesID of labels as symbols.
func (d *destination) seriesID(labels series) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, symbol := range labels {
		addLabel(&h, d.catalog.symbols.Bytes(symbol))
	}
	return h.Sum64()
}

// deliveredBeyond returns what was delivered beyond the position, nil for nothing.
func (d *destination) deliveredBeyond() *beyond {
	at := d.delivered()
	y := &beyond{upTo: at, series: map[uint64]wal.Position{}}
	held := d.triage.eachHeld(y.add)
	if d.before != nil && at.Before(d.before.upTo) { // what is read again is not yet there again
		for id, from := range d.before.series {
			if from.Before(at) {
				from = at
			}
			y.add(id, from)
		}
		y.upTo, held = d.before.upTo, true
	}
	if !held {
		return nil
	}
	return y
}

// eachHeld calls add for each series of which samples are here. False: for none of them the position waits.
func (t *triage) eachHeld(add func(id uint64, from wal.Position)) (held bool) {
	if !t.active.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.tickets {
		for id := range k.left {
			add(id, k.from)
			held = true
		}
	}
	for _, m := range t.members {
		for id, from := range m.loose {
			add(id, from)
		}
	}
	return held
}

// saveBeyond keeps what was delivered beyond the position, every second until ctx ends.
func (d *destination) saveBeyond(ctx context.Context) {
	tick := time.NewTicker(beyondEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.keepBeyond(d.deliveredBeyond())
		}
	}
}

// keepBeyond puts y beside the position; nil takes away what is there.
func (d *destination) keepBeyond(y *beyond) {
	if y == nil && !d.keptBeyond {
		return
	}
	var b []byte
	if y != nil {
		b = y.encode(d.labelSettings())
	}
	if err := d.mark.SetExtra(b); err != nil {
		d.log.Debug("what was delivered beyond the position is not kept: after a kill it is sent again", zap.Error(err))
		return
	}
	d.keptBeyond = y != nil
}
