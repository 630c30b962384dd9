package relay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func gzipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadable(t *testing.T) {
	const words = "out of order sample"
	packed := gzipped(t, words)
	page := `<!DOCTYPE html><html><head><TITLE lang="en">502 Bad &amp; Gateway
	nginx</TITLE></head><body><h1>no</h1></body></html>`
	tests := map[string]struct {
		body            []byte
		encoding, ctype string
		want            string
	}{
		"empty":                     {nil, "", "", ""},
		"words":                     {[]byte(words), "", "text/plain", words},
		"line breaks":               {[]byte("a\r\n  b\tc\n\n"), "", "", "a b c"},
		"other spaces":              {[]byte("a\u2028b\u00a0c\vd\u0085"), "", "", "a b c d"},
		"invalid UTF-8":             {[]byte("a\xff\xfeb"), "", "", "a?b"},
		"gzip":                      {packed, "gzip", "", words},
		"gzip without a header":     {packed, "", "", words},
		"gzip that is none":         {[]byte(words), "gzip", "", words},
		"HTML with a title":         {[]byte(page), "", "text/html; charset=utf-8", "502 Bad & Gateway nginx"},
		"HTML that is plain text":   {[]byte("  \n" + page), "", "text/plain", "502 Bad & Gateway nginx"},
		"HTML without a title":      {[]byte("<html><body><p>no &lt;way&gt;</p><br>at all</body></html>"), "", "text/html", "no <way> at all"},
		"HTML in gzip":              {gzipped(t, page), "gzip", "text/html", "502 Bad & Gateway nginx"},
		"a title in words":          {[]byte("bad <title>x</title>"), "", "text/plain", "bad <title>x</title>"},
		"entities in words stay":    {[]byte("a &amp; b"), "", "text/plain", "a &amp; b"},
		"long":                      {[]byte(strings.Repeat("x", maxText+1)), "", "", strings.Repeat("x", maxText) + "..."},
		"just not long":             {[]byte(strings.Repeat("x", maxText)), "", "", strings.Repeat("x", maxText)},
		"long, cut within a letter": {[]byte(strings.Repeat("x", maxText-1) + "ü"), "", "", strings.Repeat("x", maxText-1) + "..."},
		"long after gzip":           {gzipped(t, strings.Repeat("y", 1<<20)), "gzip", "", strings.Repeat("y", maxText) + "..."},
		"JSON":                      {[]byte("{\"error\":\n \"no\"}"), "", "application/json", `{"error": "no"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Content-Encoding": {tt.encoding}, "Content-Type": {tt.ctype}}
			if got := readable(tt.body, h); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestReadableTruncated: of a packed body that ends early, what came is shown.
func TestReadableTruncated(t *testing.T) {
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "series %d is refused, ", i*7919%1000)
	}
	packed := gzipped(t, text.String())
	got := readable(packed[:len(packed)-20], http.Header{"Content-Encoding": {"gzip"}})
	if !strings.HasPrefix(got, "series 0 is refused, series 919 is refused") {
		t.Errorf("%.80q", got)
	}
	for n := range packed {
		checkReadable(t, packed[:n], http.Header{"Content-Encoding": {"gzip"}})
	}
}

// checkReadable demands what holds of every body: one line of UTF-8 that fits into a log.
func checkReadable(t *testing.T, body []byte, h http.Header) {
	t.Helper()
	got := readable(body, h)
	if !utf8.ValidString(got) {
		t.Errorf("%q is no UTF-8", got)
	}
	if len(got) > maxText+len("...") {
		t.Errorf("%d bytes", len(got))
	}
	for _, r := range got {
		if strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) {
			t.Errorf("%U in %q", r, got)
			break
		}
	}
}

func FuzzReadable(f *testing.F) {
	f.Add([]byte("out of order sample"), "", "text/plain")
	f.Add([]byte("<html><title>no</title>"), "", "text/html")
	f.Add([]byte("<a &#10; &#x2028; &lt;title&gt;"), "", "text/html")
	f.Add(gzipped(f, "packed\nwords"), "gzip", "")
	f.Add(gzipped(f, "packed\nwords")[:15], "gzip", "")
	f.Add([]byte("a\x00\xffb"+strings.Repeat("ü", maxText)), "", "")
	f.Fuzz(func(t *testing.T, body []byte, encoding, ctype string) {
		checkReadable(t, body, http.Header{"Content-Encoding": {encoding}, "Content-Type": {ctype}})
	})
}

func TestShown(t *testing.T) {
	tests := map[string]struct{ url, want string }{
		"plain":                 {"http://host:9090/api/v1/write", "http://host:9090/api/v1/write"},
		"user":                  {"https://bob:secret@host/w", "https://host/w"},
		"user without password": {"https://secret@host/w", "https://host/w"},
		"query":                 {"https://host/w?u=bob&p=secret", "https://host/w"},
		"empty query":           {"https://host/w?", "https://host/w"},
		"fragment":              {"https://host/w#secret", "https://host/w"},
		"empty fragment":        {"https://host/w#", "https://host/w"},
		"all":                   {"https://bob:secret@host/w?p=secret#secret", "https://host/w"},
		"IPv6":                  {"http://[::1]:9090/w?p=secret", "http://[::1]:9090/w"},
		"escapes stay":          {"http://host/a%2Fb?p=secret", "http://host/a%2Fb"},
		"fragment with escapes": {"https://host/w#secret%2Fsecret", "https://host/w"},
		"a path alone":          {"/login?token=secret", "/login"},
		"another host":          {"//bob:secret@host/w", "//host/w"},
		"empty":                 {"", ""},
		"control letter":        {"http://host/\x7fsecret", "a URL that cannot be read"},
		"bad port":              {"http://host:secret/", "a URL that cannot be read"},
		"bad escape":            {"http://host/%zz?secret", "a URL that cannot be read"},
		"scheme without a host": {"http:?p=secret", "http:"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := shown(tt.url); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestWithoutURL(t *testing.T) {
	secret := &url.Error{Op: "Post", URL: "http://host/w?p=secret", Err: io.ErrUnexpectedEOF}
	tests := map[string]struct {
		err  error
		want string
	}{
		"URL":         {secret, "unexpected EOF"},
		"wrapped URL": {fmt.Errorf("send: %w", secret), "unexpected EOF"},
		"other":       {io.EOF, "EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := withoutURL(tt.err); got.Error() != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if withoutURL(nil) != nil {
		t.Error("no error becomes one")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"7":                                7 * time.Second,
		"-3":                               0,
		"-99999999999999":                  0,
		"60":                               time.Minute,
		"61":                               maxRetryAfter,
		"99999999":                         maxRetryAfter,
		"99999999999999999999999999":       0,
		"1.5":                              0,
		"7s":                               0,
		"Thu, 01 Jan 2026 00:00:05 GMT":    5 * time.Second,
		"Thu, 01 Jan 2026 00:00:00 GMT":    0,
		"Thu, 01 Jan 2025 00:00:05 GMT":    0,
		"Thu, 01 Jan 2099 00:00:05 GMT":    maxRetryAfter,
		"Thursday, 01-Jan-26 00:00:05 GMT": 5 * time.Second,
		"soon":                             0,
	}
	for v, want := range tests {
		if got := retryAfter(v, now); got != want {
			t.Errorf("Retry-After %q means %s, want %s", v, got, want)
		}
	}
}

func TestWritten(t *testing.T) {
	type want struct {
		hasCounts          bool
		samples, exemplars int
	}
	tests := map[string]struct {
		samples, histograms, exemplars string
		want                           want
	}{
		"all":                    {"5", "6", "7", want{true, 11, 7}},
		"none":                   {"", "", "", want{}},
		"zero":                   {"0", "0", "0", want{true, 0, 0}},
		"samples alone":          {"5", "", "", want{true, 5, 0}},
		"histograms alone":       {"", "6", "", want{true, 6, 0}},
		"exemplars alone":        {"", "", "7", want{true, 0, 7}},
		"negative":               {"-1", "-1", "-1", want{}},
		"one is negative":        {"-1", "6", "7", want{true, 6, 7}},
		"garbage":                {"many", "0x10", "1e3", want{}},
		"one is garbage":         {"5", "some", "", want{true, 5, 0}},
		"too large for a number": {"99999999999999999999", "", "", want{}},
		"a list":                 {"5, 5", "", "", want{}},
		"fraction":               {"5.0", "", "", want{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for name, v := range map[string]string{"Samples": tt.samples, "Histograms": tt.histograms, "Exemplars": tt.exemplars} {
				if v != "" {
					h.Set("x-prometheus-remote-write-"+name+"-written", v)
				}
			}
			var got want
			got.hasCounts, got.samples, got.exemplars = written(h)
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// endless is a body without an end, which must not be read to it.
type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func (e *endless) Close() error { e.closed = true; return nil }

func TestReadEndlessBody(t *testing.T) {
	for _, status := range []int{200, 500} {
		e := &endless{}
		a := readAnswer(&http.Response{StatusCode: status, Header: http.Header{}, Body: e}, time.Now())
		if !e.closed || e.read > 2<<20 || len(a.text) > maxText+3 || (a.text == "") != a.ok() {
			t.Errorf("%d: %d bytes were read, closed %t, text of %d bytes", status, e.read, e.closed, len(a.text))
		}
	}
}

// TestProblem is what a person reads of an answer.
func TestProblem(t *testing.T) {
	tests := map[string]struct {
		answer answer
		want   string
	}{
		"no answer":    {answer{err: io.EOF}, "EOF"},
		"accepted":     {answer{status: 204}, "<nil>"},
		"words":        {answer{status: 400, text: "no"}, "400 Bad Request: no"},
		"no words":     {answer{status: 502}, "502 Bad Gateway"},
		"not a status": {answer{status: 599}, "599"},
		"redirect":     {answer{status: 302, location: "/login", text: "Found"}, "302 Found to /login, which is not followed"},
		"nowhere":      {answer{status: 302}, "302 Found"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(tt.answer.problem()); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
