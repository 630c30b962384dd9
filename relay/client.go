package relay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/version"
	"github.com/prometheus/prometheus/storage/remote"

	"promrelay/config"
)

// outcome is what a destination's answer means for a request.
type outcome int

const (
	delivered outcome = iota
	retry             // later, the same
	hold              // later, the same, but a person must do something first
	downgrade         // by 1.0
	tooLarge          // in smaller requests
	refused           // not by this destination
)

// verdict is the answer to a request.
type verdict struct {
	outcome outcome
	status  int           // of HTTP, 0 if there was no answer
	after   time.Duration // before which a retry is not wanted, 0 if nothing was said
	written int           // samples and histograms that were stored, where the destination told it; else -1
	// exemplars were stored, where the destination told anything.
	exemplars int
	err       error // what was wrong, nil if nothing
}

// client is one destination's end of HTTP.
type client struct {
	http    *http.Client
	url     string
	timeout time.Duration
	keep    bool // what is refused with 401, 403 or 404
	// negotiate tells that 2.0 was not asked for, so that an answer without its headers means that it was not understood.
	negotiate bool
}

// newClient makes the HTTP client with storage/remote: authentication, TLS and proxy are Prometheus's. The exchange
// is ours, for its status and headers.
func newClient(d config.Destination, keep bool) (*client, error) {
	wc, err := remote.NewWriteClient(d.ID(), &remote.ClientConfig{
		URL: d.URL, Timeout: d.RemoteTimeout, HTTPClientConfig: d.HTTPClientConfig, SigV4Config: d.SigV4Config,
		AzureADConfig: d.AzureADConfig, GoogleIAMConfig: d.GoogleIAMConfig, Headers: d.Headers, RoundRobinDNS: d.RoundRobinDNS,
	})
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	rc, ok := wc.(*remote.Client)
	if !ok {
		return nil, fmt.Errorf("HTTP client: storage/remote gives a %T", wc)
	}
	return &client{http: rc.Client, url: d.URL.String(), timeout: time.Duration(d.RemoteTimeout), keep: keep, negotiate: d.Negotiate}, nil
}

var userAgent = "promrelay/" + cmp.Or(version.Version, "dev")

// post sends r once. The error of the verdict is fit for a person.
func (c *client) post(ctx context.Context, r *request, attempt int) verdict {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(r.payload))
	if err != nil {
		return verdict{outcome: hold, written: -1, err: err}
	}
	h := req.Header
	h.Set("Content-Encoding", "snappy")
	h.Set("User-Agent", userAgent)
	if r.version == version2 {
		h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	} else {
		h.Set("Content-Type", "application/x-protobuf")
		h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	}
	if attempt > 0 {
		h.Set("Retry-Attempt", strconv.Itoa(attempt))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return verdict{outcome: retry, written: -1, err: err}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return c.judge(r, resp, strings.ToValidUTF8(strings.TrimSpace(string(body)), "?"), time.Now())
}

// judge says what an answer means. See the sections "Required Written Response Headers", "Retries & Backoff" and "Unsupported
// Request Content" of the specification of remote write 2.0.
func (c *client) judge(r *request, resp *http.Response, body string, now time.Time) verdict {
	v := verdict{status: resp.StatusCode}
	v.written, v.exemplars = written(resp.Header)
	if resp.StatusCode/100 == 2 {
		if r.version == version2 && v.written < 0 && c.negotiate {
			v.outcome, v.err = downgrade, fmt.Errorf("answered %s to remote write 2.0 without telling what was written", resp.Status)
		}
		return v
	}
	v.err = errors.New(resp.Status)
	if body != "" {
		v.err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	switch code := resp.StatusCode; {
	case code/100 == 5, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		v.outcome, v.after = retry, retryAfter(resp.Header.Get("Retry-After"), now)
	case code == http.StatusUnsupportedMediaType && r.version == version2 && c.negotiate:
		v.outcome = downgrade
	case code == http.StatusRequestEntityTooLarge:
		v.outcome = tooLarge
	case code == http.StatusUnsupportedMediaType, code == http.StatusProxyAuthRequired, code/100 == 3:
		v.outcome = hold
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound:
		v.outcome = refused
		if c.keep {
			v.outcome = hold
		}
	default:
		v.outcome = refused
	}
	return v
}

// written returns the samples and histograms, and the exemplars, that the answer's headers claim; of samples -1 if there
// are no such headers.
func written(h http.Header) (samples, exemplars int) {
	samples = -1
	for _, name := range [...]string{"Samples", "Histograms", "Exemplars"} {
		v, err := strconv.Atoi(h.Get("X-Prometheus-Remote-Write-" + name + "-Written"))
		if err != nil || v < 0 {
			continue
		}
		samples = max(samples, 0)
		if name == "Exemplars" {
			exemplars = v
		} else {
			samples += v
		}
	}
	return samples, exemplars
}

// maxRetryAfter bounds how long a destination may keep the relay waiting by Retry-After.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads the header Retry-After, which is a time or a number of seconds.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(v); err == nil {
		d = time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// backoff is the pause before a retry: it doubles from one to the next, and no two relays take the same.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

// pause returns how long to wait now; after is what the destination asked for.
func (b *backoff) pause(after time.Duration) time.Duration {
	if b.next = 2 * b.next; b.next == 0 {
		b.next = b.min
	}
	b.next = min(b.next, b.max)
	d := b.next/2 + rand.N(b.next/2+1)
	if after > 0 {
		d = after + rand.N(after/10+1)
	}
	return d
}
