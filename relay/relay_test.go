package relay

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"promrelay/config"
	"promrelay/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dest is a remote_write block for url, with more lines of YAML.
func dest(t testing.TB, url, more string) config.Destination {
	t.Helper()
	text := "remote_write:\n- url: " + url + "\n"
	for l := range strings.Lines(more) {
		text += "  " + l
	}
	if !strings.Contains(more, "queue_config") {
		text += "\n  queue_config: {batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 20ms}\n"
	}
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	rw := c.RemoteWriteConfigs[0]
	d := config.Destination{RemoteWriteConfig: rw, Negotiate: !strings.Contains(more, "protobuf_message")}
	if strings.Contains(more, "send_exemplars") {
		d.Exemplars = &rw.SendExemplars
	}
	if strings.Contains(more, "send_native_histograms") {
		d.NativeHistograms = &rw.SendNativeHistograms
	}
	return d
}

// running is a relay under test.
type running struct {
	*Relay
	stop func()
}

func start(t testing.TB, w *wal.WAL, s Settings, change ...func(*Relay)) *running {
	t.Helper()
	r, err := New(Options{WAL: w, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	r.pace.hold = 50 * time.Millisecond
	for _, f := range change {
		f(r)
	}
	if reflect.ValueOf(s.Relay).IsZero() {
		s.Relay = config.DefaultRelay
		s.Relay.DrainFactor = 0
	}
	if err := r.Apply(s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	x := &running{Relay: r}
	x.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(x.stop)
	return x
}

// drain waits until everything is delivered.
func (r *running) drain(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		t.Fatalf("%v; %+v", err, r.Statuses())
	}
}

func setup(t testing.TB) (*wal.WAL, *receiver) {
	w := openWAL(t, t.TempDir())
	t.Cleanup(func() { closeWAL(t, w) })
	return w, newReceiver(t)
}

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
