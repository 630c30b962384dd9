// Package record turns one scrape of one target into bytes, and back.
//
// Two kinds of record exist. A table record says which series a target has: labels as references into a symbol list, metadata, and
// a base value for each row. A scrape record holds the values of the rows at one time: a column of values in row order, written as
// differences from the base values; a column of timestamps where lines of the page had their own; and an irregular part for what
// columns cannot hold. So labels are written when they change, not with each sample.
//
// Part 0 of a table replaces the table known before, a later part appends to it. Within a generation of a table, row numbers are
// not reused and base values do not change. A scrape record needs the table of its own generation and no other scrape record, so
// damage to one scrape record costs only that one. Damage to a part of a table costs its rows, and rows of later parts that refer to
// its symbols or shapes, until the whole table is repeated.
//
// Promises: decoding returns exactly the same bits of each value. The decoders never panic, refuse malformed input, and allocate at
// most a small multiple of their input and of the rows lost before it. Not promised: that a scrape record fits a table of another
// generation.
//
// # Numbers
//
// uvarint is the base-128 varint of encoding/binary, varint the same after zigzag, f64 is eight
// bytes, little endian. A string is a uvarint length and its bytes. Timestamps are milliseconds since
// the epoch. All tables of one segment come from one process; identifiers mean nothing outside it.
//
// # Table record
//
//	uvarint  table       identifier
//	uvarint  generation  how often the table was rebuilt, with other row numbers or base values
//	uvarint  part        0 is the whole table, then 1, 2, ... append to it. Another one that begins with symbol 0
//	         is the whole table as the parts up to this one have made it, repeated
//	uvarint  first symbol, then uvarint number of new symbols, then that many strings
//	uvarint  first shape, then uvarint number of new shapes; a shape is the label names of a row:
//	         uvarint count, then as many uvarint symbol references, in the labels' order
//	uvarint  first metadata entry, then uvarint number of new ones; an entry is
//	         byte type, uvarint family, uvarint help, uvarint unit (symbol references)
//	uvarint  first row, then uvarint number of new rows
//	uvarint  length of the row bytes, then the row bytes: each row is
//	         byte 1, uvarint shape, a uvarint symbol reference for each label value, or
//	         byte 0 where the shape is that of the row before: a mask of one bit a label, low bit
//	         first, that marks the values that differ from the row before, then their references. The
//	         first new row is of the first kind, so that it can be read where the part before is lost;
//	         earlier releases wrote either
//	f64...   base value of each new row
//	runs     metadata of the new rows: (uvarint length, uvarint entry) until all rows are covered;
//	         entry 0 is "none", n is entry n-1
//	uvarint  number of rows, older than the new ones, whose metadata changed: (uvarint row, uvarint entry)
//	uvarint  number of rows whose start timestamp is set again: (uvarint row, varint milliseconds)
//
// Symbol 0 is the empty string and is not written.
//
// # Scrape record
//
//	uvarint  table
//	uvarint  generation
//	uvarint  part        the last one of the table when this was written
//	uvarint  rows        rows of the table then
//	varint   time        of the scrape
//	byte     flags       1: not all rows are present, 2: timestamps, 4: irregular part
//	bits     with flag 1: a presence bit for each row, low bit first
//	bits     two bits for each present row, low bits first, the value's code:
//	         0 the base value, 1 an integer as varint difference from the (integer) base value,
//	         2 XOR with the base value, 3 the staleness marker
//	...      what codes 1 and 2 need, in row order; for 2: a byte (leading zero bytes << 4 |
//	         number of bytes that follow), then these bytes, most significant first
//	...      with flag 2: for each present row its timestamp, as varint difference from the one of
//	         the row before; the first from the scrape's time
//	...      with flag 4: uvarint count, then that many entries
//	         byte kind, uvarint row, varint timestamp (difference from the scrape's time), and
//	         kind 1, a sample: f64, varint start timestamp or 0
//	         kind 2, a histogram: varint start timestamp or 0, string: the message Histogram of
//	         remote write (fields 1 to 14 and 16 are the same in 1.0 and 2.0), without timestamps
//	         kind 3, an exemplar: f64, uvarint number of strings, then label names and values in turn
//
// A row's irregular samples are newer than its value in the column, and in order.
package record

// Types of the WAL frames that hold records. On disk: never change.
const (
	FrameTable  = 1
	FrameScrape = 2
)
