package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/prometheus/prometheus/model/textparse"
)

// checkEvery is after how many entries their memory is checked.
const checkEvery = 256

// entries reads the entries of a parser, for pages or parts of pages that are not walked.
func (p *page) entries(parser textparse.Parser, win *window) error {
	for n := 1; ; n++ {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n%checkEvery == 0 || entry == textparse.EntryHelp {
			if err := win.checkMemory(); err != nil {
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

// located adds to an error of entries its place in a page of text, as far as that is known: after
// the line of the last sample. Before is how many lines the page had before i.
func (p *page) located(err error, win *window, i, before int) error {
	if err == nil || win.err != nil {
		return err
	}
	end := i
	if n := len(p.lastText); n > 0 {
		at := int(uintptr(unsafe.Pointer(unsafe.SliceData(p.lastText))) - uintptr(unsafe.Pointer(unsafe.SliceData(win.buf))))
		if at >= i && at+n <= len(win.buf) { // else the parser made it
			end = at + n
			before++
		}
	}
	return pageError{fmt.Sprintf("after line %d", before+bytes.Count(win.buf[i:end], []byte{'\n'})), err}
}
