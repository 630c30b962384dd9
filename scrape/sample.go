package scrape

import (
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

var (
	errSampleLimit = errors.New("sample limit exceeded")
	errNameMissing = fmt.Errorf("missing metric name (%s label)", model.MetricNameLabel)
	errNoHistogram = errors.New("parser returned no histogram for a histogram entry")
	errInvalid     = errors.New("invalid sample")

	// Samples with these errors are counted, and do not end the page.
	errOutOfOrder  = errors.New("out of order sample")
	errRepeated    = errors.New("sample of the same time as the last one")
	errDuplicate   = errors.New("duplicate sample for timestamp")
	errOutOfBounds = errors.New("out of bounds")
	errClock       = errors.New("the clock went back")
)

// sample reads the sample at which parser stands. Text is the parser's name of its series. An error
// ends the page. The checks are in the order of prometheus/scrape over tsdb/agent.
func (p *page) sample(text []byte, stamp *int64, v sampleValue, parser textparse.Parser) error {
	p.total++
	ms, explicit := p.out.Time, false
	if stamp != nil && p.set.honorTimestamps {
		ms, explicit = *stamp, true
	}
	l, known, already := p.find(text)
	if known && l.kind() == lineDropped {
		return nil
	}
	if !known {
		if err := p.series(parser); err != nil {
			return err
		}
		if p.lset.IsEmpty() {
			p.remember(newLine(lineDropped, text, 0))
			return nil
		}
	}
	row, err := l.to, errDuplicate
	if !already || explicit {
		row, err = p.append(row, known, ms, explicit, v, parser)
	}
	if err := p.refused(err); err != nil {
		return err
	}
	if err == nil || errors.Is(err, errRepeated) || known && errors.Is(err, errClock) {
		p.keepAlive(row, explicit)
		if !known {
			p.remember(line{l.hash, l.size, row})
			if p.limitErr == nil && p.bucketErr == nil {
				p.seriesAdded++
			}
		}
	}
	p.added++
	return nil
}

// append puts the sample into the record if it passes all checks. Row is the row of a known series.
// For an unknown series, p.lset has the labels, and append finds its row.
func (p *page) append(row uint32, known bool, ms int64, explicit bool, v sampleValue, parser textparse.Parser) (uint32, error) {
	if v.histogram && v.int == nil && v.float == nil {
		return row, errNoHistogram
	}
	start := p.startOf(parser)
	exemplars := exemplarsOf(parser, v.histogram, ms)
	var entry uint32
	switch {
	case known:
		entry = p.describe(row)
	case p.family >= 0 && !p.belongs(p.lset.Get(model.MetricNameLabel)):
		p.family = -1
	case p.family >= 0:
		entry = p.t.entryOf(p.family)
	}
	if err := v.limit(p.set); err != nil {
		if v.histogram {
			p.buckets = v.buckets()
		}
		return row, err
	}
	if err := p.admit(ms, explicit); err != nil {
		return row, err
	}
	if err := v.validate(); err != nil {
		return row, err
	}
	if !known {
		if err := p.fits(); err != nil {
			return row, err
		}
		var err error
		if row, err = p.rowFor(ms, v.v); err != nil {
			return row, err
		}
	}
	if err := p.follows(row, known, ms); err != nil {
		return row, err
	}
	if entry != 0 && entry != noEntry {
		p.changes.setMeta(p.t, row, entry)
	}
	if !v.histogram {
		p.put(row, ms, start, v.v)
	} else if err := p.putHistogram(row, ms, start, v); err != nil {
		return row, err
	}
	p.putExemplars(row, p.t.slots[row], exemplars)
	return row, nil
}

// follows returns an error if a sample is not newer than the last one of its series. A sample of
// the same time is a repetition: cadvisor shows its last reading until the next one. The repetition
// is not written, but the series goes on, as in Prometheus's TSDB. (In tsdb/agent the series would
// end with each such page.) A series also goes on while the clock is behind.
func (p *page) follows(row uint32, known bool, ms int64) error {
	switch last := p.t.guard.Last(p.t.slots[row]); {
	case ms > last:
		return nil
	case p.behind && ms == p.out.Time:
		return errClock
	case ms == last && known:
		return errRepeated
	}
	return errOutOfOrder
}

// admit does the checks that do not depend on the series of the sample.
func (p *page) admit(ms int64, explicit bool) error {
	if p.set.sampleLimit > 0 {
		if p.attempts++; p.attempts > p.set.sampleLimit {
			return errSampleLimit
		}
	}
	if explicit && ms > p.maxTime {
		return errOutOfBounds
	}
	return nil
}

// refused counts a sample that was not appended, and returns the error if it ends the page.
func (p *page) refused(err error) error {
	switch err {
	case nil:
	case errSampleLimit: //nolint:errorlint // nothing wraps these
		p.limitErr = err
	case errBucketLimit:
		p.bucketErr = bucketLimitError{p.set.job.LimitKey("native_histogram_bucket_limit"), p.set.bucketLimit, p.buckets}
	case errRepeated:
		p.repeated++
	case errOutOfOrder:
		p.outOfOrder++
	case errDuplicate:
		p.duplicates++
	case errOutOfBounds:
		p.outOfBounds++
	case errClock:
		p.clocked++
	default:
		return err
	}
	return nil
}

// rowFor returns the row of the series p.lset. If it has none it gets one, unless a sample of this
// time would not be newer than those of other targets.
func (p *page) rowFor(ms int64, base float64) (uint32, error) {
	if name, dup := p.lset.HasDuplicateLabelNames(); dup {
		return 0, fmt.Errorf("label name %q is not unique: %w", name, errInvalid)
	}
	p.buf = p.lset.Bytes(p.buf[:0])
	slot, shared := p.t.guard.Acquire(p.buf)
	if shared {
		if p.bySlot == nil {
			p.bySlot = make(map[uint32]uint32, len(p.t.slots))
			for row, slot := range p.t.slots {
				p.bySlot[slot] = uint32(row)
			}
		}
		if row, ok := p.bySlot[slot]; ok {
			p.t.guard.Release(slot)
			return row, nil
		}
	}
	last := p.t.guard.Last(slot)
	if last == math.MinInt64 && p.behind && ms == p.out.Time { // the guard may have forgotten it
		last = p.t.guard.Forgotten()
	}
	if ms <= last {
		p.t.guard.Release(slot)
		if p.behind && ms == p.out.Time {
			return 0, errClock
		}
		return 0, errOutOfOrder
	}
	row := p.t.addRow(p.lset, slot, base)
	if p.bySlot != nil {
		p.bySlot[slot] = row
	}
	return row, nil
}

// startOf returns the start timestamp of the sample at which parser stands, 0 for none. In
// OpenMetrics text a start timestamp is a series with the suffix _created. Prometheus treats these
// as samples by default, and so does the relay.
func (p *page) startOf(parser textparse.Parser) int64 {
	if p.format != formatProtobuf {
		return 0
	}
	return parser.StartTimestamp()
}

// series sets p.lset to the labels, after relabelling, of the series at which parser stands. They
// are empty if a rule dropped it.
func (p *page) series(parser textparse.Parser) error {
	parser.Labels(&p.lset)
	if n := p.lset.Len(); n > maxLabels {
		return countError(n)
	}
	if p.builder == nil {
		p.builder = labels.NewBuilder(labels.EmptyLabels())
	}
	size := int(p.lset.ByteSize()) + p.set.size
	p.set.attach(p.builder, p.lset)
	droppedBy, err := p.set.relabel(p.builder, size)
	if err != nil {
		return err
	}
	if droppedBy >= 0 {
		p.t.noteDropped(droppedBy)
		p.lset = labels.EmptyLabels()
		return nil
	}
	p.lset = p.builder.Labels()
	switch {
	case p.lset.IsEmpty():
		return nil
	case !p.lset.Has(model.MetricNameLabel):
		return errNameMissing
	case !p.lset.IsValid(p.set.scheme):
		return fmt.Errorf("invalid metric name or label names: %s", p.lset.String())
	}
	return p.set.checkLimits(p.lset)
}
