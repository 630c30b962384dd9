package agent

import (
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// Ref names a key of a Secret or a ConfigMap in the namespace of the object.
type Ref struct {
	ConfigMap bool
	Name, Key string
}

func (r Ref) String() string { return fmt.Sprintf("key %s of %s %s", r.Key, r.kind(), r.Name) }

func (r Ref) kind() string {
	if r.ConfigMap {
		return "ConfigMap"
	}
	return "Secret"
}

// directory is where the files of the Secret or ConfigMap are mounted.
func (r Ref) directory() string {
	if r.ConfigMap {
		return "/etc/promrelay-configmaps/" + r.Name
	}
	return "/etc/promrelay-secrets/" + r.Name
}

// Placeholder stands in the configuration for a secret that Prometheus takes from no file.
const Placeholder = "REPLACE_ME"

func secretRef(s corev1.SecretKeySelector) Ref { return Ref{Name: s.Name, Key: s.Key} }

// either returns what a SecretOrConfigMap names; false for nothing.
func either(s monitoringv1.SecretOrConfigMap) (Ref, bool) {
	switch {
	case s.Secret != nil:
		return secretRef(*s.Secret), true
	case s.ConfigMap != nil:
		return Ref{ConfigMap: true, Name: s.ConfigMap.Name, Key: s.ConfigMap.Key}, true
	}
	return Ref{}, false
}

// value asks for a value that must be there.
func (t *translation) value(ref Ref) string {
	v, err := t.ask(ref)
	if err != nil {
		t.errs = append(t.errs, fmt.Errorf("%s: %w", ref, err))
	}
	return v
}

// secret adds key with the value, or key_file with the path of its file.
func (t *translation) secret(b *block, key string, ref Ref) {
	if t.inline {
		b.set(key, t.value(ref))
		return
	}
	b.set(key+"_file", t.file(ref))
}

// file mounts what ref names, and returns the path of its file.
func (t *translation) file(ref Ref) string {
	same := func(m Mount) bool {
		return m.ConfigMap == ref.ConfigMap && m.Name == ref.Name && m.Path == ref.directory()
	}
	if !slices.ContainsFunc(t.out.Mounts, same) {
		t.out.Mounts = append(t.out.Mounts, Mount{ConfigMap: ref.ConfigMap, Name: ref.Name, Path: ref.directory()})
	}
	return ref.directory() + "/" + ref.Key
}

// text adds key with a value that Prometheus takes from no file. Open says that it is no secret, so that it may stand in the configuration.
func (t *translation) text(b *block, key string, ref Ref, open bool) {
	b.set(key, t.textOf(t.at+"."+key, ref, open))
}

func (t *translation) textOf(at string, ref Ref, open bool) string {
	if t.inline {
		return t.value(ref)
	}
	if open {
		if v, err := t.ask(ref); err == nil {
			return v
		}
	}
	t.remark(at, "Prometheus takes it from no file: write the value of %s in place of %s", ref, Placeholder)
	return Placeholder
}
