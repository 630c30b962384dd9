package objects

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"promrelay/targets"
)

// TestFieldsOf has a value for each field by which a selector may ask.
func TestFieldsOf(t *testing.T) {
	for role, obj := range map[string]metav1.Object{targets.RolePod: &corev1.Pod{}, targets.RoleNode: &corev1.Node{}, targets.RoleService: &corev1.Service{}} {
		if got, want := slices.Sorted(maps.Keys(FieldsOf(obj, obj))), targets.SelectableFields[role]; !slices.Equal(got, want) {
			t.Errorf("role %s: fields %q, want %q", role, got, want)
		}
	}
}
