package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"
)

// visits is a server that remembers its requests.
type visits struct {
	*httptest.Server
	mu   sync.Mutex
	came []*http.Request
	body []string
}

// newVisits starts a server that answers by f.
func newVisits(t *testing.T, f http.HandlerFunc) *visits {
	v := unstarted(t, f)
	v.Start()
	return v
}

func unstarted(t *testing.T, f http.HandlerFunc) *visits {
	v := &visits{}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.came, v.body = append(v.came, r), append(v.body, string(b))
		v.mu.Unlock()
		f(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirect(code int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}

// clientOf makes a client for the URL, with more lines of YAML.
func clientOf(t *testing.T, to, more string) *client {
	t.Helper()
	c, err := newClient(dest(t, to, more), []string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClient(c) })
	return c
}

func closeClient(c *client) {
	c.http.CloseIdleConnections()
	if c.bare != nil {
		c.bare.CloseIdleConnections()
	}
}

func someRequest() *request {
	return &request{version: version2, payload: snappy.Encode(nil, []byte("payload"))}
}

func TestRetryAttempt(t *testing.T) {
	v := newVisits(t, status(503))
	c := clientOf(t, v.URL, "")
	want := []string{"", "1", "2", "3", "3", "3"}
	for attempt := range want {
		c.post(t.Context(), someRequest(), attempt)
	}
	c.post(t.Context(), someRequest(), 1_000_000)
	for i, w := range append(want, "3") {
		if got := v.came[i].Header.Get("Retry-Attempt"); got != w {
			t.Errorf("try %d has Retry-Attempt %q, want %q", i, got, w)
		}
	}
}

// TestNoAnswer is what the status says where there was no answer. It does not have the query of the URL.
func TestNoAnswer(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := map[string]struct {
		handler http.HandlerFunc
		url     string
		more    string
		want    string // a part of the error
	}{
		"slow":            {handler: hang, more: "remote_timeout: 30ms\n", want: "no answer within 30ms"},
		"slow redirect":   {handler: slowly(redirect(307, "/")), more: "remote_timeout: 30ms\n", want: "no answer within 30ms"},
		"hung up":         {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "EOF"},
		"nobody there":    {url: closed.URL, want: "connection refused"},
		"not HTTP":        {url: garbage(t), want: "malformed HTTP status code"},
		"TLS to no TLS":   {handler: status(200), url: "https", want: "server gave HTTP response to HTTPS client"},
		"redirect nobody": {handler: redirect(307, closed.URL+"/?q=secret"), want: "connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			to := tt.url
			if tt.handler != nil {
				v := newVisits(t, tt.handler)
				if to = v.URL; tt.url == "https" {
					to = strings.Replace(v.URL, "http", "https", 1)
				}
			}
			c := clientOf(t, strings.Replace(to, "://", "://bob:secret@", 1)+"/secret-is-no-path?p=secret", tt.more)
			a := c.post(t.Context(), someRequest(), 0)
			if a.status != 0 || a.err == nil {
				t.Fatalf("%+v", a)
			}
			got := a.problem().Error()
			if !strings.Contains(got, tt.want) || strings.Contains(got, "secret") {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if strings.HasPrefix(tt.want, "no answer") && got != tt.want {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestEchoIsRedacted: a receiver repeats what it was sent, the user of the URL among it.
func TestEchoIsRedacted(t *testing.T) {
	v := newVisits(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = r.Header.Write(w)
	})
	for _, user := range []string{"rwuser:RWPW", "only-a-token", "u:a%2Fb"} {
		a := clientOf(t, strings.Replace(v.URL, "://", "://"+user+"@", 1), "").post(t.Context(), someRequest(), 0)
		if _, token, ok := v.came[len(v.came)-1].BasicAuth(); !ok || !strings.Contains(a.text, "Authorization: Basic <secret>") {
			t.Errorf("%s: came %q, and shown is %q", user, token, a.text)
		}
	}
}

func slowly(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { time.Sleep(10 * time.Millisecond); f(w, r) }
}

// garbage is the URL of a server that does not speak HTTP.
func garbage(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.6 here\r\n\r\n")
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestPostIsCancelled: the end of the relay is no answer of the receiver that comes too late.
func TestPostIsCancelled(t *testing.T) {
	came := make(chan struct{})
	v := newVisits(t, func(_ http.ResponseWriter, r *http.Request) { close(came); <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	a := clientOf(t, v.URL, "").post(ctx, someRequest(), 0)
	if !errors.Is(a.err, context.Canceled) {
		t.Errorf("%v", a.err)
	}
}

// TestClientIsRenewed: after clientLife requests go by new connections.
func TestClientIsRenewed(t *testing.T) {
	var opened atomic.Int32
	v := unstarted(t, status(204))
	v.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	v.Start()
	c := clientOf(t, v.URL, "")
	start := c.renewed
	for range 3 {
		c.post(t.Context(), someRequest(), 0)
	}
	first := c.current(start.Add(clientLife - 1))
	if first != c.current(start) || opened.Load() != 1 {
		t.Fatalf("the client is another one before its time, or %d connections were opened", opened.Load())
	}
	bare, err := c.withoutCredentials()
	if err != nil {
		t.Fatal(err)
	}
	second := c.current(start.Add(clientLife))
	if second == first {
		t.Fatal("the client is the same one after its time")
	}
	if again, err := c.withoutCredentials(); err != nil || again == bare {
		t.Errorf("the client for other hosts is the old one (%v)", err)
	}
	if c.current(start.Add(2*clientLife-1)) != second || c.current(start.Add(2*clientLife)) == second {
		t.Error("the second client does not live as long as the first one")
	}
	c.renewed = time.Now()
	if a := c.post(t.Context(), someRequest(), 0); a.status != 204 || opened.Load() != 2 {
		t.Errorf("%+v by %d connections", a, opened.Load())
	}
}

// TestClientStays where no new one can be made.
func TestClientStays(t *testing.T) {
	v := unstarted(t, status(204))
	more := secure(t, v)
	c := clientOf(t, v.URL, more)
	old := c.http
	ca := c.cfg.HTTPClientConfig.TLSConfig.CAFile
	if err := os.Rename(ca, ca+".gone"); err != nil {
		t.Fatal(err)
	}
	if c.current(c.renewed.Add(clientLife)) != old {
		t.Error("it is another one, which cannot work")
	}
	if err := os.Rename(ca+".gone", ca); err != nil {
		t.Fatal(err)
	}
	if a := c.post(t.Context(), someRequest(), 0); a.status != 204 {
		t.Errorf("%+v", a)
	}
	if c.current(c.renewed.Add(clientLife)) == old {
		t.Error("it is not renewed when that works again")
	}
}

// TestBackoff: pauses double up to the maximum. Chance only adds to them. They are at least as long as the destination asks for.
func TestBackoff(t *testing.T) {
	for range 100 {
		b := backoff{min: 10 * time.Millisecond, max: 70 * time.Millisecond}
		for i, ms := range []int{10, 20, 40, 70, 70, 70} {
			want := time.Duration(ms) * time.Millisecond
			if got := b.pause(0); got < want || got > want*6/5 {
				t.Fatalf("pause %d is %s, want %s", i, got, want)
			}
		}
		if got := b.pause(time.Second); got < time.Second || got > 1200*time.Millisecond {
			t.Fatalf("%s after a second was asked for", got)
		}
		if got := b.pause(time.Millisecond); got < 70*time.Millisecond {
			t.Fatalf("%s after a millisecond was asked for", got)
		}
	}
}

// TestRemoteTimeoutCoversAll: the time is that of the exchange with all its redirects and its body.
func TestRemoteTimeoutCoversAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := newClient(dest(t, "http://host.test/?p=secret", "remote_timeout: 10s\n"), nil, roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-time.After(4 * time.Second):
			}
			return &http.Response{StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"/again"}}, Body: http.NoBody}, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		a := c.post(t.Context(), someRequest(), 0)
		if got := time.Since(start); got != 10*time.Second || fmt.Sprint(a.err) != "no answer within 10s" {
			t.Errorf("%v after %s", a.err, got)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
