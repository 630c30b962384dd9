package workloads

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"sync"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// reference is a key of a Secret or ConfigMap that a monitor names.
type reference struct {
	configMap bool
	name, key string
	pem       string // "certificate" or "key" if the value is one; empty otherwise
}

// secrets makes the Secrets and ConfigMaps that monitors name and the manifests do not have, so that the rest of the monitor can be
// checked.
func (m *maker) secrets(all []runtime.Object) {
	there, made := map[string]bool{}, map[string]map[string]string{}
	for _, o := range all {
		switch o.(type) {
		case *corev1.Secret, *corev1.ConfigMap:
			there[fmt.Sprintf("%T ", o)+keyOf(o)] = true
		}
	}
	for _, o := range all {
		var kind string
		switch o.(type) {
		case *monitoringv1.ServiceMonitor:
			kind = "ServiceMonitor"
		case *monitoringv1.PodMonitor:
			kind = "PodMonitor"
		case *monitoringv1.Probe:
			kind = "Probe"
		case *monitoringv1alpha1.ScrapeConfig:
			kind = "ScrapeConfig"
		default:
			continue
		}
		namespace := reflect.ValueOf(o).Elem().FieldByName("Namespace").String()
		for _, ref := range references(reflect.ValueOf(o).Elem().FieldByName("Spec"), "") {
			object, shown := "*v1.Secret ", "Secret "
			if ref.configMap {
				object, shown = "*v1.ConfigMap ", "ConfigMap "
			}
			key := namespace + "/" + ref.name
			if there[object+key] || ref.name == "" {
				continue
			}
			if missing := m.made.Secrets[kind+" "+keyOf(o)]; !slices.Contains(missing, shown+key) {
				m.made.Secrets[kind+" "+keyOf(o)] = append(missing, shown+key)
			}
			if made[object+key] == nil {
				made[object+key] = m.secret(ref.configMap, namespace, ref.name)
			}
			made[object+key][ref.key] = ref.value()
		}
	}
}

// secret adds a Secret or ConfigMap, and returns its values.
func (m *maker) secret(configMap bool, namespace, name string) map[string]string {
	values := map[string]string{}
	at := metav1.ObjectMeta{Namespace: namespace, Name: name}
	if configMap {
		m.add(&corev1.ConfigMap{ObjectMeta: at, Data: values})
	} else {
		m.add(&corev1.Secret{ObjectMeta: at, StringData: values})
	}
	return values
}

// references returns the keys of Secrets and ConfigMaps in a value of a monitor. Field is the name of the field that has the value.
func references(v reflect.Value, field string) (out []reference) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return references(v.Elem(), field)
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, references(v.Index(i), field)...)
		}
	case reflect.Struct:
		switch x := v.Interface().(type) {
		case corev1.SecretKeySelector:
			ref := reference{name: x.Name, key: x.Key}
			if field == "KeySecret" {
				ref.pem = "key"
			}
			return []reference{ref}
		case corev1.ConfigMapKeySelector:
			return []reference{{configMap: true, name: x.Name, key: x.Key}}
		case monitoringv1.SecretOrConfigMap: // certificates
			if x.Secret != nil {
				out = append(out, reference{name: x.Secret.Name, key: x.Secret.Key, pem: "certificate"})
			}
			if x.ConfigMap != nil {
				out = append(out, reference{configMap: true, name: x.ConfigMap.Name, key: x.ConfigMap.Key, pem: "certificate"})
			}
			return out
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				out = append(out, references(v.Field(i), f.Name)...)
			}
		}
	}
	return out
}

// value is a value that the reader of the field accepts.
func (r reference) value() string {
	switch r.pem {
	case "certificate":
		return pair().certificate
	case "key":
		return pair().key
	}
	return "not-known"
}

type keyPair struct{ certificate, key string }

// pair is a certificate with its key, made once.
var pair = sync.OnceValue(func() keyPair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system gives no random numbers
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return keyPair{
		certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
})
