package informers

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"promrelay/targets"
)

// chartJob is a job of Prometheus's Helm chart, with the names of its objects in place of ROLE and its name in place of NAME.
const chartJob = `
- job_name: kubernetes-NAME
  honor_labels: true
  kubernetes_sd_configs: [{role: DISCOVERY}]
  relabel_configs:
  - {action: keep, source_labels: [__meta_kubernetes_ROLE_annotation_prometheus_io_scrape], regex: true}
  - {action: drop, source_labels: [__meta_kubernetes_ROLE_annotation_prometheus_io_scrape_slow], regex: true}
  - {source_labels: [__meta_kubernetes_ROLE_annotation_prometheus_io_scheme], regex: '(https?)', target_label: __scheme__}
  - {source_labels: [__meta_kubernetes_ROLE_annotation_prometheus_io_path], regex: (.+), target_label: __metrics_path__}
`

const chartRest = `  - {action: labelmap, regex: __meta_kubernetes_ROLE_annotation_prometheus_io_param_(.+), replacement: __param_$1}
  - {action: labelmap, regex: __meta_kubernetes_ROLE_label_(.+)}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_ROLE_name], target_label: ROLE}
  - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
`

const chartService = `  - {source_labels: [__address__, __meta_kubernetes_service_annotation_prometheus_io_port], target_label: __address__, regex: '(.+?)(?::\d+)?;(\d+)', replacement: '$1:$2'}
`

const chartPod = `  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip], regex: '(\d+);(([A-Fa-f0-9]{1,4}::?){1,7}[A-Fa-f0-9]{1,4})', replacement: '[$2]:$1', target_label: __address__}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip], regex: '(\d+);((([0-9]+?)(\.|$)){4})', replacement: '$2:$1', target_label: __address__}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: Pending|Succeeded|Failed|Completed, action: drop}
`

// chart is the configuration of the chart's jobs, also the slow ones.
func chart() string {
	services := strings.NewReplacer("ROLE", "service", "DISCOVERY", "endpointslice", "NAME", "service-endpoints")
	pods := strings.NewReplacer("ROLE", "pod", "DISCOVERY", "pod", "NAME", "pods")
	fast := services.Replace(chartJob+chartService+chartRest) + pods.Replace(chartJob+chartPod+chartRest)
	slow := regexp.MustCompile(`job_name: (\S+)`).ReplaceAllString(fast, "job_name: $1-slow\n  scrape_interval: 5m\n  scrape_timeout: 30s")
	slow = regexp.MustCompile(`(?m)^.*_scrape\], regex: true}\n`).ReplaceAllString(slow, "")
	return "global: {scrape_interval: 30s}\nscrape_configs:" + fast + strings.ReplaceAll(slow, "action: drop, source_labels: [__meta_kubernetes_", "action: keep, source_labels: [__meta_kubernetes_")
}

// annotatedObjects makes random Services with their slices and Pods.
func annotatedObjects(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	annotations := func() string {
		out := "prometheus.io/scrape: " + pick(`"true"`, `"true"`, `"false"`, `"True"`)
		for key, value := range map[string]string{
			"port": pick("8080", "9090", "http", "70000"), "path": pick("/stats", "stats", "/a/b"), "scheme": pick("https", "http", "ftp"),
			"param_module": pick("x", "y"), "scrape-slow": pick("true", "false"),
		} {
			if r.IntN(3) == 0 {
				out += fmt.Sprintf(", prometheus.io/%s: %q", key, value)
			}
		}
		if r.IntN(4) == 0 {
			return "{}"
		}
		return "{" + out + "}"
	}
	var all strings.Builder
	for i := range 30 {
		ip := pick("10.0.0."+strconv.Itoa(i+1), "fd00::"+strconv.Itoa(i+1))
		family := "IPv4"
		if strings.Contains(ip, ":") {
			family = "IPv6"
		}
		ofService, ofPod := annotations(), annotations()
		if r.IntN(2) == 0 {
			ofPod = ofService
		}
		fmt.Fprintf(&all, "apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: shop, labels: {app: a%d, %s: x}, annotations: %s}\nspec: {ports: [{name: web, port: 80}]}\n---\n", i, i, pick("job", "tier", "a.b"), ofService)
		if r.IntN(5) > 0 {
			fmt.Fprintf(&all, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%d-1, namespace: shop, labels: {kubernetes.io/service-name: s%d}}\naddressType: %s\n"+
				"ports: [{name: web, port: 8080}, {name: admin, port: 9000}]\nendpoints: [{addresses: ['%s'], targetRef: {kind: Pod, name: p%d, namespace: shop}}]\n---\n", i, i, family, ip, i)
		}
		fmt.Fprintf(&all, "apiVersion: v1\nkind: Pod\nmetadata: {name: p%d, namespace: shop, labels: {app: a%d}, annotations: %s}\nspec: {nodeName: n%d, containers: [{name: c, ports: [%s]}]}\nstatus: {phase: %s, podIP: '%s'}\n---\n",
			i, i, ofPod, i%3, pick("", "{name: web, containerPort: 8080}", "{name: web, containerPort: 8080}, {containerPort: 9000}"), pick("Running", "Running", "Pending", "Failed"), ip)
	}
	return all.String()
}

// shown are the targets of a Discovery: URL, interval and labels.
func shown(d *Discovery) map[string]*targets.Target {
	out := map[string]*targets.Target{}
	for _, m := range d.Monitors() {
		for _, j := range m.Jobs {
			for _, t := range d.Targets(j.Job.Name) {
				out[fmt.Sprint(t.URL, " ", t.Interval, t.Timeout, t.Public())] = t
			}
		}
	}
	return out
}

// TestAnnotationsAreThoseOfTheChart compares the block with the chart's jobs, which Prometheus's own relabelling makes targets of. Two
// differences are wanted: a page is scraped once, and an object with a port or scheme of no meaning is not scraped.
func TestAnnotationsAreThoseOfTheChart(t *testing.T) {
	meaningless := regexp.MustCompile(`annotation_prometheus_io_(port="(http|70000)"|scheme="ftp")`)
	count := map[string]int{}
	for seed := range uint64(6) {
		w := newWorld(t, "", map[string]string{"all.yaml": annotatedObjects(rand.New(rand.NewPCG(seed, 1)))})
		theirs, ours := shown(w.relayOf(chart(), "")), shown(w.relayOf("global: {scrape_interval: 30s}\nannotations: {}\n", ""))
		urls := map[string]bool{}
		for key, x := range ours {
			if theirs[key] == nil {
				t.Errorf("seed %d: the chart does not have %s", seed, key)
			}
			if urls[x.URL] {
				t.Errorf("seed %d: %s is scraped twice", seed, x.URL)
			}
			urls[x.URL] = true
			count[x.Labels.Get("job")]++
		}
		for key, x := range theirs {
			switch object := meaningless.MatchString(ofItsRole(x)); {
			case object && ours[key] != nil:
				t.Errorf("seed %d: %s is scraped", seed, key)
			case object:
				count["meaningless"]++
			case !urls[x.URL]:
				t.Errorf("seed %d: nobody scrapes %s", seed, key)
			case ours[key] == nil:
				count["twice"]++
			}
		}
	}
	t.Log(count)
	for _, k := range []string{"kubernetes-service-endpoints", "kubernetes-service-endpoints-slow", "kubernetes-pods", "kubernetes-pods-slow", "meaningless", "twice"} {
		if count[k] == 0 {
			t.Errorf("there was no %s", k)
		}
	}
}

// ofItsRole are the discovered labels of a target without those of the Pod behind a Service.
func ofItsRole(x *targets.Target) string {
	text := x.Discovered().String()
	if strings.Contains(text, "__meta_kubernetes_service_name") {
		text = regexp.MustCompile(`__meta_kubernetes_pod_\w+="[^"]*"`).ReplaceAllString(text, "")
	}
	return text
}

const annotatedShop = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {ANNOTATIONS}}
spec: {ports: [{name: web, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: web, port: 8080}]
endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p, namespace: shop}}]
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: infra, annotations: {prometheus.io/scrape: "true"}}
spec: {ports: [{name: web, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other-1, namespace: infra, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
ports: [{name: web, port: 8080}]
endpoints: [{addresses: [10.0.0.2]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: infra, labels: {team: b}}
`

// TestAnnotationReasons: an object says why it gives no targets, or what is odd, and the other object is scraped.
func TestAnnotationReasons(t *testing.T) {
	const yes = `prometheus.io/scrape: "true"`
	for name, c := range map[string]struct {
		cfg, annotations, slice string
		urls, says              string
	}{
		"fine":       {annotations: yes, urls: "http://10.0.0.1:8080/metrics http://10.0.0.2:8080/metrics"},
		"port":       {annotations: yes + `, prometheus.io/port: http`, urls: "http://10.0.0.2:8080/metrics", says: `the annotation prometheus.io/port is "http": want a number from 1 to 65535`},
		"large port": {annotations: yes + `, prometheus.io/port: "65536"`, urls: "http://10.0.0.2:8080/metrics", says: `the annotation prometheus.io/port is "65536": want`},
		"scheme":     {annotations: yes + `, prometheus.io/scheme: ftp`, urls: "http://10.0.0.2:8080/metrics", says: `the annotation prometheus.io/scheme is "ftp": want http or https`},
		"path": {
			annotations: yes + `, prometheus.io/path: stats`, urls: "http://10.0.0.1:8080/stats http://10.0.0.2:8080/metrics",
			says: `Service shop/web has the annotation prometheus.io/path: "stats" without a slash: /stats is scraped`,
		},
		"not true":              {annotations: `prometheus.io/scrape: "yes"`, urls: "http://10.0.0.2:8080/metrics", says: `Service shop/web is not scraped: its annotation prometheus.io/scrape is "yes": want "true"`},
		"no Pods":               {annotations: yes, slice: "[]", urls: "http://10.0.0.2:8080/metrics", says: "no targets: EndpointSlice shop/web-1 of Service shop/web is empty"},
		"all":                   {annotations: yes + `, prometheus.io/port: "90", prometheus.io/scheme: https, prometheus.io/path: /x, prometheus.io/param_a: b`, urls: "http://10.0.0.2:8080/metrics https://10.0.0.1:90/x?a=b"},
		"prefix":                {cfg: "{prefix: example.com}", annotations: `example.com/scrape: "true", example.com/port: "91"`, urls: "http://10.0.0.1:91/metrics"},
		"nobody":                {cfg: "{prefix: example.com, pods: false}", annotations: yes, says: `no Service in the cluster has the annotation example.com/scrape: "true"`},
		"one namespace":         {cfg: "{namespaces: [infra]}", annotations: yes, urls: "http://10.0.0.2:8080/metrics"},
		"selected namespaces":   {cfg: "{namespace_selector: team=a}", annotations: yes, urls: "http://10.0.0.1:8080/metrics"},
		"unselected namespaces": {cfg: "{namespace_selector: 'team notin (b)'}", annotations: yes, slice: "[]", says: "no targets: EndpointSlice shop/web-1"},
		"own rules":             {cfg: "{relabel_configs: [{action: drop, source_labels: [service], regex: web}]}", annotations: yes, urls: "http://10.0.0.2:8080/metrics", says: "annotations.relabel_configs[0]: drop where service matches \"web\""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(annotatedShop, "ANNOTATIONS", c.annotations)
			if c.slice != "" {
				text = strings.Replace(text, "endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p, namespace: shop}}]", "endpoints: "+c.slice, 1)
			}
			if c.cfg == "" {
				c.cfg = "{}"
			}
			w := newWorld(t, "", map[string]string{"all.yaml": text})
			d := w.relayOf("annotations: "+c.cfg+"\n", "")
			var urls, says []string
			for _, m := range d.Monitors() {
				says = append(says, m.Why)
				for _, j := range m.Jobs {
					says = append(append(says, j.Notes...), j.Why)
					for _, x := range j.Dropped {
						says = append(says, x.Reason)
					}
					for _, x := range d.Targets(j.Job.Name) {
						urls = append(urls, x.URL)
					}
				}
			}
			slices.Sort(urls)
			if got := strings.Join(urls, " "); got != c.urls {
				t.Errorf("scraped are %q, want %q", got, c.urls)
			}
			if all := strings.Join(says, "\n"); !strings.Contains(all, c.says) || c.says == "" && strings.Contains(all, "shop/web") {
				t.Errorf("it says\n%s\nwant %q", all, c.says)
			}
		})
	}
}

// TestAnnotationsYieldToOthers: what a monitor, a scrape_config or another annotation has is not scraped again, while it has it.
func TestAnnotationsYieldToOthers(t *testing.T) {
	const monitor = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: p, namespace: shop}\nspec: {selector: {}, podMetricsEndpoints: [{port: web}]}\n"
	pod := strings.Replace(podOn("p", "n1", "10.0.0.1"), "namespace: shop", `namespace: shop, annotations: {prometheus.io/scrape: "true"}`, 1)
	pod = strings.ReplaceAll(pod, "containerPort: 80", "containerPort: 8080")
	w := newWorld(t, "", map[string]string{"shop.yaml": strings.ReplaceAll(annotatedShop, "ANNOTATIONS", `prometheus.io/scrape: "true"`), "pod.yaml": pod, "n1.yaml": nodeNamed("n1", "", "192.168.0.1")})
	alone, shared := w.relayOf("annotations: {}\nmonitors: {}\n", ""), w.relayOf("annotations: {}\nmonitors: {}\nnode_mode: {}\n", "")
	jobs := func(d *Discovery) string {
		var out []string
		for _, x := range scraped(d) {
			if strings.HasSuffix(x, "10.0.0.1:8080/metrics") {
				out = append(out, strings.Fields(x)[0])
			}
		}
		return strings.Join(out, " ")
	}
	are := func(d *Discovery, want, reason string) {
		t.Helper()
		if !polls(func() bool { return d.Settled() && jobs(d) == want }) {
			t.Errorf("the page is scraped by %q, want %q", jobs(d), want)
		}
		var all []string
		for _, m := range d.Monitors() {
			for _, j := range m.Jobs {
				for _, x := range j.Dropped {
					all = append(all, x.Reason)
				}
			}
		}
		if !slices.Contains(all, reason) {
			t.Errorf("dropped for %q, want %q", all, reason)
		}
	}
	are(alone, "annotations/service-endpoints", "it is left to annotations/service-endpoints, which scrapes the same page") // and not its Pod's
	w.write("monitor.yaml", monitor)
	const left = "it is left to podMonitor/shop/p/0, which scrapes the same page"
	are(alone, "podMonitor/shop/p/0", left)
	are(shared, "", left) // the relay on n1 scrapes it
	w.remove("monitor.yaml")
	are(alone, "annotations/service-endpoints", "it is left to annotations/service-endpoints, which scrapes the same page")
	are(shared, "annotations/service-endpoints", "it is left to annotations/service-endpoints, which scrapes the same page")
}
