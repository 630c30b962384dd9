package receiver

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReal shows each receiver what was shown to the real ones. Before each request the newest samples of a and b at -5 are stored.
func TestReal(t *testing.T) {
	const not20 = "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest"
	long := strings.Repeat("x", 3000)
	exemplars := one("a", -1)
	exemplars.exemplars = []int64{20, 10}
	alone := ts{name: "a", exemplars: []int64{30}}
	other := one("a", -5)
	other.samples[0].Value = 7
	hist := one("h", -1)
	hist.samples[0].Histogram = "h"
	many := one("a", -4, -3, -2, -1)
	late, good := one("a", -60), one("b", -1)

	for name, tt := range map[string]struct {
		profile Profile
		version int
		send    []ts
		status  int
		written string // "" for none
		text    string // that the answer holds; "" for an empty one
		stored  int    // samples of the request
	}{
		"Prometheus, 2.0":                   {Prometheus20(), 2, []ts{one("a", -1), hist}, 204, "1/1/0", "", 2},
		"Prometheus, 1.0":                   {Prometheus20(), 1, []ts{one("a", -1)}, 204, "", "", 1},
		"Prometheus, out of order":          {Prometheus20(), 2, []ts{late, good}, 400, "1/0/0", `out of order sample for series {__name__="a"}`, 1},
		"Prometheus, out of order, 1.0":     {Prometheus20(), 1, []ts{late, good}, 400, "", "out of order sample", 0},
		"Prometheus, repeated":              {Prometheus20(), 1, []ts{one("a", -5), good}, 204, "", "", 1},
		"Prometheus, duplicate":             {Prometheus20(), 2, []ts{other, good}, 400, "1/0/0", "overrides not allowed: existing -5, new value 7 for series", 1},
		"Prometheus, out of bounds":         {Prometheus20(), 2, []ts{one("a", 3600), one("c", -7200), good}, 400, "1/0/0", "out of bounds for series {__name__=\"a\"}\nout of bounds for series {__name__=\"c\"}", 1},
		"Prometheus, exemplar out of order": {Prometheus20(), 2, []ts{exemplars}, 400, "1/0/1", "out of order exemplar for series", 1},
		"Prometheus, the same by 1.0":       {Prometheus20(), 1, []ts{exemplars}, 204, "", "", 1},
		"Cortex, 2.0":                       {Cortex(), 2, []ts{good}, 415, "", not20, 0},
		"Cortex, 1.0":                       {Cortex(), 1, []ts{good}, 200, "", "", 1},
		"Cortex takes 2.0":                  {CortexTakes20(), 2, []ts{good}, 204, "1/0/0", "", 1},
		"Cortex, out of order":              {CortexTakes20(), 2, []ts{late, good}, 400, "0/0/0", "user=fake: err: out of order sample. timestamp=", 1},
		"Cortex, out of order, 1.0":         {Cortex(), 1, []ts{late, good}, 400, "", `, series={__name__="a"}`, 1},
		"Cortex, duplicate":                 {CortexTakes20(), 2, []ts{other, good}, 400, "0/0/0", "user=fake: err: duplicate sample for timestamp", 1},
		"Cortex, exemplar out of order":     {CortexTakes20(), 2, []ts{exemplars}, 400, "0/0/0", "user=fake: err: out of order exemplar. timestamp=", 1},
		"Cortex, series limit":              {CortexTakes20().With(Accept(MaxSeries(2))), 2, []ts{one("c", -1), good}, 400, "0/0/0", "user=fake: per-user series limit of 2 exceeded, please contact administrator to raise it (local limit: 2 global limit: 0 actual local limit: 2)", 1},
		"Cortex, label value":               {CortexTakes20().With(Accept(MaxLabelValue(2048))), 2, []ts{one("c", -1).with("l", long), good}, 400, "1/0/0", `label value too long for metric: "c{l=\"xxx`, 1},
		"Cortex, number of labels":          {CortexTakes20().With(Accept(MaxLabels(2))), 2, []ts{one("c", -1).with("l", "1", "m", "1"), good}, 400, "1/0/0", `series has too many labels (actual: 3, limit: 2) series: 'c{l="1", m="1"}'`, 1},
		"Cortex, UTF-8 name":                {CortexTakes20().With(Accept(LegacyNames())), 2, []ts{one("é", -1), good}, 400, "1/0/0", `sample invalid metric name: "é"`, 1},
		"Cortex, exemplars alone":           {CortexTakes20(), 2, []ts{alone, good}, 400, "", `TimeSeries must contain at least one sample or histogram for series {__name__="a"}`, 0},
		"Cortex, too large":                 {Cortex().With(Limit(CortexTooLarge(50))), 1, []ts{many}, 400, "", "received message larger than max (89 vs 50)", 0},
		"Cortex, rate":                      {CortexTakes20().With(Limit(CortexRate(1, 3))), 2, []ts{many}, 429, "0/0/0", "ingestion rate limit (1) exceeded while adding 4 samples and 0 metadata", 0},
		"Cortex, no tenant":                 {Cortex().With(Fault(NoOrgID())), 1, []ts{good}, 401, "", "no org id", 0},
		"Mimir":                             {Mimir(), 2, []ts{good}, 200, "1/0/0", "", 1},
		"Mimir, out of order":               {Mimir(), 2, []ts{late, good}, 400, "2/0/0", "out-of-order samples are not allowed (err-mimir-sample-out-of-order). The affected sample has timestamp ", 1},
		"Mimir, duplicate":                  {Mimir(), 2, []ts{other, good}, 400, "2/0/0", "(err-mimir-sample-duplicate-timestamp)", 1},
		"Mimir, too old":                    {Mimir().With(Accept(Bounds(time.Minute, 0))), 2, []ts{one("a", -90), good}, 400, "2/0/0", "is from series a{} (sampled 1/10)", 1},
		"Mimir, beyond the window":          {Mimir().With(Accept(Window(time.Minute))), 2, []ts{one("a", -90), good}, 400, "2/0/0", "beyond the out-of-order time window of 1m0s (err-mimir-sample-timestamp-too-old)", 1},
		"Mimir, too new":                    {Mimir(), 1, []ts{one("a", 900), good}, 400, "", "too far in the future, timestamp: ", 1},
		"Mimir, series limit":               {Mimir().With(Accept(MaxSeries(2))), 2, []ts{one("c", -1), good}, 400, "2/0/0", "per-user series limit of 2 exceeded (err-mimir-max-series-per-user)", 1},
		"Mimir, label value":                {Mimir().With(Accept(MaxLabelValue(2048))), 2, []ts{one("c", -1).with("l", long), good}, 400, "2/0/0", "label value length exceeds the limit, label: 'l', value: 'xxx", 1},
		"Mimir, number of labels":           {Mimir().With(Accept(MaxLabels(2))), 1, []ts{one("c", -1).with("l", "1", "m", "1"), good}, 400, "", "(actual: 3, limit: 2) series: 'c{l=\"1\", m=\"1\"}' (err-mimir-max-label-names-per-series)", 1},
		"Mimir, too large":                  {Mimir().With(Limit(MimirTooLarge(50))), 1, []ts{many}, 400, "", "its message size of 89 bytes (uncompressed) is larger than the allowed limit of 50 bytes", 0},
		"Mimir, rate":                       {Mimir().With(Limit(MimirRate(1, 3))), 2, []ts{many}, 429, "4/0/0", "burst size limit, set to 3, with 4 items", 0},
		"Mimir, histograms off":             {Mimir().With(Accept(NoHistograms(true))), 2, []ts{hist, good}, 200, "1/1/0", "", 1},
		"Mimir, starting":                   {Mimir().With(Fault(Starting())), 2, []ts{good}, 500, "1/0/0", "at least 1 live replicas required", 0},
		"Thanos, 2.0":                       {Thanos(), 2, []ts{good}, 200, "", "", 0},
		"Thanos, 1.0":                       {Thanos(), 1, []ts{good}, 200, "", "", 1},
		"Thanos, out of order":              {Thanos(), 1, []ts{late, good}, 409, "", "add 1 samples: out of order sample", 1},
		"Thanos, two reasons":               {Thanos().With(Accept(Bounds(0, time.Minute))), 1, []ts{late, one("c", 90), good}, 409, "", "2 errors: add 1 samples: out of bounds; add 1 samples: out of order sample", 1},
		"Thanos, bytes":                     {Thanos().With(Limit(ThanosLimits(Size{Bytes: 50}))), 1, []ts{many}, 413, "", "write request too large", 0},
		"Thanos, series":                    {Thanos().With(Limit(ThanosLimits(Size{Series: 1}))), 1, []ts{one("a", -1), good}, 413, "", "too many timeseries", 0},
		"Thanos, samples":                   {Thanos().With(Limit(ThanosLimits(Size{Samples: 3}))), 1, []ts{many}, 413, "", "too many samples", 0},
		"VictoriaMetrics, 2.0":              {VictoriaMetrics(), 2, []ts{good}, 204, "", "", 0},
		"VictoriaMetrics, 1.0":              {VictoriaMetrics(), 1, []ts{late, good}, 204, "", "", 2},
		"Nightingale, 2.0":                  {Nightingale(), 2, []ts{good}, 200, "", "", 0},
		"Nightingale, 1.0":                  {Nightingale(), 1, []ts{good}, 200, "", "", 1},
		"Nightingale, queue full":           {Nightingale().With(Fault(QueueFull())), 1, []ts{good}, 499, "", "write queue full, metric count over limit: 10000001", 0},
		"Nightingale, proxy":                {NightingaleProxy(), 1, []ts{good}, 200, "", "", 0},
		"openGemini, 2.0":                   {OpenGemini(), 2, []ts{good}, 400, "", `{"error":"timeseries have no sample"}`, 0},
		"openGemini, 1.0":                   {OpenGemini(), 1, []ts{good}, 204, "", "", 1},
		"OTel, 2.0":                         {OTelCollector(), 2, []ts{exemplars}, 204, "1/0/0", "", 1},
		"OTel, 1.0":                         {OTelCollector(), 1, []ts{good}, 415, "", "Unsupported proto version", 0},
		"atomic 1.0":                        {Atomic10(), 1, []ts{late, good}, 400, "", "out of order sample", 0},
		"atomic 1.0, 2.0":                   {Atomic10(), 2, []ts{good}, 415, "", not20, 0},
		"atomic 2.0":                        {Atomic20(Zero), 2, []ts{late, good}, 400, "0/0/0", "out of order sample", 0},
		"atomic 2.0 without headers":        {Atomic20(Absent), 2, []ts{late, good}, 400, "", "out of order sample", 0},
		"plain 1.0":                         {Plain10(422, "what?"), 2, []ts{good}, 422, "", "what?", 0},
		"silent":                            {Silent200(), 1, []ts{good}, 200, "", "", 0},
		"deduplicating":                     {Deduplicating(), 2, []ts{one("a", -5), good}, 204, "1/0/0", "", 1},
		"standby":                           {Standby(func(s string) bool { return strings.Contains(s, `"c"`) }), 2, []ts{one("c", -1), good}, 202, "1/0/0", "", 1},
		"refused once":                      {Plain().With(Accept(RefuseOnce(1, func(string) bool { return true }))), 1, []ts{one("a", -2, -1)}, 400, "", "refused once", 1},
		"bad series":                        {Plain().With(Accept(Bad("c", func(s string) bool { return strings.Contains(s, `"c"`) }))), 2, []ts{one("c", -1), good}, 400, "1/0/0", "bad series", 1},
		"no exemplars":                      {Plain().With(Accept(NoExemplars())), 1, []ts{exemplars}, 400, "", "exemplars refused", 1},
		"no histograms":                     {Plain().With(Accept(NoHistograms(false))), 2, []ts{hist, good}, 400, "1/0/0", "native histograms off", 1},
		"in the window":                     {Plain().With(Accept(Window(time.Minute))), 2, []ts{one("a", -50), good}, 204, "2/0/0", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(Plain())
				send(t, r, write(1, one("a", -5), one("b", -5)))
				r.Set(tt.profile)
				got := send(t, r, write(tt.version, tt.send...))
				if got.status != tt.status || got.written != tt.written {
					t.Errorf("got %d, written %q", got.status, got.written)
				}
				if !strings.Contains(got.text, tt.text) || tt.text == "" && got.text != "" {
					t.Errorf("got %q, want %q", got.text, tt.text)
				}
				if x := r.Requests()[1]; x.Stored.Samples() != tt.stored {
					t.Errorf("%d samples are stored", x.Stored.Samples())
				}
			})
		})
	}
}

// TestRate lets tokens come back, and Retry-After grow.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Plain().With(Limit(MimirRate(2, 4))))
		try := func(attempt, samples int) reply {
			var all []int
			for i := range samples {
				all = append(all, i)
			}
			req := write(1, one("a", all...))
			req.Header.Set("Retry-Attempt", fmt.Sprint(attempt))
			return send(t, r, req)
		}
		if got := try(0, 3); got.status != 204 {
			t.Errorf("%+v", got)
		}
		for attempt, want := range []string{"6", "6", "9", "15", "24", "77", "96", "96"} {
			if got := try(attempt, 3); got.status != 429 || got.header.Get("Retry-After") != want || !strings.Contains(got.text, "rate limit, set to 2 items/s") {
				t.Errorf("attempt %d: %+v", attempt, got)
			}
		}
		time.Sleep(time.Second)
		if got := try(0, 3); got.status != 204 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute)
		if got := try(0, 5); got.status != 429 || !strings.Contains(got.text, "burst size limit") {
			t.Errorf("%+v", got)
		}
		if got := r.Requests()[1].Attempt; got != 0 {
			t.Errorf("attempt %d", got)
		}
		// Metadata counts as samples do.
		r.Set(CortexTakes20().With(Limit(CortexRate(1, 3))))
		if got := send(t, r, post(1, metadata("m", "n", "o", "p"))); got.status != 429 || !strings.Contains(got.text, "adding 0 samples and 4 metadata") {
			t.Errorf("%+v", got)
		}
	})
}

// TestAnswers is about the form of answers.
func TestAnswers(t *testing.T) {
	r := New(Plain().With(Fault(Status(503, "later")), Back(Gzip(), Header("X", "y"))))
	if got := send(t, r, write(2, one("a", -1))); got.header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(got.text, "\x1f\x8b") || got.header.Get("X") != "y" {
		t.Errorf("%+v", got)
	}
	r.Set(Plain().With(Back(NoWritten())))
	if got := send(t, r, write(2, one("a", -1))); got.status != 204 || got.written != "" {
		t.Errorf("%+v", got)
	}
	r.Set(Plain().With(Fault(StatusWith(503, "", "Retry-After", "7").When(By(1)), StatusClaiming(500, "", All))))
	if got := send(t, r, write(2, one("a", -1))); got.status != 500 || got.written != "1/0/0" {
		t.Errorf("%+v", got)
	}
	if got := send(t, r, write(1, one("a", -1))); got.status != 503 || got.header.Get("Retry-After") != "7" {
		t.Errorf("%+v", got)
	}
	r.Set(Plain().With(Fault(Status(404, "").When(MetadataOnly()))))
	if got := send(t, r, post(1, metadata("m"))); got.status != 404 {
		t.Errorf("%+v", got)
	}
	r.Set(Plain())
	if got := send(t, r, post(1, metadata("m"))); got.status != 204 || r.Metadata()["m"] != `COUNTER "help" "unit"` {
		t.Errorf("%+v, %q", got, r.Metadata())
	}
	sound(t, r)
}
