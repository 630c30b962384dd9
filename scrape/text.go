package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unsafe"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/textparse"
)

// text is a page of Prometheus or OpenMetrics text, which is compared line by line with the table
// of its target. An expected line of the usual shape needs no parser. textparse reads the other
// lines.
type text struct {
	*page
	win         *window
	buf         []byte // headroom, then whole lines; at the end of the page one more line break, which is not the page's
	end         int    // of the page's bytes in buf
	openMetrics bool
	parser      textparse.Parser // at the next line, nil if there is no parser there
	passed      int              // lines
	left        bool             // textparse reads the rest of the page
}

// walk reads the page from the start of win.
func (p *page) walk(win *window, openMetrics bool) error {
	w := text{page: p, win: win, openMetrics: openMetrics}
	p.format = formatPrometheus
	if openMetrics {
		p.format = formatOpenMetrics
	}
	i, err := w.look(headroom)
	for err == nil {
		if i < w.end || win.eof {
			i, err = w.line(i)
		} else {
			i, err = w.fill(i)
		}
	}
	switch {
	case errors.Is(err, errPageEnds):
		return nil
	case win.err != nil, errors.As(err, new(pageError)):
		return err
	}
	for i < w.end && (w.buf[i] == '\n' || w.buf[i] == ' ' || w.buf[i] == '\t') { // blank lines before the error
		if w.buf[i] == '\n' {
			w.passed++
		}
		i++
	}
	return pageError{fmt.Sprintf("line %d", w.passed+1), err}
}

// errPageEnds means that the page was read to its end.
var errPageEnds = errors.New("the page ends")

// fill reads more of the page, keeps what is there from i on, and returns where that is now.
func (w *text) fill(i int) (int, error) {
	w.parser = nil
	i, err := w.win.fill(i)
	if err != nil {
		return i, err
	}
	return w.look(i)
}

// look finds the whole lines from i on, and reads more of the page until there is one. A page with
// a NUL byte is left to textparse.
func (w *text) look(i int) (int, error) {
	if w.win.nul && !w.left {
		return i, w.leave(i)
	}
	for !w.win.eof {
		if n := bytes.LastIndexByte(w.win.buf[i:], '\n'); n >= 0 {
			w.end = i + n + 1
			w.buf = w.win.buf[:w.end]
			return i, nil
		}
		if int64(len(w.win.buf)-i) > w.win.maxLine {
			return i, w.win.tooLong()
		}
		var err error
		if i, err = w.win.fill(i); err != nil {
			return i, err
		}
		if w.win.nul && !w.left {
			return i, w.leave(i)
		}
	}
	w.end = len(w.win.buf)
	w.buf = append(w.win.buf, '\n')
	return i, nil
}

// leave makes textparse read the page from i on. It is for pages in which the meaning of a line
// depends on others.
func (w *text) leave(i int) error {
	w.parser, w.left = nil, true
	i, err := w.win.rest(i)
	if err != nil {
		return err
	}
	if i, err = w.look(i); err != nil {
		return err
	}
	w.format = formatOther
	w.start(i)
	if err := w.entries(w.parser, w.win); err != nil {
		return w.located(err, w.win, i, w.passed)
	}
	return errPageEnds
}

// line reads the line at i and returns where the next one starts.
func (w *text) line(i int) (int, error) {
	b := w.buf
	if w.openMetrics {
		b = b[:w.end] // a last line without its line break is an error
	}
	if w.next < len(w.t.lines) && w.format == w.t.format && !(w.diverged && w.seen.Has(w.next)) {
		if l := w.t.lines[w.next]; l.isAt(b, i) {
			if j, err := w.expected(l, b, i+l.len()); j > 0 {
				w.parser = nil
				w.passed++
				return j, err
			}
		}
	}
	switch {
	case w.openMetrics:
		if rest := b[min(i, w.end):]; string(rest) == "# EOF\n" || string(rest) == "# EOF" {
			if !w.win.eof {
				return w.fill(i)
			}
			return 0, errPageEnds
		}
	case i >= w.end:
		return 0, errPageEnds
	case b[i] == '\n':
		w.passed++
		return i + 1, nil
	}
	return w.parsed(i)
}

// expected reads the rest of line l from b[i] on, and returns where the next line starts, 0 if
// textparse must read the line.
func (w *text) expected(l line, b []byte, i int) (int, error) {
	switch l.kind() {
	case lineMeta:
		if b[i] != '\n' {
			return 0, nil
		}
		w.advance()
		w.enter(w.t.metas[l.to])
		return i + 1, nil
	case lineComment:
		if b[i] != '\n' {
			return 0, nil
		}
		w.advance()
		return i + 1, nil
	}
	if b[i] != ' ' {
		return 0, nil
	}
	v, i, ok := number(b, i+1)
	if !ok {
		return 0, nil
	}
	ms, explicit := w.out.Time, false
	if b[i] == ' ' {
		stamp, j, ok := w.stamp(b, i+1)
		if !ok {
			return 0, nil
		}
		i = j
		if w.set.honorTimestamps {
			ms, explicit = stamp, true
		}
	}
	w.advance()
	w.total++
	w.walked++
	if l.kind() == lineDropped {
		return i + 1, nil
	}
	row := l.to
	entry := w.describe(row)
	err := w.admit(ms, explicit)
	if err == nil {
		err = w.follows(row, true, ms)
	}
	switch err {
	case nil:
		if entry != 0 {
			w.changes.setMeta(w.t, row, entry)
		}
		w.put(row, ms, 0, v)
		w.keepAlive(row, explicit)
	case errRepeated: //nolint:errorlint // nothing wraps it
		w.keepAlive(row, explicit)
		w.repeated++
	case errClock:
		w.keepAlive(row, explicit)
		w.clocked++
	default:
		if err := w.refused(err); err != nil {
			return i, err
		}
	}
	w.added++
	return i + 1, nil
}

// stamp reads the timestamp at the end of a line.
func (w *text) stamp(b []byte, i int) (ms int64, end int, ok bool) {
	if !w.openMetrics {
		return milliseconds(b, i)
	}
	v, end, ok := number(b, i)
	if !ok || b[end] != '\n' || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, 0, false
	}
	return int64(v * 1000), end, true
}

// parsed makes textparse read the next entry, at i or after blank lines.
func (w *text) parsed(i int) (int, error) {
	if n := bytes.IndexByte(w.buf[i:], '\n'); int64(n) > w.win.maxLine {
		return i, w.win.tooLong()
	}
	if w.parser == nil {
		w.start(i)
	}
	entry, err := w.parser.Next()
	if err != nil {
		return w.stopped(i, err)
	}
	eol := 0
	switch entry {
	case textparse.EntryType:
		name, typ := w.parser.Type()
		eol = w.endOfLine(name)
		w.rememberMeta(name, eol, w.meta(metaType, name, typ, nil))
	case textparse.EntryHelp:
		name, help := w.parser.Help()
		eol = w.endOfLine(name)
		w.rememberMeta(name, eol, w.meta(metaHelp, name, "", help))
	case textparse.EntryUnit:
		name, unit := w.parser.Unit()
		eol = w.endOfLine(name)
		w.rememberMeta(name, eol, w.meta(metaUnit, name, "", unit))
	case textparse.EntryComment:
		eol = w.endOfLine(w.parser.Comment())
		w.rememberComment(newLine(lineComment, w.buf[i:eol], 0))
	case textparse.EntrySeries:
		series, stamp, v := w.parser.Series()
		eol = w.endOfLine(series)
		if w.openMetrics && strays(w.after(series, eol)) {
			return i, w.leave(i)
		}
		if int64(eol-i) > w.win.maxLine {
			return i, w.win.tooLong()
		}
		if err = w.sample(series, stamp, sampleValue{v: v}, w.parser); err != nil {
			return i, err
		}
	}
	w.passed += bytes.Count(w.buf[i:min(eol+1, w.end)], []byte{'\n'})
	return eol + 1, nil
}

// stopped handles the error of a parser at i. If the page goes on, reading more of it may remove
// the error: a label value can have line breaks.
func (w *text) stopped(i int, err error) (int, error) {
	ends := errors.Is(err, io.EOF)
	switch have := w.end - i; {
	case w.win.eof && ends:
		return i, errPageEnds
	case w.win.eof:
		return i, err
	case int64(have) > w.win.maxLine:
		return i, fmt.Errorf("its end was looked for in more than %d bytes: %w", w.win.maxLine, err)
	case ends: // blank lines
		w.passed += bytes.Count(w.buf[i:w.end], []byte{'\n'})
		return w.fill(w.end)
	default:
		w.parser = nil
		if i, err = w.win.atLeast(i, max(2*have, len(w.win.buf)-i)+w.win.minRead); err != nil {
			return i, err
		}
		return w.look(i)
	}
}

// start makes a parser that begins at i and knows the metric type of the lines before.
func (w *text) start(i int) {
	prefix := ""
	if w.typ == model.MetricTypeHistogram || w.typ == model.MetricTypeSummary {
		prefix = "# TYPE a " + string(w.typ) + "\n"
		i -= len(prefix)
		copy(w.buf[i:], prefix)
	}
	switch {
	case w.openMetrics:
		w.parser = textparse.NewOpenMetricsParser(w.buf[i:w.end:w.end], nil)
	case w.win.eof:
		w.parser = textparse.NewPromParser(w.buf[i:w.end:w.end+1], nil, false) // it appends a line break, which is there already
	default:
		w.parser = textparse.NewPromParser(w.buf[i:w.end-1:w.end], nil, false) // as above
	}
	if prefix != "" {
		_, _ = w.parser.Next() // reads the prefix
	}
}

// strays reports whether the OpenMetrics parser may not read a line to its end. Rest is the line
// after the series. After the value the parser skips what it cannot read, and treats the rest as
// the next line. Only a value, a timestamp and an exemplar with single blanks between them are
// safe.
func strays(rest []byte) bool {
	for tokens := 0; len(rest) > 0; tokens++ {
		if bytes.HasPrefix(rest, []byte(" # {")) && tokens > 0 {
			return false // an exemplar is read strictly
		}
		if rest[0] != ' ' || tokens == 2 {
			return true
		}
		n := bytes.IndexByte(rest[1:], ' ')
		if n < 0 {
			n = len(rest) - 1
		}
		if n == 0 || rest[1] == '#' {
			return true
		}
		rest = rest[1+n:]
	}
	return false
}

// offset returns where part starts, which lies in the page and is not empty.
func (w *text) offset(part []byte) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(w.buf))))
}

// after returns what is between part and the end of its line.
func (w *text) after(part []byte, eol int) []byte { return w.buf[w.offset(part)+len(part) : eol] }

// endOfLine returns where the line break after part is, which lies in the page.
func (w *text) endOfLine(part []byte) int {
	i := w.offset(part) + len(part)
	if n := bytes.IndexByte(w.buf[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(w.buf)
}

// rememberMeta adds the line to the page that has name and ends at eol.
func (w *text) rememberMeta(name []byte, eol int, m metaLine) {
	start := bytes.LastIndexByte(w.buf[:w.offset(name)], '\n') + 1
	if start < headroom {
		start = headroom
	}
	w.t.metas = append(w.t.metas, m)
	w.rememberText(newLine(lineMeta, w.buf[start:eol], uint32(len(w.t.metas)-1)))
}

// rememberComment adds a comment, unless the page has so many that they would use more memory than
// its series.
func (w *text) rememberComment(l line) {
	if w.comments++; w.comments <= freeComments+w.total {
		w.rememberText(l)
	}
}

// freeComments is how many comments a page may have beyond one for each sample. Further comments
// are not remembered but parsed each time.
const freeComments = 1000

// rememberText adds a line without a sample. A line that the page has twice is added twice.
func (w *text) rememberText(l line) {
	w.diverge()
	w.lines = append(w.lines, l)
}
