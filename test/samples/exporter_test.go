package samples

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	config_util "github.com/prometheus/common/config"
)

// exporter answers the scrapes of one scraper, over connections in memory. It runs in the bubble of a test.
type exporter struct {
	mu      sync.Mutex
	answers map[string]answer
	asked   map[string][]string // headers of the requests, by address
	conns   chan net.Conn
	server  *http.Server
}

func newExporter() *exporter {
	e := &exporter{conns: make(chan net.Conn), asked: map[string][]string{}}
	e.server = &http.Server{Handler: e}
	go e.server.Serve(e)
	return e
}

func (e *exporter) Accept() (net.Conn, error) {
	c, ok := <-e.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (e *exporter) Close() error   { return nil }
func (e *exporter) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (e *exporter) stop() {
	close(e.conns)
	e.server.Close()
	time.Sleep(interval) // for answers that are still on their way
}

func (e *exporter) dial(_ context.Context, _, addr string) (net.Conn, error) {
	e.mu.Lock()
	_, ok := e.answers[addr]
	e.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("connection to %s refused", addr)
	}
	near, far := net.Pipe()
	e.conns <- far
	return near, nil
}

func (e *exporter) set(answers map[string]answer) {
	e.mu.Lock()
	e.answers = answers
	e.mu.Unlock()
}

// requests are the headers of those that came.
func (e *exporter) requests() map[string][]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.asked)
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	a, ok := e.answers[r.Host]
	text := ""
	for _, name := range []string{"Accept", "Accept-Encoding", "Authorization", "X-Prometheus-Scrape-Timeout-Seconds"} {
		text += fmt.Sprintf("%s: %s; ", name, strings.Join(r.Header[name], ", "))
	}
	e.asked[r.Host] = append(e.asked[r.Host], text)
	e.mu.Unlock()
	if !ok {
		panic(http.ErrAbortHandler)
	}
	time.Sleep(a.delay)
	contentType, page := a.negotiate(r.Header.Get("Accept"))
	w.Header()["Content-Type"] = nil
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	body := []byte(page)
	if a.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		z.Write(body)
		z.Close()
		body = b.Bytes()
	}
	w.WriteHeader(a.status)
	if a.cut {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(body)
}

// options makes connections go to e.
func (e *exporter) options() []config_util.HTTPClientOption {
	return []config_util.HTTPClientOption{config_util.WithDialContextFunc(e.dial), config_util.WithKeepAlivesDisabled()}
}
