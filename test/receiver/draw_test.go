package receiver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDraw draws the same twice, and everything in the end.
func TestDraw(t *testing.T) {
	var all strings.Builder
	for seed := range uint64(2000) {
		s := Draw(rand.New(rand.NewPCG(seed, 1)))
		text := s.String()
		if again := Draw(rand.New(rand.NewPCG(seed, 1))).String(); again != text {
			t.Fatalf("seed %d draws\n%sand then\n%s", seed, text, again)
		}
		if n := len(s.Phases); n < 2 || n > 9 || s.Phases[0].At != 0 || s.Well() < time.Second || s.Well() > 2*time.Minute {
			t.Errorf("seed %d:\n%s", seed, text)
		}
		all.WriteString(text)
	}
	for _, part := range []string{
		"connection refused", "connection reset", "hang", "latency", "slow", "answer lost", "status 400", "status 401", "status 413",
		"status 499", "page 502", "Retry-After", "a date", "claiming", "rate", "400 above", "413 above", "max 3 series", "once", "bounds", "for now",
		"native histograms off", "exemplars refused", "another replica", "redirect 302", "redirect 307", "metadata only", "with exemplars",
		"headers cut off", "gzip", "window 0s", "window 1m", "exemplars in order", "atomic;", "atomic by 1.0", "by 1.0", "by 2.0", "told right",
		"told as nothing stored", "told by 409", "told as all stored", "first 2", "every 3", "for 2.", "always", "bad series",
	} {
		if !strings.Contains(all.String()+";", part) {
			t.Errorf("%q was never drawn", part)
		}
	}
}

// sender sends the samples of one series one by one.
type sender struct {
	r       *Receiver
	client  http.Client
	version int  // that was understood last
	hasty   bool // it takes any answer as final
}

func newSender(r *Receiver, hasty bool) *sender {
	stay := func(req *http.Request, via []*http.Request) error {
		if req.Method != http.MethodPost || len(via) > 3 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &sender{r: r, version: 2, hasty: hasty, client: http.Client{Transport: r, CheckRedirect: stay}}
}

// deliver sends a sample until it is stored or the receiver has given reason to drop it.
func (s *sender) deliver(ctx context.Context, x ts) error {
	for ctx.Err() == nil {
		for _, version := range []int{s.version, 3 - s.version} {
			req := write(version, x)
			req.RequestURI = ""
			timed, cancel := context.WithTimeout(ctx, 5*time.Second)
			resp, err := s.client.Do(req.WithContext(timed))
			cancel()
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode/100 == 2 {
					s.version = version
				}
				if s.hasty {
					return nil
				}
			}
			if e, _ := s.r.Entry(x.key(), x.samples[0].Time); e.Taken > 0 || e.Excused() {
				return nil
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("time is over")
}

func (s ts) key() string { return fmt.Sprintf("{__name__=%q}", s.name) }

// play sends ten series to a drawn receiver, and returns what it missed, and of how many samples.
func play(t *testing.T, seed uint64, hasty bool) (schedule Schedule, missing []string, excused, wanted int) {
	schedule = Draw(rand.New(rand.NewPCG(seed, 2)))
	r := New(Plain())
	ctx, cancel := context.WithTimeout(t.Context(), schedule.Well()+2*time.Minute)
	defer cancel()
	sent := map[string][]Sample{}
	var wg sync.WaitGroup
	wg.Go(func() { schedule.Play(ctx, r) })
	synctest.Wait()
	for i := range 10 {
		var series []ts
		for sec := range int(schedule.Well().Seconds()) + 10 {
			if x := one(fmt.Sprintf("m%d", i), sec); sec%(i+2) == 0 {
				series = append(series, x)
				sent[x.key()] = append(sent[x.key()], x.samples...)
			}
		}
		wg.Go(func() {
			s := newSender(r, hasty)
			for _, x := range series {
				time.Sleep(time.Until(time.UnixMilli(x.samples[0].Time)))
				if err := s.deliver(ctx, x); err != nil && schedule.Wants(x.key()) {
					t.Errorf("%s at %g: %v", x.name, x.samples[0].Value, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for name, entries := range r.Entries() {
		for _, e := range entries {
			if schedule.Wants(name) {
				wanted++
				if e.Taken == 0 && e.Excused() {
					excused++
				}
			}
		}
	}
	sound(t, r)
	return schedule, schedule.Missing(r, sent), excused, wanted
}

// TestPlay shows that there is a sender for each schedule of whose wanted samples none is missing and few are excused, and that one
// that takes the first answer for the last misses some in most.
func TestPlay(t *testing.T) {
	const seeds = 25
	excused, wanted, caught := 0, 0, 0
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			schedule, missing, e, w := play(t, seed, false)
			excused, wanted = excused+e, wanted+w
			for _, m := range missing {
				t.Error(m)
			}
			if t.Failed() {
				t.Errorf("seed %d:\n%s", seed, schedule)
			}
		})
		if t.Failed() {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			if _, missing, _, _ := play(t, seed, true); len(missing) > 0 {
				caught++
			}
		})
	}
	t.Logf("%d of %d samples were excused; %d of %d schedules catch a hasty sender", excused, wanted, caught, seeds)
	if excused > wanted/5 || caught < seeds/2 {
		t.Error("the schedules show too little")
	}
}
