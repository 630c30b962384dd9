package informers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"promrelay/config"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

// TestSettledOffline: a settled Discovery knows all monitors, and an offline one asks no other service.
func TestSettledOffline(t *testing.T) {
	asked := make(chan struct{}, 10)
	sd := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer sd.Close()
	w := &world{t: t, dir: t.TempDir(), live: map[string]map[uint64]*targets.Target{}}
	w.write("all.yaml", strings.Join([]string{
		serviceYAML, sliceYAML, pod("stable"), monitorYAML,
		strings.NewReplacer("name: web", "name: bad", "{port: http}", `{port: "("}`).Replace(monitorYAML),
		strings.NewReplacer("name: web", "name: secret", "{port: http}", `{port: http, bearerTokenSecret: {name: none, key: k}}`).Replace(monitorYAML),
		"\napiVersion: monitoring.coreos.com/v1alpha1\nkind: ScrapeConfig\nmetadata: {name: sd, namespace: shop}\n" +
			"spec: {httpSDConfigs: [{url: \"" + sd.URL + "\"}], staticConfigs: [{targets: [\"10.2.0.1:80\"]}]}\n",
	}, "---"))
	d := settledOffline(t, w)
	var got []string
	for _, m := range d.Monitors() {
		line := string(m.Owner.Kind) + " " + m.Owner.Name + " " + string(m.State)
		for _, j := range m.Jobs {
			for _, target := range d.Targets(j.Job.Name) {
				line += " " + target.URL
			}
		}
		got = append(got, line)
	}
	want := "ScrapeConfig sd accepted http://10.2.0.1:80/metrics|ServiceMonitor bad rejected|ServiceMonitor secret rejected|ServiceMonitor web accepted http://10.1.0.1:8080/metrics"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, "|"), want)
	}
	if len(asked) > 0 {
		t.Error("service discovery was asked though it is offline")
	}
}

// settledOffline is a Discovery of a world's directory that asks no one, after it has settled.
func settledOffline(t *testing.T, w *world) *Discovery {
	t.Helper()
	b, err := manifests.New(w.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Backend: b, Offline: true, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]byte("monitors: {}\nmanifests:\n  directory: "+w.dir+"\n"), w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if d.Settled() {
		t.Error("it has settled before it began")
	}
	if err := d.Apply(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, w.sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	within(t, "it settles", d.Settled)
	return d
}
