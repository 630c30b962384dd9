package relay

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/klauspost/compress/snappy"
	"go.uber.org/zap"
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

// metadataTries is how often a request with metadata is sent where it is not taken. The next ones tell the same.
const metadataTries = 3

// metadataLine sends the metadata of remote write 1.0, which has requests of its own for it, beside the samples: whatever the receiver
// makes of it, they do not wait.
type metadataLine struct {
	d     *destination
	queue chan map[string]family
}

func newMetadataLine(d *destination) *metadataLine {
	return &metadataLine{d: d, queue: make(chan map[string]family)}
}

// offer hands over what the segment at hand knows of families. False: the line is busy, or there is nothing.
func (l *metadataLine) offer(families map[string]family) bool {
	if len(families) == 0 {
		return false
	}
	select {
	case l.queue <- maps.Clone(families):
		return true
	default:
		return false
	}
}

// run sends what is offered until ctx ends.
func (l *metadataLine) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case families := <-l.queue:
			for _, r := range metadataRequests(families, l.d.cfg.MetadataConfig.MaxSamplesPerSend) {
				if err := l.send(ctx, r); err != nil && ctx.Err() == nil {
					l.d.metrics.metadataFailures.Inc()
					l.d.log.Debug("the destination does not take metadata", zap.Error(err))
				}
			}
		}
	}
}

func (l *metadataLine) send(ctx context.Context, r *request) (err error) {
	q := l.d.cfg.QueueConfig
	b := backoff{min: time.Duration(q.MinBackoff), max: time.Duration(q.MaxBackoff)}
	for attempt := range metadataTries {
		a := l.d.client.post(ctx, r, attempt)
		l.d.metrics.request(a)
		l.d.metrics.bytes.Add(float64(len(r.payload)))
		if a.ok() {
			return nil
		}
		if err = fmt.Errorf("after %d tries: %w", attempt+1, a.problem()); a.status != 0 && !later(a, l.d.knows()) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(b.pause(a.retryAfter)):
		}
	}
	return err
}

// metadataRequests makes requests of at most so many families.
func metadataRequests(families map[string]family, most int) (out []*request) {
	var body []byte
	n := 0
	seal := func() {
		if n > 0 {
			out = append(out, &request{version: version1, payload: snappy.Encode(nil, body), size: len(body)})
			body, n = body[:0], 0
		}
	}
	for name, f := range families {
		m := appendInt(nil, 0x08, int64(f.typ))
		m = appendBytes(m, 0x12, []byte(name))
		m = appendBytes(m, 0x22, []byte(f.help))
		m = appendBytes(m, 0x2a, []byte(f.unit))
		body = appendBytes(body, 0x1a, m)
		if n++; n >= most {
			seal()
		}
	}
	seal()
	return out
}
