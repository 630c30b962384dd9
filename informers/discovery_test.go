package informers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	config_util "github.com/prometheus/common/config"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"promrelay/config"
	"promrelay/informers/manifests"
	"promrelay/targets"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

// world is a Discovery on a directory of manifests, with its reported changes.
type world struct {
	t    *testing.T
	dir  string
	d    *Discovery
	stop func()

	before   func(*manifests.Directory) Backend
	hurried  targets.Owner // see hurry
	caughtUp int           // calls of catchUp

	mu   sync.Mutex
	live map[string]map[uint64]*targets.Target // by job
}

// newWorld runs a Discovery on a directory with these files.
func newWorld(t *testing.T, cfg string, files map[string]string) *world {
	t.Helper()
	return newWorldOf(t, func(m *manifests.Directory) Backend { return m }, cfg, files)
}

// newWorldOf is newWorld with another Backend before the directory.
func newWorldOf(t *testing.T, before func(*manifests.Directory) Backend, cfg string, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, before: before, dir: t.TempDir(), live: map[string]map[uint64]*targets.Target{}}
	for name, text := range files {
		w.write(name, text)
	}
	w.start(cfg)
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs a Discovery on the directory.
func (w *world) start(cfg string) {
	w.t.Helper()
	c, err := config.Load([]byte("manifests:\n  directory: "+w.dir+"\n"+cfg), w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	logger := zaptest.NewLogger(w.t, zaptest.Level(zap.ErrorLevel))
	m, err := manifests.New(w.dir, logger)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.d, err = New(Options{Backend: w.before(m), Logger: logger, Registerer: prometheus.NewRegistry()}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.d.Apply(c); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.d.Run(ctx, w.sink) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

// directoryOf is a directory with these files.
func directoryOf(t *testing.T, files map[string]string) *manifests.Directory {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	for name, text := range files {
		w.write(name, text)
	}
	m, err := manifests.New(w.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func serviceNamed(name string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop}\n"
}

// restart ends the Discovery and runs another one, which knows nothing of it.
func (w *world) restart(cfg string) {
	w.t.Helper()
	w.stop()
	clear(w.live)
	w.start(cfg)
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	// Written aside and renamed, so that no half of it is read.
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sink(changes []targets.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		if c.Gone {
			delete(w.live, c.Job.Name)
			continue
		}
		if w.live[c.Job.Name] == nil {
			w.live[c.Job.Name] = map[uint64]*targets.Target{}
		}
		for _, t := range c.Removed {
			delete(w.live[c.Job.Name], t.Hash)
		}
		for _, t := range c.Added {
			w.live[c.Job.Name][t.Hash] = t
		}
	}
}

// now returns the targets that are live: a line each, job, URL and labels.
func (w *world) now() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for job, ts := range w.live {
		for _, t := range ts {
			out = append(out, fmt.Sprintf("%s %s %s", job, t.URL, t.Public()))
		}
	}
	slices.Sort(out)
	return out
}

// becomes waits until the targets are the wanted ones.
func (w *world) becomes(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if !w.polls(func() bool { return slices.Equal(w.now(), want) }) {
		w.t.Fatalf("targets are\n%s\nwant\n%s\nmonitors: %v", strings.Join(w.now(), "\n"), strings.Join(want, "\n"), w.d.Monitors())
	}
}

// state waits until a monitor has a state, and a reason that contains a text.
func (w *world) state(owner targets.Owner, state targets.State, reason string) {
	w.t.Helper()
	if !w.polls(func() bool {
		return slices.ContainsFunc(w.d.Monitors(), func(m targets.MonitorStatus) bool {
			return m.Owner == owner && m.State == state && strings.Contains(m.Reason, reason)
		})
	}) {
		w.t.Fatalf("monitors are %+v, want %s %s because of %q", w.d.Monitors(), owner, state, reason)
	}
}

// catchUp waits until all earlier changes of PodMonitors were handled. It writes one that comes after all others.
func (w *world) catchUp() {
	w.t.Helper()
	w.caughtUp++
	name := fmt.Sprintf("zz-%d", w.caughtUp)
	w.write(name+".yaml", "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: "+name+", namespace: shop}\nspec: {selector: {matchLabels: {none: such}}, podMetricsEndpoints: [{port: http}]}\n")
	w.state(targets.Owner{Kind: targets.PodMonitor, Namespace: "shop", Name: name}, targets.Accepted, "")
}

// polls waits until a condition holds, and reports whether it does. Meanwhile a target of w.hurried refuses.
func (w *world) polls(holds func() bool) bool {
	return polls(func() bool {
		if w.hurried != (targets.Owner{}) {
			w.d.Hurry(&targets.Target{Job: &targets.Job{Owner: w.hurried}})
		}
		return holds()
	})
}

// polls waits until a condition holds, and reports whether it does.
func polls(holds func() bool) bool {
	deadline := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); !holds(); {
		select {
		case <-tick:
		case <-deadline:
			return false
		}
	}
	return true
}

// within waits until a condition holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if !polls(holds) {
		t.Fatalf("not so within 20 s: %s", what)
	}
}

const (
	serviceYAML = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web, team: blue}}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
`
	sliceYAML = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.1], conditions: {ready: true}, nodeName: n1, targetRef: {kind: Pod, namespace: shop, name: web-a}}
`
	podYAML = `
apiVersion: v1
kind: Pod
metadata: {name: web-a, namespace: shop, uid: u1, labels: {app: web, track: TRACK}}
spec: {nodeName: n1, containers: [{name: web, image: web, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.1.0.1, hostIP: 10.9.0.1}
`
	nodeYAML = `
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: z1}}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  daemonEndpoints: {kubeletEndpoint: {Port: 10250}}
`
	monitorYAML = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  podTargetLabels: [track]
  endpoints: [{port: http}]
`
)

func pod(track string) string { return strings.ReplaceAll(podYAML, "TRACK", track) }

func webTarget(extra string) string {
	return `serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {container="web", endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", pod="web-a", service="web"` + extra + `}`
}

func TestObjectsBecomeTargetsAndFollowThem(t *testing.T) {
	w := newWorld(t, "monitors: {}\n", map[string]string{"all.yaml": strings.Join([]string{serviceYAML, sliceYAML, pod("stable"), monitorYAML}, "---")})
	w.becomes(webTarget(`, track="stable"`))
	// A changed pod label, though the slice stays as it is.
	w.write("all.yaml", strings.Join([]string{serviceYAML, sliceYAML, pod("canary"), monitorYAML}, "---"))
	w.becomes(webTarget(`, track="canary"`))
	// The pod goes: its slice is still there, without the pod's labels.
	w.write("all.yaml", strings.Join([]string{serviceYAML, sliceYAML, monitorYAML}, "---"))
	w.becomes(`serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", service="web"}`)
	// And comes after its slice.
	w.write("pod.yaml", pod("late"))
	w.becomes(webTarget(`, track="late"`))
	// A service that the monitor does not select any more.
	w.write("all.yaml", strings.Join([]string{strings.ReplaceAll(serviceYAML, "app: web", "app: other"), sliceYAML, monitorYAML}, "---"))
	w.becomes()
	w.write("all.yaml", strings.Join([]string{serviceYAML, sliceYAML, monitorYAML}, "---"))
	w.becomes(webTarget(`, track="late"`))
	// A second monitor, for which nothing but itself has changed.
	w.write("sub/second.yaml", strings.ReplaceAll(monitorYAML, "name: web", "name: second"))
	w.becomes(webTarget(`, track="late"`), strings.ReplaceAll(webTarget(`, track="late"`), "serviceMonitor/shop/web/0", "serviceMonitor/shop/second/0"))
	w.remove("sub/second.yaml")
	w.becomes(webTarget(`, track="late"`))
	w.remove("all.yaml")
	w.becomes()
}

func TestNodesAndTheirLabels(t *testing.T) {
	w := newWorld(t, `
monitors: {}
nodes:
  probes: {enabled: false}
`, map[string]string{"node.yaml": nodeYAML, "rest.yaml": strings.Join([]string{serviceYAML, sliceYAML, `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  attachMetadata: {node: true}
  endpoints: [{port: http, relabelings: [{sourceLabels: [__meta_kubernetes_node_label_zone], targetLabel: zone}]}]
`}, "---")})
	kubelet := func(job, path string) string {
		return `nodes/` + job + ` https://127.0.0.1:10250` + path + ` {endpoint="https-metrics", instance="127.0.0.1:10250", job="kubelet", metrics_path="` + path + `", namespace="kube-system", node="n1", service="kubelet"}`
	}
	proxy := `nodes/kube-proxy http://127.0.0.1:10249/metrics {endpoint="metrics", instance="127.0.0.1:10249", job="kube-proxy", namespace="kube-system", node="n1", service="kube-proxy"}`
	web := func(zone string) string {
		return `serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", service="web", zone="` + zone + `"}`
	}
	w.becomes(kubelet("cadvisor", "/metrics/cadvisor"), kubelet("kubelet", "/metrics"), proxy, web("z1"))
	w.write("node.yaml", strings.ReplaceAll(nodeYAML, "z1", "z2"))
	w.becomes(kubelet("cadvisor", "/metrics/cadvisor"), kubelet("kubelet", "/metrics"), proxy, web("z2"))
}

const secured = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  podMetricsEndpoints: [{port: http, authorization: {credentials: {name: token, key: t}}}]
`

func TestSecretsAreReadByName(t *testing.T) {
	w := newWorld(t, "monitors: {}\n", map[string]string{"pod.yaml": pod("x"), "monitor.yaml": secured})
	api := targets.Owner{Kind: targets.PodMonitor, Namespace: "shop", Name: "api"}
	w.state(api, targets.Rejected, `Secret shop/token, key "t": there is none of this name`)
	w.becomes()
	w.write("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {other: x}\n")
	w.hurry(api)
	w.state(api, targets.Rejected, `it has no such key, only ["other"]`)
	w.write("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {t: abc}\n")
	w.hurry(api)
	w.state(api, targets.Accepted, "")
	line := `podMonitor/shop/api/0 http://10.1.0.1:8080/metrics {container="web", endpoint="http", instance="10.1.0.1:8080", job="shop/api", namespace="shop", pod="web-a"}`
	w.becomes(line)
	w.credentials("podMonitor/shop/api/0", "abc")
	w.write("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: shop}\nstringData: {t: rotated}\n")
	w.hurry(api)
	w.becomes(line)
	w.credentials("podMonitor/shop/api/0", "rotated")
}

// hurry does what a target of a monitor does that refuses its credentials: during each later poll, until another one is hurried.
func (w *world) hurry(owner targets.Owner) { w.hurried = owner }

// credentials waits until a job's targets are scraped with these.
func (w *world) credentials(job, want string) {
	w.t.Helper()
	var got config_util.Secret
	if !w.polls(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = ""
		for t := range maps.Values(w.live[job]) {
			got = t.Job.Config.HTTPClientConfig.Authorization.Credentials
		}
		return string(got) == want
	}) {
		w.t.Fatalf("credentials of %s are %q, want %q", job, got, want)
	}
}

func TestABadMonitorCostsOnlyItself(t *testing.T) {
	bad := strings.ReplaceAll(strings.ReplaceAll(monitorYAML, "name: web,", "name: bad,"), "[{port: http}]", "[{port: 'http('}]")
	w := newWorld(t, "monitors: {}\n", map[string]string{
		"good.yaml": strings.Join([]string{serviceYAML, sliceYAML, monitorYAML}, "---"),
		"bad.yaml":  bad,
		"torn.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: [",
	})
	target := `serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", service="web"}`
	w.becomes(target)
	w.state(targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "bad"}, targets.Rejected, "endpoints[0]: port: error parsing regexp: missing closing )")
	problems := w.d.backend.(*manifests.Directory).Problems()
	if len(problems) != 1 || !strings.Contains(problems[0], "torn.yaml: line 3: yaml") {
		t.Errorf("problems are %q, want one with torn.yaml and line 3", problems)
	}
	// If a file breaks while it is edited, its last objects stay in use.
	w.write("good.yaml", serviceYAML+"---\n{{{")
	within(t, "the broken file is read", func() bool { return len(w.d.backend.(*manifests.Directory).Problems()) == 2 })
	w.becomes(target)
}

func TestSelectionOfMonitors(t *testing.T) {
	w := newWorld(t, `
monitors:
  serviceMonitorSelector: {matchLabels: {team: blue}}
  serviceMonitorNamespaceSelector: {matchLabels: {monitored: "yes"}}
`, map[string]string{
		"all.yaml": strings.Join([]string{serviceYAML, sliceYAML, monitorYAML}, "---"),
		"ns.yaml":  "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
	})
	web := targets.Owner{Kind: targets.ServiceMonitor, Namespace: "shop", Name: "web"}
	w.state(web, targets.Unselected, `its labels do not match monitors.serviceMonitorSelector "team=blue": it has no label team`)
	w.write("all.yaml", strings.Join([]string{serviceYAML, sliceYAML, strings.ReplaceAll(monitorYAML, "namespace: shop}", "namespace: shop, labels: {team: blue}}")}, "---"))
	w.state(web, targets.Unselected, `the labels of namespace shop do not match`)
	w.write("ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {monitored: \"yes\"}}\n")
	w.state(web, targets.Accepted, "")
	w.becomes(`serviceMonitor/shop/web/0 http://10.1.0.1:8080/metrics {endpoint="http", instance="10.1.0.1:8080", job="web", namespace="shop", service="web"}`)
}

func TestScrapeConfigs(t *testing.T) {
	cfg := `
scrape_configs:
- job_name: static
  static_configs: [{targets: [127.0.0.1:1], labels: {a: b}}, {targets: [127.0.0.1:2]}]
- job_name: file
  file_sd_configs: [{files: [sd.json]}]
- job_name: pods
  kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop]}, selectors: [{role: pod, label: "track=stable"}]}]
`
	w := newWorld(t, cfg, map[string]string{"pod.yaml": pod("stable"), "sd.json": `[{"targets": ["127.0.0.1:3"]}]`})
	static := []string{
		`static http://127.0.0.1:1/metrics {a="b", instance="127.0.0.1:1", job="static"}`,
		`static http://127.0.0.1:2/metrics {instance="127.0.0.1:2", job="static"}`,
	}
	file := func(port string) string {
		return `file http://127.0.0.1:` + port + `/metrics {instance="127.0.0.1:` + port + `", job="file"}`
	}
	onPod := `pods http://10.1.0.1:8080/metrics {instance="10.1.0.1:8080", job="pods"}`
	w.becomes(append(static, file("3"), onPod)...)
	w.write("sd.json", `[{"targets": ["127.0.0.1:4"]}]`)
	w.becomes(append(static, file("4"), onPod)...)
	w.write("pod.yaml", pod("canary"))
	w.becomes(append(static, file("4"))...)
	// Another configuration: jobs go, come, and change.
	c, err := config.Load([]byte("manifests:\n  directory: "+w.dir+`
scrape_configs:
- job_name: static
  metrics_path: /other
  static_configs: [{targets: [127.0.0.1:1]}]
- job_name: file
  file_sd_configs: [{files: [sd.json]}]
  relabel_configs: [{target_label: x, replacement: y}]
`), w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.d.Apply(c); err != nil {
		t.Fatal(err)
	}
	w.becomes(`static http://127.0.0.1:1/other {instance="127.0.0.1:1", job="static"}`,
		`file http://127.0.0.1:4/metrics {instance="127.0.0.1:4", job="file", x="y"}`)
}
