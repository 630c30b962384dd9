//go:build linux

package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"promrelay/test/cluster"
	fake "promrelay/test/receiver"
)

const (
	// outage is how long the API server stays away.
	outage = 4 * time.Second
	// backLimit is how long the relay may take to see changes again. It asks every one to two seconds, but an API server
	// that has just started says of its CRDs "again in 5 s" (503 with Retry-After), and ends the first watches at once.
	backLimit = 15 * time.Second
)

// TestOutage stops and kills the API server, three times in all. No scrape is missing, no target goes, and later changes are seen. It
// measures times.
func TestOutage(t *testing.T) {
	plain, auth, static := startExporter(t, 2000), startExporter(t, 2001), startExporter(t, 2002)
	auth.demand("secret")
	c := cluster.Start(t, cluster.Options{Audit: true})
	to := startReceiver(t)
	kubeconfig := install(t, c)
	allowSecretsOfShop(t, c)
	c.Apply(t, app("shop", "plain", plain.ip), authApp("shop", "auth", auth.ip, "secret"))
	r := startRelay(t, to, everything(kubeconfig))
	r.isUp(t, 10*time.Second, jobOf("shop", "plain"))
	r.isUp(t, 10*time.Second, jobOf("shop", "auth"))
	mine := cluster.AuditFilter{User: relayUser, Agent: relayAgent}
	watches := c.OpenWatches(t, mine)

	for _, one := range []struct {
		name string
		away func(testing.TB)
	}{{"stopped", c.Stop}, {"killed", c.Kill}} {
		t.Run(one.name, func(t *testing.T) {
			one.away(t)
			r.shows(t, 5*time.Second, "API server: ", " does not answer (", "; the last known objects stay in use")
			mustStay(t, r)
			c.StartAgain(t)
			seesChangesAgain(t, c, r, one.name)
			cluster.WaitFor(t, "the watches of before", 10*time.Second, func() error { return same(c.OpenWatches(t, mine), watches) })
			r.hides(t, time.Second, "does not answer")
			mustStay(t, r)
		})
	}
	t.Run("at start", func(t *testing.T) {
		c.Stop(t)
		late := startRelay(t, startReceiver(t), everything(kubeconfig),
			"scrape_configs: [{job_name: static, static_configs: [{targets: ['"+static.instance()+"']}]}]")
		late.isUp(t, 5*time.Second, "static", "instance", static.instance())
		late.shows(t, 5*time.Second, " does not answer (", "; nothing was read yet")
		c.StartAgain(t)
		start := time.Now()
		late.isUp(t, backLimit, jobOf("shop", "plain"))
		late.isUp(t, backLimit+secretLimit, jobOf("shop", "auth")) // it may be refused at first, while roles are not read
		t.Logf("targets of monitors after %s", time.Since(start).Round(time.Millisecond))
	})

	for _, e := range []*exporter{plain, auth} {
		unbroken(t, to, e)
	}
}

// mustStay demands that the targets stay for a while, and are up.
func mustStay(t *testing.T, r *relay) {
	t.Helper()
	for end := time.Now().Add(outage); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, name := range []string{"plain", "auth"} {
			if one := r.target(t, jobOf("shop", name)); one == nil || one.Health != "up" {
				t.Fatalf("target of %s is %+v", name, one)
			}
		}
	}
}

// seesChangesAgain demands that a new monitor gets its target.
func seesChangesAgain(t *testing.T, c *cluster.Cluster, r *relay, name string) {
	t.Helper()
	start := time.Now()
	ip := cluster.PodIP(t, 2003)
	c.Apply(t, app("shop", name, ip))
	cluster.WaitFor(t, "the change to be seen", backLimit, func() error {
		if r.target(t, jobOf("shop", name)) == nil {
			return fmt.Errorf("no target")
		}
		return nil
	})
	t.Logf("a change counts after %s", time.Since(start).Round(time.Millisecond))
}

// unbroken demands that a target was scraped in every interval, with success, and that none of its series ended.
func unbroken(t *testing.T, to *fake.Server, e *exporter) {
	t.Helper()
	found := to.Select("instance", e.instance())
	if len(found) < 7 {
		t.Errorf("%d series of %s", len(found), e.instance())
	}
	labels := map[string]bool{}
	for _, s := range found {
		name := s.Labels.Get("__name__")
		labels[name] = true
		if gap := longestGap(s); gap > 2*interval {
			t.Errorf("%s of %s has a gap of %s", name, e.instance(), gap)
		}
		for _, p := range s.Samples {
			if p.Stale() || (name == "up" && p.Value != 1) {
				t.Errorf("%s of %s is %v at %d", name, e.instance(), p.Value, p.Time)
			}
		}
		if name == "up" {
			t.Logf("%d scrapes of %s, at most %s apart", len(s.Samples), e.instance(), longestGap(s))
		}
	}
	if !labels["up"] || !labels["app_scrapes_total"] {
		t.Errorf("series of %s are %v", e.instance(), slices.Sorted(maps.Keys(labels)))
	}
}
