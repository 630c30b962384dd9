package informers

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/config"
	"promrelay/informers/cluster"
	"promrelay/informers/manifests"
)

// TestOutageIsOneLine, on the page as well as in the log, and what is not read is not known.
func TestOutageIsOneLine(t *testing.T) {
	s := newAPIServer(t, true)
	s.put(scrapeConfigYAML("a", static))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil { // nobody listens
		t.Fatal(err)
	}
	s.url = "http://" + address
	core, logs := observer.New(zap.WarnLevel)
	reg := prometheus.NewRegistry()
	d, err := New(Options{Backend: s.cluster(), Logger: zap.New(core), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]byte("monitors: {}"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Ready(); err == nil {
		t.Error("it is ready before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, nil) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	line := regexp.MustCompile(`^http://` + address + ` does not answer \(connection refused\) since \d\d:\d\d UTC; nothing was read yet$`)
	within(t, "the outage is told", func() bool { off := d.Off(); return len(off) == 1 && line.MatchString(off["API server"]) })
	within(t, "all resources ask", func() bool { return unheard(t, reg) == float64(len(monitorsNeed)) })
	if off := d.Off(); len(off) != 1 || !line.MatchString(off["API server"]) {
		t.Errorf("told %q", off)
	}
	if n := logs.Len(); n != 1 || logs.All()[0].Message != "the API server does not answer, the last known objects stay in use" {
		t.Errorf("%d lines in the log: %v", n, logs.All())
	}
	if _, err := d.Ready(); err == nil || !strings.Contains(err.Error(), "not read yet: http://"+address+" does not answer") || d.Known() {
		t.Errorf("known %t, ready: %v", d.Known(), err)
	}

	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip("the port is another's by now") // which a test cannot help
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(s.ServeHTTP))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	defer cancel() // watches end before the server
	within(t, "all is read", func() bool { return d.Known() && len(d.Targets("scrapeConfig/shop/a")) == 1 })
	within(t, "nothing is off", func() bool { return len(d.Off()) == 0 && unheard(t, reg) == 0 })
	if remark, err := d.Ready(); err != nil || remark != "The first lists of objects were read." {
		t.Errorf("%q, %v", remark, err)
	}
}

// unheard is the number of resources without changes, by the metric.
func unheard(t *testing.T, reg prometheus.Gatherer) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "promrelay_discovery_unheard_resources" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

// TestReadyInTheEnd though nothing was read.
func TestReadyInTheEnd(t *testing.T) {
	d := &Discovery{parts: &parts{outage: cluster.NewOutage("", zap.NewNop()), first: &firstLists{}}}
	d.first.start()
	d.first.set([]string{"nodes", "pods"})
	if _, err := d.Ready(); err == nil || !strings.Contains(err.Error(), "not listed yet: nodes, pods") {
		t.Errorf("at once: %v", err)
	}
	d.first.begun = time.Now().Add(-readyWithin)
	if remark, err := d.Ready(); err != nil || remark != "The first lists of objects were not read within 30s: not listed yet: nodes, pods." || d.Known() {
		t.Errorf("%q, %v", remark, err)
	}
	d.first.set(nil)
	d.first.set([]string{"ingresses"}) // something else is needed since
	if remark, err := d.Ready(); err != nil || remark != "The first lists of objects were read." || !d.Known() {
		t.Errorf("%q, %v", remark, err)
	}
}

// TestWellAgain is logged.
func TestWellAgain(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := &world{t: t, dir: t.TempDir()}
	r.write("a.yaml", scrapeConfigYAML("a", "scrapeClass: none"))
	m, err := manifests.New(r.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Backend: m, Offline: true, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]byte("monitors: {}\nmanifests: {directory: "+r.dir+"}"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, nil) }()
	within(t, "it is rejected", func() bool { return logs.FilterMessage("monitor rejected").Len() == 1 })
	if logs.FilterMessage("monitor accepted again").Len() > 0 {
		t.Error("it is said to be well before it is")
	}
	r.write("a.yaml", scrapeConfigYAML("a", static))
	within(t, "it is accepted", func() bool { return logs.FilterMessage("monitor accepted again").Len() == 1 })
	r.write("a.yaml", scrapeConfigYAML("a", static+"\n  sampleLimit: 5"))
	r.write("b.yaml", scrapeConfigYAML("b", static))
	within(t, "another one", func() bool { return len(d.Targets("scrapeConfig/shop/b")) == 1 })
	if n := logs.FilterMessage("monitor accepted again").Len(); n != 1 {
		t.Errorf("told %d times", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
