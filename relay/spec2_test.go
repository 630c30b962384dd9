package relay

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"

	"promrelay/config"
)

// schema2 is io.prometheus.write.v2.Request; histograms are looked into elsewhere.
func schema2() schema {
	text, varint, double := field{typ: protowire.BytesType}, field{typ: protowire.VarintType}, field{typ: protowire.Fixed64Type}
	message := func(s schema) field { return field{protowire.BytesType, s} }
	return schema{4: text, 5: message(schema{
		1: text, // references, packed
		2: message(schema{1: double, 2: varint, 3: varint}),
		3: text,
		4: message(schema{1: text, 2: double, 3: varint}),
		5: message(schema{1: varint, 3: varint, 4: varint}),
	})}
}

func TestSpec2_MessageIsRequest(t *testing.T) {
	for _, p := range play(t, by2, labels.EmptyLabels(), everything(t)) {
		conform(t, "Request", p.message, schema2())
	}
}

func TestSpec2_OneOfTwoMessages(t *testing.T) {
	for more, s := range map[string]schema{"": schema2(), by1: schema1(), by2: schema2()} {
		for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
			conform(t, more, p.message, s)
		}
	}
}

// TestSpec2_WriteRequestOnlyWhereNeeded: a receiver that accepts 2.0 never gets a request of 1.0.
func TestSpec2_WriteRequestOnlyWhereNeeded(t *testing.T) {
	tr := try(t, "", whole(nil), 20, func(int, *posted, http.ResponseWriter) int { return 0 })
	tr.once(t, tr.wr.samples)
	for _, p := range tr.all() {
		if p.version != 2 {
			t.Error("a request of 1.0")
		}
	}
}

func TestSpec2_PostsToTheURL(t *testing.T) { postsToTheURL(t, by2) }

func TestSpec2_ReservedHeadersAreSent(t *testing.T) {
	for _, more := range []string{"", by1, by2} {
		for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
			for _, name := range []string{"Content-Encoding", "Content-Type", "X-Prometheus-Remote-Write-Version", "User-Agent"} {
				if len(p.header.Values(name)) != 1 {
					t.Errorf("%q: %s: %q", more, name, p.header.Values(name))
				}
			}
		}
	}
}

func TestSpec2_CustomHeaders(t *testing.T) { customHeaders(t, by2) }

func TestSpec2_ReservedHeadersAreRefused(t *testing.T) { reservedHeaders(t) }

func TestSpec2_ContentEncoding(t *testing.T) { header(t, by2, "Content-Encoding", "snappy") }

func TestSpec2_SnappyBlock(t *testing.T) { snappyBlock(t, by2) }

func TestSpec2_SnappyIsNotFramed(t *testing.T) { snappyIsNotFramed(t, by2) }

func TestSpec2_ContentType(t *testing.T) {
	header(t, by2, "Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
}

func TestSpec2_ContentTypeIsOneOfThree(t *testing.T) {
	allowed := map[string]int{
		"application/x-protobuf":                                      1,
		"application/x-protobuf;proto=prometheus.WriteRequest":        1,
		"application/x-protobuf;proto=io.prometheus.write.v2.Request": 2,
	}
	for more, version := range map[string]int{"": 2, by1: 1, by2: 2} {
		for _, p := range play(t, more, labels.EmptyLabels(), everything(t)) {
			if allowed[p.header.Get("Content-Type")] != version {
				t.Errorf("%q: Content-Type %q", more, p.header.Get("Content-Type"))
			}
		}
	}
}

// only1 answers as a receiver of 1.0 that knows what it cannot read.
func only1(_ int, p *posted, _ http.ResponseWriter) int {
	if p.version == 2 {
		return http.StatusUnsupportedMediaType
	}
	return 0
}

// fallen returns the requests that a destination sends after answer, as asked from the start on.
func fallen(t *testing.T, answer func(n int, p *posted, w http.ResponseWriter) int) *wire {
	t.Helper()
	x := newWire(t)
	x.answer = answer
	w := openSpec(t)
	r := start(t, w, Settings{Destinations: destinations(t, x.URL, ""), Relay: whole(nil)})
	wr := newWriter(t, w, 2, 20)
	for range 5 {
		wr.scrape()
	}
	r.drain(t)
	wr.scrape()
	r.drain(t)
	r.stop()
	x.once(t, wr.samples)
	inOrder(t, x)
	return x
}

func TestSpec2_ContentTypeForReceiversOf1(t *testing.T) {
	for _, p := range fallen(t, only1).all() {
		if got := p.header.Get("Content-Type"); p.version == 1 && got != "application/x-protobuf" {
			t.Errorf("Content-Type %q", got)
		}
	}
}

func TestSpec2_VersionForReceiversOf1(t *testing.T) {
	for _, p := range fallen(t, only1).all() {
		if got, want := p.header.Get("X-Prometheus-Remote-Write-Version"), map[int]string{1: "0.1.0", 2: "2.0.0"}[p.version]; got != want {
			t.Errorf("version %q with a message of version %d", got, p.version)
		}
	}
}

func TestSpec2_VersionHeader(t *testing.T) {
	header(t, by2, "X-Prometheus-Remote-Write-Version", "2.0.0")
}

func TestSpec2_UserAgent(t *testing.T) { userAgents(t, by2) }

func TestSpec2_UserAgentIsAProduct(t *testing.T) { userAgents(t, "") }

func TestSpec2_ResponseBodyIsIgnored(t *testing.T) { responseBodyIsIgnored(t, by2) }

func TestSpec2_ErrorTextDecidesNothing(t *testing.T) { errorTextDecidesNothing(t, by2) }

func TestSpec2_ErrorTextIsLogged(t *testing.T) { errorTextIsLogged(t, by2) }

// TestSpec2_NoWrittenHeadersTo1MeanNothing: a receiver of 1.0 does not know them.
func TestSpec2_NoWrittenHeadersTo1MeanNothing(t *testing.T) {
	tr := try(t, by1, whole(nil), 20, func(int, *posted, http.ResponseWriter) int { return 0 }) // written sets none for 1.0
	tr.once(t, tr.wr.samples)
	if s := tr.Statuses()[0]; len(s.Refusals) != 0 || dropped(t, tr.reg) != 0 {
		t.Errorf("%+v, %d samples count as dropped", s, dropped(t, tr.reg))
	}
	if n := counters(t, tr.reg)["promrelay_relay_sent_samples_total"]; int(n) != tr.wr.samples {
		t.Errorf("%v samples count as sent, want %d", n, tr.wr.samples)
	}
}

// TestSpec2_MissingHeaderMeansNone: where a header names one category, nothing of the others was written.
func TestSpec2_MissingHeaderMeansNone(t *testing.T) {
	tr := try(t, by2, whole(nil), 20, func(n int, p *posted, w http.ResponseWriter) int {
		w.Header().Set("X-Prometheus-Remote-Write-Exemplars-Written", "0")
		return []int{204, 0}[min(n, 1)]
	})
	if n := len(tr.second()); n != 1 {
		t.Errorf("%d requests", n)
	}
	if !counted(t, tr, 20) {
		t.Errorf("no counter has the 20 samples that were not written: %v", counters(t, tr.reg))
	}
}

// counted reports whether some counter with a reason has n.
func counted(t *testing.T, tr *trial, n float64) bool {
	for name, v := range counters(t, tr.reg) {
		if strings.Contains(name, " reason=") && v == n {
			return true
		}
	}
	return false
}

// TestSpec2_WrittenShortfallIsCounted: less was written than sent, in an answer of success.
func TestSpec2_WrittenShortfallIsCounted(t *testing.T) {
	tr := try(t, by2, whole(nil), 20, func(_ int, p *posted, w http.ResponseWriter) int {
		p.written(w, 7, 0)
		return http.StatusOK
	})
	if n := len(tr.second()); n != 1 {
		t.Errorf("%d requests: it is no reason to send again", n)
	}
	if !counted(t, tr, 13) {
		t.Errorf("no counter has the 13 samples that were not written: %v", counters(t, tr.reg))
	}
	if log := logged(tr.logs); !strings.Contains(log, "13") {
		t.Errorf("the log is silent:\n%s", log)
	}
}

// TestSpec2_PartialWriteIsCounted: a refusal says how much was written.
func TestSpec2_PartialWriteIsCounted(t *testing.T) {
	tr := try(t, by2, whole(func(r *config.Relay) { r.SplitRefused = false }), 20, func(_ int, p *posted, w http.ResponseWriter) int {
		p.written(w, 17, 0)
		return http.StatusBadRequest
	})
	if n := len(tr.second()); n != 1 {
		t.Errorf("%d requests", n)
	}
	if n := counters(t, tr.reg)["promrelay_relay_sent_samples_total"]; n != 37 {
		t.Errorf("%v samples count as sent, want 20 and 17", n)
	}
	if n := dropped(t, tr.reg); n != 3 {
		t.Errorf("%d samples count as dropped, want 3", n)
	}
}

// silent answers success to everything and stores nothing of 2.0, as receivers of 1.0 do that do not look at the type.
func silent(_ int, p *posted, _ http.ResponseWriter) int {
	if p.version == 2 {
		return http.StatusNoContent
	}
	return 0
}

func TestSpec2_SuccessWithoutHeadersIs415(t *testing.T) { fallen(t, silent) }

func TestSpec2_FallsBackOn415(t *testing.T) { fallen(t, only1) }

// TestSpec2_FallsBackOn400: receivers of 1.0 say so where they mean 415.
func TestSpec2_FallsBackOn400(t *testing.T) {
	fallen(t, func(_ int, p *posted, w http.ResponseWriter) int {
		if p.version == 2 {
			return http.StatusBadRequest
		}
		return 0
	})
}

// TestSpec2_MessageIsConfigured: what was asked for is used, whatever the answer.
func TestSpec2_MessageIsConfigured(t *testing.T) {
	for more, version := range map[string]int{by1: 1, by2: 2} {
		tr := try(t, more, whole(nil), 10, func(n int, _ *posted, _ http.ResponseWriter) int {
			return []int{http.StatusUnsupportedMediaType, http.StatusServiceUnavailable, 0}[min(n, 2)]
		})
		tr.once(t, tr.wr.samples)
		for _, p := range tr.all() {
			if p.version != version {
				t.Errorf("%q: a request of version %d", more, p.version)
			}
		}
	}
}

// TestSpec2_HeadersDoNotTellTheVersion: neither the version in an answer nor Written in one to 1.0 leads to 2.0.
func TestSpec2_HeadersDoNotTellTheVersion(t *testing.T) {
	x := fallen(t, func(_ int, p *posted, w http.ResponseWriter) int {
		w.Header().Set("X-Prometheus-Remote-Write-Version", "2.0.0")
		if p.version == 2 {
			return http.StatusUnsupportedMediaType
		}
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "20")
		return 0
	})
	after := false
	for _, p := range x.all() {
		if p.version == 2 && after {
			t.Error("2.0 was asked again")
		}
		after = after || p.version == 1
	}
}

func TestSpec2_ManySeriesInARequest(t *testing.T) {
	tr := try(t, by2, whole(nil), 100, func(int, *posted, http.ResponseWriter) int { return 0 })
	for _, p := range tr.all() {
		if len(p.series) != 100 {
			t.Errorf("a request of %d series, want those of the scrape", len(p.series))
		}
	}
}

func TestSpec2_SeriesInOrder(t *testing.T) { seriesInOrder(t, by2, 1) }

func TestSpec2_ShardsKeepOrder(t *testing.T) { seriesInOrder(t, by2, 4) }

func TestSpec2_SeriesInParallel(t *testing.T) { seriesInParallel(t, by2) }

func TestSpec2_StaleMarkers(t *testing.T) { staleMarkers(t, by2) }

func TestSpec2_OtherNaNsAreNoMarkers(t *testing.T) { otherNaNs(t, by2) }

func TestSpec2_TimestampsAreMilliseconds(t *testing.T) { timestampsAreMilliseconds(t, by2) }

func TestSpec2_ValuesAreFloat64(t *testing.T) { valuesAreFloat64(t, by2) }
