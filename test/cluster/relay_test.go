//go:build linux

package cluster_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"promrelay/test/cluster"
	fake "promrelay/test/receiver"
)

// TestRelay runs the relay as deploy/ ships it, and changes the cluster under it. It measures times, so it runs
// before the tests that run side by side.
func TestRelay(t *testing.T) {
	ip := cluster.PodIP(t, 1000)
	c := cluster.Start(t, cluster.Options{Audit: true})
	to := startReceiver(t)
	kubeconfig := install(t, c)
	allowSecretsOfShop(t, c)
	// The labels of namespaces count: a selector for each kind, since a kind without one would be taken from no other
	// namespace than the relay's.
	r := startRelay(t, to, fmt.Sprintf(`
global: {scrape_interval: %s, scrape_timeout: %s}
kubernetes: {kubeconfig: %s}
monitors:
  serviceMonitorSelector: {}
  serviceMonitorNamespaceSelector: {matchExpressions: [{key: promrelay-test, operator: DoesNotExist}]}
  podMonitorSelector: {}
  podMonitorNamespaceSelector: {}
  probeSelector: {}
  probeNamespaceSelector: {}
  scrapeConfigSelector: {}
  scrapeConfigNamespaceSelector: {}
nodes: {authorization: {credentials_file: %s}, insecure_skip_verify: true, scrape_interval: 1m}
`, interval, interval, kubeconfig, tokenFile(t, c, "promrelay")))

	all := reactions(c, r, ip)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { all[name].within(t, reactionLimit) })
	}
	t.Run("secrets", func(t *testing.T) { testSecrets(t, c, r) })
	t.Run("deletion", func(t *testing.T) { testDeletion(t, c, r, to) })
	t.Run("bad monitors", func(t *testing.T) { testBadMonitors(t, c, r) })
	t.Run("role", func(t *testing.T) {
		// Only what testBadMonitors wanted to be refused was.
		onlyForbidden(t, c, relayUser, "get secrets in locked")
		for request := range c.Requests(t, cluster.AuditFilter{User: relayUser}) {
			verb, what, _ := strings.Cut(request, " ")
			if (what == "secrets" || what == "configmaps") && verb != "get" {
				t.Errorf("the relay sent %q", request)
			}
		}
	})
}

// allowSecretsOfShop makes the namespace shop, and lets the relay read its Secrets by the binding that deploy/ ships.
func allowSecretsOfShop(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	c.Apply(t, fill(namespaceOf, "NS", "shop"))
	bindSecrets(t, c, "shop")
	mayRead(t, c, authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Namespace: "shop"})
}

// bindSecrets applies the binding that deploy/ ships to a namespace, as kubectl does with --namespace.
func bindSecrets(t *testing.T, c *cluster.Cluster, namespace string) {
	t.Helper()
	shipped, err := os.ReadFile(shippedSecrets)
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, strings.Replace(string(shipped), "  name: promrelay-secrets\n", "  name: promrelay-secrets\n  namespace: "+namespace+"\n", 1))
}

// testSecrets changes passwords that the relay reads by name: one that the target goes on to take, and one that it
// refuses from then on.
func testSecrets(t *testing.T, c *cluster.Cluster, r *relay) {
	for name, tolerant := range map[string]bool{"refuses the old one": false, "takes both": true} {
		t.Run(name, func(t *testing.T) {
			e := startExporter(t, map[bool]int{false: 1001, true: 1002}[tolerant])
			name := map[bool]string{false: "strict", true: "tolerant"}[tolerant]
			e.demand("first-0", "first")
			c.Apply(t, authApp("shop", name, e.ip, "first"))
			r.isUp(t, 15*time.Second, jobOf("shop", name), "instance", e.instance())
			limit := secretLimit
			if tolerant {
				limit += interval // until the next scrape
			}
			reaction{
				prepare: func(t *testing.T, attempt int) { e.demand("first") },
				change: func(t *testing.T, attempt int) {
					password := fmt.Sprintf("second-%d", attempt)
					if tolerant {
						e.demand("first", password)
					} else {
						e.demand(password)
					}
					c.Apply(t, fill(secretOf, "NS", "shop", "NAME", name, "PASSWORD", password))
				},
				effect: func(t *testing.T, attempt int) bool { return e.used(fmt.Sprintf("second-%d", attempt)) },
			}.within(t, limit)
		})
	}
}

// testDeletion takes away a monitor, and an endpoint of another: their targets go, and each of their series ends with
// a staleness marker.
func testDeletion(t *testing.T, c *cluster.Cluster, r *relay, to *fake.Server) {
	monitor, endpoint := startExporter(t, 1003), startExporter(t, 1004)
	c.Apply(t, app("gone", "monitor", monitor.ip), app("gone", "endpoint", endpoint.ip))
	series := map[*exporter]int{}
	for name, e := range map[string]*exporter{"monitor": monitor, "endpoint": endpoint} {
		r.isUp(t, 10*time.Second, jobOf("gone", name))
		cluster.WaitFor(t, "its samples", 10*time.Second, func() error {
			// The page's two series, up, and four more about the scrape.
			if series[e] = len(to.Select("instance", e.instance())); series[e] < 7 {
				return fmt.Errorf("%d series", series[e])
			}
			return nil
		})
	}
	c.Delete(t, fill(monitorOf, "NS", "gone", "NAME", "monitor"))
	c.Apply(t, fill(strings.ReplaceAll(sliceOf, "[{addresses: [ADDRESS]}]", "[]"), "NS", "gone", "NAME", "endpoint"))
	for name, e := range map[string]*exporter{"monitor": monitor, "endpoint": endpoint} {
		cluster.WaitFor(t, "the target to go", 5*time.Second, func() error {
			if one := r.target(t, jobOf("gone", name)); one != nil {
				return fmt.Errorf("%v is there", one.Labels)
			}
			return nil
		})
		cluster.WaitFor(t, "staleness markers", 10*time.Second, func() error { return allStale(to, series[e], "instance", e.instance()) })
	}
}

// allStale wants some number of series, each of which ends with one staleness marker and holds no other.
func allStale(to *fake.Server, number int, labels ...string) error {
	found := to.Select(labels...)
	if len(found) != number {
		return fmt.Errorf("%d series, want %d", len(found), number)
	}
	for _, s := range found {
		if i := slices.IndexFunc(s.Samples, fake.Sample.Stale); i != len(s.Samples)-1 {
			return fmt.Errorf("the first staleness marker of %v is sample %d of %d", s.Labels, i, len(s.Samples))
		}
	}
	return nil
}

// testBadMonitors has monitors that cannot be translated: each is rejected alone, with a reason that says what to do.
func testBadMonitors(t *testing.T, c *cluster.Cluster, r *relay) {
	good, locked := startExporter(t, 1005), startExporter(t, 1006)
	locked.demand("secret")
	c.Apply(t, app("bad", "good", good.ip))
	r.isUp(t, 10*time.Second, jobOf("bad", "good"))
	c.Apply(t,
		fill(monitorOf, "NS", "bad", "NAME", "regex", "port: metrics", `port: metrics, relabelings: [{regex: "(", targetLabel: x}]`),
		fill(authMonitorOf, "NS", "shop", "NAME", "absent"),
		authApp("locked", "auth", locked.ip, "secret"))
	r.shows(t, 10*time.Second,
		"bad/regex", `endpoints[0]: relabelings[0]: invalid regex "("`,
		"shop/absent", "Secret shop/absent",
		"locked/auth", "Secret locked/auth", "apply the Role promrelay-secrets", `cannot get resource "secrets"`)
	for _, job := range []string{jobOf("bad", "regex"), jobOf("shop", "absent"), jobOf("locked", "auth")} {
		if all := r.targets(t, job); len(all) > 0 {
			t.Errorf("%s has targets: %v", job, all)
		}
	}
	c.Apply(t, fill(sliceOf, "NS", "bad", "NAME", "good", "[ADDRESS]", "["+good.ip+", "+locked.ip+"]"))
	r.isUp(t, 10*time.Second, jobOf("bad", "good"), "instance", good.instance())
	cluster.WaitFor(t, "a change beside them to count", reactionLimit, func() error {
		if n := len(r.targets(t, jobOf("bad", "good"))); n != 2 {
			return fmt.Errorf("%d targets, want 2", n)
		}
		return nil
	})
	// The remedy that the page names.
	bindSecrets(t, c, "locked")
	r.isUp(t, 20*time.Second, jobOf("locked", "auth"), "instance", locked.instance())
}

// onlyForbidden wants no request of a user to have been refused, but for those that are named.
func onlyForbidden(t *testing.T, c *cluster.Cluster, user string, expected ...string) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range c.AuditEvents(t, cluster.AuditFilter{User: user}) {
		if e.ResponseStatus == nil || e.ResponseStatus.Code != http.StatusForbidden {
			continue
		}
		request := e.Verb + " " + e.RequestURI
		if o := e.ObjectRef; o != nil {
			request = e.Verb + " " + o.Resource + " in " + o.Namespace
		}
		if seen[request] = true; !slices.Contains(expected, request) {
			t.Errorf("%s was refused %q (%s)", user, request, e.ResponseStatus.Message)
		}
	}
	for _, request := range expected {
		if !seen[request] {
			t.Errorf("%s was never refused %q", user, request)
		}
	}
}

// tokenFile writes a token of a ServiceAccount in the relay's namespace, as a Pod would find it.
func tokenFile(t *testing.T, c *cluster.Cluster, account string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(c.ServiceAccountToken(t, "promrelay", account)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
