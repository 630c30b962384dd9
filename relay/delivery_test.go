package relay

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// oneSampleEach is a 2.0 request of series with one sample each.
func oneSampleEach(series int) *request {
	var ts []*timeSeries
	for i := range series {
		labels := []string{"__name__", "m", "i", string(rune('a' + i))}
		ts = append(ts, &timeSeries{labels: labels, hash: hashLabels(labels), floats: []sample{{value: 1, time: time.Now().UnixMilli()}}})
	}
	return encode(ts, version2)
}

// TestDeliveryEnds: how deliveries end, after how many requests, and how long they take at least.
func TestDeliveryEnds(t *testing.T) {
	tests := map[string]struct {
		statuses []int
		more     string
		end      end
		requests int
		atLeast  time.Duration
	}{
		"accepted":              {[]int{200}, "", settled, 1, 0},
		"accepted after two":    {[]int{503, 503, 200}, "", settled, 3, 3 * time.Second},
		"refused":               {[]int{400}, "", refused, 1, 0},
		"refused after one":     {[]int{503, 400}, "", refused, 2, time.Second},
		"too large":             {[]int{413}, "", refused, 1, 0},
		"a person is needed":    {[]int{401, 200}, "", settled, 2, time.Second},
		"halves after four 429": {[]int{429, 429, 429, 429, 200}, "", settled, 6, 7 * time.Second},
		"never":                 {[]int{503}, "", cancelled, 0, time.Hour},
		"too old by then":       {[]int{503}, "sample_age_limit: 1m, ", settled, 0, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				receiver := &answers{statuses: tt.statuses}
				d := idleDestination(t, "queue_config: {"+tt.more+"min_backoff: 1s, max_backoff: 10s}\n", receiver)
				d.sender.dialect.confirm2()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				begin := time.Now()
				o := d.sender.deliver(ctx, oneSampleEach(4))
				if o.end != tt.end || tt.requests > 0 && receiver.requests != tt.requests || time.Since(begin) < tt.atLeast {
					t.Errorf("end %d after %d requests and %s", o.end, receiver.requests, time.Since(begin))
				}
				if (o.end == refused) != (o.request != nil && o.decision.action == split) {
					t.Errorf("end %d of request %v, decided %s", o.end, o.request, o.decision.action)
				}
			})
		})
	}
}

// TestSenderRun: a shard finishes its requests in turn. The splitter gets a refused request before the shard finishes it, so that
// the position stays.
func TestSenderRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := idleDestination(t, "", &answers{statuses: []int{http.StatusOK, http.StatusBadRequest}})
		d.sender.dialect.confirm2()
		p := d.packer
		p.start(1)
		s := newScrapes(3)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first, second := s.next(1), s.next(1)
		done := make(chan struct{})
		go func() { defer close(done); d.sender.run(ctx, p.shards[0]) }()
		for _, b := range []*block{first, second} {
			p.add(ctx, b)
			p.flushAll(ctx)
			synctest.Wait()
			if at := d.progress.finished(); at != b.end {
				t.Errorf("all before %v is finished, want %v", at, b.end)
			}
		}
		if at, ok := d.splitter.oldest(); !ok || at != second.start {
			t.Errorf("the splitter holds the position at %v, %t; want %v", at, ok, second.start)
		}
		if newest, stored := d.sender.delivered(); newest != first.scrape.Time || !stored.Equal(time.Now()) {
			t.Errorf("the newest sample is of %d, stored at %s", newest, stored)
		}
		close(p.shards[0].queue)
		<-done
	})
}

// TestSenderInherits: after a change of the configuration, the sender still knows the sample that othersPass sends again.
func TestSenderInherits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := idleDestination(t, "", &answers{statuses: []int{200}}), idleDestination(t, "", &answers{statuses: []int{200}})
		if next.splitter.othersPass(t.Context(), 0) {
			t.Error("others pass, though nothing was sent")
		}
		old.sender.deliver(t.Context(), oneSampleEach(1))
		next.sender.inherit(old.sender)
		if n, _ := next.sender.delivered(); n == 0 || !next.splitter.othersPass(t.Context(), 0) {
			t.Errorf("newest sample of %d", n)
		}
		next.sender.noteTime(5)
		if n, _ := next.sender.delivered(); n == 5 {
			t.Error("the time of a scrape stands for a sample that was stored")
		}
	})
}
