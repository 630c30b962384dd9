package workloads

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func template(ports ...corev1.ContainerPort) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Ports: ports}}}}
}

func service(ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n", Labels: map[string]string{"team": "t"}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "a"}, Ports: ports},
	}
}

// lines describes what was made, without the Node.
func lines(m Made) (out []string) {
	for _, o := range m.Objects {
		switch o := o.(type) {
		case *corev1.Pod:
			out = append(out, fmt.Sprintf("Pod %s of %s, labels %v", o.Name, o.OwnerReferences[0].Kind, o.Labels))
		case *discoveryv1.EndpointSlice:
			line := fmt.Sprintf("slice %s %s", o.AddressType, o.Labels["team"])
			for _, p := range o.Ports {
				line += fmt.Sprintf(" %s=%d/%s", *p.Name, *p.Port, *p.Protocol)
			}
			if ref := o.Endpoints[0].TargetRef; ref != nil {
				line += " at " + ref.Name
			}
			out = append(out, line)
		}
	}
	for _, gaps := range m.Missing {
		out = append(out, gaps...)
	}
	for s := range m.Bare {
		out = append(out, "bare "+s)
	}
	return out
}

func TestMake(t *testing.T) {
	at := metav1.ObjectMeta{Name: "a", Namespace: "n"}
	deployment := &appsv1.Deployment{ObjectMeta: at, Spec: appsv1.DeploymentSpec{Template: template(corev1.ContainerPort{Name: "http", ContainerPort: 8080})}}
	set := &appsv1.StatefulSet{ObjectMeta: at, Spec: appsv1.StatefulSetSpec{Template: template(corev1.ContainerPort{Name: "http", ContainerPort: 8081}, corev1.ContainerPort{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP})}}
	daemon := &appsv1.DaemonSet{ObjectMeta: at, Spec: appsv1.DaemonSetSpec{Template: template()}}
	web := corev1.ServicePort{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}
	v6 := service(corev1.ServicePort{Name: "web", Port: 80})
	v6.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	external := service(web)
	external.Spec.Type = corev1.ServiceTypeExternalName
	for name, c := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"named ports": {
			[]runtime.Object{deployment, set, service(web)},
			[]string{
				"Pod a of ReplicaSet, labels map[app:a pod-template-hash:a]", "Pod a-0 of StatefulSet, labels map[app:a statefulset.kubernetes.io/pod-name:a-0]",
				"slice IPv4 t web=8080/TCP at a", "slice IPv4 t web=8081/TCP at a-0",
			},
		},
		"one name, two workloads": {
			[]runtime.Object{deployment, daemon},
			[]string{"Pod a of ReplicaSet, labels map[app:a pod-template-hash:a]", "Pod a-2 of DaemonSet, labels map[app:a]"},
		},
		"another protocol": {
			[]runtime.Object{set, service(corev1.ServicePort{Name: "dns", Port: 53, TargetPort: intstr.FromString("dns")}, corev1.ServicePort{Name: "udp", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromString("dns")})},
			[]string{
				"Pod a-0 of StatefulSet, labels map[app:a statefulset.kubernetes.io/pod-name:a-0]", "slice IPv4 t udp=53/UDP at a-0",
				`port dns 53 has targetPort "dns", and no container of Pod n/a-0 declares a port of this name`,
			},
		},
		"no Pods":       {[]runtime.Object{service(web)}, []string{"slice IPv4 t web=80/TCP", "bare n/a"}},
		"IPv6":          {[]runtime.Object{v6}, []string{"slice IPv6 t web=80/TCP", "bare n/a"}},
		"external name": {[]runtime.Object{external}, nil},
		"its own slice": {[]runtime.Object{service(web), &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Labels: map[string]string{discoveryv1.LabelServiceName: "a"}}}}, nil},
	} {
		if got := lines(Make(c.objects)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
	if len(deployment.Spec.Template.Labels) != 1 {
		t.Error("the Deployment was changed")
	}
}

// TestAddresses: no two objects have the same address.
func TestAddresses(t *testing.T) {
	m, seen := &maker{}, map[string]bool{}
	for range 70_000 {
		seen[m.address(corev1.IPv4Protocol)] = true
	}
	if len(seen) != 70_000 {
		t.Errorf("%d addresses", len(seen))
	}
}
