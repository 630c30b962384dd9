package scrape

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	config_util "github.com/prometheus/common/config"
)

// TestLargeHeader: an answer whose header does not end is refused at 1 MB, before it takes more,
// also behind an interim answer, and so are interim answers that do not end.
func TestLargeHeader(t *testing.T) {
	const interim = "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
	for name, c := range map[string]struct{ begin, chunk string }{
		"header":                {"HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 64<<10)},
		"behind interim answer": {interim + "HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 64<<10)},
		"interim answers":       {"", strings.Repeat(interim, 2000)},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			sent := make(chan int, 1)
			go func() {
				c1, err := listener.Accept()
				if err != nil {
					return
				}
				defer c1.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c1))
				n, _ := io.WriteString(c1, c.begin)
				for n < 16<<20 && err == nil {
					var m int
					m, err = io.WriteString(c1, c.chunk)
					n += m
				}
				sent <- n
			}()
			client := clientFor(t, config_util.HTTPClientConfig{})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := get(ctx, client, "http://"+listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "the header of the answer has more than 1048576 bytes") {
				t.Errorf("error %v", err)
			}
			if n := <-sent; n > 12<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// TestHeaders: a header within its limit passes, by HTTP/1.1, HTTP/2 and TLS, also repeatedly.
func TestHeaders(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/header" {
			w.WriteHeader(http.StatusEarlyHints)
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 9000))
			}
		}
		_, _ = io.WriteString(w, strings.Repeat("no end of a line", 200_000))
	})
	plain, encrypted, two := httptest.NewServer(handler), httptest.NewTLSServer(handler), httptest.NewUnstartedServer(handler)
	two.EnableHTTP2 = true
	two.StartTLS()
	for _, s := range []*httptest.Server{plain, encrypted, two} {
		defer s.Close()
		client := clientFor(t, config_util.HTTPClientConfig{EnableHTTP2: s == two, TLSConfig: config_util.TLSConfig{InsecureSkipVerify: true}})
		for _, path := range []string{"/", "/header", "/", "/header"} {
			if n, err := get(t.Context(), client, s.URL+path); err != nil || n != 3_200_000 {
				t.Errorf("%s%s: %d bytes, %v", s.URL, path, n, err)
			}
		}
	}
}

func clientFor(t *testing.T, cfg config_util.HTTPClientConfig) *client {
	cs := clients{}
	c, err := cs.get(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.put(c) })
	return c
}

func get(ctx context.Context, c *client, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return io.Copy(io.Discard, resp.Body)
}
