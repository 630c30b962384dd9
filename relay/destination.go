package relay

import (
	"context"
	"time"

	"go.uber.org/zap"

	"promrelay/config"
	"promrelay/wal"
)

// destination sends the log to one receiver:
//
//	log ──► packer ──requests──► shards ──► sender ◄──────► receiver
//	           ▲                              │  ▲
//	           │ number of shards,    refused │  │ parts of
//	           │ speed of a backlog  requests │  │ these
//	           │                              ▼  │
//	        governor ◄── load, retries ───── splitter
//
// One goroutine, pump, uses packer and governor. The packer chooses the shard by the hash of the labels. Each shard has a goroutine
// that uses sender, so that the samples of one series are sent one after the other. The splitter has workers that use sender.
//
// Progress knows how far the log was read and which requests are not finished. Progress and the samples that the splitter holds
// determine the position that is acknowledged to the log. One more goroutine sends the metadata of remote write 1.0. Another one
// writes the record of what was delivered ahead of the position.
type destination struct {
	log      *zap.Logger
	wal      *wal.WAL
	position *wal.Destination // the acknowledged one, and the data stored with it
	metrics  *destinationMetrics
	url      string          // without what may be secret
	quit     <-chan struct{} // closed when the destination must end after the requests under way; set before run
	fail     func(error)     // ends the destination; set by run before it starts a goroutine

	packer   *packer
	governor *governor
	progress *progress
	sender   *sender
	splitter *splitter
	metadata *metadataSender
	ahead    *aheadStore
}

// newDestination makes the only destination of the settings, with its client.
func (r *Relay) newDestination(s Settings, c *client) (*destination, error) {
	cfg := s.Destinations[0]
	position, err := r.wal.Destination(cfg.ID())
	if err != nil {
		return nil, err
	}
	log := r.log.With(zap.String("destination", position.Label()))
	d := &destination{
		log: log, wal: r.wal, position: position, metrics: r.metrics.of(position.Label()), url: shown(cfg.URL.String()),
	}
	d.governor = newGovernor(cfg.QueueConfig, s.Relay.DrainFactor, r.pace.review)
	d.sender = &sender{
		cfg: cfg, relay: s.Relay, hold: r.pace.hold, log: log, metrics: d.metrics, report: newReporter(log), client: c, governor: d.governor,
		name: position.Label(), taps: &r.taps,
		dialect: newDialect(d.url, cfg.Negotiate, configuredVersion(cfg), position.Note(), position.SetNote),
		breaker: newBreaker(cfg.QueueConfig.MinShards), size: newRequestSize(cfg.QueueConfig.MaxSamplesPerSend),
	}
	d.splitter = newSplitter(d.sender)
	d.progress = &progress{position: position, splitter: d.splitter}
	d.sender.splitter, d.sender.progress = d.splitter, d.progress
	d.metadata = newMetadataSender(d.sender, r.pace.metadata)
	d.packer = newPacker(d, newCatalog(s.ExternalLabels, cfg.WriteRelabelConfigs), &source{feed: r.feed}, r.drain)
	d.ahead = &aheadStore{log: log, position: position, settings: labelSettings(d.packer.catalog.external, cfg.WriteRelabelConfigs)}
	return d, nil
}

// configuredVersion returns the version that the configuration names, or 2.0 if it leaves the version open.
func configuredVersion(cfg config.Destination) int {
	if !cfg.Negotiate && cfg.ProtobufMessage == "prometheus.WriteRequest" {
		return version1
	}
	return version2
}

// pump reads the log and hands requests to the shards, until the number of shards must change or ctx ends.
func (d *destination) pump(ctx context.Context) (shards int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	p := d.packer
	for ctx.Err() == nil && !closed(d.quit) {
		now := time.Now()
		d.sender.heartbeat.now()
		if d.governor.due(now) {
			if n := d.review(now); n != len(p.shards) {
				return n
			}
		}
		if !p.flushOld(ctx, now) {
			break
		}
		b, wake, err := p.source.next()
		if b != nil {
			p.add(ctx, b)
			continue
		}
		d.progress.acknowledge()
		wait := p.batchWait(now, d.governor.every)
		if err != nil {
			d.log.Error("the log cannot be read", seeOperations, zap.NamedError("err", err))
			wait = time.Second
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		case <-p.draining():
		case <-d.quit:
		}
	}
	return len(p.shards)
}

// review does the periodic work that is due, and returns how many shards there should be.
func (d *destination) review(now time.Time) (shards int) {
	d.sender.report.flush(now)
	d.splitter.prune(now)
	return d.governor.review(now, d.position.Position().Count, d.wal.Head().Count)
}

// closed reports whether a channel is closed. Nothing must ever be sent on it.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
