package relay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/config"
)

func newTestReporter() (*reporter, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return newReporter(zap.New(core)), logs
}

func refusedBecause(text string, lost int) loss {
	return loss{rule: "refused in part", reason: dropRefused, lost: lost, err: errors.New(text)}
}

// sums returns the numbers of lost samples that the log has.
func sums(t *testing.T, logs *observer.ObservedLogs) (out []uint64) {
	t.Helper()
	for _, e := range logs.FilterMessage("the destination does not store samples").All() {
		n, ok := e.ContextMap()["samples"].(uint64)
		if !ok || e.Level != zapcore.ErrorLevel {
			t.Fatalf("%+v", e)
		}
		out = append(out, n)
	}
	return out
}

// TestReportSums: each lost sample is logged once, with one line a minute for each kind.
func TestReportSums(t *testing.T) {
	r, logs := newTestReporter()
	now := time.Now()
	for i := range 600 { // ten minutes, each answer with another id
		r.lost(refusedBecause(fmt.Sprintf("400 Bad Request: no, request %d", i), i%3), now)
		now = now.Add(time.Second)
	}
	if got := sums(t, logs); len(got) != 10 || got[1] != 60 {
		t.Errorf("%d lines in ten minutes: %d", len(got), got)
	}
	now = now.Add(logEvery)
	r.flush(now)
	sum := uint64(0)
	for _, n := range sums(t, logs) {
		sum += n
	}
	if sum != 600 {
		t.Errorf("%d samples in all", sum)
	}
	last := logs.All()[logs.Len()-1].ContextMap()
	if last["answer"] != "400 Bad Request: no, request 599" || last["reason"] != dropRefused || last["at_most"] != false {
		t.Errorf("%v", last)
	}
	before := logs.Len()
	r.flush(now.Add(time.Hour))
	if logs.Len() != before {
		t.Error("it logs the same again")
	}
}

func TestReportFlush(t *testing.T) {
	r, logs := newTestReporter()
	now := time.Now()
	r.lost(refusedBecause("a", 1), now)
	r.lost(refusedBecause("b", 2), now.Add(time.Second))
	r.flush(now.Add(logEvery - 1))
	if got := sums(t, logs); len(got) != 1 || got[0] != 1 {
		t.Errorf("%d before the minute is over", got)
	}
	r.flush(now.Add(logEvery))
	if got := sums(t, logs); len(got) != 2 || got[1] != 2 {
		t.Errorf("%d when the minute is over", got)
	}
}

// TestReportKinds keeps reasons and rules apart, and shows the last one first.
func TestReportKinds(t *testing.T) {
	r, logs := newTestReporter()
	now := time.Now()
	for i, v := range []loss{
		{rule: "refused in part", reason: dropRefused, lost: 1, err: errors.New("first")},
		{rule: "refused", reason: dropRefused, lost: 2, err: errors.New("second")},
		{rule: "refused", reason: dropTooLarge, lost: 3, err: errors.New("413 third")},
		{rule: "2.0 accepted without headers", reason: dropNotWritten, lost: 4, lostAtMost: true, err: errors.New("fourth")},
		{rule: "refused, number unknown", unclear: true, err: errors.New("fifth")},
		{rule: "refused", reason: dropRefused, lost: 20, err: errors.New("sixth")},
	} {
		r.lost(v, now.Add(time.Duration(i)*time.Second))
	}
	if got := sums(t, logs); len(got) != 5 {
		t.Errorf("lines %d", got)
	}
	var s Status
	r.fill(&s)
	got := ""
	for _, r := range s.Refusals {
		got += fmt.Sprintf("%s %s %d %t\n", r.Error, r.Reason, r.Samples, r.AtMost)
	}
	want := "sixth refused 22 false\nfifth refused, number unknown 0 true\nfourth not_written_at_most 4 true\n413 third too_large 3 false\nfirst refused 1 false\n"
	if got != want || s.Error != "" {
		t.Errorf("%s%s", got, s.Error)
	}
	if a := s.Refusals[3].Advice; a != advice("413 third") {
		t.Errorf("advice %q", a)
	}
}

// TestReportTrouble: that requests wait is logged once a minute for each rule, and the end of it once.
func TestReportTrouble(t *testing.T) {
	r, logs := newTestReporter()
	now := time.Now()
	status := func() (s Status) { r.fill(&s); return s }
	trouble := func(rule, text string, after time.Duration) {
		now = now.Add(after)
		r.waits(time.Second, rule, errors.New(text), now)
	}
	count := func(warnings, infos int) {
		t.Helper()
		w := logs.FilterLevelExact(zapcore.WarnLevel).Len()
		i := logs.FilterLevelExact(zapcore.InfoLevel).Len()
		if w != warnings || i != infos {
			t.Fatalf("%d warnings and %d infos, want %d and %d", w, i, warnings, infos)
		}
	}
	r.recovered()
	count(0, 0)
	trouble("later", "503 one", 0)
	for range 58 {
		trouble("later", "503 two", time.Second)
	}
	count(1, 0)
	if s := status(); s.Error != "503 two" || s.Advice != advice("503 two") {
		t.Errorf("%q, %q", s.Error, s.Advice)
	}
	trouble("outside of the data", "401 Unauthorized", time.Second)
	count(2, 0)
	if s := status(); s.Error != "401 Unauthorized" || s.Advice != advice("401 Unauthorized") {
		t.Errorf("%q, %q", s.Error, s.Advice)
	}
	trouble("later", "503 three", time.Second)
	count(3, 0)
	r.recovered()
	r.recovered()
	count(3, 1)
	if s := status(); s.Error != "" || s.Advice != "" {
		t.Errorf("%q, %q when all is well", s.Error, s.Advice)
	}
	trouble("later", "503 four", time.Second) // which the log spoke of within the minute
	count(3, 1)
	r.recovered()
	count(3, 1)
	trouble("later", "503 five", logEvery)
	count(4, 1)
}

func TestAdvice(t *testing.T) {
	tests := map[string]struct {
		text string
		want string // a part
	}{
		"nothing":                 {"500 Internal Server Error", "the receiver's words"},
		"no answer":               {"EOF", "no receiver has answered"},
		"a file that is missing":  {`the relay cannot read /x/password (remote_write "a", basic_auth.password_file): there is no such file`, "make that file"},
		"no certificate":          {"unable to use specified CA cert /x/ca.crt", "look into the file"},
		"redirects":               {"more than 10 redirects", "set the URL"},
		"upper case":              {"400 Bad Request: OUT OF ORDER sample", "out-of-order window"},
		"tenant before 401":       {"401 Unauthorized: no org id", "X-Scope-OrgID"},
		"401":                     {"401 Unauthorized", "credentials"},
		"redirect":                {"302 Found to http://x/, which is not followed", "set the URL"},
		"headers":                 {"204 No Content: remote write 2.0 is answered without the headers that tell what was written", "protobuf_message"},
		"timeout":                 {"no answer within 30s", "remote_timeout"},
		"refused":                 {"dial tcp 127.0.0.1:9: connect: connection refused", "port"},
		"certificate":             {"tls: failed to verify certificate: x509: certificate signed by unknown authority", "ca_file"},
		"series limit":            {"400 Bad Request: per-user series limit of 5000 exceeded", "limit of series"},
		"too large as 400":        {"400 Bad Request: received message larger than max", "max_samples_per_send"},
		"too large by its status": {"413 Request Entity Too Large", "max_samples_per_send"},
		"rate":                    {"429 Too Many Requests", "limit of the rate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := advice(tt.text)
			if !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestReportAtOnce is for the race detector.
func TestReportAtOnce(t *testing.T) {
	r, _ := newTestReporter()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				r.lost(refusedBecause("a", 1), time.Now())
				r.waits(time.Second, "refused in part", errors.New("a"), time.Now())
				r.flush(time.Now())
				r.recovered()
				r.fill(&Status{})
			}
		})
	}
	wg.Wait()
	var s Status
	if r.fill(&s); s.Refusals[0].Samples != 400 {
		t.Errorf("%d samples", s.Refusals[0].Samples)
	}
}

// A status has the last time that something was stored: an answer after which everything is lost does not count.
func TestStatusStored(t *testing.T) {
	tr := try(t, by2, whole(func(r *config.Relay) { r.SplitRefused = false }), 5, func(_ int, p *posted, w http.ResponseWriter) int {
		p.written(w, 0, 0)
		w.WriteHeader(http.StatusBadRequest)
		return said
	})
	first := tr.Statuses()[0]
	if first.Stored.IsZero() || !first.Confirmed || len(first.Refusals) == 0 {
		t.Fatalf("after a scrape that was accepted and one that was refused: %+v", first)
	}
	if !first.Stored.Before(first.Refusals[0].Last) {
		t.Errorf("stored at %s, after what was refused at %s", first.Stored, first.Refusals[0].Last)
	}
}
