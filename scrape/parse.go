package scrape

import (
	"mime"

	"github.com/prometheus/prometheus/model/textparse"
)

// read reads the page from the start of win. After an error its samples must not be used. The table
// may have learned from it anyway.
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
		return mediaError{contentType, err}
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

// convertible returns an error if a series of a page of text is longer than a line may be: the
// parser that converts histograms builds labels of them, which must stay below maxText. Only a page
// longer than that can have one.
func (p *page) convertible(body []byte, media string) error {
	if len(body) <= maxText || media != "text/plain" {
		return nil
	}
	parser := textparse.NewPromParser(body, nil, false)
	for {
		entry, err := parser.Next()
		if err != nil {
			return nil //nolint:nilerr // the other parser returns the error
		}
		if entry != textparse.EntrySeries {
			continue
		}
		if series, _, _ := parser.Series(); len(series) > maxText {
			return sizeError{what: "a series", bytes: int64(len(series)), limit: maxText}
		}
	}
}

// mediaType returns the media type by which textparse.New reads a page of this Content-Type, "" if
// it cannot read it.
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

// finish adds the errors of limits to the error of reading a page.
func (p *page) finish(err error) error {
	if err == nil && p.limitErr != nil {
		err = sampleLimitError{p.set.job.LimitKey("sample_limit"), p.set.sampleLimit, p.attempts}
	}
	if err == nil {
		err = p.bucketErr
	}
	return err
}
