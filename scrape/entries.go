package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/prometheus/prometheus/model/textparse"
)

// askEvery is after how many entries the memory is asked for that they took.
const askEvery = 256

// entries reads what is not walked of a page.
func (p *page) entries(parser textparse.Parser, win *window) error {
	for n := 1; ; n++ {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n%askEvery == 0 || entry == textparse.EntryHelp {
			if err := win.ask(); err != nil {
				return err
			}
		}
		switch entry {
		case textparse.EntryType:
			name, typ := parser.Type()
			p.meta(metaType, name, typ, nil)
		case textparse.EntryHelp:
			p.helps++
			name, help := parser.Help()
			p.meta(metaHelp, name, "", help)
		case textparse.EntryUnit:
			name, unit := parser.Unit()
			p.meta(metaUnit, name, "", unit)
		case textparse.EntrySeries:
			series, stamp, v := parser.Series()
			if int64(len(series)) > win.maxLine && p.format != formatProtobuf {
				return win.tooLarge("a series", len(series))
			}
			p.lastText = series
			err = p.sample(series, stamp, sampleValue{v: v}, parser)
		case textparse.EntryHistogram:
			series, stamp, h, fh := parser.Histogram()
			err = p.sample(series, stamp, sampleValue{histogram: true, int: h, float: fh}, parser)
		}
		if err != nil {
			return err
		}
	}
}

// located tells where in a page of text an error is that entries met, as far as that is known: behind the line of the last sample.
// Before the page from i on stood so many lines.
func (p *page) located(err error, win *window, i, before int) error {
	if err == nil || win.err != nil {
		return err
	}
	end := i
	if n := len(p.lastText); n > 0 {
		at := int(uintptr(unsafe.Pointer(unsafe.SliceData(p.lastText))) - uintptr(unsafe.Pointer(unsafe.SliceData(win.buf))))
		if at >= i && at+n <= len(win.buf) { // else it is of the parser
			end = at + n
			before++
		}
	}
	return pageError{fmt.Sprintf("after line %d", before+bytes.Count(win.buf[i:end], []byte{'\n'})), err}
}
