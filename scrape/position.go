package scrape

import (
	"promrelay/record"
)

// position is where a page stands in the lines of its table. Line numbers run over t.lines, t.extra
// and fresh.
type position struct {
	t        *table
	next     int    // the line of t.lines that is expected
	diverged bool   // the page's lines are not just the first ones of t.lines; the fields below are in use only then
	lines    []line // of the page so far
	fresh    []line // those that the table did not know
	seen     record.Bits
	index    []uint32 // line numbers plus one by hash, open addressing
}

// rewind goes back before the first line.
func (p *position) rewind() {
	p.next, p.diverged = 0, false
	p.lines, p.fresh, p.index = p.lines[:0], p.fresh[:0], p.index[:0]
}

// order returns the lines that the page has had so far.
func (p *position) order() []line {
	if p.diverged {
		return p.lines
	}
	return p.t.lines[:p.next]
}

// advance notes that the expected line is there.
func (p *position) advance() {
	if p.diverged {
		p.lines = append(p.lines, p.t.lines[p.next])
		p.seen.Set(p.next)
	}
	p.next++
}

// diverge is called when a line is not the expected one.
func (p *position) diverge() {
	if p.diverged {
		return
	}
	p.diverged = true
	p.lines = append(p.lines, p.t.lines[:p.next]...)
	n := len(p.t.lines) + len(p.t.extra)
	p.seen = p.seen[:0].Grow(n)
	clear(p.seen)
	for i := range p.next {
		p.seen.Set(i)
	}
	p.reindex(2 * n)
}

// line returns line n.
func (p *position) line(n int) line {
	if n < len(p.t.lines) {
		return p.t.lines[n]
	}
	if n -= len(p.t.lines); n < len(p.t.extra) {
		return p.t.extra[n]
	}
	return p.fresh[n-len(p.t.extra)]
}

// known returns how many lines have a number.
func (p *position) known() int { return len(p.t.lines) + len(p.t.extra) + len(p.fresh) }

// reindex rebuilds the index, for at least so many lines.
func (p *position) reindex(size int) {
	slots := 64
	for slots < size {
		slots *= 2
	}
	p.index = grow(p.index[:0], slots)
	clear(p.index)
	for n := range p.known() {
		if l := p.line(n); l.cached() { // a series of protobuf may have the name of a line that is no series
			p.index[p.place(l)] = uint32(n + 1)
		}
	}
}

// place returns the slot of the index where l is, or where it belongs.
func (p *position) place(l line) uint64 {
	mask := uint64(len(p.index) - 1)
	for i := l.hash & mask; ; i = (i + 1) & mask {
		n := p.index[i]
		if n == 0 {
			return i
		}
		if have := p.line(int(n - 1)); have.hash == l.hash && have.len() == l.len() {
			return i
		}
	}
}

// find looks for the line of a series. Already means that the page has had it before.
func (p *position) find(text []byte) (l line, known, already bool) {
	l = newLine(lineSeries, text, 0)
	if p.next < len(p.t.lines) && !(p.diverged && p.seen.Has(p.next)) {
		if want := p.t.lines[p.next]; want.hash == l.hash && want.len() == l.len() && want.cached() {
			p.advance()
			return want, true, false
		}
	}
	p.diverge()
	n := int(p.index[p.place(l)]) - 1
	if n < 0 {
		return l, false, false
	}
	l = p.line(n)
	already = p.seen.Has(n)
	if !already {
		p.seen.Set(n)
		p.lines = append(p.lines, l)
	}
	if n < len(p.t.lines) {
		p.next = n + 1
	}
	return l, true, already
}

// remember adds a line that find did not find.
func (p *position) remember(l line) {
	p.diverge()
	if 4*p.known() >= 3*len(p.index) {
		p.reindex(4 * p.known())
	}
	at := p.place(l)
	p.fresh = append(p.fresh, l)
	n := p.known()
	p.index[at] = uint32(n)
	p.seen = p.seen.Grow(n)
	p.seen.Set(n - 1)
	p.lines = append(p.lines, l)
}

func grow[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}
