package web

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"promrelay/scrape"
	"promrelay/wal"
)

// described is newWorld with metadata, a log and a configuration.
func described(t testing.TB) (*world, Sources) {
	w := newWorld(t)
	w.metadata = map[string][]scrape.Metadata{
		"http://10.0.0.1:80/metrics": {{Family: "a", Type: model.MetricTypeCounter, Help: "A.", Unit: "bytes"}, {Family: "b", Type: model.MetricTypeGauge, Help: "B."}},
		"http://10.0.0.2:80/metrics": {{Family: "a", Type: model.MetricTypeCounter, Help: "Also a."}},
	}
	src := w.sources()
	src.Config = func() string { return "global: {}\n" }
	src.Loaded = func() time.Time { return time.UnixMilli(1_700_000_000_000) }
	src.WAL = func() wal.Status { return wal.Status{MaxBytes: 8 << 30, Corruptions: 3} }
	return w, src
}

func apiClient(t *testing.T, address string) promv1.API {
	t.Helper()
	c, err := api.NewClient(api.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	return promv1.NewAPI(c)
}

// TestStatusByClient asks with Prometheus's own client.
func TestStatusByClient(t *testing.T) {
	s, srv := newServer(t, func(o *Options) { o.CommandLine = map[string]string{"wal.dir": "data/wal"} })
	_, src := described(t)
	s.Ready(src)
	c, ctx := apiClient(t, srv.URL), context.Background()
	if got, err := c.Config(ctx); err != nil || got.YAML != "global: {}\n" {
		t.Errorf("configuration %q, %v", got.YAML, err)
	}
	if got, err := c.Flags(ctx); err != nil || got["wal.dir"] != "data/wal" {
		t.Errorf("flags %v, %v", got, err)
	}
	if got, err := c.Buildinfo(ctx); err != nil || got.Version != "v1" || !strings.HasPrefix(got.GoVersion, "go") {
		t.Errorf("build %+v, %v", got, err)
	}
	got, err := c.Runtimeinfo(ctx)
	if err != nil || !got.ReloadConfigSuccess || got.LastConfigTime.Unix() != 1_700_000_000 || got.CorruptionCount != 3 || got.StorageRetention != "8GiB" {
		t.Errorf("runtime %+v, %v", got, err)
	}
	if time.Since(got.StartTime) > time.Minute || got.GoroutineCount < 1 || got.GOMAXPROCS < 1 || got.GOGC == "" || got.CWD == "" {
		t.Errorf("runtime %+v", got)
	}
	src.Refused = func() *Refused { return &Refused{Error: "no"} }
	s.Ready(src)
	if got, err := c.Runtimeinfo(ctx); err != nil || got.ReloadConfigSuccess {
		t.Errorf("with a refused file: %+v, %v", got, err)
	}
	if _, _, err := c.Query(ctx, "up", time.Now()); err == nil || !strings.Contains(err.Error(), "execution: promrelay stores no samples") {
		t.Errorf("a query is answered with %v", err)
	}
}

func TestTargetsMetadata(t *testing.T) {
	s, srv := newServer(t, nil)
	w, src := described(t)
	s.Ready(src)
	c, ctx := apiClient(t, srv.URL), context.Background()
	for name, q := range map[string]struct {
		match, metric, limit string
		want                 string
	}{
		"all":             {want: "10.0.0.1:80 a counter A. bytes, 10.0.0.1:80 b gauge B. , 10.0.0.2:80 a counter Also a. "},
		"a metric":        {metric: "a", want: "10.0.0.1:80  counter A. bytes, 10.0.0.2:80  counter Also a. "},
		"a target":        {match: `{instance=~".*2:80"}`, want: "10.0.0.2:80 a counter Also a. "},
		"no target":       {match: `{instance="x"}`},
		"no metric":       {metric: "c"},
		"as many as fit":  {limit: "1", want: "10.0.0.1:80 a counter A. bytes, 10.0.0.1:80 b gauge B. "},
		"one of a metric": {metric: "a", limit: "1", want: "10.0.0.1:80  counter A. bytes"},
		"none":            {limit: "0"},
		"no limit":        {limit: "-5", metric: "b", want: "10.0.0.1:80  gauge B. "},
	} {
		got, err := c.TargetsMetadata(ctx, q.match, q.metric, q.limit)
		var lines []string
		for _, m := range got {
			lines = append(lines, m.Target["instance"]+" "+m.Metric+" "+string(m.Type)+" "+m.Help+" "+m.Unit)
		}
		if text := strings.Join(lines, ", "); err != nil || text != q.want {
			t.Errorf("%s: %q, %v; want %q", name, text, err, q.want)
		}
	}
	w.busy.Store(3)
	if got, err := c.TargetsMetadata(ctx, "", "", ""); err != nil || len(got) != 3 {
		t.Errorf("after its page was read: %v, %v", got, err)
	}
	w.busy.Store(1000)
	if _, body := ask(t, http.MethodGet, srv.URL+"/api/v1/targets/metadata"); !strings.Contains(body, `"data":[],"warnings":["2 targets are left out`) {
		t.Errorf("while pages are read: %s", body)
	}
}

func TestScrapePoolsAndRelabelSteps(t *testing.T) {
	s, srv := newServer(t, nil)
	w, src := described(t)
	rules := &w.monitors[0].Jobs[0].Job.Config.RelabelConfigs
	*rules = append(*rules, &relabel.Config{
		Action: relabel.Replace, TargetLabel: "__param_token", Replacement: "hidden", Regex: relabel.MustNewRegexp(".*"), Separator: ";", NameValidationScheme: model.UTF8Validation,
	})
	s.Ready(src)
	const pool = "serviceMonitor/shop/cart/0"
	get := func(path string, q url.Values, into any) string {
		t.Helper()
		status, body := ask(t, http.MethodGet, srv.URL+path+"?"+q.Encode())
		answer := struct {
			Status string
			Data   json.RawMessage
		}{}
		if err := errors.Join(json.Unmarshal([]byte(body), &answer), json.Unmarshal(answer.Data, into)); status != 200 || answer.Status != "success" || err != nil {
			t.Fatalf("%s: %d %s, %v", path, status, body, err)
		}
		if strings.Contains(body, "hidden") {
			t.Errorf("%s shows a secret: %s", path, body)
		}
		return body
	}
	var pools struct{ ScrapePools []string }
	get("/api/v1/scrape_pools", nil, &pools)
	if !slices.Contains(pools.ScrapePools, pool) || !slices.Contains(pools.ScrapePools, "serviceMonitor/shop/empty/0") || !slices.IsSorted(pools.ScrapePools) {
		t.Errorf("pools %v", pools.ScrapePools)
	}
	var of struct{ YAML string }
	if get("/api/v1/scrape_pools/config", url.Values{"scrapePool": {pool}}, &of); !strings.Contains(of.YAML, "job_name: "+pool) {
		t.Errorf("configuration of a pool: %s", of.YAML)
	}
	var steps struct {
		Steps []struct {
			Rule   map[string]any
			Output map[string]string
			Keep   bool
		}
	}
	get("/api/v1/targets/relabel_steps", url.Values{"scrapePool": {pool}, "labels": {`{"port":"web","__address__":"a:1"}`}}, &steps)
	if n := len(steps.Steps); n != 2 || !steps.Steps[0].Keep || steps.Steps[1].Output["port"] != "web" || steps.Steps[1].Output["__param_token"] != "<secret>" || steps.Steps[0].Rule["action"] != "keep" {
		t.Errorf("steps %+v", steps.Steps)
	}
	steps.Steps = nil
	get("/api/v1/targets/relabel_steps", url.Values{"scrapePool": {"serviceMonitor/shop/empty/0"}, "labels": {`{"port":"other"}`}}, &steps)
	if len(steps.Steps) != 2 {
		t.Errorf("steps %+v", steps.Steps)
	}
	for _, step := range steps.Steps {
		if step.Keep || len(step.Output) != 0 {
			t.Errorf("after a rule that drops: %+v", step)
		}
	}
}

// TestErrorsOfTheAPI: each wrong request has an answer that says what is wrong, in Prometheus's envelope.
func TestErrorsOfTheAPI(t *testing.T) {
	s, srv := newServer(t, nil)
	for _, path := range []string{"targets", "status/config", "status/buildinfo", "scrape_pools"} {
		if status, body := ask(t, http.MethodGet, srv.URL+"/api/v1/"+path); status != 503 || body != `{"status":"error","errorType":"unavailable","error":"promrelay is starting"}`+"\n" {
			t.Errorf("%s while the relay starts: %d %s", path, status, body)
		}
	}
	_, src := described(t)
	s.Ready(src)
	pool := "scrapePool=" + url.QueryEscape("serviceMonitor/shop/cart/0")
	for path, want := range map[string]string{
		"targets/metadata?limit=many":                                  "limit must be a number",
		"targets/metadata?limit=99999999999999999999":                  "limit must be a number",
		"targets/metadata?match_target={a":                             `invalid parameter \"match_target\"`,
		"targets/metadata?match_target=" + url.QueryEscape(`{a=~"("}`): `invalid parameter \"match_target\"`,
		"targets/metadata?match_target=" + strings.Repeat("x", 20000):  "want at most 10000",
		"targets/relabel_steps":                                        "no scrapePool parameter provided",
		"targets/relabel_steps?" + pool:                                "no labels parameter provided",
		"targets/relabel_steps?labels=1&" + pool:                       "error parsing labels",
		"targets/relabel_steps?labels={}&scrapePool=x":                 "scrape pool not found",
		"scrape_pools/config":                                          "no scrapePool parameter provided",
		"scrape_pools/config?scrapePool=x":                             "scrape pool not found",
	} {
		status, body := ask(t, http.MethodGet, srv.URL+"/api/v1/"+path)
		if status != 400 || !strings.HasPrefix(body, `{"status":"error","errorType":"bad_data","error":"`) || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s; want %s", clip(path), status, clip(body), want)
		}
	}
	for path := range s.apis() {
		if status, _ := ask(t, http.MethodPost, srv.URL+"/api/v1/"+path); status != http.StatusMethodNotAllowed {
			t.Errorf("POST of %s: %d", path, status)
		}
		resp, err := http.Get(srv.URL + "/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if h := resp.Header; h.Get("Content-Type") != "application/json" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

// TestPathsAreDocumented: docs/api.md lists each path.
func TestPathsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newServer(t, nil)
	for _, path := range append(slices.Collect(maps.Keys(s.apis())), "tap") {
		if !strings.Contains(string(page), "| `/api/v1/"+path+"` |") {
			t.Errorf("%s is missing", path)
		}
	}
}
