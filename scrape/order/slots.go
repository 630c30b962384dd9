package order

import (
	"sync/atomic"
)

// slots are numbered, in pages that never move, so that one is read without a lock.
type slots struct {
	pages [1 << 14]atomic.Pointer[page] // nil for one that is not in use
}

// at returns slot n, whose page must be in use.
func (s *slots) at(n uint32) *slot { return &s.pages[n/pageLen].Load()[n%pageLen] }

const pageLen = 1 << 13 // slots

type page [pageLen]slot

// slot holds what the guard knows about a series. Hash 0 marks one that is not in use.
type slot struct {
	hash uint64
	last atomic.Int64 // milliseconds since the epoch, MinInt64 for none
	refs int32        // rows of tables that feed the series; guarded by mu
	idle int32        // how many calls of Forget in a row found no such row; guarded by mu
}
