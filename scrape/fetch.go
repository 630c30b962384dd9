package scrape

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"
	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/targets"
)

var errZstd = errors.New("the answer is compressed by zstd, which was not asked for")

// userAgent is what targets see of the relay.
var userAgent = "promrelay/" + cmp.Or(version.Version, "dev")

// newRequest makes the request for the page of t. Its headers and their order of preference are the
// same as in prometheus/scrape.
func newRequest(ctx context.Context, t *targets.Target) (*http.Request, error) {
	c := t.Job.Config
	scheme, err := promconfig.ToEscapingScheme(c.MetricNameEscapingScheme, c.MetricNameValidationScheme)
	if err != nil {
		return nil, fmt.Errorf("escaping scheme of job %s: %w", t.Job.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	encoding := "identity"
	if c.EnableCompression {
		encoding = "gzip"
	}
	req.Header.Set("Accept", acceptHeader(c.ScrapeProtocols, scheme))
	req.Header.Set("Accept-Encoding", encoding)
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.Timeout.Seconds(), 'f', -1, 64))
	return req, nil
}

func acceptHeader(protocols []promconfig.ScrapeProtocol, scheme model.EscapingScheme) string {
	var vals []string
	weight := len(promconfig.ScrapeProtocolsHeaders) + 1
	for _, p := range protocols {
		v := promconfig.ScrapeProtocolsHeaders[p]
		if p == promconfig.PrometheusText1_0_0 || p == promconfig.OpenMetricsText1_0_0 {
			v += ";" + model.EscapingKey + "=" + scheme.String()
		}
		vals = append(vals, fmt.Sprintf("%s;q=0.%d", v, weight))
		weight--
	}
	return strings.Join(append(vals, fmt.Sprintf("*/*;q=0.%d", weight)), ",")
}

type gunzipper struct {
	buf *bufio.Reader
	z   gzip.Reader
}

var gunzippers = sync.Pool{New: func() any { return &gunzipper{buf: bufio.NewReaderSize(nil, 16<<10)} }}

// body is the page of an answer, to be read once.
type body struct {
	io.Reader   // of the page, decompressed
	contentType string
	raw         io.ReadCloser
	gunzipper   *gunzipper // nil if the page is not compressed
}

// fetch requests the page of t. The caller closes the body.
func fetch(ctx context.Context, client *http.Client, t *targets.Target) (*body, error) {
	req, err := newRequest(ctx, t)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req) //nolint:bodyclose // the body closes it
	if err != nil {
		return nil, err
	}
	b := &body{Reader: resp.Body, contentType: resp.Header.Get("Content-Type"), raw: resp.Body}
	if err := b.open(resp); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *body) open(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return statusError{resp.StatusCode, resp.Status, bodyHint(resp.Body), credentials(resp)}
	}
	switch resp.Header.Get("Content-Encoding") {
	case "zstd":
		return errZstd
	case "gzip":
		b.gunzipper = gunzippers.Get().(*gunzipper)
		b.gunzipper.buf.Reset(resp.Body)
		if err := b.gunzipper.z.Reset(b.gunzipper.buf); err != nil {
			return err
		}
		b.Reader = &b.gunzipper.z
	}
	return nil
}

// drainBytes is how much of the rest of a body is read and discarded, so that its connection can be
// used again.
const drainBytes = 256 << 10

func (b *body) close() {
	_, _ = io.CopyN(io.Discard, b.raw, drainBytes)
	b.raw.Close()
	if b.gunzipper != nil {
		gunzippers.Put(b.gunzipper)
		b.gunzipper = nil
	}
}

// statusError is an answer other than 200.
type statusError struct {
	code   int
	status string
	hint   string // the first line of the body, if it is short text
	sent   string // which credentials were sent, "" if that does not matter
}

func (e statusError) Error() string {
	text := "server returned HTTP status " + e.status
	if e.sent != "" {
		text += " (" + e.sent + ")"
	}
	if e.hint == "" {
		return text
	}
	return text + ": " + e.hint
}

// bodyHint returns the first line of a short text, which may say why: a kubelet names the missing
// permission.
func bodyHint(body io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(body, 512))
	s, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if strings.HasPrefix(s, "<") || len(s) > 300 {
		return ""
	}
	return strings.ToValidUTF8(s, "?")
}

// unauthorized reports whether the target demands other credentials.
func unauthorized(err error) bool {
	var status statusError
	return errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden)
}
