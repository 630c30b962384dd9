package wal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strings"
)

// Position is a place between two frames. The zero Position lies before everything that was ever appended.
type Position struct {
	Segment uint64 // number of the segment, 0 = before the first
	Offset  int64  // bytes from the start of the segment
	Count   uint64 // running count of everything before
}

// Before reports whether p lies before q. Count does not matter.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// On disk: never change.
const (
	positionMagic   = "\x89PRPOS\r\n"
	positionVersion = 2
	notelessVersion = 1 // without notes; read, but no longer written
	positionSuffix  = ".pos"
	temporarySuffix = ".tmp"
	slotBytes       = 4096 // no write to one slot touches a page of the other
	slotHeaderBytes = 48
	maxID           = slotBytes - slotHeaderBytes - 4 // together with the note
)

// slot is one of the two copies of an acknowledged position in its file. The sound one with the higher sequence is valid.
type slot struct {
	sequence uint64 // even ones are in the first slot, odd ones in the second
	position Position
	id       string
	note     string
}

// offset returns the place of the slot in its file.
func (s slot) offset() int64 { return int64(s.sequence%2) * slotBytes }

func (s slot) encode() []byte {
	b := make([]byte, 0, slotHeaderBytes+len(s.id)+len(s.note)+4)
	b = append(b, positionMagic...)
	b = binary.LittleEndian.AppendUint32(b, positionVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s.id)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s.note)))
	b = binary.LittleEndian.AppendUint64(b, s.sequence)
	b = binary.LittleEndian.AppendUint64(b, s.position.Segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.position.Offset))
	b = binary.LittleEndian.AppendUint64(b, s.position.Count)
	b = append(append(b, s.id...), s.note...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeSlot(b []byte) (slot, error) {
	if len(b) < slotHeaderBytes+4 || !bytes.HasPrefix(b, []byte(positionMagic)) {
		return slot{}, errDamaged
	}
	v := binary.LittleEndian.Uint32(b[8:])
	if v != positionVersion && v != notelessVersion {
		return slot{}, fmt.Errorf("position of version %d: %w", v, errDamaged)
	}
	note := slotHeaderBytes + int(binary.LittleEndian.Uint16(b[12:]))
	end := note + int(binary.LittleEndian.Uint16(b[14:])) // version 1 has zero here: its length of the id has four bytes
	if end+4 > min(len(b), slotBytes) || v == notelessVersion && note != end {
		return slot{}, errDamaged
	}
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return slot{}, errDamaged
	}
	s := slot{
		sequence: binary.LittleEndian.Uint64(b[16:]),
		position: Position{
			Segment: binary.LittleEndian.Uint64(b[24:]),
			Offset:  int64(binary.LittleEndian.Uint64(b[32:])),
			Count:   binary.LittleEndian.Uint64(b[40:]),
		},
		id:   string(b[slotHeaderBytes:note]),
		note: string(b[note:end]),
	}
	if s.position.Segment >= maxNumber || s.position.Offset < 0 {
		return slot{}, errDamaged
	}
	return s, nil
}

// decodePositionFile returns the current slot of the file called name. An error together with a sound slot means that the
// other slot is damaged: the position may be an older one. Zeros are a slot not written yet.
func decodePositionFile(name string, b []byte) (slot, bool, error) {
	var best slot
	var found bool
	var errs []error
	for i := range 2 {
		part := b[min(i*slotBytes, len(b)):min((i+1)*slotBytes, len(b))]
		if len(bytes.Trim(part, "\x00")) == 0 {
			continue
		}
		s, err := decodeSlot(part)
		if err == nil && (s.offset() != int64(i)*slotBytes || positionFileName(s.id) != name) {
			err = errDamaged
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("slot %d: %w", i, err))
			continue
		}
		if !found || s.sequence > best.sequence {
			best, found = s, true
		}
	}
	return best, found, errors.Join(errs...)
}

// positionFileName returns a readable part, then a hash that makes the name unique to id.
func positionFileName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return readable(id) + "-" + hex.EncodeToString(sum[:8]) + positionSuffix
}

// readable turns id into at most 40 characters that are safe in a file name. Of a URL it uses only the host: the rest may
// hold credentials.
func readable(id string) string {
	if u, err := url.Parse(id); err == nil && u.Host != "" {
		id = u.Host
	} else if strings.Contains(id, "://") {
		id = "url"
	}
	var b strings.Builder
	for _, r := range id {
		if b.Len() == 40 {
			break
		}
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || b.Len() > 0 && r == '.' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// labelOf names a destination in logs and metrics: a name as it is, a URL by its host and a hash.
func labelOf(id string) string {
	if strings.Contains(id, "://") {
		return strings.TrimSuffix(positionFileName(id), positionSuffix)
	}
	return strings.ToValidUTF8(id, "?")
}
