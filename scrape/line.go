package scrape

import (
	"hash/maphash"
)

// seed differs with each process. No hash made with it is written to disk.
var seed = maphash.MakeSeed()

// The kinds of lines.
const (
	lineSeries  = iota // feeds a row
	lineDropped        // relabelling dropped it
	lineMeta           // # TYPE, # HELP or # UNIT
	lineComment
)

// line is what a table knows of one line of the page. For a series line it is the part before the
// value, for other lines the whole line.
type line struct {
	hash uint64
	size uint32 // bytes << 2 | kind
	to   uint32 // row of a series, index into metas of a metadata line
}

func newLine(kind int, text []byte, to uint32) line {
	return line{maphash.Bytes(seed, text), uint32(len(text))<<2 | uint32(kind), to}
}

func (l line) kind() int { return int(l.size & 3) }

func (l line) len() int { return int(l.size >> 2) }

// cached reports whether prometheus/scrape would have the line in its cache.
func (l line) cached() bool { return l.kind() == lineSeries || l.kind() == lineDropped }

// isAt reports whether b has the bytes of l at i, and at least one more byte after them.
func (l line) isAt(b []byte, i int) bool {
	end := i + l.len()
	return end < len(b) && maphash.Bytes(seed, b[i:end]) == l.hash
}

// format is what a page is written in.
type format byte

const (
	formatOther format = iota
	formatPrometheus
	formatOpenMetrics
	formatProtobuf
)
