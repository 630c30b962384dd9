//go:build linux

package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

// unchanged is how long the test waits to see that no other event comes.
const unchanged = 3 * time.Second

// TestEvents has a monitor that is rejected, with the role that deploy/ ships: it has one event, which counts up when it is
// rejected again for the same reason, in another version or by another process.
func TestEvents(t *testing.T) {
	t.Parallel()
	good := startExporter(t, 5000)
	c := cluster.Start(t, cluster.Options{Audit: true})
	kubeconfig := install(t, c)
	mayRead(t, c, authorizationv1.ResourceAttributes{Verb: "patch", Group: "events.k8s.io", Resource: "events"})
	bad := func(pairs ...string) string {
		return fill(fill(monitorOf, pairs...), "NS", "bad", "NAME", "regex", "port: metrics", `port: metrics, relabelings: [{regex: "(", targetLabel: x}]`)
	}
	c.Apply(t, app("bad", "good", good.ip), bad())
	r := startRelay(t, startReceiver(t), everything(kubeconfig))
	r.isUp(t, 10*time.Second, jobOf("bad", "good"))
	hasEvent(t, c, "bad", 0)

	e := eventsOf(t, c, "bad")[0]
	monitor, err := c.Dynamic().Resource(serviceMonitors).Namespace("bad").Get(t.Context(), "regex", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Type != "Warning" || e.Reason != "InvalidConfiguration" || e.Action != "SelectingConfigurationResources" || e.ReportingController != "promrelay" ||
		!strings.HasPrefix(e.Note, `"bad/regex" was rejected due to invalid configuration: endpoints[0]: relabelings[0]: invalid regex "("`) {
		t.Errorf("the event is %+v", e)
	}
	if g := e.Regarding; g.UID != monitor.GetUID() || g.ResourceVersion != monitor.GetResourceVersion() || g.Kind != "ServiceMonitor" ||
		g.APIVersion != "monitoring.coreos.com/v1" || g.Namespace != "bad" || g.Name != "regex" {
		t.Errorf("it is about %+v, want %s of version %s", g, monitor.GetUID(), monitor.GetResourceVersion())
	}
	// What kubectl describe asks for.
	described, err := c.Client().CoreV1().Events("bad").List(t.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.name=regex,involvedObject.namespace=bad,involvedObject.kind=ServiceMonitor,involvedObject.uid=" + string(monitor.GetUID()),
	})
	if err != nil || len(described.Items) != 1 || described.Items[0].Message != e.Note {
		t.Errorf("kubectl describe would show %v (%v)", described, err)
	}

	// Changes that have nothing to do with the rejection: of the monitor itself, and around it.
	for i := range 5 {
		c.Apply(t, bad("namespace: NS}", fmt.Sprintf(`namespace: NS, labels: {try: "%d"}, annotations: {try: "%d"}}`, i, i)),
			fill(serviceOf, "NS", "bad", "NAME", fmt.Sprintf("other-%d", i)),
			fill(monitorOf, "NS", "bad", "NAME", fmt.Sprintf("other-%d", i)))
		time.Sleep(200 * time.Millisecond)
	}
	r.shows(t, 10*time.Second, "bad/other-4")
	stay(t, c, "bad", 0)
	if n := c.Requests(t, cluster.AuditFilter{User: relayUser, Resource: "events.events.k8s.io"}); n["create events.events.k8s.io"] != 1 || len(n) != 1 {
		t.Errorf("requests for one rejection: %v", n)
	}
	// A later version that is rejected for the same reason; and a process that knows nothing of it.
	c.Apply(t, bad("podTargetLabels: [release]", "podTargetLabels: [release, track]"))
	hasEvent(t, c, "bad", 2)
	again := startRelay(t, startReceiver(t), everything(kubeconfig))
	again.isUp(t, 10*time.Second, jobOf("bad", "good"))
	hasEvent(t, c, "bad", 3)
	stay(t, c, "bad", 3)
	onlyForbidden(t, c, relayUser)
}

func eventsOf(t *testing.T, c *cluster.Cluster, namespace string) []eventsv1.Event {
	t.Helper()
	list, err := c.Client().EventsV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list events: %v", err)
	}
	return list.Items
}

// oneEvent demands one event in a namespace, with a series of that many, or without one.
func oneEvent(t *testing.T, c *cluster.Cluster, namespace string, series int32) error {
	t.Helper()
	all := eventsOf(t, c, namespace)
	if len(all) != 1 {
		return fmt.Errorf("%d events: %+v", len(all), all)
	}
	switch s := all[0].Series; {
	case series == 0 && s != nil:
		return fmt.Errorf("the event counts %d", s.Count)
	case series > 0 && s == nil:
		return errors.New("the event has no series")
	case series > 0 && (s.Count != series || time.Since(s.LastObservedTime.Time) > time.Minute):
		return fmt.Errorf("the event counts %d at %s", s.Count, s.LastObservedTime)
	}
	return nil
}

func hasEvent(t *testing.T, c *cluster.Cluster, namespace string, series int32) {
	t.Helper()
	cluster.WaitFor(t, "the event", 15*time.Second, func() error { return oneEvent(t, c, namespace, series) })
}

// stay demands that the event does not change for a while.
func stay(t *testing.T, c *cluster.Cluster, namespace string, series int32) {
	t.Helper()
	for end := time.Now().Add(unchanged); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err := oneEvent(t, c, namespace, series); err != nil {
			t.Fatal(err)
		}
	}
}
