package informers

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"promrelay/targets"
)

func nodeOf(name, status string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: %s}\nstatus: {%s}\n", name, status)
}

// TestKubelets have the addresses that prometheus-operator gives them.
func TestKubelets(t *testing.T) {
	text, err := os.ReadFile("testdata/kubelets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name            string
		Nodes           map[string]string
		Operator, Relay []string
	}
	if err := yaml.Unmarshal(text, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for name, n := range c.Nodes {
				ready, addresses, _ := strings.Cut(n, ",")
				status := []string{}
				for a := range strings.SplitSeq(addresses, ",") {
					if typ, address, ok := strings.Cut(strings.TrimPrefix(a, " "), " "); ok {
						status = append(status, fmt.Sprintf("{type: %s, address: %q}", typ, address))
					}
				}
				all := "addresses: [" + strings.Join(status, ", ") + "]"
				if ready != "-" {
					all += fmt.Sprintf(", conditions: [{type: Ready, status: %q}]", ready)
				}
				files[name+".yaml"] = nodeOf(name, all)
			}
			w := newWorld(t, kubeletsAlone, files)
			within(t, "all is worked off", w.d.Settled)
			want := c.Operator
			if c.Relay != nil {
				want = c.Relay
			}
			for _, one := range want {
				if !slices.Contains(c.Operator, one) {
					t.Errorf("the operator does not have %q", one)
				}
			}
			var got []string
			for _, x := range w.d.Targets("nodes/kubelet") {
				host, _, err := net.SplitHostPort(x.Labels.Get("__address__"))
				if err != nil {
					t.Error(err)
				}
				got = append(got, x.Labels.Get("node")+" "+host)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("kubelets are at %q, want %q", got, want)
			}
		})
	}
}

const kubeletsAlone = "nodes: {cadvisor: {enabled: false}, probes: {enabled: false}, kube_proxy: {enabled: false}}"

// TestKubeletPorts: the ports are those in the Nodes' status, and a Node without an address is reported.
func TestKubeletPorts(t *testing.T) {
	for name, c := range map[string]struct{ status, address, dropped string }{
		"the usual one":      {`addresses: [{type: InternalIP, address: "fd00::1"}]`, "[fd00::1]:10250", ""},
		"the kubelet's port": {`addresses: [{type: InternalIP, address: 10.0.0.1}], daemonEndpoints: {kubeletEndpoint: {Port: 10999}}`, "10.0.0.1:10999", ""},
		"port 0":             {`addresses: [{type: InternalIP, address: 10.0.0.1}], daemonEndpoints: {kubeletEndpoint: {Port: 0}}`, "10.0.0.1:10250", ""},
		"none that is an IP": {`addresses: [{type: InternalIP, address: a.internal}, {type: ExternalIP, address: 52.0.0.1}]`, "", `Node a has no address to use: its InternalIP "a.internal" is no IP address`},
		"a zone":             {`addresses: [{type: ExternalIP, address: "fe80::1%eth0"}]`, "", `Node a has no address to use: its ExternalIP "fe80::1%eth0" has a zone`},
		"names alone":        {`addresses: [{type: Hostname, address: a}, {type: InternalDNS, address: a.internal}]`, "", "Node a has no address to use, neither an InternalIP nor an ExternalIP"},
		"nothing":            {`conditions: [{type: Ready, status: "True"}]`, "", "Node a has no address to use, neither an InternalIP nor an ExternalIP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kubeletsAlone, map[string]string{"all.yaml": nodeOf("a", c.status)})
			within(t, "all is worked off", w.d.Settled)
			for _, m := range w.d.Monitors() {
				if m.Owner.Kind != targets.NodesBlock {
					continue
				}
				var dropped []string
				for _, d := range m.Jobs[0].Dropped {
					dropped = append(dropped, d.Discovered["__meta_kubernetes_node_name"]+": "+d.Reason)
				}
				if (len(dropped) > 0) != (c.dropped != "") || len(dropped) > 0 && !strings.HasPrefix(dropped[0], "a: ") || !strings.Contains(strings.Join(dropped, ""), c.dropped) {
					t.Errorf("dropped are %q, want %q", dropped, c.dropped)
				}
			}
			var got []string
			for _, x := range w.d.Targets("nodes/kubelet") {
				got = append(got, x.Labels.Get("__address__"))
			}
			if want := []string{c.address}; !slices.Equal(got, want[:min(1, len(c.address))]) {
				t.Errorf("addresses are %q, want %q", got, c.address)
			}
		})
	}
}

// TestKubeletPortThatIsNone: an invalid port is reported at the jobs that use another one.
func TestKubeletPortThatIsNone(t *testing.T) {
	const status = "addresses: [{type: InternalIP, address: 10.0.0.%s}], daemonEndpoints: {kubeletEndpoint: {Port: %s}}"
	files := map[string]string{}
	for name, port := range map[string]string{"1": "99999", "2": "10999", "3": "-1", "4": "0"} {
		files[name+".yaml"] = nodeOf("n"+name, fmt.Sprintf(status, name, port))
	}
	w := newWorld(t, "nodes: {cadvisor: {enabled: false}, probes: {enabled: false}}", files)
	within(t, "all is worked off", w.d.Settled)
	const want = "port 10250 is used for the kubelets of Nodes whose status.daemonEndpoints.kubeletEndpoint.Port is not 1 to 65535: n1 (99999), n3 (-1)"
	for _, j := range w.d.Monitors()[0].Jobs {
		if notes := strings.Join(j.Notes, "\n"); (notes == want) != (j.Job.Name == "nodes/kubelet") {
			t.Errorf("notes of %s are %q", j.Job.Name, notes)
		}
	}
}

// TestKubeletsByAMonitor as kube-prometheus installs them, beside nodes.
func TestKubeletsByAMonitor(t *testing.T) {
	w := newWorld(t, "monitors: {}\nnodes: {probes: {enabled: false}, kube_proxy: {enabled: false}}", map[string]string{
		"node.yaml": nodeOf("a", `addresses: [{type: InternalIP, address: 10.0.0.1}]`),
		"kubelet.yaml": `
apiVersion: v1
kind: Service
metadata: {name: kps-kubelet, namespace: kube-system, labels: {k8s-app: kubelet}}
spec: {ports: [{name: https-metrics, port: 10250}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kps-kubelet-1, namespace: kube-system, labels: {kubernetes.io/service-name: kps-kubelet}}
addressType: IPv4
ports: [{name: https-metrics, port: 10250}]
endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Node, name: a}}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: kubelet, namespace: kube-system}
spec:
  jobLabel: k8s-app
  selector: {matchLabels: {k8s-app: kubelet}}
  endpoints:
  - port: https-metrics
    scheme: https
    bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
    tlsConfig: {caFile: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt, insecureSkipVerify: true}
`,
	})
	counts := func(nodes, monitors int) func() bool {
		return func() bool {
			return w.d.Settled() && len(w.d.Targets("nodes/kubelet")) == nodes && len(w.d.Targets("serviceMonitor/kube-system/kubelet/0")) == monitors
		}
	}
	within(t, "the monitor has the kubelet", counts(0, 1))
	if got := len(w.d.Targets("nodes/cadvisor")); got != 1 {
		t.Errorf("%d targets of cadvisor, which no monitor scrapes", got)
	}
	w.remove("kubelet.yaml")
	within(t, "nodes has the kubelet", counts(1, 0))
}
