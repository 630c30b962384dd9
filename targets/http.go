package targets

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	config_util "github.com/prometheus/common/config"
	corev1 "k8s.io/api/core/v1"
)

// httpBuilder fills in an HTTP client configuration from the fields of a monitor, with the values of Secrets.
type httpBuilder struct {
	out       *config_util.HTTPClientConfig
	assets    Assets
	namespace string // of the monitor: its Secrets are read there
	unused    bool   // the configuration is validated but no client uses it
	home      string // of the relay: those of scrape classes are read there (AddScrapeClassesToStore)
}

func (c *compiler) http(j *Job, namespace string) httpBuilder {
	return httpBuilder{out: &j.Config.HTTPClientConfig, assets: c.assets, namespace: namespace, home: c.own}
}

// ofClass returns a builder that reads the Secrets of scrape classes.
func (b httpBuilder) ofClass() httpBuilder {
	b.namespace = b.home
	return b
}

// firstError runs steps in order until one returns an error.
func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b httpBuilder) secret(sel corev1.SecretKeySelector) (config_util.Secret, error) {
	v, err := b.assets.Value(Ref{Namespace: b.namespace, Name: sel.Name, Key: sel.Key})
	return config_util.Secret(v), err
}

func (b httpBuilder) either(s monitoringv1.SecretOrConfigMap) (string, error) {
	switch {
	case s.Secret != nil:
		v, err := b.secret(*s.Secret)
		return string(v), err
	case s.ConfigMap != nil:
		v, err := b.assets.Value(Ref{ConfigMap: true, Namespace: b.namespace, Name: s.ConfigMap.Name, Key: s.ConfigMap.Key})
		return string(v), err
	}
	return "", nil
}

func (b httpBuilder) basicAuth(a *monitoringv1.BasicAuth) error {
	if a == nil {
		return nil
	}
	user, err := b.secret(a.Username)
	if err != nil {
		return fmt.Errorf("basicAuth: username: %w", err)
	}
	password, err := b.secret(a.Password)
	if err != nil {
		return fmt.Errorf("basicAuth: password: %w", err)
	}
	b.out.BasicAuth = &config_util.BasicAuth{Username: string(user), Password: password}
	return nil
}

// authorization sets the monitor's authorization, merged with the class's (mergeAuthorizationWithScrapeClass).
func (b httpBuilder) authorization(a *monitoringv1.Authorization, class monitoringv1.ScrapeClass) error {
	if a != nil && a.Credentials != nil {
		if err := a.Validate(); err != nil {
			return fmt.Errorf("authorization: %w", err)
		}
	}
	own, of := b, "authorization"
	ofClass := func() { own, of = b.ofClass(), "scrapeClass: authorization" }
	switch from := class.Authorization; {
	case a == nil:
		ofClass()
		a = from
	case from != nil:
		merged := *a
		if merged.Credentials == nil {
			ofClass()
			merged.Credentials = from.Credentials
		}
		if merged.Credentials == nil && merged.CredentialsFile == "" {
			merged.CredentialsFile = from.CredentialsFile
		}
		a = &merged
	}
	if a == nil {
		return nil
	}
	out := &config_util.Authorization{Type: strings.TrimSpace(a.Type), CredentialsFile: a.CredentialsFile}
	if a.Type == "" {
		out.Type = "Bearer"
	}
	if a.Credentials != nil && a.Credentials.Name != "" {
		v, err := own.secret(*a.Credentials)
		if err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
		out.Credentials = v
	}
	b.out.Authorization = out
	return nil
}

// safeAuthorization is authorization for kinds that may not name files. An empty one counts as not set.
func (b httpBuilder) safeAuthorization(a *monitoringv1.SafeAuthorization, class monitoringv1.ScrapeClass) error {
	if a == nil || reflect.ValueOf(*a).IsZero() {
		return b.authorization(nil, class)
	}
	return b.authorization(&monitoringv1.Authorization{SafeAuthorization: *a}, class)
}

func (b httpBuilder) oauth2(o *monitoringv1.OAuth2) error {
	if o == nil {
		return nil
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("oauth2: %w", err)
	}
	id, err := b.either(o.ClientID)
	if err != nil {
		return fmt.Errorf("oauth2: clientId: %w", err)
	}
	secret, err := b.secret(o.ClientSecret)
	if err != nil {
		return fmt.Errorf("oauth2: clientSecret: %w", err)
	}
	out := &config_util.OAuth2{ClientID: id, ClientSecret: secret, TokenURL: string(o.TokenURL), Scopes: o.Scopes, EndpointParams: o.EndpointParams}
	if err := b.proxyInto(&out.ProxyConfig, o.ProxyConfig); err != nil {
		return fmt.Errorf("oauth2: %w", err)
	}
	if o.TLSConfig != nil {
		if err := b.tlsInto(&out.TLSConfig, &monitoringv1.TLSConfig{SafeTLSConfig: *o.TLSConfig}); err != nil {
			return fmt.Errorf("oauth2: %w", err)
		}
	}
	b.out.OAuth2 = out
	return nil
}

// bearerToken sets the deprecated bearerTokenSecret.
func (b httpBuilder) bearerToken(sel *corev1.SecretKeySelector) error {
	if sel == nil || sel.Name == "" {
		return nil
	}
	v, err := b.secret(*sel)
	if err != nil {
		return fmt.Errorf("bearerTokenSecret: %w", err)
	}
	b.out.BearerToken = v
	return nil
}

// tls sets the monitor's TLS settings, merged with the class's (mergeTLSConfigWithScrapeClass).
func (b httpBuilder) tls(t *monitoringv1.TLSConfig, class monitoringv1.ScrapeClass) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("tlsConfig: %w", err)
	}
	switch from := class.TLSConfig; {
	case from == nil:
	case t == nil:
		if err := b.ofClass().tlsInto(&b.out.TLSConfig, from); err != nil {
			return fmt.Errorf("scrapeClass: %w", err)
		}
		return nil
	default:
		merged := *t
		if merged.CAFile == "" && merged.CA == (monitoringv1.SecretOrConfigMap{}) {
			merged.CAFile = from.CAFile
		}
		if merged.CertFile == "" && merged.Cert == (monitoringv1.SecretOrConfigMap{}) {
			merged.CertFile = from.CertFile
		}
		if merged.KeyFile == "" && merged.KeySecret == nil {
			merged.KeyFile = from.KeyFile
		}
		t = &merged
	}
	if t == nil {
		return nil
	}
	return b.tlsInto(&b.out.TLSConfig, t)
}

// safeTLS is tls for kinds that may not name files. Empty settings count as not set.
func (b httpBuilder) safeTLS(t *monitoringv1.SafeTLSConfig, class monitoringv1.ScrapeClass) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("tlsConfig: %w", err)
	}
	if t == nil || reflect.ValueOf(*t).IsZero() {
		return b.tls(nil, class)
	}
	return b.tls(&monitoringv1.TLSConfig{SafeTLSConfig: *t}, class)
}

// tlsInto fills in out and checks certificates and keys (addTLSAssets of the operator's assets).
func (b httpBuilder) tlsInto(out *config_util.TLSConfig, t *monitoringv1.TLSConfig) error {
	ca, err := b.either(t.CA)
	if err != nil {
		return fmt.Errorf("tlsConfig: ca: %w", err)
	}
	cert, err := b.either(t.Cert)
	if err != nil {
		return fmt.Errorf("tlsConfig: cert: %w", err)
	}
	var key config_util.Secret
	if t.KeySecret != nil {
		if key, err = b.secret(*t.KeySecret); err != nil {
			return fmt.Errorf("tlsConfig: keySecret: %w", err)
		}
	}
	for _, ref := range []struct {
		name  string
		given bool
		value string
	}{{"ca", t.CA != (monitoringv1.SecretOrConfigMap{}), ca}, {"cert", t.Cert != (monitoringv1.SecretOrConfigMap{}), cert}, {"keySecret", t.KeySecret != nil, string(key)}} {
		if ref.given && ref.value == "" && !b.unused { // without this check, the system's certificate authorities would be trusted
			return fmt.Errorf("tlsConfig: %s: it is empty", ref.name)
		}
	}
	if ca != "" {
		block, _ := pem.Decode([]byte(ca))
		if block == nil {
			return mendable{fmt.Errorf("tlsConfig: ca %s: no PEM block in it", t.CA.String()), mendPEM(b.namespace, t.CA, ca)}
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("tlsConfig: ca %s: %w", t.CA.String(), err)
		}
	}
	if cert != "" && key != "" {
		if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
			return fmt.Errorf("tlsConfig: cert %s and key %s: %w", t.Cert.String(), t.KeySecret.Name, err)
		}
	}
	*out = config_util.TLSConfig{
		CA: ca, Cert: cert, Key: key, CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile,
		ServerName: value(t.ServerName), InsecureSkipVerify: value(t.InsecureSkipVerify),
	}
	for _, v := range []struct {
		name string
		set  *monitoringv1.TLSVersion
		to   *config_util.TLSVersion
	}{{"minVersion", t.MinVersion, &out.MinVersion}, {"maxVersion", t.MaxVersion, &out.MaxVersion}} {
		if v.set == nil {
			continue
		}
		n, ok := config_util.TLSVersions[string(*v.set)]
		if !ok {
			return fmt.Errorf("tlsConfig: %s: unknown TLS version %q", v.name, *v.set)
		}
		*v.to = n
	}
	return nil
}

func (b httpBuilder) proxy(p monitoringv1.ProxyConfig) error {
	return b.proxyInto(&b.out.ProxyConfig, p)
}

func (b httpBuilder) proxyInto(out *config_util.ProxyConfig, p monitoringv1.ProxyConfig) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("proxyConfig: %w", err)
	}
	if p.ProxyURL != nil && *p.ProxyURL != "" {
		u, err := url.Parse(*p.ProxyURL)
		if err != nil {
			return fmt.Errorf("proxyUrl: %w", err)
		}
		out.ProxyURL = config_util.URL{URL: u}
	}
	out.NoProxy, out.ProxyFromEnvironment = value(p.NoProxy), value(p.ProxyFromEnvironment)
	for name, refs := range p.ProxyConnectHeader {
		for _, ref := range refs {
			v, err := b.secret(ref)
			if err != nil {
				return fmt.Errorf("proxyConnectHeader: %s: %w", name, err)
			}
			if out.ProxyConnectHeader == nil {
				out.ProxyConnectHeader = config_util.ProxyHeader{}
			}
			out.ProxyConnectHeader[name] = append(out.ProxyConnectHeader[name], v)
		}
	}
	return nil
}
