package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/relay"
)

// faulty is a Destinations that panics.
type faulty struct{ words string }

func (f *faulty) Statuses() []relay.Status { panic(f.words) }

// A panic affects only its page, and is logged once with its stack.
func TestPanicInAPage(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	reg := prometheus.NewRegistry()
	s, srv := newServer(t, func(o *Options) { o.Logger, o.Registerer, o.Gatherer = zap.New(core), reg, reg })
	src := newWorld(t).sources()
	bad := &faulty{"index out of <range>"}
	src.Destinations = bad
	s.Ready(src)
	for range 3 {
		status, body := ask(t, "GET", srv.URL+"/targets")
		if status != http.StatusInternalServerError || !strings.Contains(body, bad.words) || !strings.Contains(body, "fault in promrelay") {
			t.Errorf("got %d %q", status, body)
		}
	}
	for _, path := range []string{"/api/v1/targets", "/metrics", "/-/ready", "/page.css"} {
		if status, _ := ask(t, "GET", srv.URL+path); status != http.StatusOK {
			t.Errorf("%s beside it: %d", path, status)
		}
	}
	bad.words = "nil map"
	ask(t, "GET", srv.URL+"/targets")
	all := logs.FilterMessage("a page caused a panic").All()
	if len(all) != 2 {
		t.Fatalf("the log tells of %d panics, want 2 kinds", len(all))
	}
	if stack, ok := all[0].ContextMap()["stack"].([]byte); ok && !strings.Contains(string(stack), "faulty") {
		t.Errorf("the stack is %s", stack)
	} else if text, isText := all[0].ContextMap()["stack"].(string); !ok && (!isText || !strings.Contains(text, "faulty")) {
		t.Errorf("there is no stack: %v", all[0].ContextMap())
	}
	if n := testutil.ToFloat64(s.guard.total.WithLabelValues("/targets")); n != 4 {
		t.Errorf("%g panics are counted, want 4", n)
	}
	if n := testutil.ToFloat64(s.guard.total.WithLabelValues("/metrics")); n != 0 {
		t.Errorf("%g panics of /metrics are counted, want 0", n)
	}
}

// An answer that has begun is cut off, so that nobody mistakes it for a complete one.
func TestPanicInMidAnswer(t *testing.T) {
	g := newGuard(nil, zap.NewNop())
	srv := httptest.NewServer(g.page("/x", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half of it"))
		_ = http.NewResponseController(w).Flush()
		panic("in the middle")
	})))
	defer srv.Close()
	r, err := srv.Client().Get(srv.URL)
	if err == nil {
		defer r.Body.Close()
		_, err = r.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = r.Body.Read(make([]byte, 100))
		}
	}
	if err == nil || err.Error() == "EOF" {
		t.Errorf("the answer ends as if it were whole: %v", err)
	}
}

func TestMetricsOfPagesBeginAtZero(t *testing.T) {
	reg, none, off := prometheus.NewRegistry(), "", false
	s, err := New(Options{
		Flags:    &toolkit.FlagConfig{WebListenAddresses: &[]string{"127.0.0.1:0"}, WebConfigFile: &none, WebSystemdSocket: &off},
		Gatherer: reg, Registerer: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.handler()
	if n, err := testutil.GatherAndCount(reg, "promrelay_web_panics_total"); err != nil || n < 6 {
		t.Errorf("%d pages count their panics, %v", n, err)
	}
}
