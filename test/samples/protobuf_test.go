package samples

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// writeProtobuf makes families of the page, as client_golang would: without what only text can have.
func (g *generator) writeProtobuf() string {
	var out bytes.Buffer
	for _, f := range g.page {
		m := &dto.MetricFamily{Name: proto.String(f.name), Help: proto.String(f.help)}
		if f.unit != "" {
			m.Unit = proto.String(f.unit)
		}
		typ := dto.MetricType_UNTYPED
		switch f.typ {
		case "counter":
			typ = dto.MetricType_COUNTER
		case "gauge":
			typ = dto.MetricType_GAUGE
		case "histogram":
			typ = dto.MetricType_HISTOGRAM
			if len(f.help) == 0 {
				typ = dto.MetricType_GAUGE_HISTOGRAM
			}
		case "summary":
			typ = dto.MetricType_SUMMARY
		}
		m.Type = &typ
		for _, l := range f.lines {
			if g.has(l) {
				m.Metric = append(m.Metric, g.metric(typ, l))
			}
		}
		b, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		out.Write(binary.AppendUvarint(nil, uint64(len(b))))
		out.Write(b)
	}
	return out.String()
}

func (g *generator) metric(typ dto.MetricType, l *pageLine) *dto.Metric {
	v, _ := strconv.ParseFloat(g.valueOf(l), 64)
	metric := &dto.Metric{}
	for _, p := range l.pairs {
		histogram := typ == dto.MetricType_HISTOGRAM || typ == dto.MetricType_GAUGE_HISTOGRAM
		if p.name == "le" && histogram || p.name == "quantile" && typ == dto.MetricType_SUMMARY {
			continue
		}
		metric.Label = append(metric.Label, &dto.LabelPair{Name: proto.String(p.name), Value: proto.String(p.value)})
	}
	if l.stamp <= g.now && l.upper { // sorts before the name
		metric.Label = append(metric.Label, &dto.LabelPair{Name: proto.String("Upper"), Value: proto.String("case")})
	}
	if l.stamp != 0 {
		metric.TimestampMs = proto.Int64(l.stamp)
	}
	created := timestamppb.New(time.UnixMilli(g.epoch + l.created*1000))
	if g.chance(2) {
		created = nil
	}
	ex := l.exemplar.proto()
	switch typ {
	case dto.MetricType_COUNTER:
		metric.Counter = &dto.Counter{Value: &v, Exemplar: ex, CreatedTimestamp: created}
	case dto.MetricType_GAUGE:
		metric.Gauge = &dto.Gauge{Value: &v}
	case dto.MetricType_SUMMARY:
		metric.Summary = &dto.Summary{SampleCount: proto.Uint64(7), SampleSum: &v, CreatedTimestamp: created, Quantile: []*dto.Quantile{{Quantile: proto.Float64(0.5), Value: &v}, {Quantile: proto.Float64(1), Value: &v}}}
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		metric.Histogram = g.histogram(l, ex)
		metric.Histogram.CreatedTimestamp = created
	default:
		metric.Untyped = &dto.Untyped{Value: &v}
	}
	return metric
}

// proto is the exemplar as protobuf has it, nil for none.
func (e *pageExemplar) proto() *dto.Exemplar {
	if e == nil {
		return nil
	}
	v, _ := strconv.ParseFloat(e.value, 64)
	out := &dto.Exemplar{Value: &v}
	for _, p := range e.pairs {
		out.Label = append(out.Label, &dto.LabelPair{Name: proto.String(p.name), Value: proto.String(p.value)})
	}
	if e.ms != 0 {
		out.Timestamp = timestamppb.New(time.UnixMilli(e.ms))
	}
	return out
}

func (g *generator) histogram(l *pageLine, ex *dto.Exemplar) *dto.Histogram {
	if l.native != nil && g.chance(50) {
		return proto.CloneOf(l.native)
	}
	h := &dto.Histogram{SampleSum: proto.Float64(g.NormFloat64())}
	if g.chance(3) {
		h.SampleSum = proto.Float64(pick(g, math.NaN(), math.Inf(1), math.Inf(-1)))
		g.seen.add("native histograms: sums of NaN and Inf")
	}
	n := uint64(0)
	switch {
	case l.classic != nil:
		h.SampleSum = &l.classic.sum
		for i, count := range l.classic.counts {
			n += count
			bound, _ := strconv.ParseFloat(bounds[i], 64)
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: proto.Uint64(n), UpperBound: &bound, Exemplar: ex})
			ex = nil
		}
	case g.chance(60):
		g.seen.add("classic histograms in protobuf")
		for i := range 3 {
			n += uint64(g.IntN(5))
			h.Bucket = append(h.Bucket, &dto.Bucket{CumulativeCount: proto.Uint64(n), UpperBound: proto.Float64(float64(i + 1)), Exemplar: ex})
			ex = nil
		}
	}
	if g.chance(70) {
		g.seen.add("native histograms in protobuf")
		if g.chance(15) {
			g.floatBuckets(h)
		} else {
			n = g.intBuckets(h)
		}
		if ex != nil {
			h.Exemplars = append(h.Exemplars, ex)
			if g.chance(30) { // the parser puts them in order
				older := proto.CloneOf(ex)
				older.Timestamp = timestamppb.New(time.UnixMilli(g.now - 5))
				h.Exemplars = append(h.Exemplars, older)
			}
		}
		if g.chance(3) {
			n++ // does not add up
		}
	}
	h.SampleCount = proto.Uint64(n)
	if h.ZeroCountFloat != nil {
		h.SampleCount = nil
	}
	l.native = h
	return h
}

// schema draws the resolution of a native histogram.
func (g *generator) schema() int32 {
	switch n := g.IntN(400); {
	case n == 0:
		g.seen.add("native histograms: schemas that are not known")
		return pick[int32](g, -5, -53, 53)
	case n < 60:
		return -4 // cannot be reduced
	case n < 72:
		g.seen.add("native histograms: schemas that are always reduced")
		return int32(9 + g.IntN(44))
	}
	return int32(g.IntN(13) - 4)
}

// intBuckets gives h native buckets, and returns how many observations are in them.
func (g *generator) intBuckets(h *dto.Histogram) (n uint64) {
	h.Schema = proto.Int32(g.schema())
	h.ZeroThreshold = proto.Float64(1e-10)
	zero := uint64(g.IntN(3))
	h.ZeroCount = &zero
	n = zero
	deltas := func(buckets uint32) (out []int64) {
		count := int64(0)
		for range buckets {
			next := int64(g.IntN(9))
			out = append(out, next-count)
			count = next
			n += uint64(next)
		}
		return out
	}
	h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(int32(g.IntN(5) - 2)), Length: proto.Uint32(3)}, {Offset: proto.Int32(2), Length: proto.Uint32(uint32(1 + g.IntN(8)))}}
	h.PositiveDelta = deltas(3 + h.PositiveSpan[1].GetLength())
	if g.chance(30) {
		h.NegativeSpan = []*dto.BucketSpan{{Offset: proto.Int32(1), Length: proto.Uint32(uint32(1 + g.IntN(3)))}}
		h.NegativeDelta = deltas(h.NegativeSpan[0].GetLength())
	}
	return n
}

func (g *generator) floatBuckets(h *dto.Histogram) {
	h.Schema = proto.Int32(g.schema())
	h.ZeroThreshold = proto.Float64(0.5)
	h.ZeroCountFloat = proto.Float64(g.Float64())
	h.SampleCountFloat = proto.Float64(h.GetZeroCountFloat())
	h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(uint32(1 + g.IntN(4)))}}
	for range h.PositiveSpan[0].GetLength() {
		v := g.Float64()
		h.PositiveCount = append(h.PositiveCount, v)
		*h.SampleCountFloat += v
	}
}
