package pipeline

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"promrelay/test/process"
)

// categrafFiles are those of the usual set-up of EKS.
const categrafFiles = "../../config/categraf/testdata/eks"

// categrafCluster is what categraf reads in such a cluster: pages of two nodes, kube-state-metrics and an application.
type categrafCluster struct {
	kubelet, proxy map[string]string // addresses by node
	state, shop    string
	manifests      string // directory with the Nodes
}

// categrafPage answers with a page of testdata. Lines with TIMESTAMP get the present time, as cAdvisor's have.
func categrafPage(t *testing.T, name string) http.HandlerFunc {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "categraf", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(bytes.ReplaceAll(text, []byte("TIMESTAMP"), fmt.Appendf(nil, "%d", time.Now().UnixMilli())))
	}
}

// serve answers at an address until the test ends.
func serve(t *testing.T, address string, tls bool, pages map[string]string) {
	t.Helper()
	mux := http.NewServeMux()
	for path, name := range pages {
		mux.HandleFunc(path, categrafPage(t, name))
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
}

func newCategrafCluster(t *testing.T) *categrafCluster {
	t.Helper()
	c := &categrafCluster{kubelet: map[string]string{}, proxy: map[string]string{}, manifests: filepath.Join(t.TempDir(), "nodes")}
	free := func(host string) string {
		a, err := process.FreeAddress(host)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := free("127.0.12.1")
	_, proxyPort, _ := strings.Cut(first, ":")
	for i, node := range []string{"node-a", "node-b"} {
		host := fmt.Sprintf("127.0.12.%d", i+1)
		c.kubelet[node], c.proxy[node] = free(host), host+":"+proxyPort
		serve(t, c.kubelet[node], true, map[string]string{"/metrics": "kubelet", "/metrics/cadvisor": "cadvisor"})
		serve(t, c.proxy[node], false, map[string]string{"/metrics": "kube-proxy"})
		_, port, _ := strings.Cut(c.kubelet[node], ":")
		writeFile(t, filepath.Join(c.manifests, node+".yaml"), fmt.Sprintf(
			"apiVersion: v1\nkind: Node\nmetadata: {name: %s}\nstatus:\n  addresses: [{type: InternalIP, address: %s}]\n  daemonEndpoints: {kubeletEndpoint: {Port: %s}}\n  conditions: [{type: Ready, status: 'True'}]\n", node, host, port))
	}
	c.state, c.shop = free(""), free("")
	serve(t, c.state, false, map[string]string{"/metrics": "kube-state-metrics"})
	serve(t, c.shop, false, map[string]string{"/shop/metrics": "shop"})
	return c
}

// migrated is what the command makes of categraf's files, with this cluster's addresses in them and a short interval.
func (c *categrafCluster) migrated(t *testing.T, labels, receiver string) string {
	t.Helper()
	dir := t.TempDir()
	edits := strings.NewReplacer("http://n9e.example.com:17000", receiver, "kube-state-metrics.kube-system.svc:8080", c.state, "shop.example.com:8080", c.shop,
		"interval = 15", "interval = 1", "scrape_interval: 15s", "scrape_interval: 1s")
	for _, name := range []string{"daemonset.yaml", "deployment.yaml"} {
		text, err := os.ReadFile(filepath.Join(categrafFiles, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), edits.Replace(string(text)))
	}
	cmd := exec.CommandContext(t.Context(), relayBinary, "migrate", "categraf", dir, "--labels="+labels)
	var report bytes.Buffer
	cmd.Stderr = &report
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v:\n%s", err, &report)
	}
	// Here kube-proxy listens at another port, and Nodes come from files.
	_, port, _ := strings.Cut(c.proxy["node-a"], ":")
	text, own := string(out), "  # The relay itself, for its alerts and dashboards.\n  - job_name: promrelay\n    static_configs:\n      - targets: ['localhost:9099']\n"
	if !strings.Contains(text, own) {
		t.Errorf("the relay does not scrape itself:\n%s", text)
	}
	text = strings.Replace(text, own, "", 1) // no relay of this test listens there
	if with := strings.Replace(text, "\n  kube_proxy:\n", "\n  kube_proxy:\n    port: "+port+"\n", 1); with != text {
		text = with
	} else {
		text = strings.Replace(text, "\nnodes:\n", "\nnodes:\n  kube_proxy: {port: "+port+"}\n", 1)
	}
	return text + "manifests: {directory: " + c.manifests + "}\n"
}

// TestCategraf migrates categraf's files, both ways, and runs the relay with the result. The series that it delivers are those that categraf
// v0.3.82 sends of the same pages. Its module could not be built here, so pluginSends and agentSends have its rules, and testdata/categraf keeps the
// lists. kubelet_nothing, a NaN, is the one series that the plugin leaves out.
func TestCategraf(t *testing.T) {
	t.Parallel()
	c := newCategrafCluster(t)
	for _, way := range []string{"same", "kube-prometheus"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			relay := startRelay(t, c.migrated(t, way, r.URL()))
			want := c.expected(t, way == "same")
			missing := func() (lost, more []string) {
				have := map[string]bool{}
				for _, s := range r.Select() {
					have[s.Name] = true
				}
				for _, s := range want {
					if !have[s] {
						lost = append(lost, s)
					}
					delete(have, s)
				}
				return lost, slices.Sorted(maps.Keys(have))
			}
			await(t, 30*time.Second, "all series at the receiver", func() error {
				if lost, more := missing(); len(lost) > 0 {
					return fmt.Errorf("missing are %d:\n%s\nof others there are %d:\n%s", len(lost), strings.Join(lost, "\n"), len(more), strings.Join(more, "\n"))
				}
				return nil
			})
			stop(t, relay)
			if _, more := missing(); len(more) > 0 {
				t.Errorf("series that categraf does not send:\n%s", strings.Join(more, "\n"))
			}
			r.wellFormed(t)
			c.kept(t, way, want)
		})
	}
}

// kept compares the list with the one in testdata, in which addresses have names.
func (c *categrafCluster) kept(t *testing.T, way string, want []string) {
	t.Helper()
	var names []string
	for node := range c.kubelet {
		names = append(names, c.kubelet[node], "KUBELET-OF-"+node, c.proxy[node], "PROXY-OF-"+node)
	}
	names = append(names, c.state, "KUBE-STATE-METRICS", c.shop, "SHOP")
	list := strings.Split(strings.NewReplacer(names...).Replace(strings.Join(want, "\n")), "\n")
	slices.Sort(list)
	path := filepath.Join("testdata", "categraf", "series-"+way+".txt")
	made := strings.Join(list, "\n") + "\n"
	if os.Getenv("UPDATE") != "" {
		writeFile(t, path, made)
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != made {
		t.Errorf("%v: %s is not what is expected: UPDATE=1 writes it anew", err, path)
	}
}

// expected are the series of the whole cluster.
func (c *categrafCluster) expected(t *testing.T, same bool) (out []string) {
	t.Helper()
	add := func(series []map[string]string) {
		for _, s := range series {
			s["cluster"], s["metrics_from"] = "prod-1", "categraf"
			out = append(out, labels.FromMap(s).String())
		}
	}
	for node := range c.kubelet {
		for _, p := range []struct{ page, job, url, path, address, endpoint string }{
			{"kubelet", "kubelet", "https://127.0.0.1:10250/metrics", "/metrics", c.kubelet[node], "https-metrics"},
			{"cadvisor", "cadvisor", "https://127.0.0.1:10250/metrics/cadvisor", "/metrics/cadvisor", c.kubelet[node], "https-metrics"},
			{"kube-proxy", "kube-proxy", "http://127.0.0.1:10249/metrics", "", c.proxy[node], "metrics"},
		} {
			page := seriesOf(t, p.page)
			page = slices.DeleteFunc(page, func(s map[string]string) bool {
				return s["__name__"] == "container_tasks_state" || s["__name__"] == "container_memory_failures_total"
			})
			for _, s := range page {
				delete(s, "id")
			}
			if same {
				add(pluginSends(page, map[string]string{"instance": p.url, "job": p.job, "agent_hostname": node}))
				continue
			}
			own := map[string]string{"instance": p.address, "job": p.job, "node": node, "namespace": "kube-system", "service": p.job, "endpoint": p.endpoint}
			if p.path != "" {
				own["job"], own["service"], own["metrics_path"] = "kubelet", "kubelet", p.path
			}
			add(agentSends(page, own, true, true))
		}
	}
	add(agentSends(seriesOf(t, "kube-state-metrics"), map[string]string{"instance": c.state, "job": "kube-state-metrics"}, true, !same))
	add(agentSends(seriesOf(t, "shop"), map[string]string{"instance": c.shop, "job": "shop", "team": "shop"}, false, !same))
	slices.Sort(out)
	return slices.Compact(out) // the page's labels may hide which node it is of
}

// seriesOf are the series of a page, with le and quantile as fmt prints the numbers.
func seriesOf(t *testing.T, name string) (out []map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "categraf", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(bytes.ReplaceAll(text, []byte(" TIMESTAMP"), nil)))
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			add := func(suffix string, more ...string) {
				s := map[string]string{"__name__": name + suffix}
				for _, l := range m.GetLabel() {
					s[l.GetName()] = l.GetValue()
				}
				for pair := range slices.Chunk(more, 2) {
					s[pair[0]] = pair[1]
				}
				out = append(out, s)
			}
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				for _, b := range m.GetHistogram().GetBucket() {
					add("_bucket", "le", fmt.Sprint(b.GetUpperBound()))
				}
				add("_sum")
				add("_count")
			case dto.MetricType_SUMMARY:
				for _, q := range m.GetSummary().GetQuantile() {
					add("", "quantile", fmt.Sprint(q.GetQuantile()))
				}
				add("_sum")
				add("_count")
			default:
				add("")
			}
		}
	}
	return out
}

// pluginSends are the series that the plugin sends of a page: its own labels take precedence, and up is all that it says of the scrape.
func pluginSends(page []map[string]string, own map[string]string) []map[string]string {
	out := []map[string]string{{"__name__": "up"}}
	out = append(out, page...)
	for _, s := range out {
		maps.Copy(s, own)
	}
	return out
}

// agentSends are the series that a Prometheus sends of a page. Since version 3 it writes le and quantile as OpenMetrics does.
func agentSends(page []map[string]string, own map[string]string, honor, openMetrics bool) (out []map[string]string) {
	for _, name := range []string{"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"} {
		s := maps.Clone(own)
		s["__name__"] = name
		out = append(out, s)
	}
	for _, s := range page {
		for name, value := range own {
			if theirs, ok := s[name]; ok && honor {
				continue
			} else if ok {
				s["exported_"+name] = theirs
			}
			s[name] = value
		}
		for _, name := range []string{"le", "quantile"} {
			if v := s[name]; openMetrics && v != "" && !strings.ContainsAny(v, ".eIN") {
				s[name] = v + ".0"
			}
		}
		out = append(out, s)
	}
	return out
}
