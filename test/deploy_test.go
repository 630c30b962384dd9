package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"promrelay/config"
	"promrelay/wal"
)

const (
	kustomize = "deploy/kustomize"
	example   = kustomize + "/overlays/example"
)

// watchedBy are the resources that the relay lists and watches, by the part of deploy/ that allows it. The room informers uses them,
// and the tests in test/cluster show that they are enough.
var watchedBy = map[string][]string{
	"base/rbac.yaml": {
		"monitoring.coreos.com/servicemonitors", "monitoring.coreos.com/podmonitors", "monitoring.coreos.com/probes",
		"monitoring.coreos.com/scrapeconfigs", "/services", "/pods", "/nodes", "/namespaces", "/endpoints",
		"discovery.k8s.io/endpointslices", "networking.k8s.io/ingresses",
	},
	"components/node-mode/daemonset.yaml":    {"monitoring.coreos.com/podmonitors", "/pods", "/nodes", "/namespaces"},
	"components/workload-metadata/rbac.yaml": {"apps/replicasets", "batch/jobs"},
}

// decoder reads objects as an API server does that refuses unknown fields.
func decoder(t *testing.T) runtime.Decoder {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, scheme.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Yaml: true, Strict: true})
}

// deployed returns the objects of deploy/kustomize by file, and the paths of its configuration files.
func deployed(t *testing.T) (objects map[string][]runtime.Object, configs []string) {
	t.Helper()
	objects = map[string][]runtime.Object{}
	d := decoder(t)
	root := filepath.Join(repository, kustomize)
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, e fs.DirEntry, err error) error {
		switch base := path.Base(p); {
		case err != nil || e.IsDir() || base == "kustomization.yaml":
			return err
		case base == "promrelay.yml":
			configs = append(configs, filepath.Join(root, p))
			return nil
		case path.Ext(p) != ".yaml":
			return fmt.Errorf("%s: neither objects nor a configuration", p)
		}
		text, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			return err
		}
		for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
			o, _, err := d.Decode(doc, nil, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			objects[p] = append(objects[p], o)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects, configs
}

func find[T runtime.Object](t *testing.T, objects []runtime.Object, want func(T) bool) T {
	t.Helper()
	for _, o := range objects {
		if typed, ok := o.(T); ok && want(typed) {
			return typed
		}
	}
	var none T
	t.Fatalf("there is no %T as wanted", none)
	return none
}

// rules returns the rules of all roles, by the role's name.
func rules(objects []runtime.Object) map[string][]rbacv1.PolicyRule {
	out := map[string][]rbacv1.PolicyRule{}
	for _, o := range objects {
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			out[o.Name] = append(out[o.Name], o.Rules...)
		case *rbacv1.Role:
			out[o.Name] = append(out[o.Name], o.Rules...)
		}
	}
	return out
}

// excess lists what a role allows beyond what the relay needs: to read what it reads, and to write events.
func excess(role string, rules []rbacv1.PolicyRule) (out []string) {
	for _, r := range rules {
		for _, word := range slices.Concat(r.APIGroups, r.Resources, r.Verbs, r.NonResourceURLs) {
			if strings.Contains(word, "*") {
				out = append(out, fmt.Sprintf("role %s: %q", role, word))
			}
		}
		allowed := []string{"get", "list", "watch"}
		if role == "promrelay" && slices.Equal(r.APIGroups, []string{"events.k8s.io"}) && slices.Equal(r.Resources, []string{"events"}) {
			allowed = []string{"create", "patch"} // on monitors that are rejected
		}
		for _, verb := range r.Verbs {
			if !slices.Contains(allowed, verb) {
				out = append(out, fmt.Sprintf("role %s: verb %q", role, verb))
			}
		}
		for _, resource := range r.Resources {
			name, _, _ := strings.Cut(resource, "/")
			if name != "secrets" && name != "configmaps" {
				continue
			}
			if role != "promrelay-secrets" || !slices.Equal(r.Verbs, []string{"get"}) {
				out = append(out, fmt.Sprintf("role %s: %v of %s", role, r.Verbs, resource))
			}
		}
	}
	return out
}

func TestRolesAllowNoMoreThanNeeded(t *testing.T) {
	objects, _ := deployed(t)
	for file, wanted := range watchedBy {
		var got []string
		for _, rs := range rules(objects[file]) {
			for _, r := range rs {
				if !slices.Contains(r.Verbs, "list") {
					continue
				}
				if !slices.Equal(r.Verbs, []string{"list", "watch"}) {
					t.Errorf("%s: verbs %q, want list and watch", file, r.Verbs)
				}
				for _, resource := range r.Resources {
					got = append(got, r.APIGroups[0]+"/"+resource)
				}
			}
		}
		slices.Sort(got)
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s allows to watch %q, want %q", file, got, wanted)
		}
	}
	events := slices.ContainsFunc(rules(objects["base/rbac.yaml"])["promrelay"], func(r rbacv1.PolicyRule) bool {
		return slices.Equal(r.Resources, []string{"events"}) && slices.Equal(r.Verbs, []string{"create", "patch"})
	})
	if !events {
		t.Error("the role promrelay does not allow to write events")
	}
	for file, os := range objects {
		for role, rs := range rules(os) {
			for _, x := range excess(role, rs) {
				t.Errorf("%s: %s", file, x)
			}
		}
		for _, o := range os {
			if b, ok := o.(*rbacv1.ClusterRoleBinding); ok && b.RoleRef.Name == "promrelay-secrets" {
				t.Errorf("%s: %s gives the Secrets of all namespaces", file, b.Name)
			}
		}
	}
}

// TestExcess shows that the check above can fail.
func TestExcess(t *testing.T) {
	of := func(group, resource string, verbs ...string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}}
	}
	rule := func(resource string, verbs ...string) []rbacv1.PolicyRule { return of("", resource, verbs...) }
	for name, c := range map[string]struct {
		role  string
		rules []rbacv1.PolicyRule
		bad   bool
	}{
		"pods":               {"promrelay", rule("pods", "list", "watch"), false},
		"secret by name":     {"promrelay-secrets", rule("secrets", "get"), false},
		"secrets listed":     {"promrelay-secrets", rule("secrets", "get", "list"), true},
		"secrets watched":    {"promrelay-secrets", rule("secrets", "watch"), true},
		"configmaps listed":  {"promrelay-secrets", rule("configmaps", "list"), true},
		"secrets everywhere": {"promrelay", rule("secrets", "get"), true},
		"writes":             {"promrelay", rule("pods", "delete"), true},
		"events":             {"promrelay", of("events.k8s.io", "events", "create", "patch"), false},
		"events deleted":     {"promrelay", of("events.k8s.io", "events", "create", "delete"), true},
		"events read":        {"promrelay", of("events.k8s.io", "events", "list"), true},
		"core events":        {"promrelay", rule("events", "create"), true},
		"events by others":   {"promrelay-secrets", of("events.k8s.io", "events", "create"), true},
		"all resources":      {"promrelay", rule("*", "get"), true},
		"all verbs":          {"promrelay", rule("pods", "*"), true},
	} {
		if got := excess(c.role, c.rules); len(got) > 0 != c.bad {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestRoleOfTheMessage demands that the role that the relay asks users to apply exists under that name.
func TestRoleOfTheMessage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "informers", "cluster", "cluster.go"))
	if err != nil {
		t.Fatal(err)
	}
	const name = "promrelay-secrets"
	if !bytes.Contains(text, []byte(name+" of deploy/")) {
		t.Errorf("informers names the role otherwise than %s of deploy/: rename it there or here", name)
	}
	objects, _ := deployed(t)
	find(t, objects["base/rbac.yaml"], func(r *rbacv1.ClusterRole) bool { return r.Name == name })
	b := find(t, objects["secrets/rolebinding.yaml"], func(b *rbacv1.RoleBinding) bool { return b.Name == name })
	if b.RoleRef.Kind != "ClusterRole" || b.RoleRef.Name != name || b.Namespace != "" {
		t.Errorf("the binding is of %v in namespace %q", b.RoleRef, b.Namespace)
	}
}

// TestBindings demands that every binding binds a role that exists to an account that exists: that of the relay, or of those on Nodes.
func TestBindings(t *testing.T) {
	objects, _ := deployed(t)
	var all []runtime.Object
	for _, os := range objects {
		all = append(all, os...)
	}
	known := rules(all)
	check := func(name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		if known[ref.Name] == nil {
			t.Errorf("%s binds %s, which there is not", name, ref.Name)
		}
		if len(subjects) != 1 || subjects[0].Kind != "ServiceAccount" {
			t.Fatalf("%s binds to %v", name, subjects)
		}
		find(t, all, func(a *corev1.ServiceAccount) bool {
			return a.Name == subjects[0].Name && a.Namespace == subjects[0].Namespace && (a.Name == "promrelay") == (ref.Name != "promrelay-node")
		})
	}
	for _, o := range all {
		switch o := o.(type) {
		case *rbacv1.ClusterRoleBinding:
			check(o.Name, o.RoleRef, o.Subjects)
		case *rbacv1.RoleBinding:
			check(o.Name, o.RoleRef, o.Subjects)
		}
	}
}

func TestPod(t *testing.T) {
	objects, _ := deployed(t)
	s := find(t, objects["base/statefulset.yaml"], func(*appsv1.StatefulSet) bool { return true })
	if *s.Spec.Replicas != 1 {
		t.Errorf("%d replicas: each would send everything", *s.Spec.Replicas)
	}
	if s.Spec.Template.Spec.ServiceAccountName != "promrelay" || s.Spec.ServiceName != "promrelay" {
		t.Errorf("account %q, service %q", s.Spec.Template.Spec.ServiceAccountName, s.Spec.ServiceName)
	}
	pod, c := s.Spec.Template.Spec, s.Spec.Template.Spec.Containers[0]
	yes, no := true, false
	user := int64(65532)
	if got, want := pod.SecurityContext, (&corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, FSGroupChangePolicy: pod.SecurityContext.FSGroupChangePolicy,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("security context of the pod: %v", got)
	}
	if got, want := c.SecurityContext, (&corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("security context of the container: %v", got)
	}
	if p := c.Ports[0]; p.Name != "http-web" || p.ContainerPort != 9099 {
		t.Errorf("port %v", p)
	}
	for path, probe := range map[string]*corev1.Probe{"/-/healthy": c.LivenessProbe, "/-/ready": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "http-web" {
			t.Errorf("probe of %s: %v", path, probe)
		}
	}
	service := find(t, objects["base/service.yaml"], func(*corev1.Service) bool { return true })
	for k, v := range service.Spec.Selector {
		if s.Spec.Template.Labels[k] != v || s.Spec.Selector.MatchLabels[k] != v {
			t.Errorf("the Service selects %s=%s, which the pod has not", k, v)
		}
	}
	if p := service.Spec.Ports[0]; p.Name != "http-web" || p.Port != 9099 || p.TargetPort.String() != "http-web" {
		t.Errorf("port of the Service: %v", p)
	}
	policy := find(t, objects["components/network-policy/networkpolicy.yaml"], func(*networkingv1.NetworkPolicy) bool { return true })
	if p := policy.Spec; !reflect.DeepEqual(p.PodSelector.MatchLabels, s.Spec.Selector.MatchLabels) || p.Ingress[0].Ports[0].Port.String() != c.Ports[0].Name || policy.Namespace != s.Namespace {
		t.Errorf("the NetworkPolicy does not meet the pod: %v", p)
	}
	if types := policy.Spec.PolicyTypes; !slices.Equal(types, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
		t.Errorf("the NetworkPolicy is of %v: targets are everywhere, so it may confine nothing but ingress", types)
	}
	m := find(t, objects["components/self-monitor/servicemonitor.yaml"], func(*monitoringv1.ServiceMonitor) bool { return true })
	if !reflect.DeepEqual(m.Spec.Selector.MatchLabels, service.Labels) || m.Spec.Endpoints[0].Port != service.Spec.Ports[0].Name || m.Namespace != service.Namespace {
		t.Errorf("the ServiceMonitor does not meet the Service: %v", m.Spec)
	}
}

// TestShippedConfigurations demands that they load without a warning and fit the pod that they are mounted in.
func TestShippedConfigurations(t *testing.T) {
	objects, configs := deployed(t)
	s := find(t, objects["base/statefulset.yaml"], func(*appsv1.StatefulSet) bool { return true })
	grace := time.Duration(*s.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	claim := s.Spec.VolumeClaimTemplates[0]
	storage := claim.Spec.Resources.Requests.Storage().Value()
	mount := ""
	for _, v := range s.Spec.Template.Spec.Containers[0].VolumeMounts {
		if v.Name == claim.Name {
			mount = v.MountPath
		}
	}
	if len(configs) < 3 {
		t.Errorf("only %q were found", configs)
	}
	for _, file := range configs {
		c, err := config.LoadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range c.Warnings {
			if len(c.Destinations) == 0 && strings.Contains(w, "no remote_write") { // the base, which overlays replace
				continue
			}
			t.Errorf("%s: %s", file, w)
		}
		if dir := path.Dir(c.WAL.Dir); dir != mount {
			t.Errorf("%s: the WAL is in %s, the volume at %s", file, dir, mount)
		}
		if free := storage - int64(c.WAL.MaxBytes); free < 2*wal.DefaultMinFreeBytes {
			t.Errorf("%s: the volume has %d bytes more than the WAL may take", file, free)
		}
		if c.Relay.DrainTimeout+50*time.Second > grace { // the deadlines of the parts, in cmd/promrelay/run.go
			t.Errorf("%s: the pod gets %s to end, and drains for %s", file, grace, c.Relay.DrainTimeout)
		}
	}
}

// TestKustomizations demands that the files that they name exist, and that each file is named.
func TestKustomizations(t *testing.T) {
	root := filepath.Join(repository, kustomize)
	found, err := filepath.Glob(filepath.Join(root, "*", "kustomization.yaml"))
	deeper, deeperErr := filepath.Glob(filepath.Join(root, "*", "*", "kustomization.yaml"))
	if found = append(found, deeper...); err != nil || deeperErr != nil || len(found) < 5 {
		t.Fatal(found, err, deeperErr)
	}
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var k struct {
			Resources, Components []string
			ConfigMapGenerator    []struct{ Files []string } `yaml:"configMapGenerator"`
		}
		if err := yaml.Unmarshal(text, &k); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		named := slices.Concat(k.Resources, k.Components)
		for _, g := range k.ConfigMapGenerator {
			named = append(named, g.Files...)
		}
		for _, n := range named {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), n)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		siblings, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.y*ml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range siblings {
			if b := filepath.Base(s); b != "kustomization.yaml" && !slices.Contains(named, b) {
				t.Errorf("%s does not name %s", file, b)
			}
		}
	}
}
