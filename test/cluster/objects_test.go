//go:build linux

package cluster_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

// Manifests with NS, NAME, ADDRESS and others to be filled in. Kinds that belong together share NS and NAME.
const (
	namespaceOf = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`
	serviceOf = `
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NS, labels: {app: NAME}}
spec: {clusterIP: None, ports: [{name: metrics, port: 9090}]}
`
	sliceOf = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME, namespace: NS, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
ports: [{name: metrics, port: 9090}]
endpoints: [{addresses: [ADDRESS]}]
`
	podSliceOf = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME, namespace: NS, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
ports: [{name: metrics, port: 9090}]
endpoints: [{addresses: [ADDRESS], targetRef: {kind: Pod, name: NAME, namespace: NS}}]
`
	podOf = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: NS, labels: {app: NAME, release: "RELEASE"}}
spec: {containers: [{name: app, image: none, ports: [{name: metrics, containerPort: 9090}]}]}
`
	monitorOf = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: NAME, namespace: NS}
spec:
  selector: {matchLabels: {app: NAME}}
  podTargetLabels: [release]
  endpoints: [{port: metrics}]
`
	podMonitorOf = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: NAME, namespace: NS}
spec:
  selector: {matchLabels: {app: NAME}}
  podMetricsEndpoints: [{port: metrics}]
`
	probeOf = `
apiVersion: monitoring.coreos.com/v1
kind: Probe
metadata: {name: NAME, namespace: NS}
spec:
  prober: {url: "ADDRESS:9090"}
  targets: {staticConfig: {static: [page.example]}}
`
	scrapeConfigOf = `
apiVersion: monitoring.coreos.com/v1alpha1
kind: ScrapeConfig
metadata: {name: NAME, namespace: NS}
spec: {staticConfigs: [{targets: ["ADDRESS:9090"]}]}
`
	secretOf = `
apiVersion: v1
kind: Secret
metadata: {name: NAME, namespace: NS}
stringData: {user: u, password: PASSWORD}
`
	authMonitorOf = `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: NAME, namespace: NS}
spec:
  selector: {matchLabels: {app: NAME}}
  endpoints:
  - port: metrics
    basicAuth: {username: {name: NAME, key: user}, password: {name: NAME, key: password}}
`
)

// fill puts values in the place of words.
func fill(manifest string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(manifest)
}

// app is a Service with its EndpointSlice and its ServiceMonitor, in a Namespace.
func app(namespace, name, ip string) string {
	return fill(strings.Join([]string{namespaceOf, serviceOf, sliceOf, monitorOf}, "---"), "NS", namespace, "NAME", name, "ADDRESS", ip)
}

// authApp is an app that wants a password, with the Secret that holds it.
func authApp(namespace, name, ip, password string) string {
	return fill(strings.Join([]string{namespaceOf, serviceOf, sliceOf, secretOf, authMonitorOf}, "---"),
		"NS", namespace, "NAME", name, "ADDRESS", ip, "PASSWORD", password)
}

// jobOf names the job of an app.
func jobOf(namespace, name string) string { return "serviceMonitor/" + namespace + "/" + name + "/0" }

// runPod says that a Pod runs at an address, as its kubelet would.
func runPod(t *testing.T, c *cluster.Cluster, namespace, name, ip string) {
	t.Helper()
	pods := c.Client().CoreV1().Pods(namespace)
	pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	if err == nil {
		pod.Status.Phase, pod.Status.PodIP = "Running", ip
		_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("run pod %s/%s: %v", namespace, name, err)
	}
}
