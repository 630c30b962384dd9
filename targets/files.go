package targets

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/model/relabel"
)

// The files of the relay's own service account. Monitors may name these, as kube-prometheus's monitors of kubelets and of the API server
// do. They may name other files only if the configuration allows all.
const (
	tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	caFile    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
)

// KubeletPort is the port of a kubelet whose Node does not state one.
const KubeletPort = 10250

// files returns an error if an endpoint names a file of the relay that it may not read, and marks a job whose targets get the
// service account's token.
func (c *compiler) files(j *Job, e *monitoringv1.Endpoint) error {
	if !c.spec.ArbitraryFSAccessThroughSMs.Deny {
		return nil
	}
	tls := monitoringv1.TLSConfig{}
	if e.TLSConfig != nil {
		tls = *e.TLSConfig
	}
	for _, f := range []struct{ field, path, allowed string }{
		{"bearerTokenFile", e.BearerTokenFile, tokenFile},
		{"tlsConfig.caFile", tls.CAFile, caFile},
		{"tlsConfig.certFile", tls.CertFile, ""},
		{"tlsConfig.keyFile", tls.KeyFile, ""},
	} {
		if f.path != "" && f.path != f.allowed {
			return deniedFile(f.field, f.path)
		}
	}
	if j.OwnToken = e.BearerTokenFile == tokenFile; !j.OwnToken {
		return nil
	}
	if h := &j.Config.HTTPClientConfig; h.FollowRedirects {
		h.FollowRedirects = false
		if value(e.FollowRedirects) {
			j.Notes = append(j.Notes, "redirects are not followed: its targets get the relay's own token")
		}
	}
	return nil
}

// discoveryFiles returns an error for the file_sd of a ScrapeConfig.
func (c *compiler) discoveryFiles(m *monitoringv1alpha1.ScrapeConfig) error {
	if !c.spec.ArbitraryFSAccessThroughSMs.Deny {
		return nil
	}
	for i, sd := range m.Spec.FileSDConfigs {
		for _, f := range sd.Files {
			return deniedFile(fmt.Sprintf("fileSDConfigs[%d].files", i), string(f))
		}
	}
	return nil
}

// consulTokens are the environment variables from which Consul's client reads a token if it gets none.
var consulTokens = []string{"CONSUL_HTTP_TOKEN", "CONSUL_HTTP_TOKEN_FILE"}

// environment returns an error for a service discovery of a ScrapeConfig that would read credentials from the relay's environment and
// send them to a server that the monitor names. Only Consul's client does that: the others read none, sign requests with them (AWS), or
// read the server from the environment as well (OpenStack).
func (c *compiler) environment(sd discovery.Config) error {
	consulSD, ok := sd.(*consul.SDConfig)
	if !ok || consulSD.Token != "" || !c.spec.ArbitraryFSAccessThroughSMs.Deny {
		return nil
	}
	for _, name := range consulTokens {
		if c.getenv != nil && c.getenv(name) != "" {
			server := consulSD.Server[strings.LastIndexByte(consulSD.Server, '@')+1:]
			return fmt.Errorf("tokenRef: there is none, and the relay's environment has %s, which would be sent to %q: give tokenRef, unset %s, or set monitors.arbitraryFSAccessThroughSMs.deny: false", name, server, name)
		}
	}
	return nil
}

func deniedFile(field, path string) error {
	return fmt.Errorf("%s: %q is a file of the relay, which monitors may not read: name a Secret or ConfigMap, or set monitors.arbitraryFSAccessThroughSMs.deny: false (of the service account's files, bearerTokenFile may be its token and caFile its ca.crt)", field, path)
}

// TokenError says why a target does not get the relay's own token.
type TokenError struct{ URL, Why string }

func (e *TokenError) Error() string {
	return fmt.Sprintf("not scraped: its monitor names the relay's own token (bearerTokenFile), which is not sent to %s: %s. "+
		"In a cluster it goes over HTTPS to the address of a Node on its kubelet's port, and to the endpoints of the Service default/kubernetes. "+
		"Take bearerTokenFile out, name a Secret (authorization.credentials), or set monitors.arbitraryFSAccessThroughSMs.deny: false", e.URL, e.Why)
}

// CheckToken returns a TokenError if the target's job has OwnToken and the target must not get the token. Trusted returns an error for
// an address, nil if it is a kubelet's or the API server's. The final destination of the request decides.
func (t *Target) CheckToken(trusted func(netip.AddrPort) error) error {
	if !t.Job.OwnToken {
		return nil
	}
	if why := t.misleads(); why != "" {
		return &TokenError{t.shownURL(), why}
	}
	at, err := t.addrPort()
	if err == nil {
		err = trusted(at)
	}
	if err != nil {
		return &TokenError{t.shownURL(), err.Error()}
	}
	return nil
}

// TokenNowhere returns a TokenError if the job has OwnToken and its settings alone show that no target of it may get the token. If it
// returns nil, the answer depends on the target.
func (j *Job) TokenNowhere() error {
	rescheme := func(r *relabel.Config) bool {
		return r.TargetLabel == model.SchemeLabel || r.Action == relabel.LabelMap || strings.Contains(r.TargetLabel, "$")
	}
	if !j.OwnToken || j.Config.Scheme == "https" || slices.ContainsFunc(j.Config.RelabelConfigs, rescheme) {
		return nil
	}
	return &TokenError{"its targets", schemeOf(j.Config.Scheme)}
}

func schemeOf(scheme string) string { return fmt.Sprintf("its scheme is %q", scheme) }

// misleads says why a request would not go straight to the target's address; empty if it does.
func (t *Target) misleads() string {
	h := &t.Job.Config.HTTPClientConfig
	switch {
	case t.Labels.Get(UnixSocketLabel) != "":
		return "it is a socket"
	case h.ProxyURL.URL != nil || h.ProxyFromEnvironment:
		return "a proxy is asked for"
	case h.FollowRedirects:
		return "redirects are followed"
	}
	return ""
}

// addrPort reads the address from the URL as an HTTP client does. A host name is an error: it may resolve to another address later.
func (t *Target) addrPort() (none netip.AddrPort, err error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return none, errors.New("its URL cannot be read")
	}
	if u.Scheme != "https" {
		return none, errors.New(schemeOf(u.Scheme))
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil || addr.Zone() != "" {
		return none, fmt.Errorf("%q is no IP address", u.Hostname())
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return none, fmt.Errorf("%q is no port", port)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// shownURL is the URL without its parameters, which may be secret.
func (t *Target) shownURL() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "its address"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
