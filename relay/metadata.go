package relay

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/klauspost/compress/snappy"
	"go.uber.org/zap"

	"promrelay/record"
)

// metadataTries is how often a request with metadata is sent where the receiver fails. The next requests say the same.
const metadataTries = 3

// family is what remote write 1.0 says of a metric family.
type family struct {
	typ        byte
	help, unit string
}

// metadataSender sends the metadata of remote write 1.0, which has requests of its own for it. They go beside the samples: whatever
// the receiver answers to metadata, the samples do not wait.
type metadataSender struct {
	sender *sender
	queue  chan map[string]family
	first  time.Duration // from the start to the first request

	// Of pump alone.
	families map[string]family // of the segment that is read
	offered  time.Time         // when they were handed over last
}

func newMetadataSender(s *sender, first time.Duration) *metadataSender {
	return &metadataSender{sender: s, queue: make(chan map[string]family), first: first}
}

// start makes the first request due some time from now.
func (m *metadataSender) start(now time.Time) {
	m.offered = now.Add(m.first - time.Duration(m.sender.cfg.MetadataConfig.SendInterval))
}

// learn adds the metadata that a row has.
func (m *metadataSender) learn(d description, symbols *record.Symbols) {
	if m.families == nil {
		m.families = map[string]family{}
	}
	m.families[string(symbols.Bytes(d.family))] = family{d.typ, string(symbols.Bytes(d.help)), string(symbols.Bytes(d.unit))}
}

// forget is for the end of a segment: the next one has the metadata that still holds.
func (m *metadataSender) forget() { m.families = nil }

// offer hands over what is known of families, if that is due. While an earlier request is under way, it stays due.
func (m *metadataSender) offer(now time.Time) {
	c := m.sender.cfg.MetadataConfig
	if version, _ := m.sender.dialect.inForce(); version != version1 || !c.Send || now.Sub(m.offered) < time.Duration(c.SendInterval) || len(m.families) == 0 {
		return
	}
	select {
	case m.queue <- maps.Clone(m.families):
		m.offered = now
	default:
	}
}

// run sends what is offered until ctx ends.
func (m *metadataSender) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case families := <-m.queue:
			for _, r := range metadataRequests(families, m.sender.cfg.MetadataConfig.MaxSamplesPerSend) {
				if err := m.send(ctx, r); err != nil && ctx.Err() == nil {
					m.sender.metrics.metadataFailures.Inc()
					m.sender.log.Debug("the destination does not accept metadata", zap.NamedError("err", err))
				}
			}
		}
	}
}

// send sends a request with metadata. It returns why the receiver does not have it.
func (m *metadataSender) send(ctx context.Context, r *request) (err error) {
	s := m.sender
	b := s.newBackoff()
	tryUntilDone(ctx, func(ctx context.Context, attempt int) (pause time.Duration, done bool) {
		if attempt == metadataTries {
			return 0, true
		}
		a := s.client.post(ctx, r, attempt)
		s.metrics.request(a)
		s.metrics.bytes.Add(float64(len(r.payload)))
		if a.ok() {
			err = nil
			return 0, true
		}
		err = fmt.Errorf("after %d tries: %w", attempt+1, a.problem())
		return b.pause(a.retryAfter), a.status != 0 && !later(a, s.knows())
	})
	return err
}

// metadataRequests makes requests of up to limit families.
func metadataRequests(families map[string]family, limit int) (out []*request) {
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
		if n++; n >= limit {
			seal()
		}
	}
	seal()
	return out
}
