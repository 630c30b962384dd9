package scrape

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"promrelay/record"
	"promrelay/scrape/order"
)

var (
	errSampleLimit = errors.New("sample limit exceeded")
	errBucketLimit = errors.New("histogram bucket limit exceeded")
	errNameMissing = fmt.Errorf("missing metric name (%s label)", model.MetricNameLabel)
	errNoHistogram = errors.New("parser returned no histogram for a histogram entry")
	errInvalid     = errors.New("invalid sample")

	// These are counted, and do not end a page.
	errOutOfOrder  = errors.New("out of order sample")
	errRepeated    = errors.New("sample of the time of the newest one")
	errDuplicate   = errors.New("duplicate sample for timestamp")
	errOutOfBounds = errors.New("out of bounds")
	errClock       = errors.New("the clock went back")
)

// sampleValue is what a sample is worth: a float, or one of the two kinds of histograms.
type sampleValue struct {
	v         float64
	histogram bool
	int       *histogram.Histogram
	float     *histogram.FloatHistogram
}

// sample takes in the sample at which parser stands; text is what the parser calls its series. An
// error ends the page. The order of the checks is that of prometheus/scrape over tsdb/agent.
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
		p.hold(row, explicit)
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

// append puts the sample into the record, if nothing speaks against it. The row is that of a known
// series; for another, which is p.lset, append finds one.
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
		p.setMeta(row, entry)
	}
	if !v.histogram {
		p.put(row, ms, start, v.v)
	} else if err := p.putHistogram(row, ms, start, v); err != nil {
		return row, err
	}
	p.putExemplars(row, p.t.slots[row], exemplars)
	return row, nil
}

// follows demands that a sample is newer than its series' last one. One that bears the very time of that is the same again: a
// cadvisor shows what it saw until it looks again. It is not written, but the series goes on, as in Prometheus's TSDB (tsdb/agent
// refuses it, and the series would end with each such page). It goes on, too, while the clock is behind.
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

// admit is the part of appending that does not ask which series the sample is of.
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

// refused counts what was not appended, and returns the errors that end the page.
func (p *page) refused(err error) error {
	switch err {
	case nil:
	case errSampleLimit: //nolint:errorlint // nothing wraps these
		p.limitErr = err
	case errBucketLimit:
		p.bucketErr = bucketLimitError{p.set.job.Owner.Key("native_histogram_bucket_limit"), p.set.bucketLimit, p.buckets}
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

// rowFor returns the row that the series p.lset feeds: a new one if it has none, unless a sample of this time
// would not be newer than what other targets gave.
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
	if last == math.MinInt64 && p.behind && ms == p.out.Time { // it may be one that was forgotten
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

// put takes a value of the row into the columns, or beside them if it has one already.
func (p *page) put(row uint32, ms, start int64, v float64) {
	s := &p.out
	r := int(row)
	if r >= len(s.Values) {
		p.widen()
	}
	if s.Present.Has(r) || r>>6 < len(p.odd) && p.odd.Has(r) {
		p.putIrregular(record.Irregular{Kind: record.Sample, Row: row, Time: ms, Start: start, Value: v})
		return
	}
	if ms != s.Time && len(s.Times) == 0 {
		s.Times = grow(s.Times, len(s.Values))
		for i := range s.Times {
			s.Times[i] = s.Time
		}
	}
	if len(s.Times) > 0 {
		s.Times[r] = ms
	}
	p.setStart(row, start)
	s.Present.Set(r)
	s.Values[r] = v
}

// widen makes the columns as long as there are rows, and some more where the table grows.
func (p *page) widen() {
	n := len(p.t.slots)
	p.out.Values = slices.Grow(p.out.Values, n-len(p.out.Values))[:n]
	p.out.Present = p.out.Present.Grow(n)
	if len(p.out.Times) > 0 {
		p.out.Times = slices.Grow(p.out.Times, n-len(p.out.Times))[:n]
	}
}

func (p *page) putIrregular(e record.Irregular) {
	p.odd = p.odd.Grow(len(p.t.slots))
	p.odd.Set(int(e.Row))
	p.out.Irregular = append(p.out.Irregular, e)
}

// hold keeps the row from getting a staleness marker.
func (p *page) hold(row uint32, explicit bool) {
	if !explicit || p.set.trackTimestampsStaleness {
		p.t.current.Set(int(row))
	}
}

func (p *page) putHistogram(row uint32, ms, start int64, v sampleValue) error {
	var m writev2.Histogram
	if v.int != nil {
		m = writev2.FromIntHistogram(0, 0, v.int)
	} else {
		m = writev2.FromFloatHistogram(0, 0, v.float)
	}
	b, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("encode histogram: %w", err)
	}
	p.widen()
	p.putIrregular(record.Irregular{Kind: record.Histogram, Row: row, Time: ms, Start: start, Histogram: b})
	p.extraBytes += len(b)
	return p.fits()
}

// startOf returns the start timestamp of the sample at which parser stands, 0 for none. In OpenMetrics text it
// takes the place of the _created series, which Prometheus by default takes for samples: so do we.
func (p *page) startOf(parser textparse.Parser) int64 {
	if p.format != formatProtobuf {
		return 0
	}
	return parser.StartTimestamp()
}

// exemplarsOf returns the exemplars of the sample at which parser stands, oldest first.
func exemplarsOf(parser textparse.Parser, ofHistogram bool, ms int64) []exemplar.Exemplar {
	var out []exemplar.Exemplar
	var e exemplar.Exemplar
	for parser.Exemplar(&e) {
		if !e.HasTs {
			e.Ts = ms
		}
		if e.HasTs || !ofHistogram { // a native histogram's exemplar without a timestamp could not be told from an older one
			out = append(out, e)
		}
		e = exemplar.Exemplar{}
	}
	slices.SortFunc(out, exemplar.Compare)
	return out
}

// putExemplars takes in the exemplars that are valid and newer than those that the series had.
func (p *page) putExemplars(row, slot uint32, exemplars []exemplar.Exemplar) {
	for _, e := range exemplars {
		ls := e.Labels.WithoutEmpty()
		size := 0
		var strs []string
		ls.Range(func(l labels.Label) {
			size += len([]rune(l.Name)) + len([]rune(l.Value))
			strs = append(strs, l.Name, l.Value)
		})
		if _, dup := ls.HasDuplicateLabelNames(); dup || size > exemplar.ExemplarMaxLabelSetLength {
			continue
		}
		if p.newExemplar(slot, order.Exemplar{Time: e.Ts, Own: e.HasTs, Value: e.Value, Labels: ls.Hash()}) {
			p.extraBytes += size * utf8.UTFMax
			p.out.Irregular = append(p.out.Irregular, record.Irregular{Kind: record.Exemplar, Row: row, Time: e.Ts, Value: e.Value, Labels: strs})
		}
	}
}

// limit reduces a histogram's resolution as the settings demand.
func (v *sampleValue) limit(set *settings) error {
	if !v.histogram {
		return nil
	}
	if set.maxSchema < histogram.ExponentialSchemaMax {
		if v.int != nil && histogram.IsExponentialSchemaReserved(v.int.Schema) && v.int.Schema > set.maxSchema {
			if err := v.int.ReduceResolution(set.maxSchema); err != nil {
				return err
			}
		}
		if v.float != nil && histogram.IsExponentialSchemaReserved(v.float.Schema) && v.float.Schema > set.maxSchema {
			if err := v.float.ReduceResolution(set.maxSchema); err != nil {
				return err
			}
		}
	}
	for set.bucketLimit > 0 && v.buckets() > set.bucketLimit {
		if err := v.halve(); err != nil {
			return err
		}
	}
	return nil
}

func (v *sampleValue) buckets() int {
	if v.int != nil {
		return len(v.int.PositiveBuckets) + len(v.int.NegativeBuckets)
	}
	return len(v.float.PositiveBuckets) + len(v.float.NegativeBuckets)
}

// halve merges the buckets of a histogram in pairs.
func (v *sampleValue) halve() error {
	schema := func(s int32) error {
		if !histogram.IsExponentialSchema(s) || s <= histogram.ExponentialSchemaMin {
			return errBucketLimit
		}
		return nil
	}
	if v.int != nil {
		if err := schema(v.int.Schema); err != nil {
			return err
		}
		return v.int.ReduceResolution(v.int.Schema - 1)
	}
	if err := schema(v.float.Schema); err != nil {
		return err
	}
	return v.float.ReduceResolution(v.float.Schema - 1)
}

func (v *sampleValue) validate() error {
	switch {
	case v.int != nil:
		return v.int.Validate()
	case v.float != nil:
		return v.float.Validate()
	}
	return nil
}
