package scrape

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"google.golang.org/protobuf/proto"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// testLoop is the loop of a target a:1, as a pool without a clock of its own starts it: scrapes are
// called for one by one, and answered by transport.
func testLoop(tb testing.TB, log Log, c promconfig.ScrapeConfig, transport http.RoundTripper) *loop {
	tb.Helper()
	_, l := testPool(tb, log, c, transport)
	return l
}

// testPool returns the pool of that loop too.
func testPool(tb testing.TB, log Log, c promconfig.ScrapeConfig, transport http.RoundTripper) (*Pool, *loop) {
	tb.Helper()
	p, err := New(Options{Log: log, Guard: order.New(), Host: "h"})
	if err != nil {
		tb.Fatal(err)
	}
	if c.JobName = "j"; c.ScrapeTimeout == 0 {
		c.ScrapeInterval, c.ScrapeTimeout = model.Duration(time.Minute), model.Duration(time.Minute)
	}
	c.ScrapeProtocols, c.MetricNameValidationScheme = promconfig.DefaultScrapeProtocols, model.UTF8Validation
	j := &targets.Job{Name: "j", Config: &c}
	added, err := targets.FromGroup(j, &targetgroup.Group{Source: "s", Targets: []model.LabelSet{{"__address__": "a:1"}}})
	if err != nil {
		tb.Fatal(err)
	}
	p.clients.byHint = map[string][]*client{}
	p.Apply([]targets.Change{{Job: j, Added: added}})
	for _, l := range p.jobs["j"].loops {
		l.client = &client{Client: &http.Client{Transport: transport}}
		return p, l
	}
	tb.Fatal("no target")
	return nil, nil
}

// served answers with pages in turn.
func served(contentType string, zip bool, pages ...string) roundTrip {
	bodies := make([][]byte, len(pages))
	header := http.Header{"Content-Type": {contentType}}
	for i, page := range pages {
		bodies[i] = []byte(page)
		if zip {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(bodies[i])
			_ = z.Close()
			bodies[i] = b.Bytes()
			header.Set("Content-Encoding", "gzip")
		}
	}
	n := 0
	return func(r *http.Request) (*http.Response, error) {
		body := bodies[n%len(bodies)]
		n++
		return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	}
}

// benchPage is a page of n samples whose values depend on round.
func benchPage(n, round int, stamp, end string) string {
	var b strings.Builder
	for i := range n {
		if i%20 == 0 {
			fmt.Fprintf(&b, "# HELP container_metric_%d Some help that says what it is.\n# TYPE container_metric_%d gauge\n", i/20, i/20)
		}
		fmt.Fprintf(&b, "container_metric_%d{container=\"server\",namespace=\"production\",pod=\"frontend-6c9bd6b5d9-%05d\"} %d%s\n", i/20, i, i*7+round*(i%3), stamp)
	}
	return b.String() + end
}

func benchProtobuf(n, round int) string {
	var out []byte
	for i := 0; i < n; i += 20 {
		f := &dto.MetricFamily{Name: proto.String(fmt.Sprintf("container_metric_%d", i/20)), Help: proto.String("Some help."), Type: dto.MetricType_GAUGE.Enum()}
		for k := range 20 {
			f.Metric = append(f.Metric, &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(float64(i + k + round))}, Label: []*dto.LabelPair{
				{Name: proto.String("container"), Value: proto.String("server")}, {Name: proto.String("pod"), Value: proto.String(fmt.Sprintf("frontend-6c9bd6b5d9-%05d", i+k))},
			}})
		}
		b, err := proto.Marshal(f)
		if err != nil {
			panic(err)
		}
		out = append(binary.AppendUvarint(out, uint64(len(b))), b...)
	}
	return string(out)
}

const (
	typeText        = "text/plain; version=0.0.4"
	typeOpenMetrics = "application/openmetrics-text; version=1.0.0"
	typeProtobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// BenchmarkScrape is a target's scrape from its request to the log, of pages that are as expected.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{500, 5000, 50_000} {
		for _, c := range []struct {
			name, contentType string
			zip               bool
			page              func(round int) string
		}{
			{"text", typeText, false, func(r int) string { return benchPage(n, r, "", "") }},
			{"gzip", typeText, true, func(r int) string { return benchPage(n, r, "", "") }},
			{"stamped", typeText, false, func(r int) string { return benchPage(n, r, fmt.Sprint(" ", 1700000000000+r), "") }},
			{"openmetrics", typeOpenMetrics, false, func(r int) string { return benchPage(n, r, "", "# EOF\n") }},
			{"protobuf", typeProtobuf, false, func(r int) string { return benchProtobuf(n, r) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				l := testLoop(b, &countLog{}, promconfig.DefaultScrapeConfig, served(c.contentType, c.zip, c.page(0), c.page(1), c.page(2)))
				at := time.Now().Add(-time.Hour)
				l.scrape(b.Context(), at)
				for b.Loop() {
					at = at.Add(time.Millisecond)
					l.scrape(b.Context(), at)
				}
				if s := l.state(); s.Health != HealthUp || s.Samples != n {
					b.Fatalf("%+v", s)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/sample")
			})
		}
	}
}

// BenchmarkFirstScrape is the scrape of an unknown page.
func BenchmarkFirstScrape(b *testing.B) {
	const n = 5000
	for b.Loop() {
		b.StopTimer()
		l := testLoop(b, &countLog{}, promconfig.DefaultScrapeConfig, served(typeText, false, benchPage(n, 0, "", "")))
		b.StartTimer()
		l.scrape(b.Context(), time.Now())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/sample")
}
