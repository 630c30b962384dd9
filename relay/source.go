package relay

import (
	"fmt"

	"promrelay/record"
	"promrelay/wal"
)

// source gives the blocks of the log to one destination: at the head from the feed, else from a separate reader.
type source struct {
	feed     *feed
	pos      wal.Position // the end of the last block that was returned
	attached bool         // to the feed
	at       uint64       // number of the next block there

	reader *wal.Reader // nil while attached
	decoder
	own block
}

func newSource(f *feed, pos wal.Position) *source {
	s := &source{feed: f, decoder: decoder{log: f.log, metrics: f.metrics}}
	s.seek(pos)
	return s
}

// seek continues from pos.
func (s *source) seek(pos wal.Position) {
	s.close()
	s.pos = pos
	s.at, s.attached = s.feed.find(pos)
}

// behind reports whether the source reads the log by itself.
func (s *source) behind() bool { return !s.attached }

// next returns the next block. It is valid until the following call. If there is none yet, next returns a channel that is closed when
// there may be one.
func (s *source) next() (*block, <-chan struct{}, error) {
	if s.attached {
		b, wake, gone := s.feed.get(s.at)
		if b != nil {
			s.at++
			s.pos = b.end
		}
		if !gone {
			return b, wake, nil
		}
		s.attached = false
	}
	if s.reader == nil {
		r, err := s.feed.wal.NewReader(s.pos)
		if err != nil {
			return nil, nil, fmt.Errorf("read the log: %w", err)
		}
		s.reader = r
	}
	for {
		if at, ok := s.feed.find(s.pos); ok { // caught up
			s.close()
			s.at, s.attached = at, true
			return s.next()
		}
		e, ok, err := s.reader.TryNext()
		if err != nil {
			return nil, nil, fmt.Errorf("read the log: %w", err)
		}
		if !ok { // the feed has not read a new block either
			_, wake, _ := s.feed.get(s.feed.end())
			return nil, wake, nil
		}
		got := s.decode(e, &s.own)
		if e.Replay {
			continue
		}
		s.pos = e.End
		if got {
			return &s.own, nil, nil
		}
	}
}

func (s *source) close() {
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
		s.tables, s.segment = record.Tables{}, 0
	}
}
