package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"promrelay/config"
)

// collectTap reads a tap until it has shown n series, and returns them as text.
func collectTap(t *testing.T, tap *Tap, n int, wanted func(labels.Labels) bool) (lines []string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	for len(lines) < n {
		found, err := tap.Next(ctx, wanted)
		if err != nil || found == nil {
			t.Fatalf("%d of %d series, %v: %s", len(lines), n, err, lines)
		}
		for _, s := range found {
			line := s.Destination + " " + s.Labels.String()
			for _, v := range s.Samples {
				line += fmt.Sprintf(" %d %v", v.Time, v.Value)
				if v.Histogram != "" {
					line += " " + v.Histogram
				}
			}
			for _, e := range s.Exemplars {
				line += fmt.Sprintf(" # %s %v %d", e.Labels, e.Value, e.Time)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestTapShowsWhatIsSent: the series are those of one destination, with its external labels and after its rules.
func TestTapShowsWhatIsSent(t *testing.T) {
	w, recv := setup(t)
	central := dest(t, recv.URL, "name: central\nwrite_relabel_configs:\n- {source_labels: [n], regex: '3', action: drop}\n- {source_labels: [cluster], target_label: region, replacement: 'r-${1}'}\nsend_exemplars: true\nsend_native_histograms: true\n")
	other := dest(t, newReceiver(t).URL, "name: other\n")
	r := start(t, w, Settings{Destinations: []config.Destination{central, other}, ExternalLabels: labels.FromStrings("cluster", "c1")})
	tap, err := r.Tap("central")
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Tap("")
	if err != nil {
		t.Fatal(err)
	}
	rich(t, newWriter(t, w, 1, 4))
	every := func(labels.Labels) bool { return true }
	got := collectTap(t, tap, 3, every)
	want := []string{
		`central {__name__="metric_0_total", cluster="c1", n="0", region="r-c1", target="0"} 9000 1 10001 -0`,
		`central {__name__="metric_1_total", cluster="c1", n="1", region="r-c1", target="0"} 10000 2.5 # {trace_id="abc"} 0.25 9999`,
		`central {__name__="metric_2_total", cluster="c1", n="2", region="r-c1", target="0"} 10000 NaN {count:3, sum:7, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	only := collectTap(t, all, 2, func(ls labels.Labels) bool { return ls.Get("n") == "1" })
	if !strings.HasPrefix(only[0], "central ") || !strings.HasPrefix(only[1], "other ") || !strings.Contains(only[1], `cluster="c1", n="1", target="0"`) {
		t.Errorf("of all destinations: %s", only)
	}
	tap.Close()
	all.Close()
	if r.taps.open.Load() != nil {
		t.Error("taps are open after they were closed")
	}
}

// TestTapOfASlowReader: it loses samples, which are counted, and delivery goes on.
func TestTapOfASlowReader(t *testing.T) {
	w, recv := setup(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "queue_config: {batch_send_deadline: 5ms, max_samples_per_send: 10}\n")}})
	tap, err := r.Tap("")
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	wr := newWriter(t, w, 1, 1000)
	wr.scrape()
	r.drain(t)
	if n, _ := recv.count(); n != wr.samples {
		t.Errorf("%d of %d samples arrived", n, wr.samples)
	}
	shown := len(collectTap(t, tap, 10*tapRequests, func(labels.Labels) bool { return true }))
	if left := int(tap.Omitted()); left == 0 || shown+left != wr.samples {
		t.Errorf("%d samples are shown and %d left out, of %d", shown, left, wr.samples)
	}
}

func TestTapsAreBounded(t *testing.T) {
	w, recv := setup(t)
	r := start(t, w, Settings{Destinations: []config.Destination{dest(t, recv.URL, "name: central\n")}})
	if _, err := r.Tap("centrall"); !errors.Is(err, ErrNoDestination) || !strings.Contains(err.Error(), `["central"]`) {
		t.Errorf("of an unknown destination: %v", err)
	}
	var open []*Tap
	for range maxTaps {
		tap, err := r.Tap("")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, tap)
	}
	if _, err := r.Tap(""); !errors.Is(err, ErrTooManyTaps) {
		t.Errorf("one more: %v", err)
	}
	open[1].Close()
	open[1].Close()
	if tap, err := r.Tap(""); err != nil {
		t.Errorf("after one was closed: %v", err)
	} else {
		open[1] = tap
	}
	for _, tap := range open {
		tap.Close()
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if found, err := open[0].Next(ctx, nil); found != nil || err != nil {
		t.Errorf("after the end: %v, %v", found, err)
	}
}

// BenchmarkTapClosed is what a request costs while nobody looks.
func BenchmarkTapClosed(b *testing.B) {
	var t taps
	r := &request{}
	b.ReportAllocs()
	for b.Loop() {
		t.offer("central", r)
	}
}
