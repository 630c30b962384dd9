package scrape

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"promrelay/targets"
)

// shownBytes bounds the error of a parser, which may repeat a line of the page. shownError bounds
// any error that is shown.
const shownBytes, shownError = 300, 2000

// cut returns a text without its middle if it is longer than limit bytes. The end of an error says
// what is wrong.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	begin, end := limit*2/3, len(s)-limit/3
	for begin > 0 && !utf8.RuneStart(s[begin]) {
		begin--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end++
	}
	return fmt.Sprintf("%s... (%d bytes) ...%s", s[:begin], end-begin, s[end:])
}

// pageError says what is wrong in a page, and where.
type pageError struct {
	where string
	err   error
}

func (e pageError) Error() string { return e.where + ": " + cut(e.err.Error(), shownBytes) }

func (e pageError) Unwrap() error { return e.err }

// sampleLimitError is about a page with more samples than sample_limit allows.
type sampleLimitError struct {
	key            string // of the limit
	limit, samples int
}

func (e sampleLimitError) Error() string {
	return fmt.Sprintf("%s %d: the page has %d", e.key, e.limit, e.samples)
}

// bucketLimitError is about a histogram that has too many buckets even at the lowest resolution.
type bucketLimitError struct {
	key            string // of the limit
	limit, buckets int
}

func (e bucketLimitError) Error() string {
	return fmt.Sprintf("%s %d: a histogram has %d buckets at its lowest resolution", e.key, e.limit, e.buckets)
}

// timeoutError is about a scrape that took too long.
type timeoutError struct {
	key     string
	timeout time.Duration
	bytes   int64 // of the page that arrived, -1 if there was no answer
	err     error
}

func (e timeoutError) Error() string {
	if e.bytes < 0 {
		return fmt.Sprintf("%s %s: no answer: %v", e.key, e.timeout, e.err)
	}
	return fmt.Sprintf("%s %s: the page was not read to its end, %d bytes of it came: %v", e.key, e.timeout, e.bytes, e.err)
}

func (e timeoutError) Unwrap() error { return e.err }

// tlsError is about a certificate that cannot be verified, and says what to do.
type tlsError struct {
	hint string
	err  error
}

func (e tlsError) Error() string { return fmt.Sprintf("%v (%s)", e.err, e.hint) }

func (e tlsError) Unwrap() error { return e.err }

// explain adds to an error of fetching the page of t what a person needs to know. Bytes is how much
// of the page arrived, -1 if there was no answer.
func explain(err error, t *targets.Target, bytes int64) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return timeoutError{t.Job.Owner.Key("scrape_timeout"), t.Timeout, bytes, err}
	}
	if hint := tlsHint(err, t); hint != "" {
		return tlsError{hint, err}
	}
	return err
}

// tlsHint says what to do about a certificate that is for another name, or from an unknown CA.
// Kubelets are scraped at the addresses of their Nodes, so no single server name fits them all.
func tlsHint(err error, t *targets.Target) string {
	owner := t.Job.Owner
	nodes := owner.Kind == targets.NodesBlock
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)) && nodes:
		return "nodes.tls_config.ca_file names the CA of the kubelets' certificates; where they have signed them themselves, nodes.insecure_skip_verify: true takes them unchecked"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return owner.Key("tls_config.ca_file") + " names the CA"
	case !errors.As(err, new(x509.HostnameError)):
		return ""
	}
	if name := t.Job.Config.HTTPClientConfig.TLSConfig.ServerName; name != "" {
		key := owner.Key("tls_config.server_name")
		if nodes {
			key = "nodes." + key
		}
		return fmt.Sprintf("asked for %q, the name of %s", name, key)
	}
	name := ""
	if u := new(url.Error); errors.As(err, &u) { // it may be the host of a redirect
		if at, bad := url.Parse(u.URL); bad == nil {
			name = at.Hostname()
		}
	}
	if nodes {
		return fmt.Sprintf("asked for %q, the address of the Node: kubelets with serverTLSBootstrap get certificates for it, the CA of which is nodes.tls_config.ca_file; nodes.insecure_skip_verify: true takes any unchecked", name)
	}
	return fmt.Sprintf("asked for %q, the name of the URL; %s sets another", name, owner.Key("tls_config.server_name"))
}

// credentials says whether a request that was refused with 401 or 403 had credentials. After a
// redirect to another host it has none.
func credentials(resp *http.Response) string {
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden || resp.Request == nil {
		return ""
	}
	if scheme, _, ok := strings.Cut(resp.Request.Header.Get("Authorization"), " "); ok && !strings.EqualFold(scheme, "") {
		return "credentials were sent, of type " + cut(scheme, shownBytes)
	}
	if leaves(resp.Request) {
		return "no credentials were sent, since a redirect led to another host"
	}
	return "no credentials were sent"
}

// limitName returns the value of the metric's label limit for an error, "" for an error that is not
// about a limit.
func limitName(err error) string {
	var label labelLimitError
	var target targetLimitError
	switch {
	case errors.As(err, new(sampleLimitError)):
		return "sample_limit"
	case errors.As(err, new(bucketLimitError)):
		return "native_histogram_bucket_limit"
	case errors.As(err, new(bodySizeError)):
		return "body_size_limit"
	case errors.As(err, new(sizeError)), errors.As(err, new(countError)), errors.As(err, new(ruleError)):
		return "size"
	case errors.As(err, new(memoryError)):
		return "memory_limit"
	case errors.As(err, &label):
		return "label_limit"
	case errors.As(err, &target):
		return "target_limit"
	}
	return ""
}

// targetLimitError fails every scrape of a job that has too many targets.
type targetLimitError struct {
	key            string // of the limit
	targets, limit int
}

func (e targetLimitError) Error() string {
	return fmt.Sprintf("%s exceeded (number of targets: %d, limit: %d)", e.key, e.targets, e.limit)
}
