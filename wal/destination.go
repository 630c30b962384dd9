package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Destination holds the acknowledged position of one destination: everything before it was confirmed by the receiver,
// and segments from it on are kept for it as long as the bounds allow.
type Destination struct {
	wal   *WAL
	id    string
	name  string // of its file
	label string // in logs and metrics
	known bool   // id is known; false for a damaged file whose destination was not opened

	// Guarded by wal.mu.
	mark       // the acknowledged position, and the note
	saved mark // the durable mark, zero = nothing yet; segments are kept for its position
	// Gaps that readers found behind the position.
	skipped []span
	// When a removed destination is forgotten, zero = not removed; and how many samples waited for it at its removal.
	forgetAt time.Time
	waiting  uint64

	// Guarded by wal.syncMu.
	sequence uint64 // of the slot saved last
	noted    mark   // in the slot that the next save writes: already written, not yet synced
	file     file   // nil = the next save writes a new file
}

// MaxID is the length in bytes of the longest id of a destination.
const MaxID = maxID

// mark is what is stored about a destination.
type mark struct {
	position Position
	note     string // the user's own
}

// Destination returns the destination called id, a name or a URL of at most 4044 bytes. One id always gives the same
// destination. A known one continues from its stored position, or from the tail if that was damaged; a removed one is known
// until it is forgotten. A new one starts at the head. A position that cannot be saved now is saved by Run.
func (w *WAL) Destination(id string) (*Destination, error) {
	if len(id) > maxID {
		return nil, fmt.Errorf("destination with an id of %d bytes: %w", len(id), ErrTooLarge)
	}
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.released {
		return nil, ErrClosed
	}
	name := positionFileName(id)
	w.mu.Lock()
	d := w.destinations[name]
	if d == nil {
		d = w.newDestination(name)
		d.position = w.head
		w.destinations[name] = d
	}
	if !d.known { // otherwise somebody may read them
		d.id, d.label, d.known = id, labelOf(id), true
	}
	back := !d.forgetAt.IsZero()
	d.forgetAt = time.Time{}
	m, saved := d.mark, d.saved
	w.mu.Unlock()

	if back {
		w.log.Info("removed destination is back", zap.String("destination", d.label))
	}
	w.metrics.addDestination(d.label)
	if m != saved || d.file == nil { // without a file positions cannot be noted
		if err := d.save(m); err != nil {
			w.metrics.unsavedPosition.Inc()
			w.log.Warn("position not saved, Run tries again", zap.String("destination", d.label), zap.NamedError("err", err))
		}
	}
	return d, nil
}

func (w *WAL) newDestination(name string) *Destination {
	return &Destination{wal: w, name: name, label: strings.TrimSuffix(name, positionSuffix)}
}

// Label names the destination in logs and metrics: its name, or the host of a URL with a hash.
func (d *Destination) Label() string { return d.label }

// Position returns the acknowledged position.
func (d *Destination) Position() Position {
	d.wal.mu.Lock()
	defer d.wal.mu.Unlock()
	return d.position
}

// Acknowledge moves the position forward to p. It changes nothing if p lies before the position or beyond the head. It does
// not touch the disk: Run writes the position at once, so that it outlives a SIGKILL, and Run and Sync make it durable.
func (d *Destination) Acknowledge(p Position) {
	w := d.wal
	w.mu.Lock()
	moved := d.position.Before(p) && !w.head.Before(p)
	if moved {
		d.position = p
		w.settleLocked(d)
	}
	w.mu.Unlock()
	if moved {
		w.wakeRun()
	}
}

// wakeRun makes Run write the changed positions and notes.
func (w *WAL) wakeRun() {
	select {
	case w.acknowledged <- struct{}{}:
	default:
	}
}

// Note returns the text last given to SetNote, also by an earlier process; empty if there was none. If the position was
// damaged, the note is lost, or is an older one.
func (d *Destination) Note() string {
	d.wal.mu.Lock()
	defer d.wal.mu.Unlock()
	return d.note
}

// SetNote stores a text of the user with the position; wal does not interpret it. As with a position, Run writes it at once,
// and Run and Sync make it durable, whether or not the position moves. Together with the id it has at most 4044 bytes.
func (d *Destination) SetNote(note string) error {
	w := d.wal
	w.mu.Lock()
	if len(d.id)+len(note) > maxID {
		w.mu.Unlock()
		return fmt.Errorf("note of %d bytes beside an id of %d: %w", len(note), len(d.id), ErrTooLarge)
	}
	changed := d.note != note
	d.note = note
	w.mu.Unlock()
	if changed {
		w.wakeRun()
	}
	return nil
}

// positionsPath returns the path of a position file.
func (w *WAL) positionsPath(name string) string {
	return filepath.Join(w.opts.Dir, positionsDir, name)
}

type acknowledgement struct {
	destination *Destination
	mark        mark
}

// unsavedPositions returns the acknowledged positions and notes that their files do not hold. The caller holds syncMu.
func (w *WAL) unsavedPositions() []acknowledgement {
	w.mu.Lock()
	defer w.mu.Unlock()
	var unsaved []acknowledgement
	for _, d := range w.destinations {
		if d.known && d.mark != d.saved {
			unsaved = append(unsaved, acknowledgement{d, d.mark})
		}
	}
	return unsaved
}

func (w *WAL) savePositions(acknowledged []acknowledgement) error {
	var errs []error
	for _, a := range acknowledged {
		if err := a.destination.save(a.mark); err != nil {
			w.metrics.unsavedPosition.Inc()
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// notePositions writes the acknowledged positions without waiting for the disk.
func (w *WAL) notePositions() {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	if w.released {
		return
	}
	for _, a := range w.unsavedPositions() {
		if a.destination.handOver(a.mark) != nil { // the next save reports the error if it fails too
			w.metrics.unsavedPosition.Inc()
		}
	}
}

// handOver writes m to the slot that the next save will write, and does not wait for the disk: the process after a SIGKILL
// continues from there. The other slot, which is durable, does not change. The caller holds syncMu.
func (d *Destination) handOver(m mark) error {
	if d.file == nil || d.noted == m {
		return nil
	}
	s := slot{sequence: d.sequence + 1, position: m.position, id: d.id, note: m.note}
	if err := writeAll(d.file, s.encode(), s.offset()); err != nil {
		return errors.Join(err, d.closeFile())
	}
	d.noted = m
	return nil
}

// save makes m durable. After a failure the next save writes a new file: a file whose fsync failed is not used again. The
// caller holds syncMu.
func (d *Destination) save(m mark) error {
	d.sequence++
	s := slot{sequence: d.sequence, position: m.position, id: d.id, note: m.note}
	var err error
	if d.file == nil {
		err = d.writeNewFile(s)
	} else {
		err = errors.Join(writeAll(d.file, s.encode(), s.offset()), d.file.Sync())
	}
	if err != nil {
		return fmt.Errorf("save position of %s: %w", d.label, errors.Join(err, d.closeFile()))
	}
	d.wal.mu.Lock()
	d.saved = m
	d.wal.mu.Unlock()
	return nil
}

// writeNewFile replaces the file by one that has only s. The old file stays until the new one is durable. So the file of
// this name always has a sound slot.
func (d *Destination) writeNewFile(s slot) error {
	w := d.wal
	path := w.positionsPath(d.name)
	f, err := w.disk.Open(path+temporarySuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	d.file = f
	if err := writeAll(f, s.encode(), s.offset()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := w.disk.Rename(path+temporarySuffix, path); err != nil {
		return err
	}
	return syncDir(w.disk, w.positionsPath(""))
}

func (d *Destination) closeFile() error {
	if d.file == nil {
		return nil
	}
	f := d.file
	d.file = nil
	return f.Close()
}

// loadPositions reads every stored position. It returns the destinations whose file is damaged: they have no position yet.
func (w *WAL) loadPositions() (damaged []*Destination, err error) {
	entries, err := w.disk.List(w.positionsPath(""))
	if err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.name, temporarySuffix) {
			if err := w.disk.Remove(w.positionsPath(e.name)); err != nil {
				return nil, fmt.Errorf("remove unfinished position: %w", err)
			}
		}
		if !strings.HasSuffix(e.name, positionSuffix) {
			continue
		}
		d, err := w.loadPosition(e.name)
		if err != nil {
			return nil, err
		}
		if !d.known {
			damaged = append(damaged, d)
		}
		w.destinations[e.name] = d
	}
	return damaged, nil
}

func (w *WAL) loadPosition(name string) (*Destination, error) {
	var s slot
	var found bool
	f, err := w.disk.Open(w.positionsPath(name), os.O_RDONLY)
	switch {
	case err == nil:
		v := window{file: f}
		b, readErr := v.view(0, 2*slotBytes, 2*slotBytes, 2*slotBytes)
		if err := errors.Join(readErr, f.Close()); err != nil {
			return nil, fmt.Errorf("read position %s: %w", name, err)
		}
		s, found, err = decodePositionFile(name, b)
	case !errors.Is(err, os.ErrPermission): // the same as damaged: a new file replaces it
		return nil, fmt.Errorf("read position: %w", err)
	}
	d := w.newDestination(name)
	if found {
		d.id, d.label, d.known = s.id, labelOf(s.id), true
		d.mark, d.sequence = mark{s.position, s.note}, s.sequence
		d.saved = d.mark
	}
	if err != nil || !found {
		w.metrics.damagedPosition.Inc()
		w.log.Warn("position is damaged", zap.String("destination", d.label), zap.Bool("older_one_found", found),
			zap.NamedError("err", err))
	}
	return d, nil
}
