package scrape

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"golang.org/x/oauth2"

	"promrelay/targets"
	"promrelay/wal"
)

// advices say what a person can do about an error of a scrape. The first one that fits is used.
var advices = []struct {
	is     func(error) bool
	advice func(t *targets.Target, err error) string
}{
	{as[targetLimitError](), func(t *targets.Target, _ error) string {
		return "raise " + setting(t, t.Job.LimitKey("target_limit")) + ", or select fewer targets: while there are too many, none is scraped"
	}},
	{as[sampleLimitError](), limitAdvice("sample_limit")},
	{as[labelLimitError](), func(t *targets.Target, err error) string {
		var limit labelLimitError
		errors.As(err, &limit)
		return "raise " + setting(t, t.Job.LimitKey(limit.key)) + ", or drop the label or series by metricRelabelings"
	}},
	{as[bucketLimitError](), limitAdvice("native_histogram_bucket_limit")},
	{as[bodySizeError](), func(t *targets.Target, err error) string {
		var size bodySizeError
		errors.As(err, &size)
		return "raise " + setting(t, size.key) + ", or make the page smaller"
	}},
	{as[memoryError](), plain("give the relay more memory, or raise scrape.memory_limit")},
	{as[sizeError](), plain("make the page smaller; scrape.line_size_limit bounds its lines")},
	{status(http.StatusUnauthorized), authAdvice},
	{status(http.StatusForbidden), authAdvice},
	{status(http.StatusNotFound), func(t *targets.Target, _ error) string {
		return fmt.Sprintf("the path %s does not exist at the target: set %s%s", pathOf(t), t.Job.Owner.Key("path"), of(t))
	}},
	{status(http.StatusMethodNotAllowed, http.StatusNotAcceptable), func(t *targets.Target, _ error) string {
		return "look whether " + pathOf(t) + " is the page of metrics"
	}},
	{plainToTLS, func(t *targets.Target, _ error) string { return "the target wants https: set scheme: https" + of(t) }},
	{is(http.ErrSchemeMismatch), func(t *targets.Target, _ error) string {
		return "the target answers by plain http: set scheme: http" + of(t)
	}},
	{func(err error) bool { return statusOf(err) >= 500 }, plain("the target fails by itself: look at its log")},
	{func(err error) bool { return statusOf(err)/100 == 3 }, func(t *targets.Target, _ error) string {
		return "set the path to where the page is, or followRedirects: true" + of(t)
	}},
	{func(err error) bool { return statusOf(err) != 0 }, func(t *targets.Target, _ error) string {
		return "look whether " + pathOf(t) + " is the page of metrics, and at the target's log"
	}},
	{as[x509.UnknownAuthorityError](), func(t *targets.Target, _ error) string {
		return "set " + t.Job.Owner.Key("tls_config.ca_file") + of(t) + " to the CA of the target's certificate"
	}},
	{as[x509.HostnameError](), nameAdvice},
	{as[x509.CertificateInvalidError](), plain("renew the target's certificate, or correct the clock")},
	{as[tls.AlertError](), plain("the target refuses the TLS connection: it may want a client certificate (tlsConfig.cert and tlsConfig.keySecret)")},
	{as[*tls.RecordHeaderError](), func(t *targets.Target, _ error) string {
		return "the target does not speak TLS at this port: set scheme: http, or another port" + of(t)
	}},
	{as[tls.RecordHeaderError](), func(t *targets.Target, _ error) string {
		return "the target does not speak TLS at this port: set scheme: http, or another port" + of(t)
	}},
	{as[*oauth2.RetrieveError](), plain("correct oauth2: its tokenUrl, clientId and clientSecret")},
	{as[timeoutError](), timeoutAdvice},
	{is(context.DeadlineExceeded), timeoutAdvice},
	{is(syscall.ECONNREFUSED), func(t *targets.Target, _ error) string {
		return "nothing listens at this address and port: check that the container listens at the port, and on all addresses rather than on 127.0.0.1"
	}},
	{as[*net.DNSError](), func(t *targets.Target, _ error) string { return "correct the host name of the target, or the proxy's" }},
	{is(syscall.EHOSTUNREACH), plain("the relay does not reach the address: check NetworkPolicies and the network")},
	{is(syscall.ENETUNREACH), plain("the relay does not reach the address: check NetworkPolicies and the network")},
	{is(syscall.ECONNRESET), plain("the target closed the connection: look at its log, and whether scheme is right")},
	{as[mediaError](), mediaAdvice},
	{as[pageError](), func(t *targets.Target, err error) string {
		var page pageError
		errors.As(err, &page)
		return "look at " + page.where + " of the page " + t.ShownURL() + ": its format is not valid"
	}},
	{is(errInvalid), plain("correct the page: its format is not valid")},
	{is(fs.ErrNotExist), plain("make this file available to the relay, or name a Secret instead")},
	{is(wal.ErrTooLarge), plain("make the page smaller")},
	{is(io.EOF), plain("the target closed the connection without an answer: look at its log, and whether scheme is right")},
	{is(io.ErrUnexpectedEOF), plain("the target closed the connection before the end of the page: look at its log")},
	{as[net.Error](), plain("check that the target runs, and that the relay reaches it")},
}

// advice says what a person can do about an error of a scrape of t.
func advice(t *targets.Target, err error) string {
	for _, a := range advices {
		if a.is(err) {
			return a.advice(t, err)
		}
	}
	return "look at the target's log"
}

// of names what a person edits.
func of(t *targets.Target) string { return " in " + t.Job.Owner.String() }

// setting names a setting, and where it is.
func setting(t *targets.Target, key string) string {
	if strings.HasPrefix(key, "monitors.") || strings.HasPrefix(key, "scrape.") {
		return key + " in the relay's configuration"
	}
	return key + of(t)
}

func as[E error]() func(error) bool {
	return func(err error) bool { var e E; return errors.As(err, &e) }
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func plain(text string) func(*targets.Target, error) string {
	return func(*targets.Target, error) string { return text }
}

func statusOf(err error) int {
	var s statusError
	errors.As(err, &s)
	return s.code
}

func status(codes ...int) func(error) bool {
	return func(err error) bool {
		got := statusOf(err)
		for _, c := range codes {
			if got == c {
				return true
			}
		}
		return false
	}
}

// plainToTLS reports whether a server of TLS got a request without it. Go's servers and nginx say so in the first line.
func plainToTLS(err error) bool {
	var s statusError
	return errors.As(err, &s) && s.code == http.StatusBadRequest && strings.Contains(strings.ToLower(s.hint), "https")
}

func limitAdvice(key string) func(*targets.Target, error) string {
	return func(t *targets.Target, _ error) string {
		return "raise " + setting(t, t.Job.LimitKey(key)) + ", or drop series by metricRelabelings"
	}
}

func pathOf(t *targets.Target) string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "the path"
	}
	return u.Path
}

// authAdvice says which authentication the job has.
func authAdvice(t *targets.Target, err error) string {
	c := t.Job.Config.HTTPClientConfig
	used := ""
	switch {
	case t.Job.OwnToken:
		used = "the token of the relay's service account"
	case c.BasicAuth != nil:
		used = "basicAuth"
	case c.OAuth2 != nil:
		used = "oauth2"
	case c.Authorization != nil:
		used = "authorization"
	case c.BearerToken != "" || c.BearerTokenFile != "":
		used = "bearerTokenSecret"
	}
	switch {
	case used == "":
		return "the target wants credentials: set basicAuth, authorization or oauth2" + of(t)
	case t.Job.OwnToken || t.Job.Owner.Kind == targets.NodesBlock:
		return "allow the relay's service account what the answer names: apply the ClusterRole of deploy/"
	case statusOf(err) == http.StatusForbidden:
		return "the target knows the credentials and does not allow this page: check " + used + of(t) + ", and its rights at the target"
	}
	return "the target does not accept the credentials: check the Secret of " + used + of(t)
}

// nameAdvice names the names in the certificate.
func nameAdvice(t *targets.Target, err error) string {
	var name x509.HostnameError
	errors.As(err, &name)
	key := t.Job.Owner.Key("tls_config.server_name")
	var names []string
	if name.Certificate != nil {
		names = name.Certificate.DNSNames
		for _, ip := range name.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
	}
	switch {
	case t.Job.Owner.Kind == targets.NodesBlock:
		return "let the kubelets have certificates for their addresses (serverTLSBootstrap), or set nodes.insecure_skip_verify: true"
	case len(names) == 0:
		return "give the target a certificate with names; this one has none"
	}
	return "set " + key + of(t) + " to a name of the certificate: " + targets.UpTo(names, 5)
}

func timeoutAdvice(t *targets.Target, err error) string {
	var late timeoutError
	if errors.As(err, &late) && late.bytes > 0 {
		return "raise " + t.Job.Owner.Key("scrape_timeout") + of(t) + ", or make the page smaller"
	}
	return "check that the target answers at this address and port, and that no NetworkPolicy is between; if it is only slow, raise " + t.Job.Owner.Key("scrape_timeout") + of(t)
}

// mediaError is about a page whose Content-Type says that it is no page of metrics.
type mediaError struct {
	media string
	err   error
}

func (e mediaError) Error() string { return e.err.Error() }

func (e mediaError) Unwrap() error { return e.err }

func mediaAdvice(t *targets.Target, err error) string {
	var media mediaError
	errors.As(err, &media)
	if strings.HasPrefix(media.media, "text/html") {
		return "the target answers with a page for people: set the path of its metrics" + of(t)
	}
	return "if this is a page of metrics, set " + t.Job.Owner.Key("fallback_scrape_protocol") + ": PrometheusText0.0.4" + of(t)
}
