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

// metadataTries is how often a request with metadata is sent while the receiver fails. The next requests repeat the metadata.
const metadataTries = 3

// family is the metadata of a metric family in remote write 1.0.
type family struct {
	typ        byte
	help, unit string
}

// metadataSender sends the metadata of remote write 1.0, in requests without samples. Samples never wait for these requests, whatever
// the receiver answers.
type metadataSender struct {
	sender *sender
	queue  chan map[string]family
	first  time.Duration // from the start to the first request

	// Only pump uses these.
	families map[string]family // of the segment that is read
	offered  time.Time         // the last time that they were handed over
}

func newMetadataSender(s *sender, first time.Duration) *metadataSender {
	return &metadataSender{sender: s, queue: make(chan map[string]family), first: first}
}

// start schedules the first request.
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

// forget drops the families at the end of a segment: the next segment repeats the metadata that is still valid.
func (m *metadataSender) forget() { m.families = nil }

// offer hands the known families over, if that is due. While an earlier request is under way, it stays due.
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

// send sends a request with metadata. The error says why the receiver does not have it.
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

// metadataRequests returns requests with up to limit families each.
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
