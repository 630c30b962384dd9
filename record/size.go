package record

import "encoding/binary"

// FullBytes returns an upper bound of the bytes of a record of the whole table. The writer uses it to keep the table below the
// largest record that its log accepts.
func (t *Table) FullBytes() int {
	const (
		header  = 12 * binary.MaxVarintLen64
		perRow  = 8 + 2*binary.MaxVarintLen32                   // base value, metadata
		starts  = binary.MaxVarintLen32 + binary.MaxVarintLen64 // of a row
		perMeta = 1 + 3*binary.MaxVarintLen32                   // three references
		lengths = binary.MaxVarintLen32                         // of a string
	)
	n := header + len(t.symbols.arena) + lengths*len(t.symbols.ends) + t.shapeBytes + perMeta*len(t.metas) + len(t.rows) + perRow*len(t.base)
	if t.start != nil {
		n += starts * len(t.base)
	}
	return n + (2*starts)*(len(t.changedMeta)+len(t.changedStart))
}

// ScrapeBytes returns an upper bound of the bytes of a scrape record with this many rows and irregular entries. It does not include
// histograms and the labels of exemplars.
func ScrapeBytes(rows, irregular int) int {
	const (
		header   = 7 * binary.MaxVarintLen64
		perRow   = 9 + binary.MaxVarintLen64 + 1 // value and its code, timestamp, presence
		perEntry = 1 + 2*binary.MaxVarintLen32 + 3*binary.MaxVarintLen64
	)
	return header + perRow*rows + perEntry*irregular
}
