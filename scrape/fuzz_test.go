package scrape

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/common/model"

	"promrelay/record"
	"promrelay/scrape/order"
	"promrelay/targets"
)

// FuzzPage: no page panics, and it does not matter in which pieces it comes: what is read is the
// same, error or not, and what the log gets of it can be read.
func FuzzPage(f *testing.F) {
	for contentType, page := range map[string]string{typeText: benchPage(30, 0, " 1000", ""), typeOpenMetrics: benchPage(30, 0, "", "# EOF\n"), typeProtobuf: benchProtobuf(40, 0)} {
		for i := range 8 {
			f.Add(page, page[i*len(page)/9:], slices.Index(fuzzTypes, contentType), uint8(i), i)
		}
	}
	for i, page := range []string{
		"m{l=\"two\nlines\"} 1\nn 1\n", "# TYPE m histogram\nm_bucket{le=\"1\"} 1\nm_sum 1 # {a=\"b\"} 1\n# EOF", "a 1\n  \n\t\nb 2 x\n", "a 1\x00\nb 2\n", "# HELP a \x00",
		"m 1 # EOF\n# EOF\nm 2\n", "\x00\x00\x00\x05\x0a\x01m\x18\x01", "\xff\xff\xff\xff\x0f", "m 1  2\n# HELP m x\n# EOF\n",
	} {
		for kind := range fuzzTypes {
			f.Add(page, "a 1\n"+page, kind, uint8(i), i%5)
		}
	}
	f.Fuzz(func(t *testing.T, first, second string, kind int, settings uint8, piece int) {
		contentType := fuzzTypes[uint(kind)%uint(len(fuzzTypes))]
		read := func(room int, pieces func(io.Reader) io.Reader) (out []string) {
			tab, p := newTable(order.New()), new(page)
			tab.rows = record.NewTable(1)
			set := fuzzPageSettings(settings)
			for i, body := range []string{first, second, first} {
				win := newWindow(pieces(bytes.NewReader([]byte(body))))
				if room > 0 {
					win.minRead, win.buf = 8, make([]byte, headroom, headroom+room)
				}
				if win.maxLine = 1 << 10; settings&128 != 0 {
					win.maxLine = maxText
				}
				p.reset(tab, set, int64(i+1)*1000)
				p.maxTime = math.MaxInt64
				text := "empty"
				_, err := win.fill(headroom)
				if err == nil && win.size > 0 {
					if err = p.read(win, contentType); err != nil {
						text, _, _ = strings.Cut(err.Error(), ":") // where it is; a cut of the page may be another reason not to go on
					}
				}
				win.drain()
				if win.err != nil {
					t.Fatal(win.err)
				}
				p.conclude(err == nil && win.size > 0, err != nil)
				p.widen()
				out = append(out, text, string(record.AppendScrape(nil, tab.rows, &p.out)))
				win.free()
				tab.sweep()
			}
			table := tab.rows.AppendFull(nil, nil, nil)
			var tables record.Tables
			if _, err := tables.Apply(table); err != nil {
				t.Error(err)
			}
			return append(out, string(table))
		}
		whole := read(0, func(r io.Reader) io.Reader { return r })
		for _, pieces := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader, iotest.HalfReader} {
			if inPieces := read(16+int(uint(piece)%512), pieces); !slices.Equal(whole, inPieces) {
				t.Errorf("whole %q\nin pieces %q", whole, inPieces)
			}
		}
	})
}

var fuzzTypes = []string{typeText, typeOpenMetrics, typeProtobuf, "text/plain", "application/openmetrics-text; version=0.0.1"}

func fuzzPageSettings(bits uint8) *settings {
	s := &settings{
		job: &targets.Job{}, honorTimestamps: bits&1 != 0, trackTimestampsStaleness: bits&2 != 0, maxSchema: 8, scheme: model.UTF8Validation,
	}
	if bits&4 != 0 {
		s.sampleLimit = 5
	}
	if bits&8 != 0 {
		s.bucketLimit = 4
	}
	s.parser.IgnoreNativeHistograms = bits&16 != 0
	s.parser.ConvertClassicHistogramsToNHCB = bits&32 != 0
	s.parser.KeepClassicOnClassicAndNativeHistograms = bits&64 != 0
	return s
}
