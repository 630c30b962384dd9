//go:build linux

package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"promrelay/test/cluster"
)

// kindLimit is how long a kind that is new may take to be noticed.
const kindLimit = 20 * time.Second

// TestAbsent starts the relay before its role and before the monitor kinds: each is said on /targets, is no obstacle to
// what can be scraped, and counts as soon as it comes. Then a kind goes.
func TestAbsent(t *testing.T) {
	t.Parallel()
	static, service := startExporter(t, 3000), startExporter(t, 3001)
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	c.ApplyFiles(t, shippedNamespace)
	to := startReceiver(t)
	r := startRelay(t, to, everything(c.ServiceAccountKubeconfig(t, "promrelay", "promrelay")),
		"scrape_configs: [{job_name: static, static_configs: [{targets: ['"+static.instance()+"']}]}]")
	r.isUp(t, 5*time.Second, "static")
	r.shows(t, 10*time.Second,
		"servicemonitors: the CRD servicemonitors.monitoring.coreos.com is not installed",
		"scrapeconfigs: the CRD scrapeconfigs.monitoring.coreos.com is not installed",
		"services: the relay may not list and watch it; apply the ClusterRole of deploy/",
		`cannot list resource "services"`)

	c.ApplyFiles(t, shippedRole)
	r.hides(t, kindLimit, "apply the ClusterRole")
	r.shows(t, time.Second, "servicemonitors: the CRD servicemonitors.monitoring.coreos.com is not installed")

	const monitors = "servicemonitors"
	c.InstallCRDs(t, monitors)
	c.Apply(t, app("late", "app", service.ip))
	start := time.Now()
	r.isUp(t, kindLimit, jobOf("late", "app"), "instance", service.instance())
	t.Logf("a new kind is noticed after %s", time.Since(start).Round(time.Millisecond))
	r.hides(t, time.Second, monitors+".monitoring.coreos.com is not installed")
	r.shows(t, time.Second, "podmonitors.monitoring.coreos.com is not installed")
	cluster.WaitFor(t, "samples", 5*time.Second, func() error {
		if n := len(to.Select("instance", service.instance())); n < 7 {
			return fmt.Errorf("%d series", n)
		}
		return nil
	})

	c.RemoveCRDs(t, monitors)
	cluster.WaitFor(t, "the target of a kind that went to go", kindLimit, func() error {
		if one := r.target(t, jobOf("late", "app")); one != nil {
			return fmt.Errorf("%v is there", one.Labels)
		}
		return nil
	})
	r.shows(t, kindLimit, monitors+".monitoring.coreos.com is not installed")
	series := len(to.Select("instance", service.instance()))
	cluster.WaitFor(t, "staleness markers", 10*time.Second, func() error { return allStale(to, series, "instance", service.instance()) })
	if one := r.target(t, "static"); one == nil || one.Health != "up" {
		t.Errorf("the static target is %+v", one)
	}
}

// hides waits until /targets contains a text no more.
func (r *relay) hides(t *testing.T, limit time.Duration, text string) {
	t.Helper()
	cluster.WaitFor(t, "/targets to change", limit, func() error {
		page := r.page(t)
		if i := strings.Index(page, text); i >= 0 {
			return fmt.Errorf("it shows %q", page[max(0, i-100):min(len(page), i+200)])
		}
		return nil
	})
}
