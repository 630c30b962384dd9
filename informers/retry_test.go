package informers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// flakyServer is a Backend of one empty resource, whose API server may answer each request with an error.
type flakyServer struct {
	Backend
	only  []string
	mu    sync.Mutex
	errs  map[string]error // by namespace
	open  []*watch.FakeWatcher
	calls int
}

func (m *flakyServer) Namespaces() ([]string, string) { return m.only, "" }

func (m *flakyServer) ListWatch(_ *objects.Resource, namespace string, _ fields.Selector) cache.ListerWatcher {
	ask := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.calls++
		return m.errs[namespace]
	}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, ask()
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			if err := ask(); err != nil {
				return nil, err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			w := watch.NewFake()
			m.open = append(m.open, w)
			return w, nil
		},
	}, listFirst{})
}

// listFirst is a client that lists before it watches.
type listFirst struct{}

func (listFirst) IsWatchListSemanticsUnSupported() bool { return true }

// fails makes the API server answer with an error from now on, nil for none, and ends its watches.
func (m *flakyServer) fails(namespace string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs[namespace] = err
	for _, w := range m.open {
		w.Stop()
	}
	m.open, m.calls = nil, 0
}

// seen returns how many watches are open, and the number of requests since the last change.
func (m *flakyServer) seen() (open, calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open), m.calls
}

var (
	errRefused   = errors.New("dial tcp: connection refused")
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New("no role"))
)

func withWatched(t *testing.T, m *flakyServer, f func(w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		m.errs = map[string]error{}
		w := newWatched(objects.ByName("services"), zap.NewNop(), func(*objects.Resource, string) {})
		var wg sync.WaitGroup
		w.begin(t.Context(), m, &wg)
		f(w)
		w.end()
		m.fails("", nil)
		wg.Wait()
	})
}

// settle lets time pass until the watch is as the API server lets it be.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestWatchAfterOutage has outages of more and more length: after each the watch is back within two seconds.
func TestWatchAfterOutage(t *testing.T) {
	for name, err := range map[string]error{
		"no connection": errRefused,
		"no backend":    apierrors.NewServiceUnavailable("no healthy upstream"),
		"no roles yet":  errForbidden,
	} {
		t.Run(name, func(t *testing.T) {
			m := &flakyServer{}
			withWatched(t, m, func(w *watched) {
				for _, long := range []time.Duration{0, 5 * time.Second, time.Minute, 10 * time.Minute} {
					if errors.Is(err, errForbidden) && long > 5*time.Second {
						break // then it is believed
					}
					settle(2 * awayEvery)
					if open, _ := m.seen(); w.why() != "" || !w.ready() || open != 1 {
						t.Fatalf("before %s: %q, ready: %t, %d watches", long, w.why(), w.ready(), open)
					}
					m.fails("", err)
					settle(time.Second + long)
					if why := w.why(); !strings.Contains(why, err.Error()) || !w.ready() {
						t.Errorf("after %s: %q, ready: %t", long, why, w.ready())
					}
					if _, calls := m.seen(); calls > 3+int(long/awayEvery) {
						t.Errorf("asked %d times in %s", calls, long)
					}
					m.fails("", nil)
				}
			})
		})
	}
}

// TestWatchForbidden has a role that comes late, with no object to show that it came, and one that goes.
func TestWatchForbidden(t *testing.T) {
	m := &flakyServer{only: []string{"a", "b"}}
	withWatched(t, m, func(w *watched) {
		for range 2 {
			m.fails("b", errForbidden)
			settle(time.Minute)
			if why := w.why(); !strings.Contains(why, "no role") || !w.ready() {
				t.Errorf("without a role in one namespace: %q, ready: %t", why, w.ready())
			}
			m.fails("b", nil)
			settle(time.Minute)
			if why := w.why(); why != "" || !w.ready() {
				t.Errorf("with a role: %q, ready: %t", why, w.ready())
			}
		}
	})
}

// TestRetry ends with its context.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		calls := 0
		_, err := retry(ctx, func(error) bool { calls++; return true }, func() (int, error) { return 0, errRefused })
		if !errors.Is(err, errRefused) || calls < 20 || ctx.Err() == nil {
			t.Errorf("ended with %v after it was told %d times", err, calls)
		}
	})
}

// TestWatchStates: the state that pages show, and since when, follows an outage and a refusal.
func TestWatchStates(t *testing.T) {
	m := &flakyServer{}
	withWatched(t, m, func(w *watched) {
		expect := func(want targets.WatchState, since time.Time, why string) {
			t.Helper()
			if s := w.status(); s.State != want || s.Since.Before(since) || s.Since.Sub(since) > awayEvery || (why == "") != (s.Reason == "") || !strings.Contains(s.Reason, why) {
				t.Errorf("%+v, want %s since %s", s, want, since)
			}
		}
		synctest.Wait()
		begun := time.Now()
		settle(2 * awayEvery)
		expect(targets.Watched, begun, "")
		m.fails("", errRefused)
		cut := time.Now()
		settle(5 * time.Second)
		expect(targets.WatchInterrupted, cut, errRefused.Error())
		m.fails("", nil)
		settle(5 * time.Second)
		back := w.status()
		if back.State != targets.Watched || !back.Since.After(cut) || back.Watches != 1 {
			t.Errorf("after the outage: %+v", back)
		}
	})
}

func TestWatchesOfManifests(t *testing.T) {
	w := newWorld(t, "monitors: {}", map[string]string{"a.yaml": "apiVersion: monitoring.coreos.com/v1\nkind: Probe\nmetadata: {name: a, namespace: shop}\nspec: {}\n"})
	within(t, "all is worked off", w.d.Settled)
	got := map[string]targets.Watch{}
	for _, s := range w.d.Watches() {
		if s.Since.IsZero() {
			t.Errorf("%+v", s)
		}
		got[s.Resource] = s
	}
	if s := got["probes"]; s.State != targets.Watched || s.Objects != 1 || s.Group != objects.MonitoringGroup {
		t.Errorf("probes: %+v", s)
	}
	if s := got["ingresses"]; s.State != targets.WatchUnneeded || s.Reason != notBegun || s.Objects != 0 {
		t.Errorf("ingresses: %+v", s)
	}
	if _, ok := got["secrets"]; ok {
		t.Error("Secrets are shown as watched")
	}
}
