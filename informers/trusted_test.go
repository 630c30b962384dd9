package informers

import (
	"net/netip"
	"strings"
	"testing"

	"promrelay/informers/manifests"
	"promrelay/targets"
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

// noDirectory is a directory of manifests that looks like a cluster.
func noDirectory(m *manifests.Directory) Backend { return struct{ Backend }{m} }

// TestTrusted are the kubelets of the Nodes that there are, and the endpoints of default/kubernetes.
func TestTrusted(t *testing.T) {
	w := newWorldOf(t, noDirectory, "monitors: {}", map[string]string{"all.yaml": trustedYAML})
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
	within(t, "the address of a Node that is gone is not trusted", func() bool { return w.d.Trusted(gone) != nil })
}

// TestNobodyIsTrustedInADirectory of manifests: whoever writes a monitor there may write a Node and an EndpointSlice as well.
func TestNobodyIsTrustedInADirectory(t *testing.T) {
	w := newWorld(t, "monitors: {}", map[string]string{"all.yaml": trustedYAML})
	within(t, "all is listed", w.d.Settled)
	for _, address := range []string{"10.0.0.1:10250", "10.0.0.9:6443", "10.0.0.3:10250"} {
		if err := w.d.Trusted(netip.MustParseAddrPort(address)); err == nil || !strings.Contains(err.Error(), "with manifests it is sent nowhere by a monitor") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestTrustedBeforeNodesAreKnown is nobody.
func TestTrustedBeforeNodesAreKnown(t *testing.T) {
	m, err := manifests.New(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Backend: noDirectory(m)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Trusted(netip.MustParseAddrPort("10.0.0.1:10250")); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("told %v", err)
	}
}

// TestTokenNotes: offline, a note names each target that would be down because of the relay's token, if the directory shows
// that.
func TestTokenNotes(t *testing.T) {
	const token = "bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token"
	monitor := func(endpoint string) string { return strings.ReplaceAll(with(whyMonitor1, ""), "port: web", endpoint) }
	behind := func(port, addresses string) string {
		return with(whyService, "") + slice("addressType: IPv4\nports: [{name: web, port: "+port+"}]\nendpoints: [{addresses: ["+addresses+"]}]")
	}
	kubernetes := func(text string) string {
		return strings.NewReplacer("shop/cart", "default/kubernetes", "namespace: shop", "namespace: default", "name: cart", "name: kubernetes").Replace(text)
	}
	const https = "port: web, scheme: https, " + token
	for name, c := range map[string]struct{ objects, want string }{
		"an application":              {monitor("port: web, "+token) + behind("80", "10.0.0.7"), `1 of 1 targets will be down, such as this one: not scraped: its monitor names the relay's own token (bearerTokenFile), which is not sent to http://10.0.0.7:80/metrics: its scheme is "http"`},
		"one by HTTPS":                {monitor(https) + behind("443", "10.0.0.7"), "10.0.0.7:443 is neither the kubelet of a Node nor an API server. In a cluster it goes over HTTPS to"},
		"some":                        {monitor(https) + behind("10250", "10.0.0.1, 10.0.0.7, 10.0.0.8") + trustedYAML, "2 of 3 targets will be down"},
		"kubelets":                    {monitor(https) + behind("10250", "10.0.0.1") + trustedYAML, ""},
		"kubelets, and no Nodes":      {monitor(https) + behind("10250", "10.0.0.1"), ""},
		"kubelets by HTTP":            {monitor("port: web, "+token) + behind("10250", "10.0.0.1"), `its scheme is "http"`},
		"a pull request":              {monitor("port: web, "+token) + with(whyService, ""), `each target will be down: not scraped: its monitor names the relay's own token (bearerTokenFile), which is not sent to its targets: its scheme is "http"`},
		"a pull request, HTTPS":       {monitor(https) + with(whyService, ""), ""},
		"a scheme of a relabeling":    {monitor("port: web, relabelings: [{targetLabel: __scheme__, replacement: https}], "+token) + with(whyService, ""), ""},
		"the API server":              {kubernetes(monitor(https) + behind("6443", "10.0.0.9")), ""},
		"the API server by Endpoints": {kubernetes(with(strings.ReplaceAll(whyMonitor1, "port: web", https), ", serviceDiscoveryRole: Endpoints") + with(whyService, "") + "apiVersion: v1\nkind: Endpoints\nmetadata: {name: cart, namespace: shop}\nsubsets: [{addresses: [{ip: 10.0.0.9}], ports: [{name: web, port: 6443}]}]\n"), ""},
		"no token":                    {monitor("port: web") + behind("80", "10.0.0.7"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, dir: t.TempDir(), live: map[string]map[uint64]*targets.Target{}}
			w.write("all.yaml", c.objects)
			all := settledOffline(t, w).Monitors()
			if len(all) != 1 || len(all[0].Jobs) != 1 {
				t.Fatalf("%+v", all)
			}
			j := all[0].Jobs[0]
			if got := strings.Join(j.Notes, "\n"); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("notes are %s\nwant %s", got, c.want)
			}
			if pr := strings.HasPrefix(name, "a pull") || strings.Contains(name, "relabeling"); (j.Count == 0) != pr {
				t.Errorf("%d targets: %s", j.Count, j.Why)
			}
		})
	}
}
