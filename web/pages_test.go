package web

import (
	"fmt"
	"html"
	"math"
	"strings"
	"testing"
	"time"

	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/targets"
	"promrelay/wal"
)

// full has everything that pages may show.
func full(t *testing.T) Sources {
	t.Helper()
	w := newWorld(t)
	w.destinations[0].Behind, w.destinations[0].BehindBytes, w.destinations[0].Rate, w.destinations[0].Written = 90000, 3<<20, 2000, 1000
	w.destinations[0].Last = relay.LastAnswer{At: time.Now().Add(-2 * time.Second), Status: 200}
	src := w.sources()
	src.Config = func() string { return "remote_write:\n  - password: <secret>\n" }
	src.Loaded = func() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC) }
	src.WAL = func() wal.Status {
		return wal.Status{
			Dir: "/data/wal", Head: wal.Position{Segment: 2}, Bytes: 3 << 30, MaxBytes: 8 << 30, MinFreeBytes: 1 << 29, Free: 20 << 30, Rate: 1 << 20,
			Segments:     []wal.SegmentStatus{{Number: 1, Bytes: 2 << 30, Samples: 5, Closed: true, First: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)}, {Number: 2, Bytes: 1 << 30, Samples: 7}},
			Destinations: []wal.DestinationStatus{{Label: "central", Position: wal.Position{Segment: 1, Offset: 77}, Samples: 12, Bytes: 3 << 20}, {Label: "gone", ForgetAt: time.Now().Add(time.Hour)}},
		}
	}
	src.Watches = func() []targets.Watch {
		return []targets.Watch{
			{Resource: "services", State: targets.Watched, Objects: 1234, Watches: 1, Since: time.Now().Add(-time.Hour)},
			{Resource: "probes", Group: "monitoring.coreos.com", State: targets.WatchAbsent, Reason: "the CRD is not installed"},
		}
	}
	src.Turned = func() map[string]time.Time { return map[string]time.Time{"discovery": time.Now().Add(-time.Minute)} }
	src.History = NewHistory(src.Destinations, src.WAL)
	for i := range 4 {
		src.History.points = append(src.History.points, Point{At: time.Now().Add(time.Duration(i-4) * time.Minute), Scraped: float64(100 * i), Destinations: []DestinationPoint{{Name: "central", Lag: float64(i), Behind: uint64(i)}}})
	}
	src.Explain = func(s targets.Subject) targets.Explanation {
		e := targets.Explanation{Subject: s, Outcome: targets.OutcomeBroken, Summary: "No port is called <metrics>.", Mend: "Write port: web."}
		e.Steps = []targets.Step{{Name: targets.StepAccepted, Outcome: targets.OutcomeOK, Text: "It compiles."}, {Name: targets.StepEndpoints, Outcome: targets.OutcomeBroken, Text: "No slice has it.", Facts: []string{"the ports are web"}}}
		e.Jobs = []targets.JobExplanation{{Job: "serviceMonitor/shop/cart/0", More: 3, Targets: []targets.TargetTrace{
			{Discovered: map[string]string{"__address__": "10.0.0.3:81"}, Dropped: "endpoints[0].port is metrics", Rules: []targets.RuleTrace{{Index: 3, Origin: "endpoints[0].port", Rule: "keep metrics", Dropped: true, Before: map[string]string{"port": "web"}}}},
			{Discovered: map[string]string{"__address__": "10.0.0.1:80"}, URL: "http://10.0.0.1:80/metrics", Labels: map[string]string{"job": "cart"}, Health: "down", Error: "refused", Mend: "start it", Rules: []targets.RuleTrace{{Origin: "job", Own: true, Before: map[string]string{"job": "old"}, After: map[string]string{"job": "new"}}}},
		}}}
		return e
	}
	return src
}

// Each page shows what it is for.
func TestPagesShowTheirState(t *testing.T) {
	s, srv := newServer(t, func(o *Options) { o.CommandLine = map[string]string{"config.file": "promrelay.yml"} })
	src := full(t)
	s.Ready(src)
	for path, want := range map[string][]string{
		"/": {
			"5 things do not work", "1 <small>of 2", "Destination dead", "shop/broken", "endpoints[0].relabelings[0].regex: missing )", "1 down", "server returned HTTP status 500", "shop/empty",
			"Samples a second over the last 3 min: now 300, least 0, most 300", ">85 min<",
		},
		"/destinations": {"central", "3.0\u00a0MiB", "80 s", "200 <small>2.", "when it answers", "Lag over the last 3 min: now 3.0 s"},
		"/wal": {
			"3.0\u00a0GiB", "of 8.0\u00a0GiB", "1.0\u00a0MiB <small>a second", "85 min", "20.0\u00a0GiB", "/data/wal", "removed; forgotten in", "segment of 2026-05-04 00:00:00 UTC", "closed", "open", `aria-label="37 % of`,
		},
		"/config": {"password: <secret>", "2026-05-04 03:02:01 UTC"},
		"/status": {"v1", "--config.file", "promrelay.yml", "1\u2009234", "the CRD is not installed", "not installed", "discovery", "60 s ago"},
		"/top":    {"shop/cart", "by series", "7", "1\u2009234\u2009567"},
		"/service-discovery": {
			"serviceMonitor/shop/cart/0", `<a href="service-discovery?job=serviceMonitor%2Fshop%2Fcart%2F0&state=dropped">1</a>`, "monitor?kind=ServiceMonitor&name=cart&namespace=shop",
		},
		"/service-discovery?filter=nothing":                               {"No job matches the filter."},
		"/service-discovery?job=serviceMonitor/shop/cart/0":               {`__address__="10.0.0.1:80"`, `instance="10.0.0.1:80"`, "rule 0: keep where port matches", "1 to 3 of 3"},
		"/service-discovery?job=serviceMonitor/shop/cart/0&state=dropped": {"1 to 1 of 1", "10.0.0.3:81"},
		"/monitor?kind=ServiceMonitor&namespace=shop&name=cart":           {"No port is called <metrics>.", "What to do: Write port: web.", "Endpoints and ports", "the ports are web", "3 more targets", "<del>old</del> <ins>new</ins>", "endpoints[0].port is metrics", "start it"},
		"/targets?by=namespace":                                           {`aria-current="true">by namespace`, "no namespace", "shop/broken</a> <span class=\"kind\">ServiceMonitor</span>: endpoints[0].relabelings"},
		"/targets?by=node":                                                {"no node", "4 monitors without targets</a>"},
		"/targets?by=job":                                                 {"serviceMonitor/shop/cart/0", "shop/broken"},
	} {
		status, body := ask(t, "GET", srv.URL+path)
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s is not escaped: %s", path, body)
		}
		body = html.UnescapeString(body)
		for _, text := range want {
			if status != 200 || !strings.Contains(body, text) {
				t.Errorf("%s: %d, no %q", path, status, text)
			}
		}
	}
	for path, want := range map[string]int{"/monitor": 400, "/monitor?kind=Pod&name=x": 400, "/monitor?kind=Node&name=x": 200} {
		if status, _ := ask(t, "GET", srv.URL+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// A page of a part that is not there is not found, and says why.
func TestPagesWithoutParts(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	for path, want := range map[string]int{"/": 200, "/wal": 404, "/config": 404, "/status": 200, "/top": 200, "/monitor?kind=Node&name=x": 404, "/destinations": 200, "/service-discovery": 200, "/relabel": 200} {
		if status, body := ask(t, "GET", srv.URL+path); status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
}

func TestVerdict(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*world)
		want   string
	}{
		"as it is":      {func(*world) {}, "5 things do not work."},
		"nothing":       {func(w *world) { w.monitors = nil; w.destinations = nil }, "There are no monitors and no jobs."},
		"none selected": {func(w *world) { w.monitors = w.monitors[5:]; w.destinations = nil }, "No monitor is selected"},
		"only empty":    {func(w *world) { w.monitors = w.monitors[3:4]; w.destinations = w.destinations[:1] }, "1 thing needs a look"},
		"all is well": {func(w *world) {
			w.monitors = w.monitors[:1]
			w.destinations = w.destinations[:1]
			w.statuses["serviceMonitor/shop/cart/0"] = w.statuses["serviceMonitor/shop/cart/0"][:1]
		}, "All targets are scraped, and all samples are delivered."},
		"no destination": {func(w *world) {
			w.monitors = w.monitors[:1]
			w.destinations = nil
			w.statuses["serviceMonitor/shop/cart/0"] = w.statuses["serviceMonitor/shop/cart/0"][:1]
		}, "All targets are scraped, and there is no destination."},
	} {
		w := &world{monitors: w.monitors, destinations: w.destinations, statuses: map[string][]scrape.Status{}}
		for job, of := range newWorld(t).statuses {
			w.statuses[job] = of
		}
		c.change(w)
		if got := newOverview(new(w.sources()), time.Now()).Verdict; !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSpark(t *testing.T) {
	at := func(i int, v float64) point { return point{time.Unix(int64(60*i), 0), v} }
	for name, c := range map[string]struct {
		points      []point
		line, words string
	}{
		"nothing":    {nil, "", ""},
		"one":        {[]point{at(0, 1)}, "", ""},
		"two":        {[]point{at(0, 0), at(1, 2)}, "M0.0 27.0L120.0 2.0", "Lag over the last 60 s: now 2, least 0, most 2"},
		"with a gap": {[]point{at(0, 2), at(1, math.NaN()), at(2, 1), at(3, 2)}, "M0.0 2.0M80.0 14.5L120.0 2.0", "Lag over the last 3 min: now 2, least 1, most 2"},
		"all zero":   {[]point{at(0, 0), at(1, 0)}, "M0.0 27.0L120.0 27.0", "Lag over the last 60 s: now 0, least 0, most 0"},
		"infinite":   {[]point{at(0, 1), at(1, math.Inf(1)), at(2, 1)}, "M0.0 2.0M120.0 2.0", "Lag over the last 2 min: now 1, least 1, most 1"},
	} {
		s := newSpark("Lag", c.points, func(v float64) string { return fmt.Sprint(v) })
		if s.Line != c.line || s.Words != c.words || (s.Area == "") != (c.line == "") {
			t.Errorf("%s: %q %q", name, s.Line, s.Words)
		}
	}
}
