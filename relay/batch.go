package relay

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/klauspost/compress/snappy"

	"promrelay/record"
	"promrelay/wal"
)

// Versions of remote write.
const (
	version1 = 1
	version2 = 2
)

// batch is a request that is not complete yet. Requests are protobuf messages: prometheus.WriteRequest for 1.0,
// io.prometheus.write.v2.Request for 2.0. This file encodes them by hand: with google.golang.org/protobuf/encoding/protowire,
// BenchmarkEncode is slower by a quarter to a third. A tag such as 0x0a is the number of a field times 8, plus its wire type.
type batch struct {
	version int
	symbols *record.Symbols // of the catalog; the labels are numbers in it

	body []byte // the time series so far

	// 2.0: the symbols that the request uses, in the order of their numbers, and their numbers by symbol. A label value of an exemplar
	// rarely occurs twice, so it is no symbol of the catalog. For such a value, used has its index in others plus ownSymbol.
	used   []uint32
	number []uint32
	others []string
	other  map[string]uint32 // the numbers of others

	message, scratch []byte

	totals
	from   wal.Position // beginning of the oldest block that has samples in the batch
	opened time.Time    // when the first sample came; zero while there is none
}

const ownSymbol = 1 << 31

// totals counts what a request holds.
type totals struct {
	samples, histograms, exemplars int
	oldest, newest                 int64 // timestamps of samples, milliseconds since the epoch
}

func (t *totals) addTime(ms int64) {
	if t.samples+t.histograms == 0 {
		t.oldest, t.newest = ms, ms
	}
	t.oldest, t.newest = min(t.oldest, ms), max(t.newest, ms)
}

func (b *batch) reset() {
	for _, s := range b.used {
		if s < ownSymbol {
			b.number[s] = 0
		}
	}
	b.body, b.used = b.body[:0], b.used[:0]
	b.others = b.others[:0]
	clear(b.other)
	b.totals, b.opened = totals{}, time.Time{}
}

func (b *batch) empty() bool { return len(b.body) == 0 }

// point is one row of a request: its labels, metadata and samples.
type point struct {
	labels     series
	typ        byte // number of the metric type in remote write 2.0
	help       uint32
	unit       uint32
	samples    []sample
	histograms []record.Irregular // histograms
	exemplars  []record.Irregular // exemplars
}

type sample struct {
	value       float64
	time, start int64 // milliseconds since the epoch
}

// add appends the samples of a row in order of time. A page can mix floats and histograms: each run of one kind becomes a separate
// time series. The last one carries the exemplars.
func (b *batch) add(p *point) {
	samples, histograms := p.samples, p.histograms
	for len(samples) > 0 || len(histograms) > 0 {
		n, m := len(samples), len(histograms)
		if n > 0 && m > 0 {
			if samples[0].time < histograms[0].Time {
				n, m = floatsBefore(samples, histograms[0].Time), 0
			} else {
				n, m = 0, histogramsUntil(histograms, samples[0].time)
			}
		}
		b.begin(p)
		for _, s := range samples[:n] {
			b.sample(s)
		}
		for i := range histograms[:m] {
			b.histogram(&histograms[i])
		}
		samples, histograms = samples[n:], histograms[m:]
		if len(samples) == 0 && len(histograms) == 0 {
			b.exemplars(p.exemplars)
		}
		b.end(p)
	}
}

// floatsBefore is how many of s are older than time.
func floatsBefore(s []sample, time int64) (n int) {
	for n < len(s) && s[n].time < time {
		n++
	}
	return n
}

// histogramsUntil is how many of h are not newer than time.
func histogramsUntil(h []record.Irregular, time int64) (n int) {
	for n < len(h) && h[n].Time <= time {
		n++
	}
	return n
}

func (b *batch) begin(p *point) {
	m := b.message[:0]
	if b.version == version2 {
		refs := b.scratch[:0]
		for _, s := range p.labels {
			refs = binary.AppendUvarint(refs, uint64(b.ref(s)))
		}
		b.scratch = refs
		m = appendBytes(m, 0x0a, refs)
	} else {
		for i := 0; i < len(p.labels); i += 2 {
			m = appendLabel(m, b.symbols.Bytes(p.labels[i]), b.symbols.Bytes(p.labels[i+1]))
		}
	}
	b.message = m
}

// ref returns the number of a symbol in the request. The first one used is 1, since 0 is the empty string.
func (b *batch) ref(symbol uint32) uint32 {
	if symbol == 0 {
		return 0
	}
	if int(symbol) >= len(b.number) {
		b.number = append(b.number, make([]uint32, b.symbols.Len()-len(b.number))...)
	}
	n := b.number[symbol]
	if n == 0 {
		if len(b.others) > 0 { // a string that first came with an exemplar may be a symbol by now
			if own, ok := b.other[string(b.symbols.Bytes(symbol))]; ok {
				return own
			}
		}
		b.used = append(b.used, symbol)
		n = uint32(len(b.used))
		b.number[symbol] = n
	}
	return n
}

// ownRef is ref for a string that may be no symbol of the catalog.
func (b *batch) ownRef(s string) uint32 {
	if symbol, ok := b.symbols.Lookup([]byte(s)); ok {
		return b.ref(symbol)
	}
	if n, ok := b.other[s]; ok {
		return n
	}
	if b.other == nil {
		b.other = map[string]uint32{}
	}
	b.used = append(b.used, ownSymbol+uint32(len(b.others)))
	b.others = append(b.others, s)
	b.other[s] = uint32(len(b.used))
	return uint32(len(b.used))
}

func (b *batch) sample(s sample) {
	var buf [32]byte
	m := buf[:0]
	if bits := math.Float64bits(s.value); bits != 0 {
		m = binary.LittleEndian.AppendUint64(append(m, 0x09), bits)
	}
	m = appendInt(m, 0x10, s.time)
	if b.version == version2 {
		m = appendInt(m, 0x18, s.start)
	}
	b.message = appendBytes(b.message, 0x12, m)
	b.addTime(s.time)
	b.samples++
}

func (b *batch) histogram(h *record.Irregular) {
	m := append(b.scratch[:0], h.Histogram...)
	m = appendInt(m, 0x78, h.Time)
	tag := byte(0x22)
	if b.version == version2 {
		tag = 0x1a
		if h.Start != 0 {
			m = binary.AppendUvarint(append(m, 0x88, 0x01), uint64(h.Start))
		}
	}
	b.scratch = m
	b.message = appendBytes(b.message, tag, m)
	b.addTime(h.Time)
	b.histograms++
}

func (b *batch) exemplars(es []record.Irregular) {
	for i := range es {
		m := b.scratch[:0]
		tag := byte(0x1a)
		if b.version == version2 {
			tag = 0x22
			var refs []byte
			for _, l := range es[i].Labels {
				refs = binary.AppendUvarint(refs, uint64(b.ownRef(l)))
			}
			m = appendBytes(m, 0x0a, refs)
		} else {
			for j := 0; j < len(es[i].Labels); j += 2 {
				m = appendLabel(m, []byte(es[i].Labels[j]), []byte(es[i].Labels[j+1]))
			}
		}
		if bits := math.Float64bits(es[i].Value); bits != 0 {
			m = binary.LittleEndian.AppendUint64(append(m, 0x11), bits)
		}
		m = appendInt(m, 0x18, es[i].Time)
		b.scratch = m
		b.message = appendBytes(b.message, tag, m)
		b.totals.exemplars++
	}
}

// end closes the time series.
func (b *batch) end(p *point) {
	tag := byte(0x0a)
	if b.version == version2 {
		tag = 0x2a
		if p.typ != 0 || p.help != 0 || p.unit != 0 {
			var buf [24]byte
			m := appendInt(buf[:0], 0x08, int64(p.typ))
			m = appendInt(m, 0x18, int64(b.ref(p.help)))
			m = appendInt(m, 0x20, int64(b.ref(p.unit)))
			b.message = appendBytes(b.message, 0x2a, m)
		}
	}
	b.body = appendBytes(b.body, tag, b.message)
}

// request is a complete batch.
type request struct {
	version int
	payload []byte // compressed
	size    int    // bytes before compression
	totals
	from wal.Position // beginning of the oldest block that has samples in the request

	omitted totals // left out, since the version of the request cannot carry it
}

// all counts the samples and native histograms.
func (t totals) all() int { return t.samples + t.histograms }

// seal returns the batch as a complete request, and empties the batch.
func (b *batch) seal() *request {
	r := &request{version: b.version, totals: b.totals, from: b.from}
	raw := b.body
	if b.version == version2 {
		raw = append(b.scratch[:0], 0x22, 0)
		for _, s := range b.used {
			if s >= ownSymbol {
				raw = appendBytes(raw, 0x22, []byte(b.others[s-ownSymbol]))
			} else {
				raw = appendBytes(raw, 0x22, b.symbols.Bytes(s))
			}
		}
		raw = append(raw, b.body...)
		b.scratch = raw[:0]
	}
	r.size = len(raw)
	r.payload = snappy.Encode(nil, raw)
	b.reset()
	return r
}

func appendBytes(m []byte, tag byte, b []byte) []byte {
	m = binary.AppendUvarint(append(m, tag), uint64(len(b)))
	return append(m, b...)
}

func appendLabel(m, name, value []byte) []byte {
	n := 2 + uvarintLen(len(name)) + len(name) + uvarintLen(len(value)) + len(value)
	m = binary.AppendUvarint(append(m, 0x0a), uint64(n))
	m = appendBytes(m, 0x0a, name)
	return appendBytes(m, 0x12, value)
}

func uvarintLen(n int) int {
	l := 1
	for ; n >= 0x80; n >>= 7 {
		l++
	}
	return l
}

// appendInt appends a varint field, but not the default 0.
func appendInt(m []byte, tag byte, v int64) []byte {
	if v == 0 {
		return m
	}
	return binary.AppendUvarint(append(m, tag), uint64(v))
}
