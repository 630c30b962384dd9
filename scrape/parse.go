package scrape

import (
	"bytes"
	"errors"
	"io"
	"mime"

	"github.com/prometheus/prometheus/model/textparse"
)

// read takes in the page that stands in buf between headroom bytes and a line break. An error means
// that the page's samples must not be used, though the table may have learned from it.
func (p *page) read(buf []byte, contentType string) error {
	body := buf[headroom : len(buf)-1]
	media, version := mediaType(contentType, p.set.parser.FallbackContentType)
	// What textparse makes of a NUL byte depends on what stands before it, so a page with one is left to it.
	if !p.set.parser.ConvertClassicHistogramsToNHCB && bytes.IndexByte(body, 0) < 0 {
		switch {
		case media == "text/plain":
			return p.finish(p.walk(buf, false))
		case media == "application/openmetrics-text" && version != "2.0.0":
			return p.finish(p.walk(buf, true))
		}
	}
	if media == "application/vnd.google.protobuf" {
		p.format = formatProtobuf
	}
	parser, err := textparse.New(body[:len(body):len(body)], contentType, nil, p.set.parser)
	if parser == nil {
		return err
	}
	return p.finish(p.entries(parser))
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
	if err == nil {
		err = p.limitErr
	}
	if err == nil {
		err = p.bucketErr
	}
	return err
}

// entries reads a page that is not walked.
func (p *page) entries(parser textparse.Parser) error {
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch entry {
		case textparse.EntryType:
			name, typ := parser.Type()
			p.meta(metaType, name, typ, nil)
		case textparse.EntryHelp:
			name, help := parser.Help()
			p.meta(metaHelp, name, "", help)
		case textparse.EntryUnit:
			name, unit := parser.Unit()
			p.meta(metaUnit, name, "", unit)
		case textparse.EntrySeries:
			series, stamp, v := parser.Series()
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
