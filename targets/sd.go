package targets

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/plugins" // service discoveries register themselves
	"go.yaml.in/yaml/v2"
	corev1 "k8s.io/api/core/v1"

	"promrelay/config"
)

// sdBuilder converts one service discovery of a ScrapeConfig to Prometheus's configuration, which Prometheus's own code then reads, so
// that its defaults and validation apply.
type sdBuilder struct {
	assets    Assets
	namespace string
	secrets   []string // values of Secrets read so far
	notes     []string // fields that were left out
}

// sdConfigs is a section of Prometheus's configuration with service discoveries only.
type sdConfigs struct {
	Configs discovery.Configs `yaml:"-"`
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *sdConfigs) UnmarshalYAML(unmarshal func(any) error) error {
	return discovery.UnmarshalYAMLWithInlineConfigs(s, unmarshal)
}

// load reads sd, an element of the list that Prometheus's configuration calls key.
func (b *sdBuilder) load(key string, sd any) (discovery.Configs, error) {
	section, err := b.section(sd)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(map[string]any{key: []any{section}})
	if err != nil {
		return nil, errors.New(b.redact(err.Error()))
	}
	var out sdConfigs
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		return nil, errors.New(b.redact(err.Error()))
	}
	for _, c := range out.Configs {
		if why := config.BadRefreshInterval(c); why != "" {
			return nil, fmt.Errorf("refreshInterval: %s", why)
		}
	}
	return out.Configs, nil
}

// redact removes values of Secrets from a message: some of Prometheus's errors quote them.
func (b *sdBuilder) redact(message string) string {
	return Redact(message, b.secrets)
}

// Value implements Assets and records values of Secrets.
func (b *sdBuilder) Value(ref Ref) ([]byte, error) {
	v, err := b.assets.Value(ref)
	if len(v) > 0 && !ref.ConfigMap {
		b.secrets = append(b.secrets, string(v))
	}
	return v, err
}

// section converts one service discovery: each of its fields, and the special cases of its kind.
func (b *sdBuilder) section(sd any) (map[string]any, error) {
	switch sd := sd.(type) {
	case monitoringv1alpha1.KubernetesSDConfig:
		return b.kubernetes(sd)
	case monitoringv1alpha1.AzureSDConfig:
		return b.azure(sd)
	case monitoringv1alpha1.NomadSDConfig:
		if u, err := url.Parse(string(sd.Server)); err != nil || u.Scheme == "" || u.Host == "" {
			return nil, fmt.Errorf("server: %q is not a URL with a scheme and a host", sd.Server)
		}
	}
	out, err := b.fields(reflect.ValueOf(sd), used)
	if err != nil {
		return nil, err
	}
	switch sd := sd.(type) {
	case monitoringv1alpha1.EC2SDConfig, monitoringv1alpha1.LightSailSDConfig:
		if out["access_key"] == nil || out["secret_key"] == nil { // one alone is read but not used
			delete(out, "access_key")
			delete(out, "secret_key")
		}
	case monitoringv1alpha1.IonosSDConfig:
		if sd.OAuth2 != nil {
			delete(out, "authorization")
		}
	}
	return out, nil
}

func (b *sdBuilder) kubernetes(sd monitoringv1alpha1.KubernetesSDConfig) (map[string]any, error) {
	role := strings.ToLower(string(sd.Role))
	if sd.AttachMetadata != nil && !slices.Contains([]string{RolePod, RoleEndpoints, RoleEndpointSlice}, role) {
		sd.AttachMetadata = nil
		b.notes = append(b.notes, fmt.Sprintf("attachMetadata is left out, it has no meaning for the role %s", role))
	}
	for i, s := range sd.Selectors {
		if got := strings.ToLower(string(s.Role)); role == RolePod && got != role { // Prometheus would accept one of nodes too
			return nil, fmt.Errorf("selectors[%d]: the role pod may select pods only, not %q", i, got)
		}
	}
	return b.fields(reflect.ValueOf(sd), used)
}

// azure leaves out the fields that the operator never passes on. With OAuth they are validated anyway.
func (b *sdBuilder) azure(sd monitoringv1alpha1.AzureSDConfig) (map[string]any, error) {
	if method := value(sd.AuthenticationMethod); method == "" || method == monitoringv1alpha1.AuthMethodTypeOAuth {
		if _, err := b.fields(reflect.ValueOf(sd), unused); err != nil {
			return nil, err
		}
	}
	if sd.TLSConfig != nil || sd.FollowRedirects != nil || sd.EnableHTTP2 != nil {
		sd.TLSConfig, sd.FollowRedirects, sd.EnableHTTP2 = nil, nil, nil
		b.notes = append(b.notes, "tlsConfig, followRedirects and enableHTTP2 are left out, as prometheus-operator does")
	}
	without := sd
	without.BasicAuth, without.Authorization, without.OAuth2, without.ProxyConfig = nil, nil, nil, monitoringv1.ProxyConfig{}
	if sd.Environment != nil && !reflect.DeepEqual(sd, without) {
		sd = without
		b.notes = append(b.notes, "credentials and proxy are left out beside environment, as prometheus-operator does")
	}
	return b.fields(reflect.ValueOf(sd), used)
}

// Whether a client uses the converted fields.
const (
	used   = false
	unused = true
)

// fields converts the fields of a service discovery to Prometheus's names.
func (b *sdBuilder) fields(v reflect.Value, unused bool) (map[string]any, error) {
	out := map[string]any{}
	client := config_util.HTTPClientConfig{}
	h := httpBuilder{out: &client, assets: b, namespace: b.namespace, unused: unused}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && f.IsNil() {
			continue
		}
		name := jsonName(v.Type().Field(i))
		var err error
		switch x := f.Interface().(type) {
		case *monitoringv1.BasicAuth:
			err = h.basicAuth(x)
		case monitoringv1.SafeAuthorization:
			err = h.authorization(&monitoringv1.Authorization{SafeAuthorization: x}, monitoringv1.ScrapeClass{})
		case *monitoringv1.SafeAuthorization:
			err = h.authorization(&monitoringv1.Authorization{SafeAuthorization: *x}, monitoringv1.ScrapeClass{})
		case *monitoringv1.OAuth2:
			err = h.oauth2(x)
		case *monitoringv1.SafeTLSConfig:
			err = h.tls(&monitoringv1.TLSConfig{SafeTLSConfig: *x}, monitoringv1.ScrapeClass{})
		case monitoringv1.ProxyConfig:
			err = h.proxy(x)
		case corev1.SecretKeySelector:
			err = b.secret(out, name, x)
		case *corev1.SecretKeySelector:
			err = b.secret(out, name, *x)
		default:
			if p := plain(name, f); p != nil {
				out[snake(name)] = p
			}
		}
		if err != nil {
			return nil, err
		}
	}
	maps.Copy(out, plainHTTP(&client))
	return out, nil
}

func (b *sdBuilder) secret(out map[string]any, name string, sel corev1.SecretKeySelector) error {
	v, err := b.Value(Ref{Namespace: b.namespace, Name: sel.Name, Key: sel.Key})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	out[snake(name)] = string(v)
	return nil
}

// plain converts the value of a field; nil if it is not set.
func plain(name string, v reflect.Value) any {
	switch x := v.Interface().(type) {
	case monitoringv1alpha1.Filters:
		x = slices.Clone(x)
		slices.SortStableFunc(x, func(a, b monitoringv1alpha1.Filter) int { return strings.Compare(a.Name, b.Name) })
		v = reflect.ValueOf([]monitoringv1alpha1.Filter(x))
	case monitoringv1alpha1.OVHService:
		return strings.ToLower(camel.ReplaceAllString(string(x), "${1}_${2}"))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(name, v.Elem())
	case reflect.String:
		if name == "role" || name == "scheme" {
			return strings.ToLower(v.String())
		}
		return v.String()
	case reflect.Slice:
		var out []any
		for i := range v.Len() {
			out = append(out, plain("", v.Index(i)))
		}
		if out == nil {
			return nil
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Kind() == reflect.Pointer && f.IsNil() {
				continue
			}
			n := jsonName(v.Type().Field(i))
			if p := plain(n, f); p != nil {
				out[snake(n)] = p
			}
		}
		return out
	}
	if v.IsZero() && v.Kind() == reflect.Map {
		return nil
	}
	return v.Interface()
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// snake converts a field's name in the CRD to Prometheus's name.
func snake(name string) string {
	if name == "tokenRef" {
		return "token"
	}
	return strings.ToLower(camel.ReplaceAllString(name, "${1}_${2}"))
}
