package informers

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

const trustedYAML = `
apiVersion: v1
kind: Node
metadata: {name: a}
status:
  addresses: [{type: InternalIP, address: 10.0.0.1}, {type: InternalIP, address: "fd00::1"}, {type: ExternalIP, address: 52.0.0.1}, {type: Hostname, address: a}]
---
apiVersion: v1
kind: Node
metadata: {name: b}
status:
  addresses: [{type: InternalIP, address: 10.0.0.2}]
  daemonEndpoints: {kubeletEndpoint: {Port: 10999}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
ports: [{name: https, port: 6443}]
endpoints: [{addresses: [10.0.0.9]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: shop, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
ports: [{name: https, port: 6443}]
endpoints: [{addresses: [10.0.0.7]}]
`

// TestTrusted are the kubelets of the Nodes that there are, and the endpoints of default/kubernetes.
func TestTrusted(t *testing.T) {
	w := newWorld(t, "monitors: {}", map[string]string{"all.yaml": trustedYAML})
	within(t, "all is listed", w.d.Settled)
	for address, want := range map[string]string{
		"10.0.0.1:10250": "", "[fd00::1]:10250": "", "52.0.0.1:10250": "", "10.0.0.2:10999": "", "10.0.0.9:6443": "",
		"10.0.0.1:10255": "neither", "10.0.0.2:10250": "neither", "10.0.0.9:443": "neither", "10.0.0.7:6443": "neither", "10.0.0.3:10250": "neither",
	} {
		err := w.d.Trusted(netip.MustParseAddrPort(address))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	w.remove("all.yaml")
	gone := netip.MustParseAddrPort("10.0.0.1:10250")
	deadline := time.Now().Add(10 * time.Second)
	for w.d.Trusted(gone) == nil && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if w.d.Trusted(gone) == nil {
		t.Error("the address of a Node that is gone is trusted")
	}
}

// TestTrustedBeforeNodesAreKnown is nobody.
func TestTrustedBeforeNodesAreKnown(t *testing.T) {
	m, err := NewManifests(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Backend: m, Sink: (&world{}).sink})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Trusted(netip.MustParseAddrPort("10.0.0.1:10250")); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("told %v", err)
	}
}
