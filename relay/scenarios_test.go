package relay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	fake "promrelay/test/receiver"
)

// only10 accepts 1.0, and answers a status to 2.0.
func only10(status int) fake.Profile { return fake.Plain10(status, "no") }

// silentOrder stores what is new, and answers 400 without a text if anything was older than the last sample of its series.
func silentOrder() fake.Profile {
	return fake.Plain().With(fake.Accept(fake.InOrder()), fake.RefusedBy(fake.Tell(http.StatusBadRequest, fake.Absent, nil)))
}

// overtaken refuses the samples of the first n series as late.
func refusesLate(n int) fake.Rule {
	return fake.Rule{Name: "another writer", Judge: func(_ *fake.View, i fake.Item) fake.Verdict {
		if i.Series.Name < fmt.Sprintf("{__name__=\"m\", i=\"%04d\"}", n) {
			return fake.Verdict{Reason: fake.OutOfOrder}
		}
		return fake.Verdict{}
	}}
}

// scenarios are those of the issue and of public reports. docs/receivers.md has them as a table.
func scenarios() []scenario {
	var out []scenario
	for _, status := range []int{400, 405, 406, 411, 413, 422, 501, 500, 403, 404, 301, 302, 303, 415} {
		out = append(out, scenario{
			number: fmt.Sprintf("1, %d", status), receiver: fmt.Sprintf("takes 1.0, answers %d to 2.0", status), profile: only10(status),
			live: 2 * time.Second, version: version1, status: fmt.Sprint(status),
		})
	}
	ok := fake.Plain()
	bad400 := fake.Tell(http.StatusBadRequest, fake.Absent, nil)
	return append(out, []scenario{
		{
			number: "1, silent", receiver: "takes 1.0, answers 204 to 2.0 and stores nothing", profile: fake.VictoriaMetrics(),
			live: time.Second, version: version1, status: "without the headers",
		},
		{
			number: "2", receiver: "1.0; down for 20 s, then one request is stored and its answer lost; refuses whole requests of which a sample is older than the last one of its series",
			more: v1, series: 400, interval: time.Second, profile: fake.Atomic10().With(fake.OnWire(fake.NoConnection())), trouble: 20 * time.Second,
			after: fake.Atomic10().With(fake.Back(fake.Latency(1200*time.Millisecond), fake.LoseAnswer().When(fake.First(1)))),
			live:  20 * time.Second, length: 90 * time.Second, reason: dropOutOfOrder, upTo: true, repeated: true,
		},
		{
			number: "2, without words", receiver: "1.0; the same, stores what is new, and its 400 has no text",
			more: v1, series: 400, interval: time.Second, profile: silentOrder().With(fake.OnWire(fake.NoConnection())), trouble: 20 * time.Second,
			after: silentOrder().With(fake.Back(fake.Latency(1200*time.Millisecond), fake.LoseAnswer().When(fake.First(1)))),
			live:  60 * time.Second, length: 120 * time.Second, reason: dropOutOfOrder, upTo: true, repeated: true,
		},
		{
			number: "2, live", receiver: "1.0; one answer is lost", more: v1, profile: fake.Atomic10().With(fake.Back(fake.LoseAnswer().When(fake.First(1)))),
			live: 2 * time.Second, reason: dropOutOfOrder, upTo: true, repeated: true,
		},
		{
			number: "2, Cortex", receiver: "Cortex, one answer is lost", profile: fake.Cortex().With(fake.Back(fake.LoseAnswer().When(fake.First(3)))),
			live: 5 * time.Second, reason: dropOutOfOrder, upTo: true, repeated: true, version: version1,
		},
		{
			number: "2, label too long", receiver: "Cortex by 2.0, refuses one series", profile: fake.CortexTakes20().With(fake.Accept(fake.Bad("bad", isSeries(7)))),
			bad: isSeries(7), live: 5 * time.Second, reason: dropRefused, repeated: true,
		},
		{
			number: "2, another writer", receiver: "Prometheus by 1.0; another sender writes newer samples of 40 of 400 series", more: v1, series: 400, interval: time.Second,
			profile: fake.Atomic10().With(fake.Accept(refusesLate(40))), bad: func(name string) bool { return name < `{__name__="m", i="0040"}` },
			live: 15 * time.Second, length: 60 * time.Second, reason: dropOutOfOrder, upTo: true, repeated: true,
		},
		{
			number: "2, one backend of two", receiver: "1.0; every second request meets a backend that answers 400 to everything", more: v1,
			profile: ok.With(fake.Fault(fake.Status(400, "bad").When(fake.Every(2)))), live: 5 * time.Second, repeated: true,
		},
		{
			number: "3", receiver: "1.0; 400 to everything for 5 s, then 204", more: v1, profile: ok.With(fake.Fault(fake.Status(400, "bad"))),
			trouble: 5 * time.Second, after: ok, live: 8 * time.Second,
		},
		{
			number: "3, another receiver", receiver: "takes 2.0 for 5 s; then one stands there that takes 1.0 alone, and answers 400 to 2.0",
			profile: ok, trouble: 5 * time.Second, after: only10(400), live: 20 * time.Second, repeated: true, version: version1, status: "400",
		},
		{
			number: "4", receiver: "1.0; refuses one sample of one series once, and with it the request", more: v1,
			profile: ok.With(fake.Accept(fake.RefuseOnce(1, isSeries(9))), fake.Atomically(), fake.RefusedBy(bad400)), live: 2 * time.Second, lost: 1, repeated: true,
		},
		{
			number: "5", receiver: "1.0; refuses whole requests, 5% of 2,000 series are bad", more: v1, series: 2000,
			profile: ok.With(fake.Accept(fake.Bad("bad", each(20))), fake.Atomically(), fake.RefusedBy(bad400), fake.Back(fake.Latency(5*time.Millisecond))),
			bad:     each(20), live: 60 * time.Second, length: 70 * time.Second, reason: dropRefused, repeated: true,
		},
		{
			number: "5, 1%", receiver: "1.0; refuses whole requests, 1% of 2,000 series are bad", more: v1, series: 2000,
			profile: ok.With(fake.Accept(fake.Bad("bad", each(100))), fake.Atomically(), fake.RefusedBy(bad400), fake.Back(fake.Latency(5*time.Millisecond))),
			bad:     each(100), live: 20 * time.Second, length: 25 * time.Second, reason: dropRefused, repeated: true,
		},
		{
			number: "6, 0 written", receiver: "2.0; refuses whole requests with 400 and 0 written, 1 bad series of 50", series: 50,
			profile: fake.Atomic20(fake.Zero).With(fake.Accept(fake.Bad("bad", isSeries(3)))), bad: isSeries(3), live: 5 * time.Second, reason: dropRefused, repeated: true, version: version2,
		},
		{
			number: "6, no headers", receiver: "2.0; refuses whole requests with 400 without headers, 1 bad series of 50", series: 50,
			profile: fake.Atomic20(fake.Absent).With(fake.Accept(fake.Bad("bad", isSeries(3)))), bad: isSeries(3), live: 5 * time.Second, reason: dropRefused, repeated: true, version: version2,
		},
		{
			number: "6, in part", receiver: "2.0; stores the rest, the headers say how much", series: 50,
			profile: ok.With(fake.Accept(fake.Bad("bad", isSeries(3)))), bad: isSeries(3), live: 2 * time.Second, reason: dropRefused, repeated: true, version: version2,
		},
		{
			number: "7", receiver: "2.0; answers 204, the headers say that nothing was written", profile: ok.With(fake.Fault(fake.StatusClaiming(204, "", fake.Zero))),
			trouble: 5 * time.Second, after: ok, live: time.Second, lost: 60 * 26, reason: dropNotWritten, version: version2, status: "wrote 0 of 60",
		},
		{
			number: "7, forced", receiver: "answers 200 to 2.0, which the configuration demands, and stores nothing", more: "protobuf_message: io.prometheus.write.v2.Request\n",
			profile: fake.Silent200(), trouble: 5 * time.Second, after: ok, live: time.Second, lost: 60 * 26, reason: dropNotWritten + atMost, status: "without the headers",
		},
		{
			number: "8", receiver: "1.0; a redirect by 302 to a page to log in at", more: v1, profile: ok.With(fake.Fault(fake.Login(), fake.Redirect(302, "/login", "/login"))),
			trouble: 5 * time.Second, after: ok, live: 10 * time.Second, status: "",
		},
		{
			number: "9", receiver: "1.0; metadata is answered 500", more: v1, profile: ok.With(fake.Fault(fake.Status(500, "no metadata").When(fake.MetadataOnly()))),
			live: time.Second,
		},
		{
			number: "9, 404", receiver: "1.0; metadata is answered 404", more: v1, profile: ok.With(fake.Fault(fake.Status(404, "no metadata").When(fake.MetadataOnly()))),
			live: time.Second,
		},
		{
			number: "10", receiver: "413 to everything for 3 s", series: 200, profile: ok.With(fake.Fault(fake.Status(413, "too large")), fake.Back(fake.Latency(50*time.Millisecond))),
			trouble: 3 * time.Second, after: ok.With(fake.Back(fake.Latency(50 * time.Millisecond))), live: 10 * time.Second,
		},
		{
			number: "10, one series", receiver: "413 to any request that holds one of the series", series: 600,
			profile: ok.With(fake.Fault(fake.Status(413, "too large").When(fake.WithSeries("large", isSeries(5))))), bad: isSeries(5), live: 5 * time.Second, reason: dropTooLarge, repeated: true,
		},
		{
			number: "11", receiver: "500 to requests with a sample of the first second, for ever; sample_age_limit is 10 s", more: "queue_config: {sample_age_limit: 10s, batch_send_deadline: 1s, min_backoff: 30ms, max_backoff: 5s}\n",
			profile: ok.With(fake.Fault(fake.Status(500, "no"))), trouble: time.Second, after: ok, live: 20 * time.Second,
		},
		{
			number: "13", receiver: "Nightingale with a full queue for 20 s: 499", profile: fake.Nightingale().With(fake.Fault(fake.QueueFull())), trouble: 20 * time.Second,
			after: fake.Nightingale(), live: 10 * time.Second, length: 60 * time.Second,
		},
		{
			number: "14", receiver: "2.0, with one 415 in between", profile: ok.With(fake.Fault(fake.Status(415, "no").When(fake.Every(10)))), live: time.Second, version: version2, repeated: true,
		},
		{
			number: "22, Mimir", receiver: "Mimir refuses one series and says that all was written", profile: fake.Mimir().With(fake.Accept(fake.Bad("bad", isSeries(3)))),
			bad: isSeries(3), live: 2 * time.Second, unclear: true, repeated: true, status: unclear,
		},
		{
			number: "23", receiver: "Cortex finds requests too large, by 400, for 10 s", series: 600, profile: fake.CortexTakes20().With(fake.Limit(fake.CortexTooLarge(3000))),
			trouble: 10 * time.Second, after: fake.CortexTakes20(), live: 10 * time.Second, repeated: true, reason: dropOutOfOrder, upTo: true,
		},
		{
			number: "25", receiver: "Mimir's rate limit for 40 s, with a Retry-After that grows", profile: fake.Mimir().With(fake.Limit(fake.MimirRate(1, 1))), trouble: 40 * time.Second,
			after: fake.Mimir(), live: 35 * time.Second, length: 2 * time.Minute,
		},
	}...)
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios() {
		if testing.Short() && s.series > 1000 {
			continue
		}
		t.Run(s.number, s.run)
	}
}
