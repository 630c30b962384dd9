package targets

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

func (n *nodesSet) elsewhere(want int) {
	n.t.Helper()
	if got := n.set.Elsewhere("nodes/kubelet"); got != want {
		n.t.Errorf("%d targets are elsewhere, want %d", got, want)
	}
}

// newHalves returns one of the two halves of the node jobs, with the Nodes a and b.
func newHalf(t *testing.T, h Half, more string) *nodesSet {
	t.Helper()
	n := newNodesSet(t, more)
	for _, j := range n.set.Jobs(Owner{Kind: NodesBlock}) {
		j.SetHalf(h, "127.0.0.1")
	}
	n.node("a", "true", "10.0.0.1:10250")
	n.node("b", "true", "10.0.0.2:10250")
	return n
}

// TestHalves: a target is in one half at a time, whatever becomes of its Node.
func TestHalves(t *testing.T) {
	central, onNode := newHalf(t, Central, ""), newHalf(t, OnNode, "")
	cover := func(c Coverage) {
		central.set.Cover(c)
		onNode.set.Cover(c)
	}
	cover(Coverage{Nodes: map[string]bool{"a": true, "b": false}})
	central.are("b")
	central.elsewhere(1)
	onNode.are("a", "node_mode.selector leaves its Node b out: the central relay scrapes it")
	onNode.elsewhere(0)

	cover(Coverage{Nodes: map[string]bool{"a": true}})
	central.are("b")
	onNode.are("a", `its Node "b" does not exist`)

	cover(Coverage{Nodes: map[string]bool{"a": false, "b": true}})
	central.are("a")
	onNode.are("b", "leaves its Node a out")

	cover(Coverage{Unknown: true})
	central.are("")
	central.elsewhere(2)
	onNode.are("a b")

	cover(Coverage{Nodes: map[string]bool{"a": true, "b": true}})
	central.node("b", "", "")
	central.are("")
	central.elsewhere(1)
	central.set.Replace(Owner{Kind: NodesBlock}, nil)
	central.set.Settle(nil)
	if len(central.set.places) != 0 {
		t.Errorf("places remain: %v", central.set.places)
	}
}

// TestKubeProxyOfOwnNode is reached at another address, and has the same labels.
func TestKubeProxyOfOwnNode(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1": "http://127.0.0.1:10249/metrics", "::1": "http://[::1]:10249/metrics", "": "http://[fd00::1]:10249/metrics"} {
		n := newNodesSet(t, "")
		for _, j := range n.set.Jobs(Owner{Kind: NodesBlock}) {
			j.SetHalf(OnNode, address)
		}
		n.set.Cover(Coverage{Unknown: true})
		n.node("a", "true", "[fd00::1]:10250")
		n.set.Settle(nil)
		got := n.set.Targets("nodes/kube-proxy")
		if len(got) != 1 || got[0].URL != want || got[0].Labels.Get(model.InstanceLabel) != "[fd00::1]:10249" {
			t.Errorf("%q: got %+v, want %s", address, got, want)
		}
		if got := n.set.Targets("nodes/kubelet"); len(got) != 1 || got[0].URL != "https://[fd00::1]:10250/metrics" {
			t.Errorf("%q: kubelet is at %+v", address, got)
		}
	}
}

// TestMonitorsGiveWayToNodeMode where one relay alone would leave the page to the monitor: the relay on the Node knows no ServiceMonitor.
func TestMonitorsGiveWayToNodeMode(t *testing.T) {
	n := newHalf(t, Central, "")
	const name = "serviceMonitor/monitoring/kubelet/0"
	job := func() *Job {
		return n.set.Jobs(Owner{Kind: ServiceMonitor, Namespace: "monitoring", Name: "kubelet"})[0]
	}
	has := func(want ...string) {
		t.Helper()
		n.set.Settle(nil)
		var got []string
		for _, x := range n.set.Targets(name) {
			got = append(got, strings.TrimPrefix(x.URL, "https://"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("the monitor has %q, want %q", got, want)
		}
		for _, d := range n.set.Dropped(name) {
			if !strings.Contains(d.Reason(job()), "left to nodes/kubelet of the relay on its Node (node_mode)") {
				t.Errorf("dropped for %q", d.Reason(job()))
			}
		}
		if len(got)+len(n.set.Dropped(name)) != 2 {
			t.Errorf("%d targets and %d dropped", len(got), len(n.set.Dropped(name)))
		}
	}
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250", "10.0.0.2:10250")
	n.set.Cover(Coverage{Nodes: map[string]bool{"a": true, "b": false}})
	has("10.0.0.2:10250/metrics")
	n.are("", "it is left to "+name) // b, in the central relay
	n.set.Cover(Coverage{Nodes: map[string]bool{"a": true, "b": true}})
	has()
	n.set.Cover(Coverage{Nodes: map[string]bool{"a": false, "b": true}})
	has("10.0.0.1:10250/metrics")
	n.monitor("kubelet", "other", "10.0.0.1:10250", "10.0.0.2:10250") // another job label
	has("10.0.0.1:10250/metrics", "10.0.0.2:10250/metrics")
	n.monitor("kubelet", "kubelet", "10.0.0.1:10250", "10.0.0.2:10250")
	has("10.0.0.1:10250/metrics")
	n.set.Replace(Owner{Kind: NodesBlock}, nil)
	has("10.0.0.1:10250/metrics", "10.0.0.2:10250/metrics")

	both := newHalf(t, Central, ", beside_monitors: true")
	both.set.Cover(Coverage{Unknown: true})
	both.monitor("kubelet", "kubelet", "10.0.0.1:10250")
	both.set.Settle(nil)
	if len(both.set.Targets(name)) != 1 || both.set.Elsewhere("nodes/kubelet") != 2 {
		t.Errorf("beside monitors, the monitor has %d targets", len(both.set.Targets(name)))
	}
}

// TestHalvesOfPods: a Pod on no Node stays with the central relay.
func TestHalvesOfPods(t *testing.T) {
	s := NewSet()
	owner := Owner{Kind: PodMonitor, Namespace: "shop", Name: "web"}
	j := blockOf(t, "static_configs: []")
	j.Owner, j.Half, j.Discoveries = owner, Central, []Discovery{{Source: Source{Role: RolePod}}}
	s.Replace(owner, []*Job{j})
	for pod, node := range map[string]string{"a": "n1", "b": "n2", "c": "", "d": "gone"} {
		g := &targetgroup.Group{Source: "pod/shop/" + pod, Labels: model.LabelSet{podNodeLabel: model.LabelValue(node)}}
		g.Targets = []model.LabelSet{{model.AddressLabel: model.LabelValue(pod + ":80")}}
		s.Offer(Source{Role: RolePod}, "shop", g, false)
	}
	s.Cover(Coverage{Nodes: map[string]bool{"n1": true, "n2": false}})
	s.Settle(nil)
	var got []string
	for _, x := range s.Targets(j.Name) {
		got = append(got, x.Labels.Get(model.InstanceLabel))
	}
	if strings.Join(got, " ") != "b:80 c:80 d:80" || s.Elsewhere(j.Name) != 1 {
		t.Errorf("the central relay has %q, elsewhere %d", got, s.Elsewhere(j.Name))
	}
}
