package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"promrelay/config/redact"
)

// apiClient asks a running relay, or another server with Prometheus's API.
type apiClient struct {
	URL        string // of its pages
	HTTPConfig string // file with Prometheus's settings for clients: credentials, TLS; empty for none
	Of         string // beginning of the names of the flags if they are not --url and --http.config.file, such as prometheus
}

const (
	// defaultURL is where the pages of a relay are that has the default of --web.listen-address.
	defaultURL = "http://localhost:9099"
	// askWithin bounds a question.
	askWithin = time.Minute
	// headersWithin bounds the wait for the beginning of an answer that goes on.
	headersWithin = 30 * time.Second
	// maxAnswer is how many bytes of an answer are read.
	maxAnswer = 1 << 30
)

// flags adds the flags that name a running relay. ByDefault is its URL if none is given; empty for none.
func (c *apiClient) flags(to *kingpin.CmdClause, byDefault string) {
	u := to.Flag("url", "URL of a running relay, such as "+defaultURL+".")
	if byDefault != "" {
		u.Default(byDefault)
	}
	u.StringVar(&c.URL)
	to.Flag("http.config.file", "File with credentials and TLS settings for --url, in the form that promtool takes: basic_auth, authorization, tls_config and so on.").StringVar(&c.HTTPConfig)
}

// flag returns the name of the flag with the URL, and that of the one with the settings.
func (c apiClient) flag() (address, settings string) {
	if c.Of == "" {
		return "--url", "--http.config.file"
	}
	return "--" + c.Of, "--" + c.Of + ".http.config.file"
}

// String names the server in messages, without secrets.
func (c apiClient) String() string {
	flag, _ := c.flag()
	if _, err := url.Parse(c.URL); err != nil {
		return flag
	}
	return flag + "=" + redact.URL(c.URL)
}

// get asks for a path of the API, and decodes the data of the answer.
func (c apiClient) get(ctx context.Context, path string, query url.Values, data any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	resp, err := c.ask(ctx, path, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", c, err)
	}
	return c.read(resp, body, data)
}

// open asks for a path of the API whose answer goes on. The caller closes the body.
func (c apiClient) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(headersWithin, cancel)
	resp, err := c.ask(ctx, path, query) //nolint:bodyclose // the caller closes it
	if !late.Stop() && err != nil {
		err = fmt.Errorf("%s: no answer within %s", c, headersWithin)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	body := endingBody{resp.Body, cancel}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, errors.Join(c.read(resp, text, new(any)), body.Close())
	}
	return body, nil
}

// Query asks an instant query of PromQL, whose result is a vector.
func (c apiClient) Query(ctx context.Context, query string, at time.Time) (model.Vector, error) {
	base, client, err := c.client()
	if err != nil {
		return nil, err
	}
	server, err := api.NewClient(api.Config{Address: base.String(), Client: client})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	v, _, err := v1.NewAPI(server).Query(ctx, query, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, withoutURL(err))
	}
	vector, ok := v.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s: the answer is a %s", c, v.Type())
	}
	return vector, nil
}

// ask sends a request.
func (c apiClient) ask(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	base, client, err := c.client()
	if err != nil {
		return nil, err
	}
	at := base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: no server answers there: %w", c, withoutURL(err))
	}
	return resp, nil
}

// client returns the URL, and a client with the settings of the file.
func (c apiClient) client() (*url.URL, *http.Client, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, nil, fmt.Errorf("%s: want a URL such as %s", c, defaultURL)
	}
	if c.HTTPConfig == "" {
		return base, http.DefaultClient, nil
	}
	_, flag := c.flag()
	cfg, _, err := commonconfig.LoadHTTPConfigFile(c.HTTPConfig)
	if err != nil {
		return nil, nil, fmt.Errorf("%s=%s: %w", flag, c.HTTPConfig, err)
	}
	client, err := commonconfig.NewClientFromConfig(*cfg, name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s=%s: %w", flag, c.HTTPConfig, err)
	}
	return base, client, nil
}

// withoutURL is the cause of an error of a client, whose text repeats the URL.
func withoutURL(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}

// read decodes an answer of the API.
func (c apiClient) read(resp *http.Response, body []byte, data any) error {
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := err == nil && kind == "application/json" && json.Unmarshal(body, &answer) == nil
	_, settings := c.flag()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: it answers %s: give credentials with %s", c, resp.Status, settings)
	case isJSON && answer.Status == "error":
		return fmt.Errorf("%s: %s", c, answer.Error)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%s: it answers %s: %s", c, resp.Status, firstLine(body))
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: it answers %s: is this the URL of its pages?", c, resp.Status)
	case !isJSON || answer.Data == nil:
		return fmt.Errorf("%s: its answer is not that of Prometheus's API: is this the URL of its pages?", c)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("%s: its answer is not that of Prometheus's API: %w", c, err)
	}
	return nil
}

// firstLine is the beginning of an answer that is text.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return line[:min(len(line), 200)]
}

// endingBody is the body of an answer, with what its request needs to be ended.
type endingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (b endingBody) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}
