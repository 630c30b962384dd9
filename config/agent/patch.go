package agent

import (
	"strconv"
	"strings"
)

// Patch is a strategic merge patch of the relay's StatefulSet, with the files and variables that the configuration needs; nil if it needs
// none. It names the StatefulSet and no namespace, so that it fits wherever that is.
func (r *Result) Patch(name string) ([]byte, error) {
	if len(r.Mounts)+len(r.Variables) == 0 {
		return nil, nil
	}
	container, pod := newBlock(), newBlock()
	container.set("name", "promrelay")
	volumes, mounts, env := r.volumes()
	container.list("volumeMounts", mounts)
	container.list("env", env)
	pod.list("containers", []*block{container})
	pod.list("volumes", volumes)
	metadata, spec, template, patch := newBlock(), newBlock(), newBlock(), newBlock()
	metadata.set("name", name)
	template.set("spec", pod)
	spec.set("template", template)
	patch.set("apiVersion", "apps/v1")
	patch.set("kind", "StatefulSet")
	patch.set("metadata", metadata)
	patch.set("spec", spec)
	return patch.yaml()
}

func (r *Result) volumes() (volumes, mounts, env []*block) {
	taken := map[string]bool{}
	for _, m := range r.Mounts {
		volume, source, mount := newBlock(), newBlock(), newBlock()
		name := m.volume(taken)
		volume.set("name", name)
		if m.ConfigMap {
			source.set("name", m.Name)
			volume.set("configMap", source)
		} else {
			source.set("secretName", m.Name)
			volume.set("secret", source)
		}
		mount.set("name", name)
		mount.set("mountPath", m.Path)
		mount.set("readOnly", true)
		volumes, mounts = append(volumes, volume), append(mounts, mount)
	}
	for _, v := range r.Variables {
		key, from, variable := newBlock(), newBlock(), newBlock()
		key.set("name", v.Ref.Name)
		key.set("key", v.Ref.Key)
		from.set("secretKeyRef", key)
		variable.set("name", v.Name)
		variable.set("valueFrom", from)
		env = append(env, variable)
	}
	return volumes, mounts, env
}

// volume is a name for the volume that is valid and not taken.
func (m Mount) volume(taken map[string]bool) string {
	kind := "secret-"
	if m.ConfigMap {
		kind = "configmap-"
	}
	name := strings.ReplaceAll(kind+m.Name, ".", "-")
	name = strings.TrimRight(name[:min(len(name), 58)], "-") // 63 is the limit of Kubernetes
	unique := name
	for n := 2; taken[unique]; n++ {
		unique = name + "-" + strconv.Itoa(n)
	}
	taken[unique] = true
	return unique
}
