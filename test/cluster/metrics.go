//go:build linux

package cluster

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics fetches the API server's own metrics, by family.
func (c *Cluster) Metrics(t testing.TB) map[string]*dto.MetricFamily {
	t.Helper()
	ctx, cancel := callContext()
	defer cancel()
	page, err := c.client.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		t.Fatalf("fetch metrics of kube-apiserver: %v", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("parse metrics of kube-apiserver: %v", err)
	}
	return families
}

// Watches counts open watches by resource, written as kubectl writes it: "pods",
// "servicemonitors.monitoring.coreos.com". A resource without watches is left out.
type Watches map[string]int

// Watches counts the watches that are open at the API server, whoever holds them; about fifty are the API server's
// own. A watch counts from the moment that the server begins to answer it.
func (c *Cluster) Watches(t testing.TB) Watches {
	t.Helper()
	watches := Watches{}
	for _, metric := range c.Metrics(t)["apiserver_longrunning_requests"].GetMetric() {
		labels := map[string]string{}
		for _, pair := range metric.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		// A watch that asks for the initial objects too (WatchList) is counted as "WATCH" as well.
		if labels["verb"] == "WATCH" {
			watches.add(resourceName(labels["resource"], labels["group"]), int(metric.GetGauge().GetValue()))
		}
	}
	return watches
}

// Since gives the difference to a count that was taken before: what has been opened is positive, what has been
// closed negative.
func (w Watches) Since(before Watches) Watches {
	difference := maps.Clone(w)
	for resource, count := range before {
		difference.add(resource, -count)
	}
	return difference
}

// Total is the number of watches of all resources.
func (w Watches) Total() int {
	total := 0
	for _, count := range w {
		total += count
	}
	return total
}

// Resources lists the resources that have watches, sorted.
func (w Watches) Resources() []string { return slices.Sorted(maps.Keys(w)) }

func (w Watches) add(resource string, count int) {
	w[resource] += count
	if w[resource] == 0 {
		delete(w, resource)
	}
}

func resourceName(resource, group string) string {
	if group == "" {
		return resource
	}
	return resource + "." + group
}
