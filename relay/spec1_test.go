package relay

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"

	"promrelay/config"
	"promrelay/record"
	"promrelay/wal"
)

// schema1 is prometheus.WriteRequest as the specification of 1.0 has it.
func schema1() schema {
	text := field{typ: protowire.BytesType}
	label := field{protowire.BytesType, schema{1: text, 2: text}}
	sample := field{protowire.BytesType, schema{1: {typ: protowire.Fixed64Type}, 2: {typ: protowire.VarintType}}}
	return schema{1: {protowire.BytesType, schema{1: label, 2: sample}}}
}

func TestSpec1_MessageIsWriteRequest(t *testing.T) {
	for _, p := range play(t, by1, labels.EmptyLabels(), everything(t)) {
		conform(t, "WriteRequest", p.message, schema1())
	}
}

func TestSpec1_PostsToTheURL(t *testing.T) { postsToTheURL(t, by1) }

func postsToTheURL(t *testing.T, more string) {
	for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
		if p.method != http.MethodPost || p.uri != "/push?tenant=a" || len(p.raw) == 0 {
			t.Errorf("%s %s with %d bytes", p.method, p.uri, len(p.raw))
		}
	}
}

func TestSpec1_TimestampsAreMilliseconds(t *testing.T) { timestampsAreMilliseconds(t, by1) }

func timestampsAreMilliseconds(t *testing.T, more string) {
	times := []int64{-1, 0, 1, 1_700_000_000_123, math.MaxInt32 + 1, -62_135_596_800_000}
	posts := play(t, more, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, len(times))
		wr.append(0, &record.Scrape{Time: 5, Values: make([]float64, len(times)), Times: times})
	})
	var got []int64
	for _, p := range posts {
		for _, s := range p.series {
			got = append(got, s.samples[0].ms)
		}
	}
	if !slices.Equal(got, times) {
		t.Errorf("timestamps %d, want %d", got, times)
	}
}

func TestSpec1_ValuesAreFloat64(t *testing.T) { valuesAreFloat64(t, by1) }

func valuesAreFloat64(t *testing.T, more string) {
	want := []uint64{0, 1 << 63, 1, math.Float64bits(0.1), math.Float64bits(math.MaxFloat64), math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), math.Float64bits(1 << 60)}
	if got := bitsSent(t, more, want); !slices.Equal(got, want) {
		t.Errorf("values %#x, want %#x", got, want)
	}
}

// bitsSent sends values and returns what came, in order.
func bitsSent(t *testing.T, more string, values []uint64) (got []uint64) {
	posts := play(t, more, labels.EmptyLabels(), func(w *wal.WAL) {
		wr := newWriter(t, w, 1, len(values))
		var vs []float64
		for _, b := range values {
			vs = append(vs, math.Float64frombits(b))
		}
		wr.give(vs...)
	})
	for _, p := range posts {
		for _, s := range p.series {
			got = append(got, s.samples[0].bits)
		}
	}
	return got
}

// header demands a value of a header in every request.
func header(t *testing.T, more, name, want string) {
	t.Helper()
	for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
		if got := p.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSpec1_ContentEncoding(t *testing.T) { header(t, by1, "Content-Encoding", "snappy") }

func TestSpec1_ContentType(t *testing.T) { header(t, by1, "Content-Type", "application/x-protobuf") }

func TestSpec1_UserAgent(t *testing.T) { userAgents(t, by1) }

var product = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func userAgents(t *testing.T, more string) {
	for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
		if got := p.header.Get("User-Agent"); !product.MatchString(got) || !strings.HasPrefix(got, "promrelay/") {
			t.Errorf("User-Agent: %q", got)
		}
	}
}

func TestSpec1_VersionHeader(t *testing.T) {
	header(t, by1, "X-Prometheus-Remote-Write-Version", "0.1.0")
}

func TestSpec1_CustomHeaders(t *testing.T) { customHeaders(t, by1) }

func customHeaders(t *testing.T, more string) {
	header(t, more+"headers: {X-Scope-OrgID: team-a}\n", "X-Scope-OrgID", "team-a")
}

func TestSpec1_ReservedHeadersAreRefused(t *testing.T) { reservedHeaders(t) }

func reservedHeaders(t *testing.T) {
	for _, name := range []string{"Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version", "User-Agent", "content-type", "USER-AGENT"} {
		for _, key := range []string{"headers: {%s: x}", "http_headers: {%s: {values: [x]}}"} {
			text := "remote_write:\n- url: http://127.0.0.1/\n  " + fmt.Sprintf(key, name) + "\n"
			if _, err := config.Load([]byte(text), t.TempDir()); err == nil {
				t.Errorf("the configuration takes\n%s", text)
			}
			if _, err := promconfig.Load(text, promslog.NewNopLogger()); err == nil {
				t.Errorf("Prometheus takes\n%s", text)
			}
		}
	}
}

func TestSpec1_SnappyBlock(t *testing.T) { snappyBlock(t, by1) }

func snappyBlock(t *testing.T, more string) {
	for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
		if n, err := snappy.DecodedLen(p.raw); err != nil || n != len(p.message) || n == 0 {
			t.Errorf("a block of %d bytes that gives %d: %v", n, len(p.message), err)
		}
	}
}

func TestSpec1_SnappyIsNotFramed(t *testing.T) { snappyIsNotFramed(t, by1) }

func snappyIsNotFramed(t *testing.T, more string) {
	for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
		if framed(p.raw) {
			t.Errorf("the body is framed: %x", p.raw[:10])
		}
	}
}

func TestSpec1_ResponseBodyIsIgnored(t *testing.T) { responseBodyIsIgnored(t, by1) }

func responseBodyIsIgnored(t *testing.T, more string) {
	bodies := []string{"error: nothing was stored", `{"status":"error"}`, "<html><title>Sign in</title></html>", strings.Repeat("x", 1<<20), "\x00\xff\xfe"}
	tr := try(t, more, whole(nil), 20, func(n int, p *posted, w http.ResponseWriter) int {
		p.written(w, p.count(), -1)
		w.WriteHeader(http.StatusOK)
		w.Write([]byte(bodies[n%len(bodies)]))
		return said
	})
	for range bodies {
		tr.wr.scrape()
		tr.drain(t)
	}
	for l, times := range tr.sent() {
		if times != 1 {
			t.Errorf("%s was sent %d times", l, times)
		}
	}
	if s := tr.Statuses()[0]; len(tr.sent()) != tr.wr.samples || len(s.Refusals) != 0 || s.Error != "" {
		t.Errorf("%d of %d samples came; %+v", len(tr.sent()), tr.wr.samples, s)
	}
}

func TestSpec1_EveryRequestHasItsVersion(t *testing.T) {
	tr := try(t, by1, whole(nil), 10, func(n int, _ *posted, _ http.ResponseWriter) int { return []int{500, 429, 0}[min(n, 2)] })
	for _, p := range tr.all() {
		if v := p.header.Values("X-Prometheus-Remote-Write-Version"); len(v) != 1 || v[0] != "0.1.0" {
			t.Errorf("version %q", v)
		}
	}
}

func TestSpec1_StaysWith1(t *testing.T) {
	tr := try(t, by1, whole(nil), 10, func(_ int, _ *posted, w http.ResponseWriter) int {
		w.Header().Set("X-Prometheus-Remote-Write-Version", "2.0.0")
		return 0
	})
	tr.wr.scrape()
	tr.drain(t)
	tr.once(t, tr.wr.samples)
	for _, p := range tr.all() {
		if p.version != 1 {
			t.Errorf("a request of version %d", p.version)
		}
	}
}

func TestSpec1_ErrorTextDecidesNothing(t *testing.T) { errorTextDecidesNothing(t, by1) }

// errorTextDecidesNothing leaves out the texts of docs/remote-write.md, Deliberate deviations.
func errorTextDecidesNothing(t *testing.T, more string) {
	for _, text := range []string{"", "please try again later", "unsupported media type, use prometheus.WriteRequest", "unauthorized", "internal server error: 503"} {
		first := -1
		tr := try(t, more, whole(func(r *config.Relay) { r.SplitRefused = false }), 10, func(n int, p *posted, w http.ResponseWriter) int {
			if n > 0 {
				return 0
			}
			first = p.version
			p.written(w, 0, 0)
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(text))
			return said
		})
		if n := len(tr.second()); n != 1 || first != tr.all()[0].version {
			t.Errorf("%q led to %d requests", text, n)
		}
	}
}

func TestSpec1_ErrorTextIsLogged(t *testing.T) { errorTextIsLogged(t, by1) }

func errorTextIsLogged(t *testing.T, more string) {
	const text = `user=17: 3 samples were rejected, reason="label value too long"`
	tr := try(t, more, whole(func(r *config.Relay) { r.SplitRefused = false }), 10, func(n int, p *posted, w http.ResponseWriter) int {
		if n > 0 {
			return 0
		}
		p.written(w, 7, 0)
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte(text))
		return said
	})
	if log := logged(tr.logs); !strings.Contains(log, text) {
		t.Errorf("the log lacks the receiver's words:\n%s", log)
	}
	if s := tr.Statuses()[0]; !strings.Contains(fmt.Sprintf("%+v", s.Refusals), text) {
		t.Errorf("the status lacks the receiver's words: %+v", s)
	}
}

func TestSpec1_SeriesInOrder(t *testing.T) { seriesInOrder(t, by1, 1) }

func TestSpec1_ShardsKeepOrder(t *testing.T) { seriesInOrder(t, by1, 4) }

// seriesInOrder sends by a troubled line and demands that the samples of a series are stored in order, and never under way twice.
func seriesInOrder(t *testing.T, more string, shards int) {
	x := newWire(t)
	flight := map[string]bool{}
	x.answer = func(n int, p *posted, _ http.ResponseWriter) int {
		x.mu.Lock()
		for _, s := range p.series {
			if flight[s.name()] {
				t.Errorf("%s is in two requests at a time", s.name())
			}
		}
		for _, s := range p.series {
			flight[s.name()] = true
		}
		x.mu.Unlock()
		time.Sleep(time.Millisecond)
		x.mu.Lock()
		for _, s := range p.series {
			delete(flight, s.name())
		}
		x.mu.Unlock()
		if n > 3 && n%5 == 0 {
			return []int{500, 503, 429}[n%3]
		}
		return 0
	}
	w := openSpec(t)
	queue := fmt.Sprintf("queue_config: {batch_send_deadline: 10ms, min_shards: %d, max_samples_per_send: 40, min_backoff: 2ms, max_backoff: 5ms}\n", shards)
	r := start(t, w, Settings{Destinations: destinations(t, x.URL, more+queue), Relay: whole(nil)})
	wr := newWriter(t, w, 3, 50)
	for range 15 {
		wr.scrape()
	}
	r.drain(t)
	x.once(t, wr.samples)
	inOrder(t, x)
}

// inOrder demands that what was stored of each series came in order of time.
func inOrder(t *testing.T, x *wire) {
	t.Helper()
	last, seen := map[string]int64{}, map[string]bool{}
	for _, p := range x.all() {
		for _, s := range p.series {
			for _, v := range slices.Concat(s.samples, s.histograms) {
				one := fmt.Sprintf("%s %+v", s.name(), v)
				if !p.accepted || seen[one] { // the same one again is a retry
					continue
				}
				if old, ok := last[s.name()]; ok && v.ms < old {
					t.Errorf("%s: %d after %d", s.name(), v.ms, old)
				}
				last[s.name()], seen[one] = v.ms, true
			}
		}
	}
}

func TestSpec1_SeriesInParallel(t *testing.T) { seriesInParallel(t, by1) }

func seriesInParallel(t *testing.T, more string) {
	x := newWire(t)
	arrived, two := make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	x.answer = func(int, *posted, http.ResponseWriter) int {
		select {
		case arrived <- struct{}{}: // the first one waits for a second
			select {
			case <-two:
			case <-time.After(5 * time.Second):
				t.Error("one request at a time")
			}
		default:
			once.Do(func() { close(two) })
		}
		return 0
	}
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, x.URL, more+"queue_config: {batch_send_deadline: 10ms, min_shards: 4}\n")}, Relay: whole(nil)})
	wr := newWriter(t, w, 1, 100)
	wr.scrape()
	r.drain(t)
	x.once(t, wr.samples)
}

func TestSpec1_StaleMarkers(t *testing.T) { staleMarkers(t, by1) }

func staleMarkers(t *testing.T, more string) {
	want := []uint64{0x7ff0000000000002, math.Float64bits(1)}
	if got := bitsSent(t, more, want); !slices.Equal(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func TestSpec1_OtherNaNsAreNoMarkers(t *testing.T) { otherNaNs(t, by1) }

func otherNaNs(t *testing.T, more string) {
	want := []uint64{0x7ff8000000000001, 0x7ff0000000000001, math.Float64bits(math.NaN()), 0xfff8000000000002}
	if got := bitsSent(t, more, want); !slices.Equal(got, want) {
		t.Errorf("%#x, want %#x", got, want)
	}
}

func TestSpec1_AuthenticationAndTLS(t *testing.T) {
	x := newWire(t)
	secure := httptest.NewTLSServer(x)
	defer secure.Close()
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, secure.URL, by1+"basic_auth: {username: u, password: p}\ntls_config: {insecure_skip_verify: true}\n")}, Relay: whole(nil)})
	wr := newWriter(t, w, 1, 10)
	wr.scrape()
	r.drain(t)
	r.stop()
	x.once(t, 10)
	for _, p := range x.all() {
		if p.header.Get("Authorization") != "Basic dTpw" {
			t.Errorf("Authorization: %q", p.header.Get("Authorization"))
		}
	}
}
