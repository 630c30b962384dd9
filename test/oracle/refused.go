package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

// refuse removes monitors that the operator accepts and that cannot work. Some mistakes show only when Prometheus runs, and it does not
// run here.
func (o *theOperator) refuse(s selection, reasons map[string]string) error {
	for _, err := range []error{
		refuse(o, "ServiceMonitor", s.services, reasons), refuse(o, "PodMonitor", s.pods, reasons),
		refuse(o, "Probe", s.probes, reasons), refuse(o, "ScrapeConfig", s.configs, reasons),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func refuse[T metav1.Object](o *theOperator, kind string, all map[string]T, reasons map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		raw, err := json.Marshal(all[key])
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", kind, key, err)
		}
		var fields struct {
			Spec map[string]any `json:"spec"`
		}
		if err := json.Unmarshal(raw, &fields); err != nil {
			return fmt.Errorf("decode %s %s: %w", kind, key, err)
		}
		if why := o.unfit(all[key].GetNamespace(), fields.Spec); why != "" {
			reasons[kind+" "+key] = why
			delete(all, key)
		}
	}
	return nil
}

// unfit returns why a spec cannot work; empty if it can.
func (o *theOperator) unfit(namespace string, v any) string {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			if why := o.unfit(namespace, x); why != "" {
				return why
			}
		}
	case map[string]any:
		if why := o.unfitHere(namespace, v); why != "" {
			return why
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if why := o.unfit(namespace, v[k]); why != "" {
				return why
			}
		}
	}
	return ""
}

func (o *theOperator) unfitHere(namespace string, m map[string]any) string {
	azure, _ := m["azureSDConfigs"].([]any)
	for _, sd := range azure { // the operator reads it and does not write it
		if sd, ok := sd.(map[string]any); ok {
			if delete(sd, "tlsConfig"); sd["environment"] != nil {
				delete(sd, "oauth2")
			}
		}
	}
	// Values of TLS stand in the configuration here, and one that is empty is as if there were none. The operator writes
	// no file for it but its name, so that each scrape fails.
	if t, ok := m["tlsConfig"].(map[string]any); ok {
		for _, k := range []string{"ca", "cert", "keySecret"} {
			if ref, ok := t[k].(map[string]any); ok && o.empty(namespace, ref) {
				return "the operator writes no file for tlsConfig." + k + ", which is empty"
			}
		}
	}
	// The operator denies files to ServiceMonitors alone.
	if sds, _ := m["fileSDConfigs"].([]any); len(sds) > 0 && o.agent.Spec.ArbitraryFSAccessThroughSMs.Deny {
		return "fileSDConfigs name files"
	}
	// Prometheus panics when the discovery starts.
	if s, ok := m["refreshInterval"].(string); ok {
		if d, err := model.ParseDuration(s); err == nil && d == 0 {
			return "Prometheus panics on a refreshInterval of 0"
		}
	}
	// The API server answers 400 to each list, and the discovery finds nothing for ever.
	selectors, _ := m["selectors"].([]any)
	if m["apiServer"] != nil { // another one may know other fields
		selectors = nil
	}
	for _, s := range selectors {
		if s, ok := s.(map[string]any); ok {
			role, _ := s["role"].(string)
			field, _ := s["field"].(string)
			if why := unknownField(role, field); why != "" {
				return why
			}
		}
	}
	return ""
}

// empty tells whether a reference is to an empty value, of a Secret or a ConfigMap.
func (o *theOperator) empty(namespace string, ref map[string]any) bool {
	if in, ok := ref["secret"].(map[string]any); ok {
		ref = in
	}
	if in, ok := ref["configMap"].(map[string]any); ok {
		v, there := o.value("ConfigMap", namespace, in)
		return there && v == ""
	}
	v, there := o.value("Secret", namespace, ref)
	return there && v == ""
}

func (o *theOperator) value(kind, namespace string, ref map[string]any) (string, bool) {
	for _, obj := range o.all[kind] {
		m := obj.(metav1.Object)
		if m.GetNamespace() != namespace || m.GetName() != ref["name"] {
			continue
		}
		key, _ := ref["key"].(string)
		switch obj := obj.(type) {
		case *corev1.Secret:
			v, ok := obj.Data[key]
			return string(v), ok
		case *corev1.ConfigMap:
			v, ok := obj.Data[key]
			return v, ok
		}
	}
	return "", false
}

// unknownField tells of a field that an API server does not select the objects of a role by.
func unknownField(role, selector string) string {
	parsed, err := fields.ParseSelector(selector)
	if err != nil {
		return "" // Prometheus says so
	}
	examples := map[string]runtime.Object{"Pod": &corev1.Pod{}, "Service": &corev1.Service{}, "Node": &corev1.Node{}}
	known := fieldsOf(examples[role], &metav1.ObjectMeta{})
	for _, r := range parsed.Requirements() {
		if _, ok := known[r.Field]; !ok {
			return fmt.Sprintf("the API server does not select the role %s by %s", role, r.Field)
		}
	}
	return ""
}
