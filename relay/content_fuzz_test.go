package relay

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// wellFormed reports whether a message has no reference that leads nowhere, and only whole labels: requests are of this process.
func wellFormed(body []byte, version int) bool {
	if version == version1 {
		return true
	}
	var m writev2.Request
	if m.Unmarshal(body) != nil {
		return true // which content finds out
	}
	refs := []uint32{}
	for _, t := range m.Timeseries {
		refs = append(append(refs, t.LabelsRefs...), t.Metadata.HelpRef, t.Metadata.UnitRef)
		parity := len(t.LabelsRefs)
		for _, e := range t.Exemplars {
			refs, parity = append(refs, e.LabelsRefs...), parity|len(e.LabelsRefs)
		}
		if parity%2 != 0 || t.Metadata.Type < 0 || t.Metadata.Type > 127 {
			return false
		}
	}
	return !slices.ContainsFunc(refs, func(r uint32) bool { return int(r) >= len(m.Symbols) })
}

// FuzzContent reads any message whose references lead somewhere. Decoding, encoding and decoding again gives the same series.
func FuzzContent(f *testing.F) {
	m := &maker{rand.New(rand.NewPCG(1, 8)), f}
	for range 10 {
		for _, version := range []int{version1, version2} {
			body, err := snappy.Decode(nil, encode(m.series(4), version).payload)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body, version == version2)
		}
	}
	meta := prompb.WriteRequest{Metadata: []prompb.MetricMetadata{{MetricFamilyName: "a"}}}
	body, err := meta.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body, false)
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		version := version1
		if second {
			version = version2
		}
		if !wellFormed(body, version) {
			return
		}
		ts, err := (&request{version: version, payload: snappy.Encode(nil, body)}).content()
		if err != nil {
			return
		}
		ts = slices.DeleteFunc(ts, func(s *timeSeries) bool { return s.samples() == 0 }) // exemplars need samples
		back := mustRead(t, encode(ts, version))
		if got, want := text(back, version), text(ts, version); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	})
}
