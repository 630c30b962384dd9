package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNodeName: a wrong name never makes a central relay of a DaemonSet's pod.
func TestNodeName(t *testing.T) {
	for name, want := range map[string]string{
		"":             "--kubernetes.node-name is empty: want the metadata.name of a Node; in a DaemonSet set the environment variable NODE_NAME",
		"$(NODE_NAME)": "--kubernetes.node-name=$(NODE_NAME): the container has no such environment variable",
		"Node 1":       "--kubernetes.node-name=Node 1: no Node can have this name",
	} {
		if err := (nodeName{Name: name, Given: true}).check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
	for _, good := range []nodeName{{}, {Name: "ip-10-0-0-1.ec2.internal", Given: true}} {
		if err := good.check(); err != nil {
			t.Error(err)
		}
	}
	out, err := exec.Command(built(t), "run", "--kubernetes.node-name=").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--kubernetes.node-name is empty") {
		t.Errorf("got %v, %s", err, out)
	}
}

// TestAnnotationsDocument runs the command of docs/annotations.md with its configuration.
func TestAnnotationsDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "annotations.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	command := regexp.MustCompile(`(?m)^promrelay (.*)$`).FindStringSubmatch(string(text))
	if block == nil || command == nil {
		t.Fatal("the document has no configuration or no command")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"promrelay.yml": string(block[1]), "manifests.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, annotations: {prometheus.io/scrape: "true", prometheus.io/port: "9090"}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop, annotations: {prometheus.io/scrape: "true", prometheus.io/port: "http"}}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Running, podIP: 10.0.0.2}
`} {
		if err := os.MkdirAll(filepath.Join(dir, "manifests"), 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".yaml" {
			name = filepath.Join("manifests", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(built(t), strings.Fields(command[1])...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"http://10.0.0.1:9090/metrics", `the annotation prometheus.io/port is "http": want a number from 1 to 65535`} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s\nwant %s", err, out, want)
		}
	}
}

// TestNodeModeDocument runs the commands of docs/node-mode.md with its configuration: each of two Pods is in the half of its Node.
func TestNodeModeDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "node-mode.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	commands := regexp.MustCompile(`(?m)^promrelay (.*)$`).FindAllStringSubmatch(string(text), -1)
	if block == nil || len(commands) != 2 {
		t.Fatalf("%d commands, configuration %q", len(commands), block)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"promrelay.yml": string(block[1]), "manifests/all.yaml": `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: web, namespace: shop}
spec: {selector: {}, podMetricsEndpoints: [{port: web}]}
---
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {kubernetes.io/os: linux}}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: fargate-1, labels: {kubernetes.io/os: linux, eks.amazonaws.com/compute-type: fargate}}
status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop}
spec: {nodeName: node-1, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop}
spec: {nodeName: fargate-1, containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}
status: {phase: Running, podIP: 10.0.0.2}
`} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range [][2]string{{"http://10.0.0.2:80/metrics", "http://10.0.0.1:80/metrics"}, {"http://10.0.0.1:80/metrics", "http://10.0.0.2:80/metrics"}} {
		cmd := exec.Command(built(t), strings.Fields(commands[i][1])...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want[0]) || strings.Contains(string(out), want[1]) {
			t.Errorf("%s: %v\n%s\nwant %s and not %s", commands[i][0], err, out, want[0], want[1])
		}
	}
}
