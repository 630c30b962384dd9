package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/relabel"
	"go.uber.org/goleak"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/targets"
	"promrelay/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a state of the relay, for the pages to show.
type world struct {
	monitors     []targets.MonitorStatus
	off          map[string]string
	statuses     map[string][]scrape.Status
	destinations []relay.Status
	metadata     map[string][]scrape.Metadata // by URL
	busy         atomic.Int64                 // requests of metadata for which the page is being read
}

func (w *world) Monitors() []targets.MonitorStatus   { return w.monitors }
func (w *world) Off() map[string]string              { return w.off }
func (w *world) Statuses(job string) []scrape.Status { return slices.Clone(w.statuses[job]) }
func (w *world) Jobs() (out []*targets.Job) {
	for _, of := range w.statuses {
		out = append(out, of[0].Target.Job)
	}
	return out
}

func (w *world) Metadata(t *targets.Target, family string) ([]scrape.Metadata, bool) {
	if w.busy.Add(-1) >= 0 {
		return nil, false
	}
	var out []scrape.Metadata
	for _, m := range w.metadata[t.URL] {
		if family == "" || family == m.Family {
			out = append(out, m)
		}
	}
	return out, true
}

func (w *world) sources() Sources {
	return Sources{Monitors: w, Targets: w, Destinations: sent(w.destinations), Problems: func() []string { return []string{"bad.yaml: no kind"} }}
}

type sent []relay.Status

func (s sent) Statuses() []relay.Status { return s }

// newWorld has an accepted monitor with a target up, one down and one dropped, and monitors without targets.
func newWorld(t testing.TB) *world {
	t.Helper()
	job := &targets.Job{
		Name: "serviceMonitor/shop/cart/0", Owner: targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "cart"},
		Config: &promconfig.ScrapeConfig{
			JobName: "serviceMonitor/shop/cart/0", Scheme: "http", MetricsPath: "/metrics", MetricNameValidationScheme: model.UTF8Validation,
			ScrapeInterval: model.Duration(30 * time.Second), ScrapeTimeout: model.Duration(10 * time.Second),
			RelabelConfigs: []*relabel.Config{{
				SourceLabels: model.LabelNames{"port"}, Regex: relabel.MustNewRegexp("web"), Action: relabel.Keep,
				NameValidationScheme: model.UTF8Validation,
			}},
		},
		Notes: []string{"runs by Endpoints"},
	}
	group := &targetgroup.Group{Source: "s"}
	for _, a := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
		group.Targets = append(group.Targets, model.LabelSet{"__address__": model.LabelValue(a), "port": "web"})
	}
	made, err := targets.FromGroup(job, group)
	if err != nil || len(made) != 2 {
		t.Fatalf("%d targets, %v", len(made), err)
	}
	drop := targets.Dropped{
		Discovered: map[string]string{"__address__": "10.0.0.3:81", "__meta_kubernetes_service_name": "cart<b>"},
		Reason:     `rule 0: keep where port matches "web"`,
	}
	monitor := func(name string, state targets.State, reason string, jobs ...targets.JobStatus) targets.MonitorStatus {
		return targets.MonitorStatus{Owner: targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: name}, State: state, Reason: reason, Jobs: jobs}
	}
	keeps := func(m targets.MonitorStatus) targets.MonitorStatus { m.LastGood = true; return m }
	why := func(m targets.MonitorStatus, why string) targets.MonitorStatus { m.Why = why; return m }
	empty := *job
	empty.Name = "serviceMonitor/shop/empty/0"
	return &world{
		monitors: []targets.MonitorStatus{
			monitor("cart", targets.Accepted, "", targets.JobStatus{Job: job, Notes: job.Notes, Dropped: []targets.Dropped{drop}}),
			monitor("broken", targets.Rejected, "endpoints[0].relabelings[0].regex: missing )"),
			keeps(monitor("kept", targets.Rejected, "endpoints[0]: port: missing closing )", targets.JobStatus{Job: &empty})),
			why(monitor("empty", targets.Accepted, "", targets.JobStatus{Job: &empty}), "no Service in namespace shop matches its selector app=empty (3 Services there)"),
			why(monitor("stuck", targets.Accepted, "", targets.JobStatus{Job: &empty, Problems: []string{"consul_sd_configs cannot be started: no such file"}}), "service discovery fails: consul_sd_configs cannot be started: no such file"),
			monitor("foreign", targets.Unselected, "labels do not match serviceMonitorSelector"),
		},
		off: map[string]string{"probes": "the CRD is not installed"},
		statuses: map[string][]scrape.Status{job.Name: {
			{Target: made[0], Health: scrape.HealthUp, LastScrape: time.Now().Add(-3 * time.Second), Duration: 12 * time.Millisecond, Samples: 1234567, Series: 7},
			{Target: made[1], Health: scrape.HealthDown, LastScrape: time.Now(), Error: `server returned HTTP status 500: <script>alert(1)</script>`},
		}},
		destinations: []relay.Status{
			{
				Name: "central", URL: "http://central/write", Version: 2, Confirmed: true, Stored: time.Now().Add(-3 * time.Second),
				Newest: time.Now().Add(-4 * time.Second).UnixMilli(), Position: wal.Position{Segment: 7, Offset: 161336},
			},
			{Name: "dead", URL: "http://dead/write", Version: 2, Behind: 123456, Error: "connection refused"},
		},
	}
}

func newServer(t testing.TB, change func(*Options)) (*Server, *httptest.Server) {
	t.Helper()
	none, off := "", false
	o := Options{Flags: &toolkit.FlagConfig{WebListenAddresses: &[]string{"127.0.0.1:0"}, WebConfigFile: &none, WebSystemdSocket: &off}, Version: "v1", Gatherer: prometheus.NewRegistry()}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.handler())
	t.Cleanup(func() {
		srv.Close()
		_ = s.Close()
	})
	return s, srv
}

func ask(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestReadyOnlyWhenAllIsThere(t *testing.T) {
	s, srv := newServer(t, nil)
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 503, "/targets": 503, "/api/v1/targets": 503, "/metrics": 200, "/debug/pprof/": 404} {
		if got, _ := ask(t, "GET", srv.URL+path); got != want {
			t.Errorf("%s before it is ready: %d, want %d", path, got, want)
		}
	}
	s.Ready(newWorld(t).sources())
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/targets": 200, "/api/v1/targets": 200, "/": 200, "/nothing": 404} {
		if got, _ := ask(t, "GET", srv.URL+path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestNotReadyWhileTheLogDoesNotWork(t *testing.T) {
	s, srv := newServer(t, nil)
	src := newWorld(t).sources()
	for _, err := range []error{errors.New("read-only file system"), nil} {
		src.Working = func() error { return err }
		s.Ready(src)
		want := map[bool]int{true: 200, false: 503}[err == nil]
		got, body := ask(t, "GET", srv.URL+"/-/ready")
		if got != want || err != nil && !strings.Contains(body, err.Error()) {
			t.Errorf("%v: %d %s", err, got, body)
		}
		if got, _ := ask(t, "GET", srv.URL+"/targets"); got != 200 {
			t.Errorf("%v: /targets: %d", err, got)
		}
	}
}

func TestPprof(t *testing.T) {
	_, srv := newServer(t, func(o *Options) { o.Pprof = true })
	for _, path := range []string{"", "heap", "cmdline", "symbol"} {
		if got, _ := ask(t, "GET", srv.URL+"/debug/pprof/"+path); got != 200 {
			t.Errorf("/debug/pprof/%s: %d", path, got)
		}
	}
}

func TestReload(t *testing.T) {
	_, off := newServer(t, nil)
	if got, body := ask(t, "POST", off.URL+"/-/reload"); got != 403 || !strings.Contains(body, "--web.enable-lifecycle") {
		t.Errorf("not enabled: %d %s", got, body)
	}
	var answer error
	s, on := newServer(t, func(o *Options) { o.Lifecycle = true })
	if got, body := ask(t, "POST", on.URL+"/-/reload"); got != 503 || !strings.Contains(body, "starting") {
		t.Errorf("before it is ready: %d %s", got, body)
	}
	s.Ready(Sources{Reload: func() error { return answer }})
	if got, _ := ask(t, "POST", on.URL+"/-/reload"); got != 200 {
		t.Errorf("good: %d", got)
	}
	answer = errors.New("promrelay.yml: line 3: unknown key")
	if got, body := ask(t, "PUT", on.URL+"/-/reload"); got != 500 || !strings.Contains(body, answer.Error()) {
		t.Errorf("bad: %d %s", got, body)
	}
	if got, _ := ask(t, "GET", on.URL+"/-/reload"); got != 405 {
		t.Errorf("GET: %d", got)
	}
}

// TestReadyWaitsForTheFirstLists, and says what it is ready with.
func TestReadyWaitsForTheFirstLists(t *testing.T) {
	s, srv := newServer(t, nil)
	src := newWorld(t).sources()
	remark, err, known := "", errors.New("the first lists are not read yet: nodes"), false
	src.FirstLists = func() (string, error) { return remark, err }
	src.Known = func() bool { return known }
	src.Monitors = &world{}
	s.Ready(src)
	if got, body := ask(t, "GET", srv.URL+"/-/ready"); got != 503 || !strings.Contains(body, "not read yet: nodes") {
		t.Errorf("%d %s", got, body)
	}
	if _, body := ask(t, "GET", srv.URL+"/targets"); strings.Contains(body, "There are no monitors") || !strings.Contains(body, "which monitors there are is not known") {
		t.Error("the page knows what nobody knows")
	}
	remark, err, known = "The first lists were read.", nil, true
	if got, body := ask(t, "GET", srv.URL+"/-/ready"); got != 200 || !strings.Contains(body, "promrelay is ready. The first lists were read.") {
		t.Errorf("%d %s", got, body)
	}
	if _, body := ask(t, "GET", srv.URL+"/targets"); !strings.Contains(body, "There are no monitors and no jobs.") {
		t.Error("the page does not say that there are none")
	}
}

// Prometheus's own client can read the answer.
func TestTargetsForClientsOfPrometheus(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	client, err := api.NewClient(api.Config{Address: srv.URL, Client: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := promv1.NewAPI(client).Targets(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Active) != 2 || len(got.Dropped) != 1 {
		t.Fatalf("%d active, %d dropped", len(got.Active), len(got.Dropped))
	}
	up, down := got.Active[0], got.Active[1]
	if up.Health != promv1.HealthGood || down.Health != promv1.HealthBad || !strings.Contains(down.LastError, "500") {
		t.Errorf("health: %v and %v, %q", up.Health, down.Health, down.LastError)
	}
	if up.ScrapeURL != "http://10.0.0.1:80/metrics" || up.ScrapePool != "serviceMonitor/shop/cart/0" || up.LastScrapeDuration != 0.012 || up.LastScrape.IsZero() {
		t.Errorf("got %+v", up)
	}
	if up.Labels["instance"] != "10.0.0.1:80" || up.DiscoveredLabels["__address__"] != "10.0.0.1:80" {
		t.Errorf("labels %v, discovered %v", up.Labels, up.DiscoveredLabels)
	}
	for query, want := range map[string][2]int{
		"?state=active": {2, 0}, "?state=dropped": {0, 1}, "?state=any": {2, 1}, "?scrapePool=serviceMonitor/shop/empty/0": {0, 0},
	} {
		_, body := ask(t, "GET", srv.URL+"/api/v1/targets"+query)
		if n := [2]int{strings.Count(body, `"scrapeUrl"`), strings.Count(body, `"__meta_kubernetes_service_name"`)}; n != want {
			t.Errorf("%s: %v active and dropped, want %v", query, n, want)
		}
	}
}

// TestMonitorsOfTheAPI: the answer also has monitors, including those without targets, with the reason.
func TestMonitorsOfTheAPI(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	for query, want := range map[string][]string{
		"": {
			`{"kind":"ServiceMonitor","namespace":"shop","name":"cart","state":"accepted","reason":"","lastGood":false,"jobs":[{"scrapePool":"serviceMonitor/shop/cart/0","reason":"","notes":["runs by Endpoints"],"problems":[]}]}`,
			`{"kind":"ServiceMonitor","namespace":"shop","name":"broken","state":"rejected","reason":"endpoints[0].relabelings[0].regex: missing )","lastGood":false,"jobs":[]}`,
			`"name":"kept","state":"rejected","reason":"endpoints[0]: port: missing closing )","lastGood":true,`,
			`"name":"empty","state":"accepted","reason":"no Service in namespace shop matches its selector app=empty (3 Services there)"`,
			`"problems":["consul_sd_configs cannot be started: no such file"]`,
			`"name":"foreign","state":"not selected","reason":"labels do not match serviceMonitorSelector"`,
		},
		"?state=active&scrapePool=serviceMonitor/shop/cart/0": {`"name":"cart"`},
	} {
		_, body := ask(t, "GET", srv.URL+"/api/v1/targets"+query)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%q: no %s in %s", query, w, body)
			}
		}
		if n := strings.Count(body, `"lastGood"`); n != len(want) {
			t.Errorf("%q: %d monitors", query, n)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	s, _ := newServer(t, nil)
	address := s.listeners[0].Addr().String()
	none := ""
	_, err := New(Options{Flags: &toolkit.FlagConfig{WebListenAddresses: &[]string{address}, WebConfigFile: &none}, Gatherer: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "--web.listen-address="+address) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestRunEnds(t *testing.T) {
	s, _ := newServer(t, nil)
	address := s.listeners[0].Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	if got, _ := ask(t, "GET", "http://"+address+"/-/healthy"); got != 200 {
		t.Errorf("healthy: %d", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
