package scrape

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"promrelay/targets"
)

// shownBytes is how much is told of what a parser says: it may repeat a line of the page.
const shownBytes = 300

// cut returns the beginning of a text, if it is long.
func cut(s string) string {
	if len(s) <= shownBytes {
		return s
	}
	end := shownBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:end], len(s))
}

// pageError is what is wrong in a page, and where.
type pageError struct {
	where string
	err   error
}

func (e pageError) Error() string { return e.where + ": " + cut(e.err.Error()) }
func (e pageError) Unwrap() error { return e.err }

// sampleLimitError is a page with more samples than sample_limit lets it have.
type sampleLimitError struct{ limit, samples int }

func (e sampleLimitError) Error() string {
	return fmt.Sprintf("sample_limit %d: the page has %d", e.limit, e.samples)
}

// bucketLimitError is a histogram that has too many buckets, also at the lowest resolution.
type bucketLimitError struct{ limit, buckets int }

func (e bucketLimitError) Error() string {
	return fmt.Sprintf("native_histogram_bucket_limit %d: a histogram has %d buckets at its lowest resolution", e.limit, e.buckets)
}

// timeoutError is a scrape that took too long.
type timeoutError struct {
	timeout time.Duration
	bytes   int64 // of the page that had come, -1 where there was no answer
	err     error
}

func (e timeoutError) Error() string {
	if e.bytes < 0 {
		return fmt.Sprintf("scrape_timeout %s: no answer: %v", e.timeout, e.err)
	}
	return fmt.Sprintf("scrape_timeout %s: the page was not read to its end, %d bytes of it came: %v", e.timeout, e.bytes, e.err)
}

func (e timeoutError) Unwrap() error { return e.err }

// tlsError is a certificate that does not fit.
type tlsError struct {
	name string // that was asked for
	set  bool   // by the configuration
	err  error
}

func (e tlsError) Error() string {
	from := "of the URL; tls_config.server_name sets another"
	if e.set {
		from = "of tls_config.server_name"
	}
	return fmt.Sprintf("%v (asked for %q, the name %s)", e.err, e.name, from)
}

func (e tlsError) Unwrap() error { return e.err }

// explain adds to an error of fetching the page of t what a person needs to know. Bytes are of the page that had come, -1 where
// there was no answer.
func explain(err error, t *targets.Target, bytes int64) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return timeoutError{t.Timeout, bytes, err}
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		e := tlsError{name: t.Job.Config.HTTPClientConfig.TLSConfig.ServerName, err: err}
		e.set = e.name != ""
		if u := new(url.Error); !e.set && errors.As(err, &u) { // the host of a redirect, maybe
			if at, bad := url.Parse(u.URL); bad == nil {
				e.name = at.Hostname()
			}
		}
		return e
	}
	return err
}

// credentials tells which credentials came with the request that resp answers. A redirect to another host goes without any.
func credentials(resp *http.Response) string {
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden || resp.Request == nil {
		return ""
	}
	if scheme, _, ok := strings.Cut(resp.Request.Header.Get("Authorization"), " "); ok && !strings.EqualFold(scheme, "") {
		return "credentials were sent, of type " + cut(scheme)
	}
	if leaves(resp.Request) {
		return "no credentials were sent, since a redirect led to another host"
	}
	return "no credentials were sent"
}
