package informers

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"promrelay/informers/objects"
	"promrelay/targets"
)

// kubeletHost returns the address at which prometheus-operator reaches the kubelet of a Node (see nodeAddresses and getNodeAddresses in its
// pkg/kubelet): the first IP address of type InternalIP, or of type ExternalIP if there is no InternalIP at all. It ignores names. With two
// IP families it uses the first address. That is the family of the cluster's Services if Nodes are set up as Kubernetes requires.
func kubeletHost(n *corev1.Node) string {
	for _, wanted := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP} {
		there := false
		for _, a := range n.Status.Addresses {
			if a.Type != wanted {
				continue
			}
			there = true
			if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Zone() == "" {
				return a.Address
			}
		}
		if there {
			return ""
		}
	}
	return ""
}

// addressed gives each Node an address. A discoverer makes no group for a Node without an address, and nobody would notice the Node.
func addressed(of lookup) lookup {
	return func(key string) (any, bool, error) {
		obj, ok, err := of(key)
		if n, is := obj.(*corev1.Node); ok && err == nil && is && len(n.Status.Addresses) == 0 {
			n = n.DeepCopy()
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName}}
			return n, true, nil
		}
		return obj, ok, err
	}
}

// setKubeletAddresses gives the targets of Nodes the addresses of their kubelets, and an empty one if a Node has none.
func (w *worker) setKubeletAddresses(groups []*targetgroup.Group) {
	for _, g := range groups {
		name := strings.TrimPrefix(g.Source, "node/")
		obj, ok, err := w.watched["nodes"].GetByKey(name)
		n, is := obj.(*corev1.Node)
		if !ok || err != nil || !is {
			delete(w.unreachable, name)
			continue
		}
		address, host := "", kubeletHost(n)
		if host != "" {
			address = net.JoinHostPort(host, strconv.Itoa(int(objects.KubeletPort(n))))
		}
		for _, t := range g.Targets {
			t[model.AddressLabel] = model.LabelValue(address)
		}
		w.logUnreachable(name, host == "")
	}
}

// portNotes names the Nodes whose status has no valid port of the kubelet. The usual port is used for them.
func (d *Discovery) portNotes(j *targets.Job) []string {
	if !j.AtKubelet {
		return nil
	}
	var bad []string
	for _, store := range d.watched["nodes"].each() {
		for _, obj := range store.List() {
			if n, ok := obj.(*corev1.Node); ok {
				if p := n.Status.DaemonEndpoints.KubeletEndpoint.Port; p != 0 && p != objects.KubeletPort(n) {
					bad = append(bad, fmt.Sprintf("%s (%d)", n.Name, p))
				}
			}
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return []string{fmt.Sprintf("port %d is used for the kubelets of Nodes whose status.daemonEndpoints.kubeletEndpoint.Port is not 1 to 65535: %s", targets.KubeletPort, targets.UpTo(bad, maxNamed))}
}

// logUnreachable logs once that a Node has no address to use, and once that it has one again.
func (w *worker) logUnreachable(node string, is bool) {
	switch was := w.unreachable[node]; {
	case is && !was:
		w.unreachable[node] = true
		w.log.Warn("a Node has no address to use, no InternalIP or ExternalIP that is an IP address: its kubelet and kube-proxy are not scraped", zap.String("node", node))
	case !is && was:
		delete(w.unreachable, node)
		w.log.Info("a Node has an address to use again", zap.String("node", node))
	}
}
