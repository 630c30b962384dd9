package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"promrelay/test/peers"
	"promrelay/test/process"
)

// startRelay runs the relay until the test ends. The end of its log is shown if the test fails.
func startRelay(t *testing.T, config string, args ...string) *peers.Relay {
	t.Helper()
	return startRelayIn(t, t.TempDir(), config, args...)
}

// startRelayIn is startRelay in a directory that may hold files which the configuration names.
func startRelayIn(t *testing.T, dir, config string, args ...string) *peers.Relay {
	t.Helper()
	r, err := peers.StartRelay(t.Context(), peers.RelayOptions{Dir: dir, Config: config, Binary: relayBinary, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Logf("the end of the relay's log:\n%s", r.Process().Tail(30))
		}
	})
	return r
}

// stop ends the relay with SIGTERM, which is to drain it.
func stop(t *testing.T, r *peers.Relay) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// restart starts the relay again.
func restart(t *testing.T, r *peers.Relay) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// await polls until a condition holds.
func await(t *testing.T, within time.Duration, what string, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := process.WaitFor(ctx, what, condition); err != nil {
		t.Fatal(err)
	}
}

// metric sums a metric of the relay over the series whose labels, as they are written, contain all of the words.
func metric(t *testing.T, r *peers.Relay, name string, words ...string) float64 {
	t.Helper()
	body, err := peers.Get(t.Context(), r.URL()+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
lines:
	for l := range strings.Lines(string(body)) {
		rest, ok := strings.CutPrefix(l, name)
		if !ok || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, w := range words {
			if !strings.Contains(rest, w) {
				continue lines
			}
		}
		fields := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		t.Fatalf("the relay has no metric %s with %q", name, words)
	}
	return sum
}

// awaitDelivered waits until a receiver has the newest page that each exporter has served by now.
func awaitDelivered(t *testing.T, r *receiver, within time.Duration, es ...*exporter) {
	t.Helper()
	for _, e := range es {
		pages := e.whole(time.Now())
		if len(pages) == 0 {
			t.Fatalf("%s has served nothing", e.address)
		}
		newest := pages[len(pages)-1]
		await(t, within, fmt.Sprintf("page %d of %s at the receiver", newest, e.address), func() error {
			have := r.pages("instance", e.address)
			if !slices.Contains(have, newest) {
				return fmt.Errorf("have %d pages, %v", len(have), have[max(0, len(have)-3):])
			}
			return nil
		})
	}
}

// memory returns what the relay has and had at most of resident memory, in MB.
func memory(t *testing.T, r *peers.Relay) (now, most int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.Process().Pid()))
	if err != nil {
		t.Logf("memory is not known: %v", err)
		return 0, 0
	}
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) > 1 && (f[0] == "VmRSS:" || f[0] == "VmHWM:") {
			n, _ := strconv.Atoi(f[1])
			if f[0] == "VmRSS:" {
				now = n / 1024
			} else {
				most = n / 1024
			}
		}
	}
	return now, most
}

// writeFile replaces a file at once, as file_sd and reloads want it.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// staticJob is a scrape_configs item of targets.
func staticJob(name string, es ...*exporter) string {
	var addresses []string
	for _, e := range es {
		addresses = append(addresses, "'"+e.address+"'")
	}
	return fmt.Sprintf("- {job_name: %s, static_configs: [{targets: [%s]}]}\n", name, strings.Join(addresses, ", "))
}

// in says where an exporter's samples come to, scraped by a static job.
func (e *exporter) in(job string) target {
	return target{exporter: e, labels: map[string]string{"job": job, "instance": e.address}}
}

// whole tells which pages must have come: those that were served long enough before the relay ended at some moment.
func (e *exporter) whole(before time.Time) []int {
	var out []int
	for i, p := range e.asked() {
		if !p.ended.IsZero() && p.ended.Add(inFlight).Before(before) {
			out = append(out, i+1)
		}
	}
	return out
}

// inFlight is how long a page that was served may take until it is in the log.
const inFlight = 300 * time.Millisecond

// demand fails the test unless all the pages are among those that came.
func demand(t *testing.T, what string, came map[int]int64, pages []int) {
	t.Helper()
	var missing []int
	for _, n := range pages {
		if _, ok := came[n]; !ok {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s: pages %v of %d are missing", what, missing, len(pages))
	}
}
