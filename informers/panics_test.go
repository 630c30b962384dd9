package informers

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"promrelay/config"
	"promrelay/targets"
)

// watchPanics counts and keeps what is told.
func watchPanics() (*panics, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return newPanics(zap.New(core), newMetrics(prometheus.NewRegistry())), logs
}

// caught compares how many panics of a part were counted, and that a certain number was logged, with stacks.
func (p *panics) caughtAre(t *testing.T, logs *observer.ObservedLogs, part string, counted float64, logged int) {
	t.Helper()
	if got := testutil.ToFloat64(p.total.WithLabelValues(part)); got != counted {
		t.Errorf("%v panics of %s are counted, want %v", got, part, counted)
	}
	told := logs.FilterField(zap.String("part", part)).All()
	if len(told) != logged {
		t.Fatalf("%d are told, want %d", len(told), logged)
	}
	for _, e := range told {
		if stack, _ := e.ContextMap()["stack"].(string); !strings.Contains(stack, "panics_test.go") {
			t.Errorf("the stack is %q", stack)
		}
	}
}

// TestPanicInAHandler costs one object.
func TestPanicInAHandler(t *testing.T) {
	m := newReading(t, "m", func(r *reading) { r.write("m/all.yaml", service("a")+"---\n"+service("b")) }).m
	r := *resources["services"]
	r.transform = func(o runtime.Object) {
		if o.(*corev1.Service).Name == "a" {
			panic("a is wrong")
		}
	}
	var mu sync.Mutex
	noted := map[string]int{}
	w := newWatched(&r, zap.NewNop(), func(_ *resource, key string) {
		mu.Lock()
		noted[key]++
		first := noted[key] == 1
		mu.Unlock()
		if key == "shop/b" && first {
			panic("b is noted")
		}
	})
	p, logs := watchPanics()
	w.panics = p
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	w.begin(ctx, m, &wg)
	within(t, "all is listed", w.listed)
	within(t, "both are noted", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return noted["shop/a"] > 0 && noted["shop/b"] > 0
	})
	cancel()
	wg.Wait()
	p.caughtAre(t, logs, partHandler, 2, 2)
}

// rude is a directory that panics when it is told of a rejection, or reads.
type rude struct{ *Manifests }

func (rude) rejected(corev1.ObjectReference, string) { panic("nobody is home") }

// TestPanicOfOneMonitor rejects it, and no other one.
func TestPanicOfOneMonitor(t *testing.T) {
	good := scrapeConfigYAML("good", static)
	w := newWorldOf(t, func(m *Manifests) Backend { return rude{m} }, "monitors: {}", map[string]string{
		"good.yaml": good, "bad.yaml": scrapeConfigYAML("bad", "scrapeClass: none"),
	})
	w.state(scrapeConfigOwner("bad"), Rejected, "panic: nobody is home")
	w.becomes(found("good", "127.0.0.1:1", ""))
	w.write("bad.yaml", scrapeConfigYAML("bad", static))
	w.state(scrapeConfigOwner("bad"), Accepted, "")
	if got := testutil.ToFloat64(w.d.metrics.panics.WithLabelValues(partMonitor)); got < 1 {
		t.Errorf("%v panics are counted", got)
	}
}

// fragile is a store that panics for one object.
type fragile struct{ cache.Indexer }

func (f fragile) GetByKey(key string) (any, bool, error) {
	if key == "shop/a" {
		panic("a is wrong")
	}
	return f.Indexer.GetByKey(key)
}

// TestPanicInADiscoverer costs one group, also where the discoverer asks in a goroutine of its own; it is told once.
func TestPanicInADiscoverer(t *testing.T) {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, name := range []string{"a", "b"} {
		s := &corev1.Service{}
		s.Namespace, s.Name = "shop", name
		s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		if err := store.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	p, logs := watchPanics()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, err := newBuilder(ctx, targets.Source{Role: targets.RoleService}, func(string) cache.Indexer { return fragile{store} }, p)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n := 0
		for _, g := range b.build(ctx, []string{"shop/a", "shop/b"}) {
			n += len(g.Targets)
		}
		if n != 1 {
			t.Errorf("%d targets", n)
		}
	}
	p.caughtAre(t, logs, partGroup, 2, 1)
}

// TestPanicInTheSink is told, and what comes later still comes.
func TestPanicInTheSink(t *testing.T) {
	m := newReading(t, "m", func(r *reading) { r.write("m/a.yaml", scrapeConfigYAML("a", static)) })
	core, logs := observer.New(zap.ErrorLevel)
	var calls atomic.Int32
	d, err := New(Options{Backend: m.m, Offline: true, Logger: zap.New(core), Sink: func([]targets.Change) {
		if calls.Add(1) == 1 {
			panic("the pool is wrong")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]byte("monitors: {}\nmanifests: {directory: "+m.m.dir+"}"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	within(t, "the first call", func() bool { return calls.Load() == 1 })
	m.write("m/b.yaml", scrapeConfigYAML("b", static))
	within(t, "another call", func() bool { return calls.Load() > 1 && len(d.targets("scrapeConfig/shop/b")) == 1 && d.Settled() })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	d.panics.caughtAre(t, logs, partBatch, 1, 1)
}

// TestPanicOfAManifest costs one file.
func TestPanicOfAManifest(t *testing.T) {
	m := newReading(t, "m", func(r *reading) { r.write("m/a.yaml", service("a")) })
	m.m.json = nil // which nobody expects
	m.write("m/b.yaml", service("b"))
	m.has("a", "b.yaml: panic: ")
}

// TestPanicsAreToldOnce each, and not without end.
func TestPanicsAreToldOnce(t *testing.T) {
	p, logs := watchPanics()
	for i := range 3 * mostPanics {
		p.try(partBatch, "", func() { panic("the same") })
		p.try(partBatch, "", func() { panic(i) })
	}
	if n := logs.Len(); n != mostPanics {
		t.Errorf("%d are told", n)
	}
	if !p.try(partBatch, "", func() {}) || p.try(partBatch, "", func() { panic("the same") }) {
		t.Error("try tells the wrong thing")
	}
	var none *panics
	if none.try(partBatch, "", func() { panic("x") }) {
		t.Error("nobody who counts, and no panic is seen")
	}
}
