package relay

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config"
)

func TestDeliver(t *testing.T) {
	tests := map[string]struct {
		more string
		want map[string][]string
	}{
		"2.0": {want: map[string][]string{
			`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1 st=0 counter "Help." seconds`, `10001 -0 st=3 counter "Help." seconds`},
			`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5 st=500 counter "Help." seconds`, `exemplar 9999 0.25 {trace_id="abc"}`},
			`{__name__="metric_2_total", cluster="c1", n="2", target="0"}`: {`10000 {count:3, sum:7, (0.7071067811865475,1]:1, (1,1.414213562373095]:2} st=77 counter "Help." seconds`},
			`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf st=0 counter "Help." seconds`},
		}},
		"1.0 with all it can": {
			more: "protobuf_message: prometheus.WriteRequest\nsend_exemplars: true\nsend_native_histograms: true\n",
			want: map[string][]string{
				`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1`, `10001 -0`},
				`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5`, `exemplar 9999 0.25 {trace_id="abc"}`},
				`{__name__="metric_2_total", cluster="c1", n="2", target="0"}`: {`10000 {count:3, sum:7, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}`},
				`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf`},
			},
		},
		"1.0 as it comes": {
			more: "protobuf_message: prometheus.WriteRequest\n",
			want: map[string][]string{
				`{__name__="metric_0_total", cluster="c1", n="0", target="0"}`: {`9000 1`, `10001 -0`},
				`{__name__="metric_1_total", cluster="c1", n="1", target="0"}`: {`10000 2.5`},
				`{__name__="metric_3_total", cluster="c1", n="3", target="0"}`: {`9500 +Inf`},
			},
		},
		"relabelled": {
			more: "write_relabel_configs:\n- {source_labels: [n], regex: '[03]', action: drop}\n- {source_labels: [cluster], target_label: region, replacement: 'r-${1}'}\n- {regex: target, action: labeldrop}\nsend_native_histograms: false\nsend_exemplars: false\n",
			want: map[string][]string{
				`{__name__="metric_1_total", cluster="c1", n="1", region="r-c1"}`: {`10000 2.5 st=500 counter "Help." seconds`},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, recv := setup(t)
			r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, tt.more)}, ExternalLabels: labels.FromStrings("cluster", "c1", "n", "never")})
			rich(t, newWriter(t, w, 1, 4))
			r.drain(t)
			if d := cmp.Diff(tt.want, recv.got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestMany sends many targets over several segments and shards, with destinations that want different things.
func TestMany(t *testing.T) {
	for _, shards := range []int{1, 4} {
		for _, proto := range []string{"", "protobuf_message: prometheus.WriteRequest\n"} {
			t.Run(fmt.Sprintf("%d shards %s", shards, proto), func(t *testing.T) {
				w, recv := setup(t)
				queue := fmt.Sprintf("queue_config: {batch_send_deadline: 20ms, min_shards: %d, max_samples_per_send: 300}\n", shards)
				r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, proto+queue)}})
				wr := newWriter(t, w, 5, 200)
				for i := range 40 {
					if i == 20 { // the targets grow
						for _, table := range wr.tables {
							table.Add(labels.FromStrings("__name__", "late", "target", table.String()), 0)
						}
					}
					wr.scrape()
				}
				r.drain(t)
				n, twice := recv.count()
				if n != wr.samples || twice != 0 || recv.largest > 300 {
					t.Errorf("%d of %d samples arrived, %d twice, up to %d in a request", n, wr.samples, twice, recv.largest)
				}
				recv.inOrder(t)
			})
		}
	}
}

// TestRestart makes the receiver unreachable, and restarts the relay, with samples before and after.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	recv := newReceiver(t)
	var up sync.Map
	recv.answer = func(int, http.ResponseWriter, []string) int {
		if _, ok := up.Load("up"); ok {
			return 0
		}
		return 503
	}
	settings := Settings{Destinations: []config.Destination{dest(t, recv.URL, "")}}
	total := 0
	now := time.Now().UnixMilli()
	for life := range 4 {
		w := openWAL(t, dir)
		r := start(t, w, settings)
		wr := newWriter(t, w, 3, 50)
		wr.now = now
		if life == 3 {
			up.Store("up", true)
		}
		for range 30 {
			wr.scrape()
		}
		now = wr.now
		total += wr.samples
		if life == 3 {
			r.drain(t)
		}
		r.stop()
		closeWAL(t, w)
	}
	n, twice := recv.count()
	if n != total || twice != 0 {
		t.Errorf("%d of %d samples arrived, %d twice", n, total, twice)
	}
	recv.inOrder(t)
}

// TestLag lets one destination hang until the feed has long gone on; the other one does not notice.
func TestLag(t *testing.T) {
	w, recv := setup(t)
	slow := newReceiver(t)
	release := make(chan struct{})
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer) // before the receiver closes, which waits for its requests
	slow.answer = func(int, http.ResponseWriter, []string) int { <-release; return 0 }
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "name: fast\n"), dest(t, slow.URL, "name: slow\n")}},
		func(r *Relay) { r.feed.limit = 64 << 10 })
	wr := newWriter(t, w, 10, 200)
	for range 20 {
		wr.scrape()
	}
	wait(t, "the fast one to be done", func() bool { n, _ := recv.count(); return n == wr.samples })
	r.feed.mu.Lock()
	gone := r.feed.first
	r.feed.mu.Unlock()
	if gone == 0 {
		t.Error("the feed holds everything; the test shows nothing")
	}
	answer()
	r.drain(t)
	n, twice := slow.count()
	if n != wr.samples || twice != 0 {
		t.Errorf("%d of %d samples arrived at the slow one, %d twice", n, wr.samples, twice)
	}
	slow.inOrder(t)
}

// TestReshard changes the number of shards under way.
func TestReshard(t *testing.T) {
	w, recv := setup(t)
	recv.answer = func(int, http.ResponseWriter, []string) int { time.Sleep(time.Millisecond); return 0 }
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "queue_config: {batch_send_deadline: 20ms, max_samples_per_send: 20, min_backoff: 5ms}\n")}},
		func(r *Relay) { r.pace.review = 20 * time.Millisecond })
	wr := newWriter(t, w, 4, 200)
	most := 0
	for i := range 60 {
		wr.scrape()
		most = max(most, r.Statuses()[0].Shards)
		if i%10 == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
	r.drain(t)
	n, twice := recv.count()
	if n != wr.samples || twice != 0 || most < 2 {
		t.Errorf("%d of %d samples arrived, %d twice, by up to %d shards", n, wr.samples, twice, most)
	}
	recv.inOrder(t)
}
