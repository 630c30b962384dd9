//go:build linux

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
	"promrelay/test/process"
	fake "promrelay/test/receiver"
)

// What deploy/ ships, from this directory.
const (
	shippedNamespace = "../../deploy/kustomize/base/namespace.yaml"
	shippedRole      = "../../deploy/kustomize/base/rbac.yaml"
	shippedDaemonSet = "../../deploy/kustomize/components/node-mode/daemonset.yaml"
	// shippedSecrets binds the role for Secrets in the namespace that it is applied to: here "default".
	shippedSecrets = "../../deploy/kustomize/secrets/rolebinding.yaml"
	// shippedExample is what a user copies.
	shippedExample = "../../deploy/kustomize/overlays/example"
)

// relayUser is the user name of the relay at the API server. Its User-Agent begins with relayAgent.
const (
	relayUser  = "system:serviceaccount:promrelay:promrelay"
	relayAgent = "promrelay/"
)

// interval is how often targets are scraped in these tests.
const interval = time.Second

// relay is a running promrelay.
type relay struct {
	url    string
	client *http.Client
}

// target is one of /api/v1/targets.
type target struct {
	ScrapePool string            `json:"scrapePool"`
	ScrapeURL  string            `json:"scrapeUrl"`
	Labels     map[string]string `json:"labels"`
	Health     string            `json:"health"`
	LastError  string            `json:"lastError"`
}

// install applies the role that deploy/ ships, waits until it works, and returns the kubeconfig of its ServiceAccount.
func install(t *testing.T, c *cluster.Cluster) (kubeconfig string) {
	t.Helper()
	c.ApplyFiles(t, shippedNamespace, shippedRole)
	mayRead(t, c, authorizationv1.ResourceAttributes{Verb: "watch", Group: "monitoring.coreos.com", Resource: "scrapeconfigs"})
	mayRead(t, c, authorizationv1.ResourceAttributes{Verb: "get", Resource: "nodes", Subresource: "metrics"})
	return c.ServiceAccountKubeconfig(t, "promrelay", "promrelay")
}

// mayRead waits until the relay may do something. It asks as the administrator, so that the relay has no refusal in
// the audit log.
func mayRead(t *testing.T, c *cluster.Cluster, what authorizationv1.ResourceAttributes) {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &what, User: relayUser}}
	cluster.WaitFor(t, "the role to work", 10*time.Second, func() error {
		answer, err := c.Client().AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err == nil && !answer.Status.Allowed {
			err = fmt.Errorf("%s %s is not allowed", what.Verb, what.Resource)
		}
		return err
	})
}

// startRelay runs the daemon with a configuration, to which it adds a receiver, and waits until it is ready.
func startRelay(t *testing.T, to *fake.Server, config ...string) *relay {
	t.Helper()
	return startRelayOn(t, "", to, config...)
}

// startRelayOn is startRelay in node mode, if node is not empty.
func startRelayOn(t *testing.T, node string, to *fake.Server, config ...string) *relay {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "promrelay.yml")
	if !slices.ContainsFunc(config, func(part string) bool { return strings.HasPrefix(part, "remote_write:") }) {
		config = append(config, "remote_write: [{url: "+to.URL()+"}]\n")
	}
	if err := os.WriteFile(file, []byte(strings.Join(config, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", cluster.Port(t))
	r := &relay{url: "http://" + address, client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
	t.Cleanup(r.client.CloseIdleConnections)
	args := []string{"run", "--config.file=" + file, "--wal.dir=" + filepath.Join(dir, "wal"), "--web.listen-address=" + address, "--log.level=info"}
	if node != "" {
		args = append(args, "--kubernetes.node-name="+node)
	}
	p := cluster.StartProcess(t, process.Program{Path: cluster.Path(t, "promrelay"), Log: filepath.Join(dir, "promrelay.log"), Args: args})
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	if err := p.WaitFor(ctx, "ready", func() error { return fetch(r.client, r.url+"/-/ready", "", http.StatusOK, "ready") }); err != nil {
		t.Fatal(err)
	}
	return r
}

// everything is a configuration with monitors of all namespaces.
func everything(kubeconfig string) string {
	return fmt.Sprintf("global: {scrape_interval: %s, scrape_timeout: %s}\nkubernetes: {kubeconfig: %s}\nmonitors: {}\n", interval, interval, kubeconfig)
}

func (r *relay) get(t *testing.T, path string) []byte {
	t.Helper()
	response, err := r.client.Get(r.url + path)
	if err != nil {
		t.Fatalf("ask the relay: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("get %s: %s, %v\n%.1000s", path, response.Status, err, body)
	}
	return body
}

// targets returns the targets of a job, or of all jobs with "".
func (r *relay) targets(t *testing.T, job string) []target {
	t.Helper()
	var answer struct {
		Data struct {
			ActiveTargets []target `json:"activeTargets"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.get(t, "/api/v1/targets?state=active&scrapePool="+job), &answer); err != nil {
		t.Fatalf("parse targets: %v", err)
	}
	return answer.Data.ActiveTargets
}

// target returns the target of a job that has these labels, nil if there is none.
func (r *relay) target(t *testing.T, job string, labels ...string) *target {
	t.Helper()
	all := r.targets(t, job)
	if i := slices.IndexFunc(all, func(one target) bool { return has(one.Labels, labels...) }); i >= 0 {
		return &all[i]
	}
	return nil
}

// page is what /targets shows, as a person reads it.
func (r *relay) page(t *testing.T) string {
	t.Helper()
	return html.UnescapeString(string(r.get(t, "/targets")))
}

// shows waits until /targets contains some texts.
func (r *relay) shows(t *testing.T, limit time.Duration, texts ...string) {
	t.Helper()
	cluster.WaitFor(t, "/targets to show", limit, func() error {
		page := r.page(t)
		for _, text := range texts {
			if !strings.Contains(page, text) {
				_, shown, _ := strings.Cut(page, "<main>")
				return fmt.Errorf("%q is not on the page:\n%.3000s", text, shown)
			}
		}
		return nil
	})
}

// isUp waits until a job has a target that is up, and returns it.
func (r *relay) isUp(t *testing.T, limit time.Duration, job string, labels ...string) (up *target) {
	t.Helper()
	cluster.WaitFor(t, job+" to be up", limit, func() error {
		switch up = r.target(t, job, labels...); {
		case up == nil:
			return fmt.Errorf("no target with %q", labels)
		case up.Health != "up":
			return fmt.Errorf("%s: %s", up.Health, up.LastError)
		}
		return nil
	})
	return up
}
