package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"promrelay/relay"
	"promrelay/scrape"
	"promrelay/targets"
)

func TestTargetsPage(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	_, body := ask(t, "GET", srv.URL+"/targets")
	for _, want := range []string{
		"shop/cart", "http://10.0.0.1:80/metrics", `instance="10.0.0.1:80"`, "1 up", "1 down", "12 ms", "1\u2009234\u2009567",
		"server returned HTTP status 500: &lt;script&gt;", "service cart&lt;b&gt;, 10.0.0.3:81", "rule 0: keep where port matches",
		"endpoints[0].relabelings[0].regex: missing )", "No targets: no Service in namespace shop matches its selector app=empty (3 Services there)", "labels do not match serviceMonitorSelector",
		"probes: the CRD is not installed", "bad.yaml: no kind", "Destination dead</a>: down. connection refused", "runs by Endpoints",
		"rejected; its last good version is still scraped. endpoints[0]: port: missing closing )",
		"No targets: service discovery fails", "consul_sd_configs cannot be started: no such file",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"<script>alert", "161336", "161\u2009336", "0 µs", "__address__"} {
		if strings.Contains(body, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if n := strings.Count(body, "its last good version is still scraped"); n != 1 {
		t.Errorf("the page says of %d monitors that their last good version is scraped", n)
	}
	if strings.Index(body, "10.0.0.2:80/metrics") > strings.Index(body, "10.0.0.1:80/metrics") {
		t.Error("what is down does not stand first")
	}
}

// The worst stand first, whatever their names.
func TestOrderOfGroups(t *testing.T) {
	w := newWorld(t)
	fine := w.monitors[0]
	fine.Owner.Name, fine.Jobs = "aaa", []targets.JobStatus{{Job: jobNamed("fine")}}
	w.statuses["fine"] = []scrape.Status{w.statuses["serviceMonitor/shop/cart/0"][0]}
	w.monitors = slices.Insert(w.monitors, 0, fine)
	var got []string
	for _, g := range newPage(new(w.sources()), view{}, time.Now()).Groups {
		got = append(got, g.Title)
	}
	// stuck is an accepted monitor whose service discovery fails.
	if want := "shop/broken shop/kept shop/cart shop/stuck shop/empty shop/aaa"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// The content of a view: the titles of its groups, and the number of their targets and dropped targets.
func TestViews(t *testing.T) {
	w := newWorld(t)
	const cart = "serviceMonitor/shop/cart/0"
	down := idOf(w.statuses[cart][1].Target)
	for name, c := range map[string]struct{ query, want string }{
		"everything":          {"", "broken 0+0, kept 0+0, cart 2+1, stuck 0+0, empty 0+0"},
		"rejected":            {"state=rejected", "broken 0+0, kept 0+0"},
		"empty":               {"state=empty", "stuck 0+0, empty 0+0"},
		"down":                {"state=down", "cart 1+0"},
		"up":                  {"state=up", "cart 1+0"},
		"not scraped":         {"state=unknown", ""},
		"dropped":             {"state=dropped", "cart 0+1"},
		"not selected":        {"state=unselected", ""},
		"nonsense":            {"state=nonsense", ""},
		"of an old link":      {"unhealthy=1", "cart 1+0"},
		"words of a monitor":  {"filter=shop/CART", "cart 2+1"},
		"words of a target":   {"filter=10.0.0.2+cart", "cart 1+0"},
		"words of an error":   {"filter=status+500", "cart 1+0"},
		"a label":             {"filter=" + url.QueryEscape(`instance="10.0.0.1:80"`), "cart 1+0"},
		"a discovered label":  {"filter=__address__+10.0.0.1", "cart 1+0"},
		"a dropped target":    {"filter=10.0.0.3", "cart 0+1"},
		"a reason":            {"filter=missing", "broken 0+0, kept 0+0"},
		"words and state":     {"filter=10.0.0.1&state=down", ""},
		"words of nothing":    {"filter=nowhere", ""},
		"a job":               {"job=" + cart, "cart 2+1"},
		"no job":              {"job=gone", ""},
		"a job from a target": {"job=" + cart + "&from=1", "cart 1+1"},
		"from beyond the end": {"job=" + cart + "&from=9", "cart 0+1"},
		"from nonsense":       {"job=" + cart + "&from=-1", "cart 2+1"},
		"a monitor":           {"monitor=ServiceMonitor/shop/cart", "cart 2+1"},
		"a target":            {"job=" + cart + "&target=" + down, "cart 1+0"},
		"no target":           {"job=" + cart + "&target=x", "cart 0+0"},
	} {
		r, err := http.NewRequest(http.MethodGet, "/targets?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range newPage(new(w.sources()), newView(r), time.Now()).Groups {
			rows, drops := 0, 0
			for _, j := range g.Jobs {
				rows, drops = rows+len(j.Targets), drops+len(j.Dropped)
			}
			got = append(got, fmt.Sprintf("%s %d+%d", strings.TrimPrefix(g.Title, "shop/"), rows, drops))
			if !g.Open {
				t.Errorf("%s: %s is closed", name, g.Title)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: got %q, want %q", name, strings.Join(got, ", "), c.want)
		}
	}
}

// Monitors that are not selected are found like all others, in a box that is open then.
func TestNotSelected(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	const box, foreign, nothing = `data-key="unselected"`, "labels do not match serviceMonitorSelector", "Nothing matches the filter."
	for query, want := range map[string]struct{ box, open, nothing bool }{
		"":                                    {box: true},
		"filter=foreign":                      {box: true, open: true},
		"filter=SHOP+servicemonitorselector":  {box: true, open: true},
		"filter=shop":                         {box: true, open: true},
		"filter=cart":                         {},
		"filter=nowhere":                      {nothing: true},
		"state=unselected":                    {box: true, open: true},
		"state=unselected&filter=foreign":     {box: true, open: true},
		"state=unselected&filter=cart":        {nothing: true},
		"state=unknown":                       {nothing: true},
		"state=down&filter=foreign":           {nothing: true},
		"monitor=ServiceMonitor/shop/foreign": {box: true, open: true},
	} {
		_, body := ask(t, "GET", srv.URL+"/targets?"+query)
		if strings.Contains(body, box) != want.box || strings.Contains(body, foreign) != want.box || strings.Contains(body, box+" open") != want.open || strings.Contains(body, nothing) != want.nothing {
			t.Errorf("%q: want %+v: %s", query, want, body)
		}
		if strings.Contains(body, "It is not there") {
			t.Errorf("%q: says that it is not there", query)
		}
		on := `aria-current="true">1 not selected<`
		if chips := strings.Contains(body, ">1 not selected<"); chips == strings.Contains(query, "monitor=") || strings.Contains(body, on) != strings.Contains(query, "unselected") {
			t.Errorf("%q: the chip is not as it should be", query)
		}
	}
}

// The box of what cannot be read has a heading, and is there only where there is something in it. Errors of targets are rows that stand
// directly under the state on a narrow screen.
func TestHeadings(t *testing.T) {
	w := newWorld(t)
	s, srv := newServer(t, nil)
	s.Ready(w.sources())
	_, body := ask(t, "GET", srv.URL+"/targets")
	if !strings.Contains(body, `<strong>What the relay cannot read or watch:</strong><p>bad.yaml: no kind</p>`) {
		t.Errorf("there is no heading: %s", body)
	}
	if n := strings.Count(body, `<tr class="says wrong"><td colspan="5"><p class="error">`); n != 1 {
		t.Errorf("%d rows of errors", n)
	}
	css, err := pageFiles.ReadFile("html/page.css")
	if err != nil || !strings.Contains(string(css), ".targets tr.wrong td { order: -1; }") {
		t.Errorf("page.css does not place errors, %v", err)
	}
	sources := w.sources()
	sources.Problems, w.off = nil, nil
	s.Ready(sources)
	if _, body := ask(t, "GET", srv.URL+"/targets"); strings.Contains(body, "cannot read or watch") {
		t.Error("there is a heading of nothing")
	}
}

// A link of the page to one target shows what was discovered of it, and nothing else.
func TestDiscoveredLabels(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	_, body := ask(t, "GET", srv.URL+"/targets")
	var links []string
	for part := range strings.SplitSeq(body, `class="discover" href="`) {
		if link, _, ok := strings.Cut(part, `">discovered labels`); ok && strings.HasPrefix(link, "targets?") {
			links = append(links, html.UnescapeString(link))
		}
	}
	if len(links) != 3 {
		t.Fatalf("%d links: %q", len(links), links)
	}
	for i, want := range []string{"10.0.0.2:80", "10.0.0.1:80", "10.0.0.3:81"} {
		_, body := ask(t, "GET", srv.URL+"/"+links[i])
		body = html.UnescapeString(body)
		if !strings.Contains(body, `__address__="`+want+`"`) || strings.Count(body, `class="labels discovered"`) != 1 {
			t.Errorf("%s: %s", links[i], body)
		}
	}
}

// State, chip and version of destinations are what was seen of them.
func TestStateOfDestinations(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	refused := func(at time.Time) []relay.Refusal {
		return []relay.Refusal{{Reason: "refused", Error: "400: no", Samples: 5, Last: at}}
	}
	for name, c := range map[string]struct {
		status              relay.Status
		state, class, words string
		lag, dialect        string
	}{
		"never answered": {relay.Status{Version: 2}, "nothing sent", "waiting", "", none, "not known yet"},
		"up":             {relay.Status{Version: 2, Confirmed: true, Stored: ago(time.Second), Newest: ago(5 * time.Second).UnixMilli()}, "up", "up", "", "5.0 s", "2.0"},
		"up by 1.0":      {relay.Status{Version: 1, Confirmed: true, Stored: ago(time.Second), Newest: ago(3 * time.Minute).UnixMilli()}, "up", "up", "", "3 min", "1.0"},
		"2.0 unanswered": {relay.Status{Version: 2, Stored: ago(time.Second)}, "up", "up", "", none, "not known yet"},
		"down":           {relay.Status{Version: 2, Confirmed: true, Stored: ago(time.Second), Error: "503: away"}, "down", "down", "", none, "2.0"},
		"refuses some":   {relay.Status{Version: 2, Confirmed: true, Stored: ago(0), Refusals: refused(ago(0))}, "refuses some", "waiting", "", none, "2.0"},
		"refused before": {relay.Status{Version: 2, Confirmed: true, Stored: ago(time.Second), Refusals: refused(ago(2 * time.Hour))}, "up", "up", "", none, "2.0"},
		"refuses all from the start": {
			relay.Status{Version: 2, Refusals: refused(ago(time.Second))}, "stores nothing", "down", "refuses everything", none, "not known yet",
		},
		"refuses all since": {
			relay.Status{Version: 2, Confirmed: true, Stored: ago(5 * time.Minute), Refusals: refused(ago(time.Second))},
			"stores nothing", "down", "last time 5 min ago", none, "2.0",
		},
		"refused beside what was stored, long between": {
			relay.Status{Version: 2, Confirmed: true, Stored: ago(90 * time.Second), Refusals: refused(ago(89 * time.Second))}, "refuses some", "waiting", "", none, "2.0",
		},
		"rules drop everything": {relay.Status{Version: 2, Confirmed: true, Stored: ago(11 * time.Minute)}, "nothing sent", "waiting", "write_relabel_configs", none, "2.0"},
	} {
		d := newDestination(c.status, now)
		if d.State != c.state || d.Class != c.class || d.Lag != c.lag || d.Dialect != c.dialect {
			t.Errorf("%s: state %q, class %q, lag %q, version %q", name, d.State, d.Class, d.Lag, d.Dialect)
		}
		if !strings.Contains(d.Words, c.words) || c.words == "" && d.Words != "" {
			t.Errorf("%s: words %q, want %q", name, d.Words, c.words)
		}
	}
}

// The page says of a destination why it gets 1.0, what it refuses, and what can be done.
func TestPageOfRefusals(t *testing.T) {
	w := newWorld(t)
	w.destinations = []relay.Status{
		{
			Name: "central", URL: "http://central/write", Version: 1, Stored: time.Now(), Newest: time.Now().UnixMilli(), Aside: 1234, Reason: "415: not <b>2.0</b>",
			Refusals: []relay.Refusal{
				{Reason: "refused", Error: "400: bad <i>", Advice: "drop the label", Samples: 12345, Last: time.Now().Add(-time.Minute)},
				{Reason: "not_written", Error: "204: wrote nothing", Samples: 60, AtMost: true, Last: time.Now().Add(-30 * time.Minute)},
				{Reason: "out_of_order_at_most", Error: "400: out of order", Samples: 1, Last: time.Now().Add(-59 * time.Minute)},
				{Reason: "refused, number unknown", Error: "400: limit", AtMost: true, Last: time.Now().Add(-2 * time.Hour)},
			},
		},
		{Name: "dead", URL: "http://dead/write", Version: 2, Error: "503: away", Advice: "start it", Aside: 1},
		{Name: "old", URL: "http://old/write", Version: 2, Stored: time.Now(), Refusals: []relay.Refusal{{Reason: "refused", Error: "400: once", Samples: 1, Last: time.Now().Add(-61 * time.Minute)}}},
		{Name: "well", URL: "http://well/write", Version: 2, Stored: time.Now()},
	}
	s, srv := newServer(t, nil)
	s.Ready(w.sources())
	_, body := ask(t, "GET", srv.URL+"/destinations")
	body = strings.Join(strings.Fields(html.UnescapeString(body)), " ")
	for _, want := range []string{
		"Remote write 1.0, since 2.0 was answered so: <q>415: not <b>2.0</b></q>. 2.0 is asked again within the hour.",
		"1 234 series are set aside for a while or sent apart", "1 series is set aside",
		"503: away<br>What to do: start it.",
		`<span class="chip waiting" title="promrelay_relay_dropped_samples_total{reason="refused"}">refused</span> <span class="lost">12 345 samples</span>`,
		`<p><q>400: bad <i></q><br>What to do: drop the label.</p>`,
		`{reason="not_written_at_most"}">not written</span> <span class="lost">at most 60 samples</span>`,
		`{reason="out_of_order_at_most"}">out of order</span> <span class="lost">at most 1 sample</span>`,
		`<span class="chip">refused</span> <span class="lost">number unknown</span>`,
		`<span class="chip" title="promrelay_relay_dropped_samples_total{reason="refused"}">refused</span> <span class="lost">1 sample</span>`,
		">60 s ago<", ">2 h ago<",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for text, want := range map[string]int{">refuses some<": 1, `class="error"`: 1, "within the hour": 1, "What to do": 2} {
		if n := strings.Count(body, text); n != want {
			t.Errorf("the page has %q %d times, want %d", text, n, want)
		}
	}
	if _, body := ask(t, "GET", srv.URL+"/destinations"); strings.Contains(body, "<i>") || strings.Contains(body, "<b>2.0") {
		t.Error("the page holds HTML of a receiver")
	}
}

// A configuration file that was refused is on the page, in whichever view.
func TestPageOfARefusedFile(t *testing.T) {
	var refused *Refused
	s, srv := newServer(t, nil)
	src := newWorld(t).sources()
	src.Refused = func() *Refused { return refused }
	s.Ready(src)
	const text = "promrelay.yml: line 3: <unknown> key"
	for _, path := range []string{"/targets", "/targets?state=down", "/targets?job=serviceMonitor/shop/cart/0", "/targets?monitor=gone"} {
		refused = nil
		if _, body := ask(t, "GET", srv.URL+path); strings.Contains(body, "refused at") {
			t.Errorf("%s tells of a refused file, and there is none", path)
		}
		refused = &Refused{At: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Error: text}
		_, body := ask(t, "GET", srv.URL+path)
		if !strings.Contains(body, "refused at 2026-05-04 03:02:01 UTC") || !strings.Contains(html.UnescapeString(body), text) {
			t.Errorf("%s does not tell of the refused file", path)
		}
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(manyTargets(t, 100, 10, scrape.HealthUp).sources())
	for _, path := range []string{"/targets", "/api/v1/targets", "/page.css", "/page.js"} {
		_, plain := ask(t, "GET", srv.URL+path)
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		r, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.Header.Get("Content-Encoding") != "gzip" || len(packed) > len(plain)/2 {
			t.Errorf("%s: %v, encoding %q, %d bytes of %d", path, err, r.Header.Get("Content-Encoding"), len(packed), len(plain))
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || len(text) < len(plain)*9/10 {
			t.Errorf("%s: %v, %d bytes unpacked of %d", path, err, len(text), len(plain))
		}
	}
}

// The files of the page are answered with 304 while they are the same.
func TestFilesAreAskedForOnce(t *testing.T) {
	_, srv := newServer(t, nil)
	for _, path := range []string{"/page.css", "/page.js"} {
		first, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		first.Body.Close()
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", first.Header.Get("ETag"))
		again, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		again.Body.Close()
		if first.StatusCode != http.StatusOK || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d, then %d", path, first.StatusCode, again.StatusCode)
		}
	}
}
