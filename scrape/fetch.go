package scrape

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
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

var (
	errBodySizeLimit = errors.New("body size limit exceeded")
	errZstd          = errors.New("the answer is compressed by zstd, which was not asked for")
)

// userAgent is what targets see of the relay.
var userAgent = "promrelay/" + cmp.Or(version.Version, "dev")

// newRequest makes the request for the page of t. Headers and their order of preference are those of prometheus/scrape.
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

// buffers holds pages' memory, by the power of two of its size.
var buffers [40]sync.Pool

func getBuffer(size int) []byte {
	class := bits.Len(uint(size - 1))
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func putBuffer(b []byte) {
	if class := bits.Len(uint(cap(b))) - 1; class >= 10 && class < len(buffers) {
		buffers[class].Put(&b)
	}
}

type gunzipper struct {
	buf *bufio.Reader
	z   gzip.Reader
}

var gunzippers = sync.Pool{New: func() any { return &gunzipper{buf: bufio.NewReaderSize(nil, 16<<10)} }}

// fetch asks t for its page and returns it, which stands in the returned buffer between headroom bytes
// and a line break, and its Content-Type. Expected is a guess of the page's size in bytes. The caller
// gives the buffer, if there is one, to putBuffer, also after an error.
func fetch(ctx context.Context, client *http.Client, t *targets.Target, expected int) (buf []byte, contentType string, err error) {
	req, err := newRequest(ctx, t)
	if err != nil {
		return nil, "", err
	}
	limit := int(t.Job.Config.BodySizeLimit)
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}()
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError{resp.StatusCode, resp.Status, bodyHint(resp.Body)}
	}
	var body io.Reader = resp.Body
	switch resp.Header.Get("Content-Encoding") {
	case "zstd":
		return nil, "", errZstd
	case "gzip":
		g := gunzippers.Get().(*gunzipper)
		defer gunzippers.Put(g)
		g.buf.Reset(resp.Body)
		if err := g.z.Reset(g.buf); err != nil {
			return nil, "", err
		}
		body = &g.z
	}
	buf = getBuffer(headroom + max(expected+expected/16, 1<<12) + 1)[:headroom]
	if limit > 0 {
		body = io.LimitReader(body, int64(limit))
	}
	buf, err = readAll(buf, body)
	if err == nil && limit > 0 && len(buf)-headroom >= limit {
		err = errBodySizeLimit
	}
	return append(buf, '\n'), resp.Header.Get("Content-Type"), err
}

// readAll appends what r gives to buf, in buffers of twice the size where need be.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf)+1 >= cap(buf) {
			larger := getBuffer(2 * cap(buf))
			larger = append(larger, buf...)
			putBuffer(buf)
			buf = larger
		}
		n, err := r.Read(buf[len(buf) : cap(buf)-1])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// statusError is what a target answered instead of a page.
type statusError struct {
	code   int
	status string
	hint   string // the first line of the body, if it is short text
}

func (e statusError) Error() string {
	if e.hint == "" {
		return "server returned HTTP status " + e.status
	}
	return "server returned HTTP status " + e.status + ": " + e.hint
}

// bodyHint reads what may tell a person why: a kubelet says which permission is missing.
func bodyHint(body io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(body, 512))
	s, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if strings.HasPrefix(s, "<") || len(s) > 300 {
		return ""
	}
	return strings.ToValidUTF8(s, "?")
}

// unauthorized tells whether the target wants other credentials than it got.
func unauthorized(err error) bool {
	var status statusError
	return errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden)
}
