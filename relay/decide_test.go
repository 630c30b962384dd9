package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The known facts about destinations in the tests of decide.
var (
	asked  = known{negotiate: true, split: true, keepUnauthorized: true}                   // for the first time
	by20   = known{negotiate: true, confirmed2: true, split: true, keepUnauthorized: true} // 2.0 was confirmed
	by10   = known{negotiate: true, accepted1: true, split: true, keepUnauthorized: true}  // 1.0 was accepted
	forced = known{split: true, keepUnauthorized: true}                                    // the configuration names the version, nothing was accepted yet
	proven = known{confirmed2: true, accepted1: true, split: true, keepUnauthorized: true} // the same later
)

// with returns k changed by f.
func (k known) with(f func(*known)) known { f(&k); return k }

func noSplit(k *known) { k.split = false }

func onlyRefuses(k *known) { k.onlyRefuses = true }

func noKeep(k *known) { k.keepUnauthorized = false }

// said20 is an answer whose headers say so many samples and exemplars.
func said20(status, samples, exemplars int, text string) answer {
	return answer{status: status, hasCounts: true, samples: samples, exemplars: exemplars, text: text}
}

// is20 and is10 are requests of 100 samples with 10 exemplars.
var (
	is20 = sent{version: version2, samples: 100, exemplars: 10, size: 5000}
	is10 = sent{version: version1, samples: 100, size: 5000}
)

// with returns s changed by f.
func (s sent) with(f func(*sent)) sent { f(&s); return s }

func tried(s *sent) { s.otherTried = true }

func attempt(n int) func(*sent) { return func(s *sent) { s.attempt = n } }

// TestDecide has for each rule what it decides, and the nearest of what it must not.
func TestDecide(t *testing.T) {
	type want struct {
		action    action
		lost      int
		bound     bool
		reason    string
		exemplars int
		after     time.Duration
		confirms  bool
		unclear   bool
		late, old bool
		tiny      bool
	}
	tests := map[string]struct {
		rule   string
		sent   sent
		answer answer
		known  known
		want   want
	}{
		"no answer":                        {"no answer", is20, answer{err: errors.New("refused")}, asked, want{action: retry}},
		"no answer, by 1.0 and not split":  {"no answer", is10, answer{err: errors.New("refused")}, forced.with(noSplit), want{action: retry}},
		"no answer is no doubt of 2.0":     {"no answer", is20.with(attempt(50)), answer{err: errors.New("refused")}, asked, want{action: retry}},
		"all is written":                   {"2.0 written", is20, said20(200, 100, 10, ""), asked, want{action: settle, confirms: true, reason: dropNotWritten}},
		"more than all is written":         {"2.0 written", is20, said20(200, 107, 11, ""), asked, want{action: settle, confirms: true, reason: dropNotWritten}},
		"half is written":                  {"2.0 written", is20, said20(204, 50, 3, ""), by20, want{action: settle, confirms: true, lost: 50, exemplars: 7, reason: dropNotWritten}},
		"nothing is written":               {"2.0 written", is20, said20(200, 0, 0, ""), forced, want{action: settle, confirms: true, lost: 100, exemplars: 10, reason: dropNotWritten}},
		"2.0 forced on one of 1.0":         {"2.0 accepted without headers", is20, answer{status: 200}, forced, want{action: settle, lost: 100, bound: true, reason: dropNotWritten}},
		"1.0 to one of 1.0":                {"1.0 accepted", is10, answer{status: 204}, forced, want{action: settle}},
		"1.0 to one that has headers":      {"1.0 accepted", is10, said20(200, 0, 0, ""), by10, want{action: settle}},
		"no headers once, after a 2.0":     {ruleMismatch, is20, answer{status: 204}, by20, want{action: retry}},
		"415 once, after a 2.0":            {ruleMismatch, is20, answer{status: 415}, by20.with(func(k *known) { k.mismatches = maxMismatches - 1 }), want{action: retry}},
		"no headers at last, after a 2.0":  {"2.0 not understood", is20, answer{status: 204}, by20.with(func(k *known) { k.mismatches = maxMismatches }), want{action: otherVersion}},
		"415 at last, after a 2.0":         {"2.0 not understood", is20, answer{status: 415}, by20.with(func(k *known) { k.mismatches = maxMismatches }), want{action: otherVersion}},
		"204 to the first 2.0":             {"2.0 not understood", is20, answer{status: 204}, asked, want{action: otherVersion}},
		"400 to the first 2.0":             {"2.0 not understood", is20, answer{status: 400}, asked, want{action: otherVersion}},
		"400 and headers to the first 2.0": {"2.0 not understood", is20, said20(400, 50, 0, ""), asked, want{action: otherVersion}},
		"302 to the first 2.0":             {"2.0 not understood", is20, answer{status: 302, location: "/login"}, asked, want{action: otherVersion}},
		"500 to the first 2.0, thrice":     {"2.0 not understood", is20.with(attempt(2)), answer{status: 500}, asked, want{action: otherVersion}},
		"501 to the first 2.0":             {"2.0 not understood", is20, answer{status: 501}, asked, want{action: otherVersion}},
		"404 to 2.0 in the hourly try":     {"2.0 not understood", is20, answer{status: 404}, by10, want{action: otherVersion}},
		"400 for long, after a 2.0":        {"2.0 not understood", is20, answer{status: 400}, by20.with(onlyRefuses), want{action: otherVersion}},
		"404 for long, after a 2.0":        {"2.0 not understood", is20, answer{status: 404}, by20.with(onlyRefuses), want{action: otherVersion}},
		"503 for long, after a 2.0":        {"later", is20, answer{status: 503}, by20.with(onlyRefuses), want{action: retry}},
		"partly refused for long":          {"refused in part", is20, said20(400, 50, 10, ""), by20.with(onlyRefuses), want{action: settle, lost: 50, reason: dropRefused}},
		"415 to 1.0":                       {"1.0 not understood", is10, answer{status: 415}, by10, want{action: otherVersion}},
		"415 to forced 1.0":                {"outside of the data", is10, answer{status: 415}, forced, want{action: hold}},
		"415 to both":                      {"outside of the data", is10.with(tried), answer{status: 415}, asked, want{action: hold}},
		"204 to 2.0, and 1.0 fails":        {"2.0 not understood, nor 1.0", is20.with(tried), answer{status: 204}, asked, want{action: retry}},
		"429 to a batch, the fourth time":  {"too much at a time", is20.with(attempt(3)), answer{status: 429}, by20, want{action: halve}},
		"429 to a batch, the eighth time":  {"too much at a time", is20.with(attempt(7)), answer{status: 429}, by20, want{action: halve}},
		"429 to a batch, the third time":   {"later", is20.with(attempt(2)), answer{status: 429}, by20, want{action: retry}},
		"429 to a batch, the fifth time":   {"later", is20.with(attempt(4)), answer{status: 429}, by20, want{action: retry}},
		"429 to one sample":                {"later", is20.with(func(s *sent) { s.attempt, s.samples = 3, 1 }), answer{status: 429}, by20, want{action: retry}},
		"503 to a batch, the fourth time":  {"later", is20.with(attempt(3)), answer{status: 503}, by20, want{action: retry}},
		"500 to the first 2.0, twice":      {"later", is20.with(attempt(1)), answer{status: 500}, asked, want{action: retry}},
		"429 to the first 2.0, thrice":     {"later", is20.with(attempt(2)), answer{status: 429}, asked, want{action: retry}},
		"503 with Retry-After":             {"later", is20, answer{status: 503, retryAfter: 7 * time.Second}, by20, want{action: retry, after: 7 * time.Second}},
		"408":                              {"later", is10, answer{status: 408}, forced, want{action: retry}},
		"425":                              {"later", is10, answer{status: 425}, forced, want{action: retry}},
		"501 to forced 1.0":                {"later", is10, answer{status: 501}, forced, want{action: retry}},
		"505 to a confirmed 2.0":           {"later", is20, answer{status: 505}, by20, want{action: retry}},
		"418 by the configuration":         {"later", is10, answer{status: 418}, forced.with(func(k *known) { k.retryStatus = []int{418} }), want{action: retry}},
		"418":                              {"outside of the data", is10, answer{status: 418}, forced, want{action: hold}},
		"413":                              {"too large", is10, answer{status: 413}, forced, want{action: split, reason: dropTooLarge}},
		"413 to a tiny one":                {"too large", is10.with(func(s *sent) { s.size = tinyBody - 1 }), answer{status: 413}, forced, want{action: split, reason: dropTooLarge, tiny: true}},
		"413 to one that is not tiny":      {"too large", is10.with(func(s *sent) { s.size = tinyBody }), answer{status: 413}, forced, want{action: split, reason: dropTooLarge}},
		"413 to a confirmed 2.0":           {"too large", is20, said20(413, 0, 0, ""), by20, want{action: split, reason: dropTooLarge}},
		"400 by its words too large":       {"too large", is20, said20(400, 0, 0, "request body too large"), by20, want{action: split, reason: dropTooLarge}},
		"503 by its words too large":       {"later", is20, answer{status: 503, text: "request body too large"}, by20, want{action: retry}},
		"400, a part is written":           {"refused in part", is20, said20(400, 93, 10, ""), by20, want{action: settle, lost: 7, reason: dropRefused}},
		"400, one sample is written":       {"refused in part", is20, said20(400, 1, 0, ""), by20, want{action: settle, lost: 99, exemplars: 10, reason: dropRefused}},
		"500, a part is written":           {"later", is20, said20(500, 93, 10, ""), by20, want{action: retry}},
		"400, only exemplars are missing":  {"exemplars refused", is20, said20(400, 100, 4, ""), by20, want{action: settle, exemplars: 6}},
		"400, all is written":              {"refused, number unknown", is20, said20(400, 100, 10, ""), by20, want{action: settle, unclear: true}},
		"400, nothing is written":          {"refused", is20, said20(400, 0, 0, ""), by20, want{action: split, reason: dropRefused}},
		"400 without headers":              {"refused", is20, answer{status: 400}, by20, want{action: split, reason: dropRefused}},
		"400, a part, to forced 2.0":       {"refused", is20, said20(400, 93, 10, ""), forced, want{action: split, reason: dropRefused}},
		"422 to 1.0":                       {"refused", is10, answer{status: 422}, forced, want{action: split, reason: dropRefused}},
		"400 to 1.0, out of order":         {"refused", is10, answer{status: 400, text: "Out of order sample"}, by10, want{action: split, reason: dropRefused, late: true}},
		"400 to 1.0, too old":              {"refused", is10, answer{status: 400, text: "sample is too old"}, by10, want{action: split, reason: dropRefused, late: true, old: true}},
		"400, not split":                   {"refused, not to be split", is20, answer{status: 400}, by20.with(noSplit), want{action: drop, lost: 100, bound: true, exemplars: 10, reason: dropRefused}},
		"400 to 1.0, not split":            {"refused, not to be split", is10, answer{status: 400}, proven.with(noSplit), want{action: drop, lost: 100, bound: true, reason: dropRefused}},
		"400, not split nor understood":    {"outside of the data", is10, answer{status: 400}, forced.with(noSplit), want{action: hold}},
		"401, not kept":                    {"unauthorized, not to be kept", is20, answer{status: 401}, by20.with(noKeep), want{action: drop, lost: 100, exemplars: 10, reason: dropRefused}},
		"404 to 1.0, not kept":             {"unauthorized, not to be kept", is10, answer{status: 404}, by10.with(noKeep), want{action: drop, lost: 100, reason: dropRefused}},
		"403, not kept nor understood":     {"outside of the data", is10, answer{status: 403}, forced.with(noKeep), want{action: hold}},
		"403":                              {"outside of the data", is10, answer{status: 403, retryAfter: time.Second}, proven, want{action: hold, after: time.Second}},
		"405, not kept":                    {"outside of the data", is10, answer{status: 405}, proven.with(noKeep), want{action: hold}},
		"301":                              {"outside of the data", is20, answer{status: 301, location: "http://other/"}, by20, want{action: hold}},
		"303 to 1.0":                       {"outside of the data", is10, answer{status: 303, location: "http://other/"}, proven, want{action: hold}},
		"100":                              {"outside of the data", is10, answer{status: 100}, proven, want{action: hold}},
	}
	decided := map[string]bool{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := decide(tt.sent, tt.answer, tt.known)
			decided[d.rule] = true
			got := want{d.action, d.lost, d.lostAtMost, d.reason, d.exemplars, d.after, d.confirms, d.unclear, d.late, d.tooOld, d.tiny}
			if d.rule != tt.rule || got != tt.want {
				t.Errorf("rule %q: %+v, want %q: %+v", d.rule, got, tt.rule, tt.want)
			}
			if wrong := d.lost > 0 || d.action != settle || !tt.answer.ok(); wrong != (d.err != nil) {
				t.Errorf("error %v", d.err)
			}
		})
	}
	names := map[string]bool{}
	for _, r := range rules {
		if names[r.name] {
			t.Errorf("two rules are called %q", r.name)
		}
		names[r.name] = true
		if !decided[r.name] {
			t.Errorf("no row is decided by the rule %q", r.name)
		}
	}
}

// TestDecideComplaint is the error of a 2xx by which samples are lost.
func TestDecideComplaint(t *testing.T) {
	tests := map[string]struct {
		answer answer
		known  known
		want   string
	}{
		"half":    {said20(200, 50, 0, ""), by20, "200 OK: the receiver says that it wrote 50 of 100 samples"},
		"forced":  {answer{status: 204}, forced, "204 No Content: remote write 2.0 is answered without the headers that tell what was written"},
		"unknown": {answer{status: 299}, asked, "299: remote write 2.0 is answered without the headers that tell what was written"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := decide(is20, tt.answer, tt.known); d.err == nil || d.err.Error() != tt.want {
				t.Errorf("%v, want %s", d.err, tt.want)
			}
		})
	}
}

// TestDecideReceivers goes through what real receivers answer, by their texts.
func TestDecideReceivers(t *testing.T) {
	late := func(d decision) bool { return d.late }
	old := func(d decision) bool { return d.tooOld }
	tests := map[string]struct {
		sent   sent
		answer answer
		known  known
		want   action
		is     func(decision) bool
	}{
		"Prometheus, 2.0":                         {is20, said20(204, 100, 10, ""), asked, settle, func(d decision) bool { return d.confirms && d.lost == 0 }},
		"Cortex by default, 2.0":                  {is20, answer{status: 415, text: `unsupported proto type "io.prometheus.write.v2.Request"; supported: prometheus.WriteRequest`}, asked, otherVersion, nil},
		"Thanos, 2.0":                             {is20, answer{status: 200}, asked, otherVersion, nil},
		"VictoriaMetrics, 2.0":                    {is20, answer{status: 204}, asked, otherVersion, nil},
		"VictoriaMetrics, 2.0 forced":             {is20, answer{status: 204}, forced, settle, func(d decision) bool { return d.lost == 100 && d.lostAtMost && d.err != nil }},
		"Nightingale, 2.0":                        {is20, answer{status: 200}, by10, otherVersion, nil},
		"openGemini, 2.0":                         {is20, answer{status: 400, text: "timeseries have no sample"}, asked, otherVersion, nil},
		"OpenObserve, 2.0":                        {is20, answer{status: 400, text: "invalid protobuf"}, asked, otherVersion, nil},
		"ClickHouse, 2.0, at last":                {is20.with(attempt(laterTries)), answer{status: 500, text: "Code: 36"}, asked, otherVersion, nil},
		"OTel collector, 1.0":                     {is10, answer{status: 415, text: "Unsupported proto type"}, by10, otherVersion, nil},
		"Cortex, rate":                            {is20, said20(429, 0, 0, "ingestion rate limit (25000) exceeded while adding 100 samples and 100 metadata"), by20, retry, nil},
		"Cortex, above the burst":                 {is20.with(attempt(laterTries)), said20(429, 0, 0, "ingestion rate limit (25000) exceeded"), by20, halve, nil},
		"Mimir, rate":                             {is20, answer{status: 429, retryAfter: 6 * time.Second, hasCounts: true, samples: 100, exemplars: 10}, by20, retry, func(d decision) bool { return d.after == 6*time.Second && d.lost == 0 }},
		"Mimir, starting":                         {is20, answer{status: 500, retryAfter: maxRetryAfter}, by20, retry, func(d decision) bool { return d.after == maxRetryAfter }},
		"Cortex, max series":                      {is20, said20(400, 0, 0, "per-user series limit of 5000 exceeded"), by20, split, nil},
		"Cortex, out of order":                    {is20, said20(400, 0, 0, "user=1: err: out of order sample. timestamp=2026-11-01T00:00:00Z, series={}"), by20, split, late},
		"Cortex, out of bounds":                   {is20, said20(400, 0, 0, "user=1: err: out of bounds. timestamp=2026-11-01T00:00:00Z"), by20, split, old},
		"Cortex, label value":                     {is20, said20(400, 99, 10, "label value too long for metric"), by20, settle, func(d decision) bool { return d.lost == 1 && d.reason == dropRefused }},
		"Mimir, max series":                       {is20, said20(400, 100, 10, "failed pushing to ingester: user=a: per-user series limit of 50 exceeded (sampled 1/10)"), by20, settle, func(d decision) bool { return d.unclear && d.lost == 0 }},
		"Mimir, too old":                          {is20, said20(400, 100, 10, "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)"), by20, settle, func(d decision) bool { return d.unclear }},
		"Mimir by 1.0, too old":                   {is10, answer{status: 400, text: "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)"}, by10, split, old},
		"Mimir by 1.0, out of order":              {is10, answer{status: 400, text: "the sample has been rejected because another sample with a more recent timestamp has already been ingested and out-of-order samples are not allowed (err-mimir-sample-out-of-order)"}, by10, split, late},
		"Mimir by 1.0, duplicate":                 {is10, answer{status: 400, text: "another sample with the same timestamp, but a different value, has already been ingested (err-mimir-sample-duplicate-timestamp)"}, by10, split, late},
		"Prometheus by 1.0, out of order":         {is10, answer{status: 400, text: "out of order sample"}, by10, split, late},
		"Prometheus by 1.0, too old":              {is10, answer{status: 400, text: "out of bounds"}, by10, split, old},
		"Prometheus by 1.0, duplicate":            {is10, answer{status: 400, text: "duplicate sample for timestamp"}, by10, split, late},
		"Thanos, out of order":                    {is10, answer{status: 409, text: `store locally for endpoint : add 1 samples: out of order sample`}, by10, split, late},
		"Thanos, out of bounds":                   {is10, answer{status: 409, text: "add 100 samples: out of bounds"}, by10, split, old},
		"Thanos, series_limit":                    {is10, answer{status: 413, text: "too many timeseries"}, by10, split, func(d decision) bool { return d.reason == dropTooLarge && !d.tiny }},
		"Cortex, request too large":               {is20, answer{status: 400, text: "received message larger than max (4915 vs 4000)"}, by20, split, func(d decision) bool { return d.reason == dropTooLarge }},
		"Mimir, request too large":                {is10, answer{status: 400, text: "the incoming push request has been rejected because its message size of 4915 bytes is larger than the allowed limit of 4000 bytes"}, by10, split, func(d decision) bool { return d.reason == dropTooLarge }},
		"Mimir, too large, headers say all":       {is20, said20(400, 100, 10, "message size of 4915 bytes is larger than the allowed limit"), by20, split, func(d decision) bool { return d.reason == dropTooLarge }},
		"Cortex, no tenant":                       {is20, answer{status: 401, text: "no org id"}, by20, hold, nil},
		"Mimir, no tenant, by the first 2.0":      {is20, answer{status: 401, text: "no org id"}, asked, otherVersion, nil},
		"Mimir, no tenant, by 1.0":                {is10.with(tried), answer{status: 401, text: "no org id"}, asked, hold, nil},
		"Mimir, native histograms off":            {is20, said20(200, 100, 10, ""), by20, settle, func(d decision) bool { return d.lost == 0 && d.err == nil }},
		"Nightingale, queue full":                 {is10, answer{status: 499, text: "queue is full"}, by10, retry, nil},
		"Nightingale, queue full, by 2.0":         {is20, answer{status: 499}, asked, retry, nil},
		"Nightingale, /proxy/v1/write":            {is10, answer{status: 200}, by10, settle, nil},
		"Cortex, exemplars alone":                 {is20, said20(400, 0, 0, "TimeSeries must contain at least one sample or histogram for series {}"), by20, split, nil},
		"Cortex, UTF-8 name":                      {is20, answer{status: 400, text: `sample invalid metric name: "a.b"`}, by20, split, func(d decision) bool { return !d.late }},
		"a login page behind a proxy":             {is10, answer{status: 302, location: "https://sso/login"}, by10, hold, nil},
		"a login page behind a proxy, unknown":    {is20, answer{status: 302, location: "https://sso/login"}, asked, otherVersion, nil},
		"a login page behind a proxy, after both": {is10.with(tried), answer{status: 302, location: "https://sso/login"}, asked, hold, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := decide(tt.sent, tt.answer, tt.known)
			if d.action != tt.want || tt.is != nil && !tt.is(d) {
				t.Errorf("%s by rule %q, want %s; %+v", d.action, d.rule, tt.want, d)
			}
		})
	}
}

// TestDecideSpace goes through every status, with all that may be known, for what no decision may do.
func TestDecideSpace(t *testing.T) {
	states := map[string]struct {
		version int
		known   known
	}{
		"2.0 asked":     {version2, known{negotiate: true}},
		"2.0 confirmed": {version2, known{negotiate: true, confirmed2: true}},
		"2.0 refusing":  {version2, known{negotiate: true, confirmed2: true, onlyRefuses: true}},
		"2.0 mismatch":  {version2, known{negotiate: true, confirmed2: true, mismatches: maxMismatches}},
		"2.0 after 1.0": {version2, known{negotiate: true, accepted1: true}},
		"2.0 forced":    {version2, known{}},
		"1.0 asked":     {version1, known{negotiate: true}},
		"1.0 accepted":  {version1, known{negotiate: true, accepted1: true}},
		"1.0 forced":    {version1, known{}},
	}
	headers := map[string]answer{
		"none": {}, "right": {hasCounts: true, samples: 93, exemplars: 9}, "zero": {hasCounts: true}, "all": {hasCounts: true, samples: 100, exemplars: 10}, "too many": {hasCounts: true, samples: 1000, exemplars: 1000},
	}
	for state, st := range states {
		t.Run(state, func(t *testing.T) {
			for status := 100; status <= 599; status++ {
				for header, a := range headers {
					for bits := range 64 {
						k, s := st.known, is20
						s.version, s.otherTried, s.attempt = st.version, bits&1 != 0, bits>>1&3*2
						k.split, k.keepUnauthorized = bits&8 != 0, bits&16 != 0
						a.status, a.text = status, ""
						if bits&32 != 0 {
							a.text = "out of order, larger than the allowed limit"
						}
						d := decide(s, a, k)
						for _, wrong := range forbidden(s, a, k, d) {
							t.Fatalf("status %d, headers %s, otherTried %t, attempt %d, split %t, keep %t: %s, by rule %q: %s", status, header, s.otherTried, s.attempt, k.split, k.keepUnauthorized, d.action, d.rule, wrong)
						}
					}
				}
			}
		})
	}
}

// forbidden says what is wrong with a decision, whatever it is about.
func forbidden(s sent, a answer, k known, d decision) (wrong []string) {
	ends := d.action == drop || d.action == settle
	no := func(b bool, format string, args ...any) {
		if b {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	no(ends && !a.ok() && !k.understood(s.version), "final before the version was understood")
	no(a.status/100 == 5 && (d.action == drop || d.action == split || d.action == settle), "a 5xx ends or divides a request")
	no(a.ok() && !a.hasCounts && s.version == version2 && k.negotiate && ends, "a 2xx without headers settles a 2.0 that is negotiated")
	no(d.action == otherVersion && s.otherTried, "a loop between the versions")
	no(d.action == otherVersion && !k.negotiate, "another version than the configuration's")
	no(a.status/100 == 3 && ends, "a redirect settles")
	no(a.status/100 == 1 && ends, "an answer under way settles")
	no(a.status == 429 && ends, "a limit of the rate costs samples")
	no(d.confirms && !(a.ok() && a.hasCounts && s.version == version2), "2.0 is confirmed by something else")
	no(d.lost < 0 || d.exemplars < 0 || d.lost > s.samples || d.exemplars > s.exemplars, "%d samples and %d exemplars of the request are lost", d.lost, d.exemplars)
	no(d.lost > 0 && !ends, "samples count as lost that are sent again")
	no(d.lost > 0 && d.reason == "", "samples are lost without a reason")
	no((d.lost > 0 || d.action != settle || d.unclear) && d.err == nil, "it has no error")
	no(d.action == drop && k.split && k.keepUnauthorized, "dropped by the default configuration")
	no(d.action == split && d.reason == "", "divided without a reason")
	no(d.rule == "" || strings.TrimSpace(d.rule) != d.rule, "no rule")
	return wrong
}
