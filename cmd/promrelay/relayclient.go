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
	commonconfig "github.com/prometheus/common/config"
)

// relayClient asks a running relay.
type relayClient struct {
	URL        string // of its pages
	HTTPConfig string // file with Prometheus's settings for clients: credentials, TLS; empty for none
}

// askWithin bounds a question to a relay.
const askWithin = time.Minute

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 1 << 30

// flags adds the flags that name a running relay.
func (c *relayClient) flags(to *kingpin.CmdClause) {
	to.Flag("url", "URL of a running relay, such as http://localhost:9099.").StringVar(&c.URL)
	to.Flag("http.config.file", "File with credentials and TLS settings for --url, in the form that promtool takes: basic_auth, authorization, tls_config and so on.").StringVar(&c.HTTPConfig)
}

// String names the relay in messages, without a password.
func (c relayClient) String() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "--url"
	}
	return "--url=" + u.Redacted()
}

// get asks for a path of the API, and decodes the data of the answer.
func (c relayClient) get(ctx context.Context, path string, query url.Values, data any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return fmt.Errorf("%s: want a URL such as http://localhost:9099", c)
	}
	shown := c.String()
	client, err := c.client()
	if err != nil {
		return err
	}
	at := base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok { // its text repeats the URL
			err = of.Err
		}
		return fmt.Errorf("%s: no relay answers there: %w", shown, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: read the answer: %w", shown, err)
	}
	if err := readAnswer(resp, body, data); err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	return nil
}

func (c relayClient) client() (*http.Client, error) {
	if c.HTTPConfig == "" {
		return http.DefaultClient, nil
	}
	cfg, _, err := commonconfig.LoadHTTPConfigFile(c.HTTPConfig)
	if err != nil {
		return nil, fmt.Errorf("--http.config.file=%s: %w", c.HTTPConfig, err)
	}
	client, err := commonconfig.NewClientFromConfig(*cfg, name)
	if err != nil {
		return nil, fmt.Errorf("--http.config.file=%s: %w", c.HTTPConfig, err)
	}
	return client, nil
}

// readAnswer decodes an answer of the API.
func readAnswer(resp *http.Response, body []byte, data any) error {
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := err == nil && kind == "application/json" && json.Unmarshal(body, &answer) == nil
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("it answers %s: give credentials with --http.config.file", resp.Status)
	case isJSON && answer.Status == "error":
		return errors.New(answer.Error)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("it answers %s: %s", resp.Status, firstLine(body))
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("it answers %s: is this the URL of the relay's pages?", resp.Status)
	case !isJSON:
		return errors.New("its answer is not that of a relay: is this the URL of the relay's pages?")
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("its answer is not that of a relay: %w", err)
	}
	return nil
}

// firstLine is the beginning of an answer that is text.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return line[:min(len(line), 200)]
}
