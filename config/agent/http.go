package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

func (t *translation) basicAuth(b *block, in *monitoringv1.BasicAuth) {
	if in == nil {
		return
	}
	out := newBlock()
	t.secret(out, "username", secretRef(in.Username))
	t.secret(out, "password", secretRef(in.Password))
	b.set("basic_auth", out)
}

func (t *translation) authorization(b *block, in *monitoringv1.Authorization) {
	if in == nil {
		return
	}
	out := newBlock()
	out.set("type", strings.TrimSpace(cmp.Or(in.Type, "Bearer")))
	if in.Credentials != nil {
		t.secret(out, "credentials", secretRef(*in.Credentials))
	}
	t.path(out, "credentials_file", in.CredentialsFile)
	b.set("authorization", out)
}

func (t *translation) oauth2(b *block, in *monitoringv1.OAuth2) {
	if in == nil {
		return
	}
	defer t.within("oauth2")()
	out := newBlock()
	if ref, ok := either(in.ClientID); ok {
		t.text(out, "client_id", ref, true)
	}
	t.secret(out, "client_secret", secretRef(in.ClientSecret))
	out.set("token_url", in.TokenURL)
	out.given("scopes", in.Scopes)
	out.given("endpoint_params", in.EndpointParams)
	t.proxy(out, in.ProxyConfig)
	if in.TLSConfig != nil {
		t.tls(out, &monitoringv1.TLSConfig{SafeTLSConfig: *in.TLSConfig})
	}
	b.set("oauth2", out)
}

func (t *translation) tls(b *block, in *monitoringv1.TLSConfig) {
	if in == nil {
		return
	}
	out := newBlock()
	out.given("insecure_skip_verify", in.InsecureSkipVerify)
	if ref, ok := either(in.CA); ok {
		t.secret(out, "ca", ref)
	}
	if ref, ok := either(in.Cert); ok {
		t.secret(out, "cert", ref)
	}
	if in.KeySecret != nil {
		t.secret(out, "key", secretRef(*in.KeySecret))
	}
	if in.ServerName != nil {
		out.given("server_name", *in.ServerName)
	}
	out.given("min_version", in.MinVersion)
	out.given("max_version", in.MaxVersion)
	t.path(out, "ca_file", in.CAFile)
	t.path(out, "cert_file", in.CertFile)
	t.path(out, "key_file", in.KeyFile)
	b.set("tls_config", out)
}

func (t *translation) proxy(b *block, in monitoringv1.ProxyConfig) {
	b.given("proxy_url", in.ProxyURL)
	b.given("no_proxy", in.NoProxy)
	b.given("proxy_from_environment", in.ProxyFromEnvironment)
	if in.ProxyConnectHeader == nil {
		return
	}
	headers := newBlock()
	for _, name := range slices.Sorted(maps.Keys(in.ProxyConnectHeader)) {
		values := []string{}
		for _, s := range in.ProxyConnectHeader[name] {
			values = append(values, t.textOf(t.at+".proxy_connect_header."+name, secretRef(s), false))
		}
		headers.set(name, values)
	}
	b.set("proxy_connect_header", headers)
}

// path adds the path of a file in the pod of Prometheus.
func (t *translation) path(b *block, key, path string) {
	if path == "" {
		return
	}
	b.set(key, path)
	if !t.inline && !strings.HasPrefix(path, "/var/run/secrets/") && !t.mounted(path) {
		t.remark(t.at+"."+key, "%s is a file of Prometheus's pod: mount it at the same path", path)
	}
}

// mounted reports whether the object's own mounts hold a path. They are among the mounts of the result.
func (t *translation) mounted(path string) bool {
	for _, m := range t.o.common.VolumeMounts {
		if strings.HasPrefix(path, strings.TrimSuffix(m.MountPath, "/")+"/") || path == m.MountPath {
			return true
		}
	}
	return slices.ContainsFunc(t.out.Mounts, func(m Mount) bool { return strings.HasPrefix(path, m.Path+"/") })
}
