package relay

import (
	"sync"

	"promrelay/wal"
)

// progress is how far a destination has come in the log. It knows the position up to which the log was read, and the position of the
// oldest samples of each unfinished request.
type progress struct {
	position *wal.Destination
	splitter *splitter

	mu         sync.Mutex // guards what follows
	read       wal.Position
	unfinished [][]wal.Position // of each shard, the oldest request first; the last one may still be a batch
}

// moveTo records that all samples before a position are in a request or a batch, or were sent.
func (p *progress) moveTo(at wal.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = at
}

// start forgets all requests, and begins with a number of shards without requests.
func (p *progress) start(shards int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unfinished = make([][]wal.Position, shards)
}

// begin records that a shard has a new batch, and the position of its oldest samples.
func (p *progress) begin(shard int, from wal.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unfinished[shard] = append(p.unfinished[shard], from)
}

// finish records that the oldest request of a shard is delivered, or that the splitter has the rest of it.
func (p *progress) finish(shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unfinished[shard] = p.unfinished[shard][1:]
}

// discard records that the batch of a shard is dropped.
func (p *progress) discard(shard int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.unfinished[shard]
	p.unfinished[shard] = of[:len(of)-1]
}

// finished returns a position. All samples before it were delivered, or the splitter has them.
func (p *progress) finished() wal.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.read
	for _, of := range p.unfinished {
		if len(of) > 0 && of[0].Before(at) {
			at = of[0]
		}
	}
	return at
}

// acknowledge moves the acknowledged position forward: all samples before it were delivered.
func (p *progress) acknowledge() {
	at := p.finished()
	// The splitter is asked after finished, since it gets a request before the shard finishes that request.
	if held, ok := p.splitter.oldest(); ok && held.Before(at) {
		at = held
	}
	p.position.Acknowledge(at)
}
