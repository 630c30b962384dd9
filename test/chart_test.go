package test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	chart     = "deploy/helm/promrelay"
	chartMake = "make update-deploy"
)

// helmCommand runs helm as a user does, and returns what it writes to stdout and to stderr.
func helmCommand(t *testing.T, args ...string) (out []byte, errs string, err error) {
	t.Helper()
	cmd := exec.Command(program(t, "helm"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err = cmd.Output()
	return out, stderr.String(), err
}

// helmTemplate renders the chart as the release promrelay of the namespace promrelay.
func helmTemplate(t *testing.T, args ...string) []byte {
	t.Helper()
	out, errs, err := helmCommand(t, append([]string{"template", "promrelay", chartDir(t), "--namespace=promrelay"}, args...)...)
	if err != nil || errs != "" {
		t.Fatalf("helm template %q: %v\n%s", args, err, errs)
	}
	return out
}

func chartDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(repository, chart))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// chartValues are the files of values that all tests of the chart run over, by name.
func chartValues(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir(t), "ci", "*-values.yaml"))
	if err != nil || len(files) < 6 {
		t.Fatalf("only %q, %v", files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		out[strings.TrimSuffix(filepath.Base(f), "-values.yaml")] = f
	}
	return out
}

// kustomizeFiles are the files of deploy/kustomize that the chart's templates make, with the arguments that make them.
var kustomizeFiles = map[string][]string{
	"base/rbac.yaml":        {"--show-only=templates/serviceaccount.yaml", "--show-only=templates/rbac.yaml"},
	"base/service.yaml":     {"--show-only=templates/service.yaml"},
	"base/statefulset.yaml": {"--show-only=templates/statefulset.yaml"},
	"components/network-policy/networkpolicy.yaml": {
		"--show-only=templates/networkpolicy.yaml", "--set=networkPolicy.enabled=true",
	},
	"components/disruption-budget/poddisruptionbudget.yaml": {
		"--show-only=templates/poddisruptionbudget.yaml", "--set=podDisruptionBudget.enabled=true",
	},
	"components/self-monitor/servicemonitor.yaml": {
		"--show-only=templates/servicemonitor.yaml", "--set=selfMonitor=serviceMonitor", "--api-versions=monitoring.coreos.com/v1/ServiceMonitor",
	},
	"components/node-mode/daemonset.yaml":    {"--show-only=templates/daemonset.yaml", "--set=nodeMode.enabled=true"},
	"components/workload-metadata/rbac.yaml": {"--show-only=templates/workload-metadata.yaml", "--set=rbac.workloadMetadata=true"},
	"components/prometheus-agent/rbac.yaml":  {"--show-only=templates/prometheus-agent.yaml", "--set=rbac.prometheusAgent=true"},
	"secrets/rolebinding.yaml":               {"--show-only=templates/rolebindings.yaml", "--set=secretsNamespaces={NAMESPACE}", "--skip-schema-validation"},
	"overlays/confined/rolebindings.yaml": {
		"--show-only=templates/rolebindings.yaml", "--set=namespaces={shop,billing},secretsNamespaces={shop,billing}",
	},
}

// ofHelm is what only Helm needs: where a template comes from, labels of the release, the way for "helm test", the checksum by which a changed block makes a new
// pod, and the namespace that kubectl fills in.
var ofHelm = regexp.MustCompile(`(?m)^# Source: .*\n` +
	`|^ *(app\.kubernetes\.io/(instance|version|managed-by)|helm\.sh/chart): .*\n` +
	`|^ *# The pod of "helm test"\.\n(.*\n){4}` +
	`|^ *annotations:\n *checksum/.*\n` +
	`|^ *namespace: NAMESPACE\n`)

var emptyLines = regexp.MustCompile(`\n+---\n`)

// TestKustomizeFromChart demands that the objects of deploy/kustomize are those of the chart: they are rendered from its templates.
func TestKustomizeFromChart(t *testing.T) {
	for file, args := range kustomizeFiles {
		out := helmTemplate(t, append(args, "--set=cluster=unnamed,image.repository=promrelay,remoteWrite[0].url=https://unused")...)
		text := strings.TrimPrefix(string(ofHelm.ReplaceAll(out, nil)), "---\n")
		text = strings.TrimRight(emptyLines.ReplaceAllString(text, "\n---\n"), "\n") + "\n"
		generated(t, kustomize+"/"+file, []byte("# Rendered from "+chart+" by \""+chartMake+"\". Do not edit.\n"+text), chartMake)
	}
}
