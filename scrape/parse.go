package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"unsafe"

	"github.com/prometheus/prometheus/model/textparse"
)

// read takes in the page at the start of which win stands, with what is there already. An error means that the page's samples must
// not be used, though the table may have learned from it.
func (p *page) read(win *window, contentType string) error {
	media, version := mediaType(contentType, p.set.parser.FallbackContentType)
	convert := p.set.parser.ConvertClassicHistogramsToNHCB
	switch {
	case media == "text/plain" && !convert:
		return p.finish(p.walk(win, false))
	case media == "application/openmetrics-text" && version != "2.0.0" && !convert:
		return p.finish(p.walk(win, true))
	case media == "application/vnd.google.protobuf":
		p.format = formatProtobuf
		return p.finish(p.families(win))
	}
	if parser, err := textparse.New(nil, contentType, nil, p.set.parser); parser == nil {
		return err
	}
	i, err := win.rest(headroom)
	if err != nil {
		return err
	}
	body := win.buf[i:len(win.buf):len(win.buf)]
	if err := p.convertible(body, media); err != nil {
		return err
	}
	parser, _ := textparse.New(body, contentType, nil, p.set.parser)
	return p.finish(p.located(p.entries(parser, win), win, i, 0))
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

// convertible demands that no series of a page of text is longer than a line may be, for the parser that converts histograms builds
// their labels by itself. Only a page that is as large can have one: label values can have line breaks.
func (p *page) convertible(body []byte, media string) error {
	if len(body) <= maxText || media != "text/plain" {
		return nil
	}
	parser := textparse.NewPromParser(body, nil, false)
	for {
		entry, err := parser.Next()
		if err != nil {
			return nil //nolint:nilerr // the other parser tells what is wrong
		}
		if entry != textparse.EntrySeries {
			continue
		}
		if series, _, _ := parser.Series(); len(series) > maxText {
			return sizeError{what: "a series", bytes: int64(len(series)), limit: maxText}
		}
	}
}

// mediaType tells what textparse.New would take a page of this Content-Type for, "" for nothing that it can read.
func mediaType(contentType, fallback string) (media, version string) {
	media, params, err := mime.ParseMediaType(contentType)
	if err == nil {
		version = params["version"]
		switch media {
		case "application/openmetrics-text":
			if version == "2.0.0" {
				break // experimental, and off in Prometheus too
			}
			return media, version
		case "application/vnd.google.protobuf", "text/plain":
			return media, version
		}
	}
	return fallback, ""
}

// finish returns the error of a page that was read as far as err.
func (p *page) finish(err error) error {
	if err == nil && p.limitErr != nil {
		err = sampleLimitError{p.set.job.Owner.Key("sample_limit"), p.set.sampleLimit, p.attempts}
	}
	if err == nil {
		err = p.bucketErr
	}
	return err
}

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
			if int64(len(series)) > win.longest && p.format != formatProtobuf {
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
