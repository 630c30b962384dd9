package relay

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/value"

	"promrelay/config"
	"promrelay/record"
)

// encode adds the rows of a block to the batches of their shards. False: ctx has ended.
func (p *packer) encode(ctx context.Context, b *block) bool {
	v := p.catalog.of(b.table)
	rows := v.rows(b.table)
	s := &b.scrape
	p.irregular = append(p.irregular[:0], s.Irregular...)
	slices.SortStableFunc(p.irregular, func(a, b record.Irregular) int { return cmp.Compare(a.Row, b.Row) })
	irregular := p.irregular
	oldest, limit := oldestSent(p.cfg, time.Now()), p.sender.size.samples()
	again := p.ahead != nil && b.start.Before(p.ahead.upTo)
	p.cursor.Reset(rows)
	for row := 0; row < len(s.Values) && p.cursor.Next(); row++ {
		n := 0
		for n < len(irregular) && int(irregular[n].Row) == row {
			n++
		}
		if n == 0 && !s.Present.Has(row) {
			continue
		}
		if again && !p.ahead.has(p.catalog.seriesID(p.catalog.series(v, rows, &p.cursor)), b.start) {
			irregular = irregular[n:]
			continue
		}
		p.collect(b, row, irregular[:n], oldest)
		irregular = irregular[n:]
		point := &p.point
		if len(point.samples) == 0 && len(point.histograms) == 0 {
			continue
		}
		point.labels = p.catalog.series(v, rows, &p.cursor)
		if len(point.labels) == 0 {
			p.metrics.dropped.WithLabelValues(dropRelabel).Add(float64(len(point.samples) + len(point.histograms)))
			continue
		}
		if m := p.catalog.describe(v, b.table, row); p.cfg.MetadataConfig.Send {
			point.typ, point.help, point.unit = m.typ, m.help, m.unit
		}
		to := p.shards[0]
		if len(p.shards) > 1 {
			to = p.shards[p.catalog.rowHash(v, row, point.labels)%uint32(len(p.shards))]
		}
		if to.batch.empty() {
			p.open(to, b)
		}
		to.batch.add(point)
		if to.batch.all() >= limit || len(to.batch.body) >= maxBody {
			if !p.flush(ctx, to) {
				return false
			}
		}
	}
	return true
}

// collect sets p.point to the samples of a row.
func (p *packer) collect(b *block, row int, irregular []record.Irregular, oldest int64) {
	point, s := &p.point, &b.scrape
	point.samples, point.histograms, point.exemplars = point.samples[:0], point.histograms[:0], point.exemplars[:0]
	old := 0
	if s.Present.Has(row) {
		ms := s.Time
		if len(s.Times) > 0 {
			ms = s.Times[row]
		}
		start := b.table.Start(uint32(row))
		if isStale(s.Values[row]) {
			start = 0
		}
		if ms >= oldest {
			point.samples = append(point.samples, sample{s.Values[row], ms, start})
		} else {
			old++
		}
	}
	for _, e := range irregular {
		switch {
		case e.Kind == record.Exemplar:
			if sends(p.version, p.cfg.Exemplars) {
				point.exemplars = append(point.exemplars, e)
			} else if p.cfg.Exemplars == nil {
				p.metrics.droppedExemplars.WithLabelValues(dropVersion).Inc()
			}
		case e.Time < oldest:
			old++
		case e.Kind == record.Sample:
			point.samples = append(point.samples, sample{e.Value, e.Time, e.Start})
		case sends(p.version, p.cfg.NativeHistograms):
			point.histograms = append(point.histograms, e)
		default:
			p.metrics.dropped.WithLabelValues(dropHistogram).Inc()
		}
	}
	if old > 0 {
		p.metrics.dropped.WithLabelValues(dropOld).Add(float64(old))
	}
}

// oldestSent returns the timestamp of the oldest samples that are still sent, in milliseconds since the epoch.
func oldestSent(cfg config.Destination, now time.Time) int64 {
	if limit := time.Duration(cfg.QueueConfig.SampleAgeLimit); limit > 0 {
		return now.Add(-limit).UnixMilli()
	}
	return math.MinInt64
}

// sends reports whether an optional kind of data is sent in a version. If the configuration leaves that open, only 2.0 carries it.
func sends(version int, configured *bool) bool {
	if configured != nil {
		return *configured
	}
	return version == version2
}

func isStale(v float64) bool { return math.Float64bits(v) == value.StaleNaN }
