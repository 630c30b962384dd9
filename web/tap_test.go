package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/relay"
)

// flow gives series to taps, one a time.
type flow struct {
	series  chan relay.TappedSeries
	omitted uint64
	open    atomic.Int32
}

func (f *flow) tap(destination string) (Tap, error) {
	if destination == "unknown" {
		return nil, fmt.Errorf("destination %q: %w", destination, relay.ErrNoDestination)
	}
	if f.open.Load() > 0 {
		return nil, relay.ErrTooManyTaps
	}
	f.open.Add(1)
	return f, nil
}

func (f *flow) Next(ctx context.Context, wanted func(labels.Labels) bool) ([]relay.TappedSeries, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case s := <-f.series:
			if wanted(s.Labels) {
				return []relay.TappedSeries{s}, nil
			}
		}
	}
}

func (f *flow) Omitted() uint64 { return f.omitted }
func (f *flow) Close()          { f.open.Add(-1) }

func floats(destination string, ls labels.Labels, values ...float64) relay.TappedSeries {
	s := relay.TappedSeries{Destination: destination, Labels: ls}
	for i, v := range values {
		s.Samples = append(s.Samples, relay.TappedSample{Time: int64(1000 * (i + 1)), Value: v})
	}
	return s
}

// tapServer has a tap of these series.
func tapServer(t *testing.T, series ...relay.TappedSeries) (*flow, string) {
	t.Helper()
	s, srv := newServer(t, func(o *Options) { o.Tap = true })
	f := &flow{series: make(chan relay.TappedSeries, 1000)}
	for _, one := range series {
		f.series <- one
	}
	src := newWorld(t).sources()
	src.Tap = f.tap
	s.Ready(src)
	return f, srv.URL + "/api/v1/tap"
}

func tappedWorld() []relay.TappedSeries {
	stale := relay.TappedSeries{Destination: "central", Labels: labels.FromStrings("__name__", "gone", "job", "shop"), Samples: []relay.TappedSample{{Time: 7, Value: math.NaN(), Stale: true}}}
	histogram := relay.TappedSeries{
		Destination: "other", Labels: labels.FromStrings("__name__", "lat.ency", "job", "shop"), Samples: []relay.TappedSample{{Time: 8, Value: math.NaN(), Histogram: "{count:3, sum:7}"}},
		Exemplars: []relay.TappedExemplar{{Labels: labels.FromStrings("trace_id", "abc"), Value: 0.5, Time: 9}},
	}
	return []relay.TappedSeries{
		floats("central", labels.FromStrings("__name__", "up", "job", "shop"), 1, 0),
		floats("central", labels.FromStrings("__name__", "up", "job", "other"), 1),
		stale, histogram,
		floats("other", labels.FromStrings("__name__", "plain"), math.Inf(1)),
	}
}

func TestTapAsText(t *testing.T) {
	f, address := tapServer(t, tappedWorld()...)
	f.omitted = 5
	q := url.Values{"match[]": {`{job="shop"}`, `plain`}, "duration": {"200ms"}}
	status, body := ask(t, http.MethodGet, address+"?"+q.Encode())
	const want = `# destination "central"
up{job="shop"} 1 1000
up{job="shop"} 0 2000
gone{job="shop"} NaN 7 # staleness marker
# destination "other"
{__name__="lat.ency", job="shop"} {count:3, sum:7} 8 # {trace_id="abc"} 0.5 9
plain +Inf 1000
# 5 samples shown, ended by duration
# at most 5 samples left out, since they came faster than they were read
`
	if status != 200 || body != want {
		t.Errorf("%d\n%s\nwant\n%s", status, body, want)
	}
	if f.open.Load() != 0 {
		t.Error("the tap is open after the end")
	}
}

// TestTapOfNothing: a tap that shows nothing says why.
func TestTapOfNothing(t *testing.T) {
	for want, series := range map[string][]relay.TappedSeries{
		"# 0 samples shown, ended by duration\n# nothing was sent in this time: the page Destinations says how delivery gets on\n":                                nil,
		"# 0 samples shown, ended by duration\n# 5 series were sent, and no selector matches: labels are those after external_labels and write_relabel_configs\n": tappedWorld(),
	} {
		_, address := tapServer(t, series...)
		if _, body := ask(t, http.MethodGet, address+"?match[]=none&duration=200ms"); body != want {
			t.Errorf("%s\nwant\n%s", body, want)
		}
	}
}

func TestTapAsJSON(t *testing.T) {
	_, address := tapServer(t, tappedWorld()...)
	_, body := ask(t, http.MethodGet, address+"?format=json&limit=4")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if len(lines) != 5 || lines[4] != `{"shown":4,"omitted":0,"endedBy":"limit"}` {
		t.Fatalf("%s", body)
	}
	var one struct {
		Destination string
		Labels      map[string]string
		Value       string
		Timestamp   int64
		Stale       bool
	}
	if err := json.Unmarshal([]byte(lines[3]), &one); err != nil || one.Destination != "central" || one.Labels["__name__"] != "gone" || !one.Stale || one.Value != "NaN" || one.Timestamp != 7 {
		t.Errorf("%+v, %v, of %s", one, err, lines[3])
	}
}

// TestTapStreams: the reader gets each sample at once, and a reader that goes away ends the tap.
func TestTapStreams(t *testing.T) {
	f, address := tapServer(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?duration=1m", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // it returns before there is a sample
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for i := range 3 {
		f.series <- floats("central", labels.FromStrings("__name__", "a"), float64(i))
		for want := fmt.Sprintf("a %d 1000\n", i); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == want {
				break
			}
		}
	}
	if status, body := ask(t, http.MethodGet, address); status != 503 || !strings.Contains(body, "taps are open already") {
		t.Errorf("a second tap: %d %s", status, body)
	}
	stop()
	for deadline := time.Now().Add(10 * time.Second); f.open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the tap stays open after its reader is gone")
		}
	}
}

// TestTapRate: a tap shows no more than tapRate samples a second; the others are counted.
func TestTapRate(t *testing.T) {
	many := floats("central", labels.FromStrings("__name__", "a"), make([]float64, 1000)...)
	w := httptest.NewRecorder()
	out := newTapWriter(w, tapQuery{limit: maxTapLimit, json: true})
	begun := time.Now()
	for range 50 {
		if err := out.write([]relay.TappedSeries{many}); err != nil {
			t.Fatal(err)
		}
	}
	most := tapRate + int(time.Since(begun).Seconds()*tapRate)
	out.end(endedByTime, 7, 50)
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	var end tapEnd
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || end.Shown != len(lines)-1 || end.Shown+end.Omitted != 50_000+7 || end.Shown < tapRate || end.Shown > most {
		t.Errorf("%d lines, the end is %+v, %v; want %d to %d samples", len(lines), end, err, tapRate, most)
	}
}

func TestWrongTaps(t *testing.T) {
	s, srv := newServer(t, nil)
	s.Ready(newWorld(t).sources())
	if status, body := ask(t, http.MethodGet, srv.URL+"/api/v1/tap"); status != 422 || !strings.Contains(body, "start promrelay with --web.enable-tap") {
		t.Errorf("without the flag: %d %s", status, body)
	}
	_, address := tapServer(t)
	for query, want := range map[string]string{
		"duration=x": "duration", "duration=0s": "want more than 0", "duration=6m": "at most 5m0s", "duration=-1s": "duration", "limit=0": "want 1 to", "limit=x": "want 1 to",
		"limit=100001": "want 1 to", "format=xml": "want text or json", "destination=unknown": "no such destination", "match[]={": "match[]",
		strings.Repeat("match[]=up&", 21): "at most 20",
	} {
		if status, body := ask(t, http.MethodGet, address+"?"+query); status != 400 || !strings.Contains(body, want) || !strings.Contains(body, `"errorType":"bad_data"`) {
			t.Errorf("%s: %d %s; want %s", query, status, body, want)
		}
	}
	resp, err := http.Post(address, "text/plain", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}
