package record

import (
	"bytes"
	"hash/maphash"
	"unsafe"
)

// seed is random in each process, so no hash is ever written to disk.
var seed = maphash.MakeSeed()

// Symbols is a list of distinct strings, numbered from 0, which is the empty string. The strings share one slice of bytes; a hash
// table of four bytes a slot finds them. The zero value is ready. Intern must not run at the same time as any other method; the other
// methods may run at the same time.
type Symbols struct {
	arena []byte
	ends  []uint32 // where symbol i+1 ends in arena
	slots []uint32 // a symbol, or 0 for a free slot; open addressing, a power of two long
}

// Len returns the number of symbols, the empty one included.
func (s *Symbols) Len() int { return len(s.ends) + 1 }

// Bytes returns the symbol ref, which must be below Len. The caller must not change it.
func (s *Symbols) Bytes(ref uint32) []byte {
	switch ref {
	case 0:
		return nil
	case 1:
		return s.arena[:s.ends[0]:s.ends[0]]
	}
	a, b := s.ends[ref-2], s.ends[ref-1]
	return s.arena[a:b:b]
}

// Intern returns the number of v. It adds v if it is new.
func (s *Symbols) Intern(v []byte) uint32 {
	if len(v) == 0 {
		return 0
	}
	if 4*len(s.ends) >= 3*len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := maphash.Bytes(seed, v) & mask; ; i = (i + 1) & mask {
		ref := s.slots[i]
		if ref == 0 {
			ref = s.add(v)
			s.slots[i] = ref
			return ref
		}
		if bytes.Equal(s.Bytes(ref), v) {
			return ref
		}
	}
}

// Lookup returns the number of v if it is there.
func (s *Symbols) Lookup(v []byte) (ref uint32, ok bool) {
	if len(v) == 0 {
		return 0, true
	}
	if len(s.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(s.slots) - 1)
	for i := maphash.Bytes(seed, v) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if bytes.Equal(s.Bytes(s.slots[i]), v) {
			return s.slots[i], true
		}
	}
	return 0, false
}

// add appends v, which must not be there already.
func (s *Symbols) add(v []byte) uint32 {
	s.arena = append(s.arena, v...)
	s.ends = append(s.ends, uint32(len(s.arena)))
	return uint32(len(s.ends))
}

func (s *Symbols) grow() {
	s.slots = make([]uint32, max(16, 2*len(s.slots)))
	mask := uint64(len(s.slots) - 1)
	for ref := uint32(1); ref <= uint32(len(s.ends)); ref++ {
		i := maphash.Bytes(seed, s.Bytes(ref)) & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = ref
	}
}

// size returns the bytes of memory that s holds.
func (s *Symbols) size() int { return cap(s.arena) + 4*cap(s.ends) + 4*cap(s.slots) }

// unsafeBytes returns the bytes of s without a copy. The caller must not change them.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
