//go:build linux

package cluster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/test/cluster"
)

// TestExample copies the example of deploy/ elsewhere, as README says to, and applies it to a cluster that has nothing yet: no
// monitor kinds, no namespaces. Twice, since the second time nothing is to change.
func TestExample(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	dir := filepath.Join(t.TempDir(), "prod-1")
	if err := os.CopyFS(dir, os.DirFS(shippedExample)); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(cluster.Path(t, "kustomize"), "build", dir).Output()
	if err != nil {
		t.Fatalf("render the copy: %v", err)
	}
	const namespace, name = "promrelay", "promrelay"
	sets := c.Client().AppsV1().StatefulSets(namespace)
	for range 2 {
		c.Apply(t, string(text))
		s, err := sets.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Generation != 1 {
			t.Errorf("the StatefulSet has changed: generation %d", s.Generation)
		}
	}
	s, err := sets.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Client().CoreV1().ConfigMaps(namespace).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
		t.Errorf("the ConfigMap that the pod mounts: %v", err)
	}
	// The controller that would make the pod is not there. The API server tells whether it would be let in: its account, the limits of
	// the namespace. The volume is the controller's to add.
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name + "-0", Namespace: namespace, Labels: s.Spec.Template.Labels}, Spec: s.Spec.Template.Spec}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name:         s.Spec.VolumeClaimTemplates[0].Name,
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "wal-promrelay-0"}},
	})
	pods := c.Client().CoreV1().Pods(namespace)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	if _, err := pods.Create(t.Context(), pod, dry); err != nil {
		t.Errorf("the pod would not be let in: %v", err)
	}
	pod.Spec.SecurityContext.RunAsNonRoot = new(false)
	if _, err := pods.Create(t.Context(), pod, dry); !apierrors.IsForbidden(err) {
		t.Errorf("a pod that may run as root: %v; the limits of the namespace do not count", err)
	}
}
