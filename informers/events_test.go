package informers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"

	"promrelay/config"
	"promrelay/informers/objects"
	"promrelay/targets"
)

// sources is a Backend whose objects a test changes, without files or a network, so that its time may be that of synctest.
type sources struct {
	reporter
	of map[string]*fcache.FakeControllerSource
}

func (s *sources) ListWatch(r *objects.Resource, _ string, _ fields.Selector) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{ListFunc: s.of[r.Name].List, WatchFunc: s.of[r.Name].Watch}, listFirst{}) //nolint:staticcheck // the source has no other functions
}

func (s *sources) Serves(_ context.Context, r *objects.Resource) (bool, error) {
	return s.of[r.Name] != nil, nil
}

func (s *sources) Read(context.Context, targets.Ref, bool) (map[string][]byte, error) {
	return nil, nil
}

func (s *sources) Namespaces() ([]string, string) { return nil, "shop" }
func (s *sources) Run(context.Context) error      { return nil }

// heard returns what was reported since the last call, and when.
func (s *sources) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.reports, "|")
	s.reports = nil
	return strings.ReplaceAll(out, "monitoring.coreos.com/v1 ServiceMonitor shop/cart ", "")
}

const cartService = "cart"

func cartMonitor(generation int64, regex string) *monitoringv1.ServiceMonitor {
	return &monitoringv1.ServiceMonitor{
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop", UID: "u", Generation: generation},
		Spec: monitoringv1.ServiceMonitorSpec{
			Selector:  metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}},
			Endpoints: []monitoringv1.Endpoint{{Port: "web", RelabelConfigs: []monitoringv1.RelabelConfig{{Regex: regex, TargetLabel: "x"}}}},
		},
	}
}

func cartSlice() *discoveryv1.EndpointSlice {
	name, port := "web", int32(8080)
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "cart-1", Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: cartService}}, AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
	}
}

// withSources runs a Discovery on a Service, in the time of synctest.
func withSources(t *testing.T, f func(s *sources)) {
	synctest.Test(t, func(t *testing.T) {
		s := &sources{of: map[string]*fcache.FakeControllerSource{}}
		for _, r := range objects.All() {
			s.of[r.Name] = fcache.NewFakeControllerSource()
		}
		s.of["services"].Add(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: cartService, Namespace: "shop", Labels: map[string]string{"app": "cart"}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "web", Port: 80}}},
		})
		d, err := New(Options{Backend: s})
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load([]byte("kubernetes: {}\nmonitors: {}"), "")
		if err == nil {
			err = d.Apply(c)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx, nil) }()
		f(s)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, source := range s.of {
			source.Broadcaster.Shutdown()
		}
	})
}

// TestEventsOfAMonitor: its users hear once that it lost its targets for longer than a rolling restart takes, that it is rejected,
// and that it is well again; and nothing about how it was when the relay started.
func TestEventsOfAMonitor(t *testing.T) {
	const gone = "u: NoTargets: has no targets any more: Service shop/cart has no EndpointSlice"
	const invalid = `u: InvalidConfiguration: was rejected due to invalid configuration: endpoints[0]: relabelings[0]: invalid regex "("`
	withSources(t, func(s *sources) {
		slices, monitors := s.of["endpointslices"], s.of["servicemonitors"]
		step := func(what string, after time.Duration, want string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			got := s.heard()
			if want == "" && got != "" || !strings.HasPrefix(got, want) || strings.Contains(got, "|") {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
			if reason, _, _ := strings.Cut(want, " has "); strings.HasSuffix(reason, "NoTargets:") && !strings.Contains(got, " => ") {
				t.Errorf("%s: got %q, want what to change", what, got)
			}
		}
		monitors.Add(cartMonitor(1, "a"))
		step("it never had targets", time.Hour, "")
		slices.Add(cartSlice())
		step("it has targets", time.Hour, "")
		for range 3 { // a rolling restart
			slices.Delete(cartSlice())
			time.Sleep(emptyFor - 2*lookOver)
			slices.Add(cartSlice())
			step("a rolling restart", 2*lookOver, "")
		}
		slices.Delete(cartSlice())
		step("too early", emptyFor-time.Second, "")
		step("without targets", 2*lookOver, gone)
		step("still without", time.Hour, "")
		slices.Add(cartSlice())
		step("too early", wellFor-time.Second, "")
		step("with targets", 2*lookOver, "u: Recovered: has targets again: 1 target is scraped")
		step("still with", time.Hour, "")

		monitors.Modify(cartMonitor(2, "("))
		step("rejected", time.Second, invalid)
		step("still rejected", time.Hour, "")
		monitors.Modify(cartMonitor(3, "a"))
		step("valid", wellFor+2*lookOver, "u: Recovered: is valid again: 1 target is scraped")
		monitors.Modify(cartMonitor(4, "("))
		step("rejected again", time.Second, invalid)
		slices.Delete(cartSlice())
		monitors.Modify(cartMonitor(5, "a"))
		step("valid, without targets", wellFor+2*lookOver, "u: Recovered: is valid again: Service shop/cart has no EndpointSlice")
		step("valid, still without", emptyFor+2*lookOver, gone)
		monitors.Delete(cartMonitor(5, "a"))
		step("deleted", time.Hour, "")
		again := cartMonitor(1, "a")
		again.UID = "v"
		monitors.Add(again)
		slices.Add(cartSlice())
		step("another one of this name", time.Hour, "")
	})
}

// TestFlappingIsNotReported: a monitor that is rejected, and valid for moments, has one Event for each reason.
func TestFlappingIsNotReported(t *testing.T) {
	withSources(t, func(s *sources) {
		monitor := cartMonitor(1, "a")
		s.of["servicemonitors"].Add(monitor)
		for range 50 {
			bad := cartMonitor(1, "(") // the same generation, as if a Secret went
			s.of["servicemonitors"].Modify(bad)
			time.Sleep(wellFor / 2)
			s.of["servicemonitors"].Modify(cartMonitor(1, "a"))
			time.Sleep(wellFor / 2)
		}
		synctest.Wait()
		if got := s.heard(); strings.Count(got, "u: ") != 1 {
			t.Errorf("got %s, want one rejection", got)
		}
	})
}

// TestEventsOfManyMonitors: they come in parts, and none is forgotten.
func TestEventsOfManyMonitors(t *testing.T) {
	withSources(t, func(s *sources) {
		const n = 2*maxEvents + 1
		for i := range n {
			m := cartMonitor(1, "a")
			m.Name, m.UID = fmt.Sprint("m-", i), types.UID(fmt.Sprint("u-", i))
			s.of["servicemonitors"].Add(m)
		}
		s.of["endpointslices"].Add(cartSlice())
		time.Sleep(time.Hour)
		s.of["endpointslices"].Delete(cartSlice())
		time.Sleep(emptyFor)
		var all []string
		for i := range 4 {
			time.Sleep(lookOver)
			synctest.Wait()
			got := strings.Split(s.heard(), "|")
			if len(got) > maxEvents {
				t.Errorf("%d in look %d", len(got), i)
			}
			for _, r := range got {
				if r != "" {
					all = append(all, r)
				}
			}
		}
		if slices.Sort(all); len(all) != n || len(slices.Compact(all)) != n {
			t.Errorf("%d Events, want %d", len(all), n)
		}
	})
}
