package guard

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"promrelay/targets"
)

func newGuard() (*Guard, *prometheus.CounterVec, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "panics_total"}, []string{"part"})
	return New(zap.New(core), total), total, logs
}

func TestCall(t *testing.T) {
	g, total, logs := newGuard()
	if err := g.Call(Group, "x", func() {}); err != nil {
		t.Errorf("without a panic: %v", err)
	}
	for range 2 {
		err := g.Call(Group, "x", func() { panic("lost") })
		if p := (*targets.PanicError)(nil); !errors.As(err, &p) || p.Value != "lost" || err.Error() != "panic: lost" {
			t.Errorf("with a panic: %v", err)
		}
	}
	if got := testutil.ToFloat64(total.WithLabelValues(string(Group))); got != 2 {
		t.Errorf("%v panics are counted, want 2", got)
	}
	if logs.Len() != 1 {
		t.Fatalf("%d panics are logged, want 1", logs.Len())
	}
	fields := logs.All()[0].ContextMap()
	if stack, _ := fields["stack"].(string); !strings.Contains(stack, "guard_test.go") || fields["subject"] != "x" || fields["panic"] != "lost" {
		t.Errorf("the log has %v", fields)
	}
}

func TestLogIsBounded(t *testing.T) {
	g, _, logs := newGuard()
	for i := range 3 * maxLogged {
		_ = g.Call(Group, "", func() { panic("the same") })
		_ = g.Call(Group, "", func() { panic(i) })
	}
	if n := logs.Len(); n != maxLogged {
		t.Errorf("%d panics are logged, want %d", n, maxLogged)
	}
}

func TestRedacting(t *testing.T) {
	g, total, logs := newGuard()
	hide := func(s string) string { return strings.ReplaceAll(s, "password", "<secret>") }
	err := g.Redacting(hide).Call(Group, "x", func() { panic(errors.New("no password")) })
	if err == nil || err.Error() != "panic: no <secret>" || logs.Len() != 1 || logs.All()[0].ContextMap()["panic"] != "no <secret>" {
		t.Errorf("got %v, the log has %v", err, logs.All())
	}
	if got := testutil.ToFloat64(total.WithLabelValues(string(Group))); got != 1 {
		t.Errorf("%v panics are counted, want 1", got)
	}
}

func TestNilGuard(t *testing.T) {
	var none *Guard
	if err := none.Call(Group, "", func() { panic("x") }); err == nil {
		t.Error("a panic is not seen")
	}
	if err := none.Redacting(strings.ToUpper).Call(Group, "", func() { panic("x") }); err == nil || err.Error() != "panic: X" {
		t.Errorf("got %v", err)
	}
}
