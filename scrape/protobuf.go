package scrape

import (
	"encoding/binary"
	"fmt"

	"github.com/prometheus/prometheus/model/textparse"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// batchBytes is how much of a page a parser gets at a time, in whole families.
	batchBytes = 32 << 10
	// batchFamilies bounds their number: textparse recurses for each empty family, and a stack
	// overflow ends the process.
	batchFamilies = 1000
)

// families reads a page of protobuf, in batches of whole families.
func (p *page) families(win *window) error {
	for at := headroom; ; {
		i, end, err := p.batch(win, at)
		if err != nil && win.err == nil {
			return pageError{fmt.Sprintf("after %d metric families", p.helps), err}
		}
		if err != nil || i == end {
			return err
		}
		o := p.set.parser
		parser := textparse.NewProtobufParser(win.buf[i:end:end], o.IgnoreNativeHistograms, o.KeepClassicOnClassicAndNativeHistograms,
			o.ConvertClassicHistogramsToNHCB, o.EnableTypeAndUnitLabels, nil)
		if err := p.entries(parser, win); err != nil && win.err == nil {
			return pageError{fmt.Sprintf("metric family %d, or the one behind it", p.helps), err}
		} else if err != nil {
			return err
		}
		at = end
	}
}

// batch finds whole families from i on, and returns where they start and end. Both are equal at the
// end of the page. Bytes that are no family are returned as one, so that the parser refuses them.
func (p *page) batch(win *window, i int) (start, end int, err error) {
	end = i
	for n := 0; n < batchFamilies && end-i < batchBytes; n++ {
		at := end - i // reading moves i
		if i, err = win.atLeast(i, at+binary.MaxVarintLen64); err != nil {
			return i, i, err
		}
		end = i + at
		b := win.buf[end:]
		size, prefix := binary.Uvarint(b)
		if len(b) == 0 {
			break
		}
		if prefix <= 0 || prefix > binary.MaxVarintLen32 { // the parser refuses it
			return i, min(end+2*binary.MaxVarintLen64, len(win.buf)), nil
		}
		length := prefix + int(size)
		if n > 0 && length > batchBytes && length > len(b) {
			break // first the whole ones
		}
		if i, err = win.atLeast(i, at+length); err != nil {
			return i, i, err
		}
		end = min(i+at+length, len(win.buf))
		if err := win.family(win.buf[min(i+at+prefix, end):end]); err != nil {
			return i, i, err
		}
	}
	return i, end, nil
}

// familyFields names the fields of a MetricFamily whose length is checked.
var familyFields = map[protowire.Number]string{1: "a metric's name", 2: "the HELP of a metric", 4: "a series", 5: "the unit of a metric"}

// family returns an error if a part of a metric family is longer than a line may be. Other errors
// are left to the parser.
func (w *window) family(b []byte) error {
	if int64(len(b)) <= w.maxLine {
		return nil
	}
	metrics := 0
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return nil
		}
		if what := familyFields[number]; what != "" && typ == protowire.BytesType {
			if int64(n) > w.maxLine {
				return w.tooLarge(what, n)
			}
			metrics++
		}
		b = b[n:]
	}
	if w.check != nil {
		w.err = w.check(cap(w.buf) + 16*metrics) // the parser keeps a reference to each
	}
	return w.err
}
