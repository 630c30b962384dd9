package browser

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"promrelay/test/peers"
	"promrelay/test/process"
	fake "promrelay/test/receiver"
)

// The size of the world: services times pods are the targets of the large ServiceMonitors.
const (
	services   = 100
	podsOfEach = 100
	namespaces = 20
	nodes      = 50
)

// password is in the configuration, and must be on no page.
const password = "hunter2-and-more"

// world is what the relay of the test reads, scrapes and sends to.
type world struct {
	dir      string
	exporter string // host:port of the exporter that answers for all pods; each node has an address of its own with this port
	closed   string // a port where nobody listens
	central  string // the receiver that takes most
	away     string // the receiver that is not there
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), exporter: serveExporter(t), closed: freeAddress(t), away: freeAddress(t), central: freeAddress(t)}
	refusing := fake.Plain().With(func(p *fake.Profile) {
		p.Rules = append(p.Rules, fake.Rule{Name: "refused", Judge: func(_ *fake.View, i fake.Item) fake.Verdict {
			if i.Series.Labels.Get("__name__") == "shop_refused" {
				return fake.Verdict{Reason: "label_invalid", Text: "label name \"cart<b>\" is invalid"}
			}
			return fake.Verdict{}
		}})
	})
	central := fake.NewServer(w.central, refusing)
	if err := central.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(central.Down)
	if err := os.MkdirAll(filepath.Join(w.dir, "manifests"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"large.yaml": w.large(), "shop.yaml": w.shop(), "mistakes.yaml": w.mistakes()} {
		if err := os.WriteFile(filepath.Join(w.dir, "manifests", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// config is the relay's configuration file.
func (w *world) config() string {
	return fmt.Sprintf(`global:
  scrape_interval: 2m
  scrape_timeout: 10s
  external_labels: {cluster: eu-1}
manifests: {directory: manifests}
monitors:
  serviceMonitorNamespaceSelector: {}
  serviceMonitorSelector: {matchExpressions: [{key: team, operator: NotIn, values: [other]}]}
remote_write:
- name: central
  url: http://%s/api/v1/write
  basic_auth: {username: relay, password: %s}
- name: standby
  url: http://%s/api/v1/write?token=%s
`, w.central, password, w.away, password)
}

// addressOf is the address of a node, and of its pods.
func addressOf(node int) string { return fmt.Sprintf("127.0.9.%d", node+1) }

// slice writes a Service, a ServiceMonitor, and some pods with their EndpointSlice. Pods have the addresses of their nodes.
func (w *world) slice(namespace, name, address string, pods int, endpoint string) string {
	_, port, _ := net.SplitHostPort(address)
	var b strings.Builder
	fmt.Fprintf(&b, `---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s, labels: {app: %[2]s}}
spec: {ports: [{name: http, port: 8080}, {name: grpc, port: 9000}]}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: %[2]s}}
  endpoints: [%[3]s]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[2]s-1, namespace: %[1]s, labels: {kubernetes.io/service-name: %[2]s, app: %[2]s}}
addressType: IPv4
ports: [{name: http, port: %[4]s, protocol: TCP}]
endpoints:
`, namespace, name, endpoint, port)
	for i := range pods {
		fmt.Fprintf(&b, "- {addresses: ['%s'], conditions: {ready: true}, nodeName: node-%02d, targetRef: {kind: Pod, name: %s-%03d, namespace: %s}}\n", addressOf(i%nodes), i%nodes, name, i, namespace)
	}
	for i := range pods {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Pod
metadata: {name: %s-%03d, namespace: %s, labels: {app: %s}}
spec: {nodeName: node-%02d, containers: [{name: app}]}
status: {phase: Running, podIP: %s}
`, name, i, namespace, name, i%nodes, addressOf(i%nodes))
	}
	return b.String()
}

func (w *world) large() string {
	var b strings.Builder
	for i := range services {
		b.WriteString(w.slice(fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("service-%03d", i), w.exporter, podsOfEach, "{port: http}"))
	}
	return b.String()
}

// shop has few targets that are scraped often, so that there is something to plot.
func (w *world) shop() string {
	return w.slice("shop", "checkout", w.exporter, 4, "{port: http, path: /shop, interval: 2s, relabelings: [{sourceLabels: [__meta_kubernetes_pod_name], regex: checkout-00(.), targetLabel: replica}, {sourceLabels: [__meta_kubernetes_pod_name], regex: checkout-003, action: drop}]}") +
		w.slice("shop", "legacy", w.closed, 2, "{port: http, interval: 2s}")
}

func (w *world) mistakes() string {
	return `---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: bad-regex, namespace: shop}
spec:
  selector: {matchLabels: {app: checkout}}
  endpoints: [{port: http, relabelings: [{sourceLabels: [pod], regex: "checkout-([0-9]", action: keep}]}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: selects-nothing, namespace: shop}
spec:
  selector: {matchLabels: {app: chekout}}
  endpoints: [{port: http}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: wrong-port, namespace: shop}
spec:
  selector: {matchLabels: {app: checkout}}
  endpoints: [{port: metrics}]
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: of-another-team, namespace: shop, labels: {team: other}}
spec:
  selector: {matchLabels: {app: checkout}}
  endpoints: [{port: http}]
`
}

// serveExporter answers for all pods, until the test ends.
func serveExporter(t *testing.T) string {
	t.Helper()
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "# TYPE requests_total counter\nrequests_total{code=\"200\"} %d\nrequests_total{code=\"500\"} 3\n", time.Now().Unix())
		if r.URL.Path == "/shop" {
			for i := range 200 {
				fmt.Fprintf(w, "shop_orders_total{shelf=\"%d\"} %d\n", i, time.Now().Unix())
			}
			fmt.Fprintln(w, "shop_refused 1")
		}
	})}
	first, err := net.Listen("tcp", addressOf(0)+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(first.Addr().String())
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = srv.Close()
		running.Wait()
	})
	running.Go(func() { _ = srv.Serve(first) })
	for node := 1; node < nodes; node++ {
		l, err := net.Listen("tcp", net.JoinHostPort(addressOf(node), port))
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = srv.Serve(l) })
	}
	return first.Addr().String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	a, err := process.FreeAddress("127.0.0.9")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// enough says what is missing of the targets.
func enough(all peers.Targets) error {
	up, down := 0, 0
	for _, a := range all.Active {
		switch {
		case a.Labels["namespace"] != "shop":
		case a.Health == "up":
			up++
		case a.Health == "down":
			down++
		}
	}
	if len(all.Active) < services*podsOfEach || up < 3 || down < 2 {
		return fmt.Errorf("%d targets, %d of the shop up, %d down", len(all.Active), up, down)
	}
	return nil
}
