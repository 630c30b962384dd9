package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"promrelay/config"
)

// followed is a reloader whose file follows an object, and the object.
type followed struct {
	*reloader
	path   string
	spec   string
	err    error    // of reading the object
	events []string // their reasons
	now    *config.Config
}

func newFollowed(t *testing.T, file string) *followed {
	t.Helper()
	f := &followed{path: filepath.Join(t.TempDir(), "promrelay.yml")}
	f.write(t, file)
	c, err := load(f.path)
	if err != nil {
		t.Fatal(err)
	}
	kind, namespace, object, ok := c.Kubernetes.Follows()
	if !ok {
		t.Fatal("it follows nothing")
	}
	f.reloader = newReloader(reloaderOptions{
		Path: f.path, Config: c, Registerer: prometheus.NewRegistry(), Logger: zap.NewNop(),
		Parts: []prepare{func(c *config.Config) (func(), error) { return func() { f.now = c }, nil }},
		Follow: &follower{
			kind: kind, namespace: namespace, name: object, log: zap.NewNop(),
			get: func(context.Context, string, string, string) ([]byte, error) {
				return fmt.Appendf(nil, `{"kind":"PrometheusAgent","metadata":{"namespace":"monitoring","name":"shop","uid":"u"},"spec":%s}`, f.spec), f.err
			},
			rejected: func(o corev1.ObjectReference, reason string) { f.events = append(f.events, o.Name+": "+reason) },
		},
	})
	if err := f.apply(c); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *followed) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// state is what is in force, and what is shown.
func (f *followed) state() string {
	out := "no limit"
	if l := f.now.Monitors.SampleLimit; l != nil {
		out = fmt.Sprint("limit ", *l)
	}
	if f.now.Monitors.PodMonitorSelector != nil || f.now.Monitors.ProbeSelector != nil {
		out += ", other kinds selected"
	}
	if r := f.refused.Load(); r != nil {
		out += "; " + r.Error
	}
	if (testutil.ToFloat64(f.success) == 1) != (f.refused.Load() == nil) {
		out += "; the metric says otherwise"
	}
	return out
}

const followingFile = "kubernetes: {prometheusAgent: monitoring/shop, kubeconfig: k}\n"

// TestFollow plays the life of an object that the configuration follows.
func TestFollow(t *testing.T) {
	f := newFollowed(t, followingFile)
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "prometheusagents"}, "shop")
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "prometheusagents"}, "shop", errors.New("no role"))
	const good, other, bad = `{"serviceMonitorSelector":{},"sampleLimit":1}`, `{"serviceMonitorSelector":{},"sampleLimit":2}`, `{"serviceMonitorSelector":{},"sampleLimit":-1}`
	const refusal = "PrometheusAgent monitoring/shop: "
	for i, step := range []struct {
		what, spec string
		err        error
		file       string // if given, the file is written and reloaded
		want       string
		events     int
	}{
		{"no object yet", good, notFound, "", "no limit; " + refusal + "the cluster has no such object", 0},
		{"it comes", good, nil, "", "limit 1", 0},
		{"an edit", other, nil, "", "limit 2", 0},
		{"an invalid edit", bad, nil, "", "limit 2; " + refusal, 1},
		{"the file is edited meanwhile", bad, nil, followingFile + "scrape: {line_size_limit: 2MB}\n", "limit 2; " + refusal, 1},
		{"the same again", bad, nil, "", "limit 2; " + refusal, 1},
		{"the API server is away", bad, errors.New("connection refused"), "", "limit 2; " + refusal, 1},
		{"it is well again", good, nil, "", "limit 1", 1},
		{"a bad file", good, nil, followingFile + "scrape: {line_size_limit: x}\n", "limit 1; ", 1},
		{"an edit beside a bad file", other, nil, "", "limit 1; ", 1},
		{"the file is good again, and then the edit counts", other, nil, followingFile, "limit 1", 1},
		{"the edit counts", other, nil, "", "limit 2", 1},
		{"the role is gone", other, forbidden, "", "limit 2; " + refusal + "the relay may not get it; apply the component prometheus-agent", 1},
		{"and back", other, nil, "", "limit 2", 1},
		{"no selectors", `{}`, nil, "", "limit 2; " + refusal + "it has no selector of monitors", 2},
		{"it is deleted", `{}`, notFound, "", "limit 2; " + refusal + "the cluster has no such object", 2},
	} {
		f.spec, f.err = step.spec, step.err
		if step.file != "" {
			f.write(t, step.file)
			_ = f.reload() // state shows the error
		} else {
			f.lookAtObject(t.Context())
		}
		got := f.state()
		if exact := !strings.Contains(step.want, ";"); !strings.HasPrefix(got, step.want) || exact && got != step.want || len(f.events) != step.events {
			t.Fatalf("%d, %s: %s, %d events %v; want %s, %d events", i, step.what, got, len(f.events), f.events, step.want, step.events)
		}
	}
	if !strings.Contains(f.events[0], "shop: ") || !strings.Contains(f.events[0], "-1 is negative") {
		t.Errorf("the event says %s", f.events[0])
	}
}

// TestFollowBesideMonitors demands that the file's own keys count before those of the object.
func TestFollowBesideMonitors(t *testing.T) {
	f := newFollowed(t, followingFile+"monitors: {sampleLimit: 7}\n")
	f.spec = `{"serviceMonitorSelector":{},"sampleLimit":1,"targetLimit":3}`
	f.lookAtObject(t.Context())
	if got := f.state(); got != "limit 7" || f.now.Monitors.TargetLimit == nil || *f.now.Monitors.TargetLimit != 3 {
		t.Errorf("%s, target limit %v", got, f.now.Monitors.TargetLimit)
	}
}
