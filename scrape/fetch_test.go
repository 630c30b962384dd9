package scrape

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

func fetchTarget(url string, c promconfig.ScrapeConfig) *targets.Target {
	c.MetricNameValidationScheme = model.UTF8Validation
	return &targets.Target{Job: &targets.Job{Name: "j", Config: &c}, URL: url, Timeout: 2500 * time.Millisecond}
}

// TestRequest: the headers are those of prometheus/scrape.
func TestRequest(t *testing.T) {
	c := promconfig.DefaultScrapeConfig
	c.ScrapeProtocols = []promconfig.ScrapeProtocol{promconfig.OpenMetricsText1_0_0, promconfig.OpenMetricsText0_0_1, promconfig.PrometheusText0_0_4}
	c.EnableCompression = true
	req, err := newRequest(t.Context(), fetchTarget("http://a:1/metrics", c))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Accept": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;version=0.0.1;q=0.6," +
			"text/plain;version=0.0.4;q=0.5,*/*;q=0.4",
		"Accept-Encoding":                     "gzip",
		"X-Prometheus-Scrape-Timeout-Seconds": "2.5",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	c.EnableCompression = false
	if req, err = newRequest(t.Context(), fetchTarget("http://a:1/metrics", c)); err != nil || req.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("without compression: %v, %v", req.Header, err)
	}
	if _, err := newRequest(t.Context(), fetchTarget("http://a b/", c)); err == nil {
		t.Error("a URL that is none was taken")
	}
}

// TestAnswers: which answers are pages, and the errors of the others.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string // the page
		fails  string
	}{
		"page": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "m 1\n") }, "m 1\n", ""},
		"compressed": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "m 1\n")
			z.Close()
		}, "m 1\n", ""},
		"not compressed as it says": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, strings.Repeat("m 1\n", 10))
		}, "", "gzip"},
		"zstd": {func(w http.ResponseWriter) { w.Header().Set("Content-Encoding", "zstd") }, "", errZstd.Error()},
		"error with a reason": {func(w http.ResponseWriter) {
			http.Error(w, "\n no such path\nmore", http.StatusNotFound)
		}, "", "server returned HTTP status 404 Not Found: no such path"},
		"error with a page for people": {func(w http.ResponseWriter) {
			http.Error(w, "<html>", http.StatusBadGateway)
		}, "", "server returned HTTP status 502 Bad Gateway"},
		"error with much text": {func(w http.ResponseWriter) {
			http.Error(w, strings.Repeat("x", 400), http.StatusInternalServerError)
		}, "", "server returned HTTP status 500 Internal Server Error"},
		"forbidden": {func(w http.ResponseWriter) {
			http.Error(w, "nodes/metrics", http.StatusForbidden)
		}, "", "server returned HTTP status 403 Forbidden (no credentials were sent): nodes/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
			defer s.Close()
			body, err := fetch(t.Context(), s.Client(), fetchTarget(s.URL, promconfig.DefaultScrapeConfig))
			if c.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.fails) || strings.Contains(err.Error(), "html") {
					t.Errorf("got %v, want %s", err, c.fails)
				}
				if is := unauthorized(err); is != (name == "forbidden") {
					t.Errorf("counts as refused for its credentials: %t", is)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer body.close()
			if page, err := io.ReadAll(body); err != nil || string(page) != c.want {
				t.Errorf("%q, %v", page, err)
			}
		})
	}
}

// TestWindowAtRandom reads a page through windows, with lines longer than they are: nothing is
// lost, and nothing is there twice.
func TestWindowAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 300 {
		var page strings.Builder
		for range r.IntN(40) {
			page.WriteString(strings.Repeat("x", r.IntN(300)) + "\n")
		}
		readers := []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader}
		win := newWindow(readers[r.IntN(len(readers))](strings.NewReader(page.String())))
		win.minRead, win.buf = 8, make([]byte, headroom, headroom+16+r.IntN(200))
		checked := 0
		win.check = func(int) error { checked++; return nil }
		var got strings.Builder
		i, err := win.fill(headroom)
		for err == nil && (i < len(win.buf) || !win.eof) {
			if n := strings.IndexByte(string(win.buf[i:]), '\n'); n >= 0 && r.IntN(4) > 0 {
				got.Write(win.buf[i : i+n+1])
				i += n + 1
			} else if win.eof {
				got.Write(win.buf[i:])
				i = len(win.buf)
			} else if r.IntN(2) == 0 {
				i, err = win.atLeast(i, 1+r.IntN(400))
			} else {
				i, err = win.fill(i)
			}
		}
		if err != nil || got.String() != page.String() || win.size != int64(page.Len()) || checked == 0 {
			t.Fatalf("%d of %d bytes, the size is %d, checked %d times, %v", got.Len(), page.Len(), win.size, checked, err)
		}
	}
}

// TestWindowErrors: a page that breaks off or is too large says so each time, and nothing more is
// read.
func TestWindowErrors(t *testing.T) {
	broken := errors.New("broken")
	win := newWindow(io.MultiReader(strings.NewReader("m 1\n"), iotest.ErrReader(broken)))
	defer win.free()
	_, _ = win.fill(headroom)
	for range 2 {
		if win.drain(); !errors.Is(win.err, broken) {
			t.Errorf("got %v", win.err)
		}
	}
	win = newWindow(strings.NewReader("m 1\n"))
	defer win.free()
	win.limit, win.limitKey = 4, "body_size_limit"
	if _, err := win.fill(headroom); err == nil || limitName(err) != "body_size_limit" {
		t.Errorf("a page as large as its limit: %v", err)
	}
	win = newWindow(strings.NewReader("m 1\n" + strings.Repeat("x", 100)))
	defer win.free()
	win.maxLine = 50
	if _, err := win.rest(headroom); err == nil || win.err != nil || limitName(err) != "size" {
		t.Errorf("a line that is too long: %v, %v", err, win.err)
	}
}
