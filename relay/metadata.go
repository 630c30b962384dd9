package relay

import (
	"context"

	"github.com/klauspost/compress/snappy"
)

// family is what a remote write 1.0 request tells of a metric family.
type family struct {
	typ        byte
	help, unit string
}

// learn takes note of the metadata that a row has.
func (d *destination) learn(m description) {
	if d.families == nil {
		d.families = map[string]family{}
	}
	s := &d.catalog.symbols
	d.families[string(s.Bytes(m.family))] = family{m.typ, string(s.Bytes(m.help)), string(s.Bytes(m.unit))}
}

// tellMetadata sends the metadata of the families that the segment at hand knows: remote write 1.0 has it in requests of
// its own.
func (d *destination) tellMetadata(ctx context.Context, events <-chan event) event {
	var body []byte
	n := 0
	send := func() event {
		r := &request{version: version1, payload: snappy.Encode(nil, body), size: len(body), from: d.read}
		r.metadata = n
		body, n = body[:0], 0
		s := d.shards[0]
		d.mu.Lock()
		if len(s.batch.body) > 0 { // the batch's place is the last one
			s.from = append(s.from[:len(s.from)-1], d.read, s.batch.from)
		} else {
			s.from = append(s.from, d.read)
		}
		d.mu.Unlock()
		return d.enqueue(ctx, events, s, r)
	}
	for name, f := range d.families {
		m := appendInt(nil, 0x08, int64(f.typ))
		m = appendBytes(m, 0x12, []byte(name))
		m = appendBytes(m, 0x22, []byte(f.help))
		m = appendBytes(m, 0x2a, []byte(f.unit))
		body = appendBytes(body, 0x1a, m)
		if n++; n >= d.cfg.MetadataConfig.MaxSamplesPerSend {
			if e := send(); e.outcome != delivered {
				return e
			}
		}
	}
	if n > 0 {
		return send()
	}
	return event{}
}
