//go:build linux

package cluster_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"promrelay/test/cluster"
	fake "promrelay/test/receiver"
)

const shippedChart = "../../deploy/helm/promrelay"

// helm runs helm as the administrator of a cluster.
func helm(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	cmd := exec.Command(cluster.Path(t, "helm"), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "KUBECONFIG="+c.Kubeconfig(t, "helm", "system:masters"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm %q: %v\n%s%s", args, err, out, &errs)
	}
	return string(out)
}

// TestChartIsTaken renders the chart with each of its files of values. The API server takes every object as it is, without an unknown
// field, and "promrelay check" the configuration.
func TestChartIsTaken(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	files, err := filepath.Glob(filepath.Join(shippedChart, "ci", "*-values.yaml"))
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	c.Apply(t, fill(namespaceOf, "NS", "promrelay"), fill(namespaceOf, "NS", "shop"), fill(namespaceOf, "NS", "billing"))
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), "-values.yaml"), func(t *testing.T) {
			text := helm(t, c, "template", "promrelay", shippedChart, "--namespace=promrelay", "--values="+file,
				"--api-versions=monitoring.coreos.com/v1/ServiceMonitor")
			if err := c.Validate(text); err != nil {
				t.Error(err)
			}
			checkRendered(t, text)
		})
	}
	// The test can fail.
	if err := c.Validate(strings.Replace(fill(serviceOf, "NS", "shop", "NAME", "x"), "spec:", "spce: {}\nspec:", 1)); err == nil || !strings.Contains(err.Error(), "spce") {
		t.Errorf("an object with an unknown field: %v", err)
	}
}

// checkRendered runs "promrelay check" on the configuration among rendered objects.
func checkRendered(t *testing.T, text string) {
	t.Helper()
	n := 0
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var o struct {
			Kind             string
			Data, StringData map[string]string
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		for _, config := range []string{o.Data["promrelay.yml"], o.StringData["promrelay.yml"]} {
			if config == "" {
				continue
			}
			n++
			file := filepath.Join(t.TempDir(), "promrelay.yml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(cluster.Path(t, "promrelay"), "check", "--strict", "--no-files", "--config.file="+file).CombinedOutput(); err != nil {
				t.Errorf("promrelay check: %v\n%s\n%s", err, out, config)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d configurations were rendered", n)
	}
}

// TestChartInstalled installs the chart with helm on a cluster that has no CRDs, and runs the command of its pod with its configuration
// and its role: it is ready. Then the chart brings the CRDs, and monitors count, without a new pod. A restart costs little, and what the
// role does not allow is forbidden.
func TestChartInstalled(t *testing.T) {
	e, locked := startExporter(t, 7000), startExporter(t, 7001)
	locked.demand("secret")
	c := cluster.Start(t, cluster.Options{NoCRDs: true, Audit: true})
	c.Apply(t, fill(namespaceOf, "NS", "shop"))
	to := startReceiver(t)
	args := []string{
		"promrelay", shippedChart, "--namespace=promrelay", "--create-namespace", "--set=cluster=prod-1,image.repository=promrelay",
		"--set=remoteWrite[0].url=" + to.URL(), "--set=secretsNamespaces={shop}", "--set=config.global.scrape_interval=1s",
	}
	notes := helm(t, c, append([]string{"install"}, args...)...)
	for _, want := range []string{"This cluster has no CRDs of monitors", "port-forward --namespace=promrelay promrelay-0 9099"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes lack %q:\n%s", want, notes)
		}
	}
	p := newPod(t, c, "promrelay", installed(t, c), "")
	p.start(t)
	p.relay.isUp(t, 10*time.Second, "promrelay") // itself
	p.relay.shows(t, 5*time.Second, "servicemonitors: the CRD servicemonitors.monitoring.coreos.com is not installed")

	helm(t, c, append([]string{"upgrade", "--set=crds.enabled=true"}, args...)...)
	c.AwaitCRDs(t, cluster.MonitorCRDs...)
	c.Apply(t, app("shop", "app", e.ip), authApp("shop", "auth", locked.ip, "secret"))
	p.relay.isUp(t, kindLimit, jobOf("shop", "app"), "instance", e.instance())
	p.relay.isUp(t, kindLimit, jobOf("shop", "auth"), "instance", locked.instance())

	testsItself(t, c, p)
	restartsPod(t, p, to, e)
	onlyItsRole(t, c, p)
	p.stop(t)
	helm(t, c, "uninstall", "promrelay", "--namespace=promrelay")
	if _, err := c.Client().AppsV1().StatefulSets("promrelay").Get(t.Context(), "promrelay", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the StatefulSet: %v", err)
	}
	if _, err := c.Dynamic().Resource(serviceMonitors).Namespace("shop").Get(t.Context(), "app", metav1.GetOptions{}); err != nil {
		t.Errorf("the monitors went with the chart: %v", err)
	}
}

// testsItself runs the pod of "helm test" while the relay runs, and while it does not.
func testsItself(t *testing.T, c *cluster.Cluster, p *pod) {
	t.Helper()
	var hook corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(helm(t, c, "get", "hooks", "promrelay", "--namespace=promrelay")), &hook); err != nil {
		t.Fatal(err)
	}
	test := newPod(t, c, "promrelay", hook.Spec, "")
	if out, err := test.run(t); err != nil || !strings.Contains(out, "shop/app") {
		t.Errorf("the pod of helm test: %v\n%s", err, out)
	}
	p.stop(t)
	if out, err := test.run(t); err == nil || !strings.Contains(out, "connection refused") {
		t.Errorf("the pod of helm test, without a relay: %v\n%s", err, out)
	}
	p.start(t)
}

// onlyItsRole demands that nothing was forbidden to the relay that it wanted, and that what it has no need of is forbidden.
func onlyItsRole(t *testing.T, c *cluster.Cluster, p *pod) {
	t.Helper()
	onlyForbidden(t, c, relayUser)
	token, err := os.ReadFile(filepath.Join(p.root, "var/run/secrets/kubernetes.io/serviceaccount/token"))
	if err != nil {
		t.Fatal(err)
	}
	config := c.AdminConfig()
	config.CertData, config.KeyData, config.BearerToken = nil, nil, string(token)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	who, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || who.Status.UserInfo.Username != relayUser {
		t.Fatalf("the token is of %v (%v)", who, err)
	}
	if _, err := client.CoreV1().Secrets("shop").Get(ctx, "auth", metav1.GetOptions{}); err != nil {
		t.Errorf("get a Secret of secretsNamespaces: %v", err)
	}
	for what, call := range map[string]func() error{
		"list Secrets of secretsNamespaces": func() error { _, err := client.CoreV1().Secrets("shop").List(ctx, metav1.ListOptions{}); return err },
		"get a Secret elsewhere": func() error {
			_, err := client.CoreV1().Secrets("default").Get(ctx, "x", metav1.GetOptions{})
			return err
		},
		"get a ConfigMap elsewhere": func() error {
			_, err := client.CoreV1().ConfigMaps("promrelay").Get(ctx, "promrelay", metav1.GetOptions{})
			return err
		},
		"make a Pod": func() error {
			_, err := client.CoreV1().Pods("promrelay").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			return err
		},
		"list Deployments": func() error { _, err := client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{}); return err },
		"get a Node":       func() error { _, err := client.CoreV1().Nodes().Get(ctx, "x", metav1.GetOptions{}); return err },
	} {
		if err := call(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want forbidden", what, err)
		}
	}
}

// installed returns the pod of the StatefulSet that the chart has made.
func installed(t *testing.T, c *cluster.Cluster) corev1.PodSpec {
	t.Helper()
	set, err := c.Client().AppsV1().StatefulSets("promrelay").Get(t.Context(), "promrelay", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return set.Spec.Template.Spec
}

// restartsPod stops the pod and starts it again, as the rolling update of a StatefulSet does. No page that was scraped is lost.
func restartsPod(t *testing.T, p *pod, to *fake.Server, e *exporter) {
	t.Helper()
	began := time.Now()
	p.stop(t)
	stopped := time.Now()
	e.mu.Lock()
	before := e.scrapes
	e.mu.Unlock()
	p.start(t)
	t.Logf("stopped in %s, ready again after %s", stopped.Sub(began).Round(time.Millisecond), time.Since(stopped).Round(time.Millisecond))
	values := func() []fake.StoredSeries {
		return to.Select("__name__", "app_scrapes_total", "instance", e.instance())
	}
	cluster.WaitFor(t, "pages of after the restart", 15*time.Second, func() error {
		if all := values(); len(all) != 1 || all[0].Samples[len(all[0].Samples)-1].Value < float64(before+3) {
			return fmt.Errorf("%v", all)
		}
		return nil
	})
	one := values()[0]
	missing, last := 0.0, 0.0
	for i, s := range one.Samples {
		if s.Value <= last {
			t.Fatalf("sample %d is page %v, after page %v", i+1, s.Value, last)
		}
		missing, last = missing+s.Value-last-1, s.Value
	}
	if missing > 2 { // the page that is being read at each stop
		t.Errorf("%v pages were lost", missing)
	}
	t.Logf("longest gap between samples: %s, with targets that are scraped each %s", longestGap(one), interval)
	if gap := longestGap(one); gap > 5*time.Second {
		t.Errorf("the gap is %s", gap)
	}
}

// TestChartNodeMode installs the chart with nodeMode.enabled, and runs the pods of its StatefulSet and its DaemonSet: each scrapes its
// half, and neither is refused anything.
func TestChartNodeMode(t *testing.T) {
	onNode, elsewhere := startExporter(t, 7100), startExporter(t, 7101)
	c := cluster.Start(t, cluster.Options{Audit: true})
	to := startReceiver(t)
	c.Apply(t, fill(namespaceOf, "NS", "shop"))
	for node, e := range map[string]*exporter{"node-1": onNode, "fargate-1": elsewhere} {
		c.Apply(t, fill(`
apiVersion: v1
kind: Node
metadata: {name: NODE, labels: {kubernetes.io/os: linux, eks.amazonaws.com/compute-type: TYPE}}
`, "NODE", node, "TYPE", strings.TrimSuffix(node, "-1")),
			fill(strings.Replace(podOf, "spec: {", "spec: {nodeName: "+node+", ", 1), "NS", "shop", "NAME", node, "RELEASE", "a"),
			fill(podMonitorOf, "NS", "shop", "NAME", node))
		runPod(t, c, "shop", node, e.ip)
	}
	helm(t, c, "install", "promrelay", shippedChart, "--namespace=promrelay", "--create-namespace", "--set=cluster=prod-1,image.repository=promrelay",
		"--set=remoteWrite[0].url="+to.URL(), "--set=config.global.scrape_interval=1s", "--set=nodeMode.enabled=true,nodeMode.port=9199")
	set, err := c.Client().AppsV1().DaemonSets("promrelay").Get(t.Context(), "promrelay-node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	central := newPod(t, c, "promrelay", installed(t, c), "")
	node := newPod(t, c, "promrelay", set.Spec.Template.Spec, "node-1")
	central.start(t)
	node.start(t)
	for name, half := range map[string]struct {
		relay       *pod
		has, hasNot string
	}{"central": {central, "fargate-1", "node-1"}, "node": {node, "node-1", "fargate-1"}} {
		half.relay.relay.isUp(t, 15*time.Second, "podMonitor/shop/"+half.has+"/0")
		if all := half.relay.relay.targets(t, "podMonitor/shop/"+half.hasNot+"/0"); len(all) > 0 {
			t.Errorf("%s scrapes %v, too", name, all)
		}
	}
	onlyForbidden(t, c, relayUser)
	onlyForbidden(t, c, relayUser+"-node")
	node.stop(t)
	central.stop(t)
}
