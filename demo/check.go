package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"promrelay/test/dashboards"
	"promrelay/test/peers"
)

// want is a condition that must become true.
type want struct {
	what string
	look func(context.Context) error
	err  error // why it is not true yet
}

// check tests all conditions until they are true. If ctx ends first, it returns an error that lists the others.
func (s *stage) check(ctx context.Context) error {
	missing, start, ended := s.wants(), time.Now(), s.ended()
	fmt.Printf("checking, for at most %s: /targets is at %s/targets\n", checkWithin, s.relay.URL())
	for {
		missing = slices.DeleteFunc(missing, func(w *want) bool {
			err := w.look(ctx)
			if err == nil {
				fmt.Printf("ok       %s\n", w.what)
				return true
			}
			if ctx.Err() == nil || w.err == nil { // otherwise the error is only that the time is over
				w.err = err
			}
			return false
		})
		if len(missing) == 0 {
			fmt.Printf("everything arrived, within %s\n", time.Since(start).Round(time.Second))
			return nil
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return incomplete(ctx.Err(), missing)
		case <-time.After(time.Second):
		}
	}
}

// incomplete lists what is missing.
func incomplete(cause error, missing []*want) error {
	errs := []error{fmt.Errorf("not everything arrived: %w", cause)}
	for _, w := range missing {
		errs = append(errs, fmt.Errorf("missing  %s: %w", w.what, w.err))
	}
	return errors.Join(errs...)
}

func (s *stage) wants() []*want {
	out := []*want{
		{what: "the relay knows its targets, and only legacy is not up", look: s.targetsAreUp},
		{what: "every target's up arrived", look: s.upsArrived},
		{what: "rejected and empty monitors are on /targets with the reason", look: s.pageExplains},
		{what: "cadvisor's values bear cadvisor's own timestamps", look: s.cadvisorTimestamps},
		{what: "exemplars arrived", look: s.exemplars},
		{what: "no panel of the dashboards is empty", look: s.panelsAreFull},
	}
	for _, j := range []struct {
		what, job string
		n         int
	}{
		{"static scrape_config", `job="promrelay"`, 1},
		{"scrape_config with file_sd", `job="receiver",role="receiver"`, 1},
		{"ServiceMonitor node-exporter, its instance renamed", `job="node-exporter",instance="demo-node",namespace="monitoring"`, 1},
		{"ServiceMonitor checkout, with basic auth from a Secret", `job="checkout",tier="frontend",version=~"v[01]",pod=~"checkout-[01]"`, 2},
		{"ServiceMonitor kube-state-metrics", `job="kube-state-metrics"`, 1},
		{"PodMonitor worker", `job="monitoring/worker",namespace="shop",pod="worker-0",container="worker"`, 1},
		{"node job kubelet", `job="kubelet",metrics_path="/metrics",node="demo-node"`, 1},
		{"node job cadvisor", `job="kubelet",metrics_path="/metrics/cadvisor",node="demo-node"`, 1},
		{"node job probes", `job="kubelet",metrics_path="/metrics/probes",node="demo-node"`, 1},
		{"node job resource", `job="kubelet",metrics_path="/metrics/resource",node="demo-node"`, 1},
		{"node job kube-proxy", `job="kube-proxy",node="demo-node"`, 1},
	} {
		out = append(out, s.returns(j.what+" is up", `up{cluster="demo",`+j.job+`} == 1`, j.n))
	}
	return append(out,
		s.returns("ServiceMonitor legacy is down", `up{cluster="demo",job="legacy"} == 0`, 1),
		s.returns("promrelay's own metrics", `process_start_time_seconds{cluster="demo",job="promrelay"} > 0`, 1),
		s.returns("the receiver refused nothing", `sum(promrelay_relay_dropped_samples_total{reason=~"refused.*|not_written.*|out_of_order.*"}) + sum(promrelay_relay_dropped_exemplars_total{reason="refused"}) == 0`, 1),
		s.returns("node_exporter's metrics", `node_load1{cluster="demo",job="node-exporter"}`, 1),
		s.returns("the rate of a counter", `sum by (pod) (rate(checkout_requests_total{cluster="demo"}[1m])) > 1`, 2),
		s.returns("a classic histogram", `histogram_quantile(0.9, sum by (le) (rate(checkout_request_duration_seconds_bucket[1m]))) > 0`, 1),
		s.returns("a native histogram", `histogram_quantile(0.9, rate(worker_job_duration_seconds{cluster="demo"}[1m])) > 0`, 1),
		s.returns("the kubelet's metrics", `kubelet_running_pods{cluster="demo",job="kubelet",instance="`+s.addresses.Kubelet.String()+`"}`, 1),
		s.returns("probes", `prober_probe_total{cluster="demo",namespace="shop",result="successful",probe_type="Readiness"}`, 3),
		s.returns("resource metrics", `node_cpu_usage_seconds_total{cluster="demo",metrics_path="/metrics/resource"}`, 1),
		s.returns("kube-proxy's metrics", `kubeproxy_sync_proxy_rules_last_timestamp_seconds{cluster="demo"}`, 1),
		s.returns("kube-state-metrics' own labels", `kube_deployment_status_replicas{cluster="demo",namespace="shop",deployment="checkout"} == 2`, 1),
		s.returns("a join of cadvisor and kube-state-metrics", `sum by (namespace) (container_memory_working_set_bytes{metrics_path="/metrics/cadvisor"}
			* on (namespace, pod) group_left kube_pod_info) > 0`, 3),
	)
}

// returns is the condition that a query returns n samples.
func (s *stage) returns(what, promql string, n int) *want {
	return &want{what: what, look: func(ctx context.Context) error {
		have, err := s.receiver.Query(ctx, promql)
		if err != nil {
			return err
		}
		if len(have) != n {
			return fmt.Errorf("want %d samples, have %d of %s", n, len(have), promql)
		}
		return nil
	}}
}

// panelsAreFull sends each query of deploy/mixin to the receiver.
func (s *stage) panelsAreFull(ctx context.Context) error {
	root, err := peers.Root()
	if err != nil {
		return err
	}
	queries, err := dashboards.Read(filepath.Join(root, "deploy", "mixin", "rendered"))
	if err != nil {
		return err
	}
	var errs []error
	for _, q := range queries {
		have, err := s.receiver.Query(ctx, q.Expr)
		if err == nil && !slices.ContainsFunc(have, func(s peers.Sample) bool { return !math.IsNaN(s.Value) }) {
			err = errors.New("no samples")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, panel %q: %w: %s", q.Dashboard, q.Panel, err, q.Expr))
		}
	}
	return errors.Join(errs...)
}

// targetsAreUp asks the relay for its targets.
func (s *stage) targetsAreUp(ctx context.Context) error {
	all, err := s.relay.Targets(ctx)
	if err != nil {
		return err
	}
	const legacy = "serviceMonitor/shop/legacy/0"
	var errs []error
	pools := map[string]bool{}
	for _, t := range all.Active {
		pools[t.ScrapePool] = true
		switch {
		case t.ScrapePool == legacy && (t.Health != "down" || t.LastError == ""):
			errs = append(errs, fmt.Errorf("%s is %s with error %q, and should be down", t.ScrapeURL, t.Health, t.LastError))
		case t.ScrapePool != legacy && t.Health != "up":
			errs = append(errs, fmt.Errorf("%s of %s is %s: %s", t.ScrapeURL, t.ScrapePool, t.Health, t.LastError))
		}
	}
	for _, name := range []string{
		"promrelay", "receiver", "nodes/kubelet", "nodes/cadvisor", "nodes/probes", "nodes/resource", "nodes/kube-proxy", legacy,
		"serviceMonitor/monitoring/node-exporter/0", "serviceMonitor/shop/checkout/0", "serviceMonitor/monitoring/kube-state-metrics/0",
		"podMonitor/monitoring/worker/0",
	} {
		if !pools[name] {
			errs = append(errs, fmt.Errorf("%s has no target", name))
		}
	}
	if !slices.ContainsFunc(all.Dropped, func(t peers.DroppedTarget) bool { return t.ScrapePool == "serviceMonitor/shop/checkout/0" }) {
		errs = append(errs, errors.New("no target of checkout's other port is dropped"))
	}
	return errors.Join(errs...)
}

// upsArrived compares the targets of the relay with the series of up at the receiver.
func (s *stage) upsArrived(ctx context.Context) error {
	all, err := s.relay.Targets(ctx)
	if err != nil {
		return err
	}
	ups, err := s.receiver.Query(ctx, `up{cluster="demo"}`)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range all.Active {
		if !slices.ContainsFunc(ups, func(up peers.Sample) bool { return within(t.Labels, up.Labels) }) {
			errs = append(errs, fmt.Errorf("no up of %v", t.Labels))
		}
	}
	if len(ups) != len(all.Active) {
		errs = append(errs, fmt.Errorf("%d targets, and up of %d", len(all.Active), len(ups)))
	}
	return errors.Join(errs...)
}

// within reports whether b has all labels of a.
func within(a, b map[string]string) bool {
	for name, value := range a {
		if b[name] != value {
			return false
		}
	}
	return true
}

// pageExplains looks for the reasons on the page of targets.
func (s *stage) pageExplains(ctx context.Context) error {
	page, err := peers.Get(ctx, s.relay.URL()+"/targets")
	if err != nil {
		return err
	}
	var errs []error
	for _, text := range []string{"shop/bad-regex", "missing closing )", "shop/selects-nothing", "connection refused"} {
		if !strings.Contains(string(page), text) {
			errs = append(errs, fmt.Errorf("/targets does not say %q", text))
		}
	}
	return errors.Join(errs...)
}

// cadvisorTimestamps checks every sample of a series of each pod: its time is one at which cadvisor read the container, and its value is
// what the container had used by then.
func (s *stage) cadvisorTimestamps(ctx context.Context) error {
	const selector = `container_cpu_usage_seconds_total{cluster="demo",metrics_path="/metrics/cadvisor"}`
	now := time.Now()
	all, err := s.receiver.Select(ctx, selector, now.Add(-10*time.Minute), now)
	if err != nil {
		return err
	}
	if len(all) != len(s.cluster.pods) {
		return fmt.Errorf("%d pods, and series of %d", len(s.cluster.pods), len(all))
	}
	for _, series := range all {
		i := slices.IndexFunc(s.cluster.pods, func(p pod) bool { return p.name == series.Labels["pod"] })
		if i < 0 {
			return fmt.Errorf("nobody knows the pod of %v", series.Labels)
		}
		p := &s.cluster.pods[i]
		if len(series.Points) < 2 {
			return fmt.Errorf("%s: want two samples at least, have %d", p.name, len(series.Points))
		}
		for _, point := range series.Points {
			at := time.UnixMilli(point.Time)
			if !p.observed(at).Equal(at) {
				return fmt.Errorf("%s: a sample of %s, when cadvisor did not look", p.name, at)
			}
			if v := p.cpuSeconds(s.cluster.start, at); math.Float64bits(v) != math.Float64bits(point.Value) {
				return fmt.Errorf("%s: at %s the value was %v, %v arrived", p.name, at, v, point.Value)
			}
		}
	}
	return nil
}

// exemplars checks that an exemplar of OpenMetrics text and one of protobuf arrived.
func (s *stage) exemplars(ctx context.Context) error {
	now := time.Now()
	for _, selector := range []string{`checkout_request_duration_seconds_bucket`, `worker_job_duration_seconds`} {
		have, err := s.receiver.Exemplars(ctx, selector, now.Add(-10*time.Minute), now)
		if err != nil {
			return err
		}
		if len(have) == 0 || have[0].Labels["trace_id"] == "" {
			return fmt.Errorf("want some of %s, have %d", selector, len(have))
		}
	}
	return nil
}
