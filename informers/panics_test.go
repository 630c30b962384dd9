package informers

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"promrelay/config"
	"promrelay/informers/guard"
	"promrelay/informers/manifests"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// newGuard returns a Guard with its metric and its log.
func newGuard() (*guard.Guard, *metrics, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	m := newMetrics(prometheus.NewRegistry())
	return guard.New(zap.New(core), m.panics), m, logs
}

// caught requires how many panics of a part were counted, and how many of them were logged with a stack.
func caught(t *testing.T, m *metrics, logs *observer.ObservedLogs, part guard.Part, counted float64, logged int) {
	t.Helper()
	if got := testutil.ToFloat64(m.panics.WithLabelValues(string(part))); got != counted {
		t.Errorf("%v panics of %s are counted, want %v", got, part, counted)
	}
	lines := logs.FilterField(zap.String("part", string(part))).All()
	if len(lines) != logged {
		t.Fatalf("%d are logged, want %d", len(lines), logged)
	}
	for _, e := range lines {
		if stack, _ := e.ContextMap()["stack"].(string); !strings.Contains(stack, "_test.go") {
			t.Errorf("the stack is %q", stack)
		}
	}
}

// TestPanicInAHandler affects one object.
func TestPanicInAHandler(t *testing.T) {
	m := directoryOf(t, map[string]string{"all.yaml": serviceNamed("a") + "---\n" + serviceNamed("b")})
	r := *objects.ByName("services")
	r.Transform = func(o runtime.Object) {
		if o.(*corev1.Service).Name == "a" {
			panic("a is wrong")
		}
	}
	var mu sync.Mutex
	noted := map[string]int{}
	w := newWatched(&r, zap.NewNop(), func(_ *objects.Resource, key string) {
		mu.Lock()
		noted[key]++
		first := noted[key] == 1
		mu.Unlock()
		if key == "shop/b" && first {
			panic("b is noted")
		}
	})
	g, metrics, logs := newGuard()
	w.guard = g
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
	caught(t, metrics, logs, guard.Handler, 2, 2)
}

// rude is a directory that panics in Report and in Read.
type rude struct{ *manifests.Directory }

func (rude) Report(corev1.ObjectReference, objects.Event) { panic("nobody is home") }

// TestPanicOfOneMonitor rejects it, and no other one.
func TestPanicOfOneMonitor(t *testing.T) {
	good := scrapeConfigYAML("good", static)
	w := newWorldOf(t, func(m *manifests.Directory) Backend { return rude{m} }, "monitors: {}", map[string]string{
		"good.yaml": good, "bad.yaml": scrapeConfigYAML("bad", "scrapeClass: none"),
	})
	w.state(scrapeConfigOwner("bad"), targets.Rejected, "panic: nobody is home")
	w.becomes(found("good", "127.0.0.1:1", ""))
	w.write("bad.yaml", scrapeConfigYAML("bad", static))
	w.state(scrapeConfigOwner("bad"), targets.Accepted, "")
	if got := testutil.ToFloat64(w.d.metrics.panics.WithLabelValues(string(guard.Monitor))); got < 1 {
		t.Errorf("%v panics are counted", got)
	}
}

// TestPanicInTheSink: the panic is reported, and later changes still come.
func TestPanicInTheSink(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.write("a.yaml", scrapeConfigYAML("a", static))
	m, err := manifests.New(w.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.ErrorLevel)
	var calls atomic.Int32
	sink := func([]targets.Change) {
		if calls.Add(1) == 1 {
			panic("the pool is wrong")
		}
	}
	d, err := New(Options{Backend: m, Offline: true, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]byte("monitors: {}\nmanifests: {directory: "+w.dir+"}"), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, sink) }()
	within(t, "the first call", func() bool { return calls.Load() == 1 })
	w.write("b.yaml", scrapeConfigYAML("b", static))
	within(t, "another call", func() bool { return calls.Load() > 1 && len(d.Targets("scrapeConfig/shop/b")) == 1 && d.Settled() })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	caught(t, d.metrics, logs, guard.Batch, 1, 1)
}

// TestPanicAndANewerConfiguration: the batch that is tried again does not bring back its old configuration.
func TestPanicAndANewerConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Options{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		apply := func(job string) {
			c, err := config.Load([]byte("scrape_configs: [{job_name: "+job+", static_configs: [{targets: ['127.0.0.1:1']}]}]"), "")
			if err == nil {
				err = d.Apply(c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		calls := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		apply("old")
		go func() {
			done <- d.Run(ctx, func([]targets.Change) {
				if calls++; calls == 1 {
					panic("the pool is wrong")
				}
			})
		}()
		time.Sleep(time.Second)
		apply("new")
		time.Sleep(2 * retryBatch)
		if old, now := len(d.Targets("old")), len(d.Targets("new")); old != 0 || now != 1 {
			t.Errorf("%d targets of the old configuration, %d of the new one", old, now)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if calls < 2 {
			t.Errorf("%d calls", calls)
		}
	})
}
