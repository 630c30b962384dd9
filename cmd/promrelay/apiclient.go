package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"promrelay/config/redact"
)

// apiClient asks a server with Prometheus's API.
type apiClient struct {
	client api.Client
	shown  string // the flag with the URL
}

// newAPIClient returns a client of the server at the URL that a flag names. HTTPConfig is a file with Prometheus's settings for clients; empty
// for none.
func newAPIClient(flag, address, httpConfig string) (*apiClient, error) {
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--%s=%s: want a URL such as http://localhost:9090", flag, redact.URL(address))
	}
	c := api.Config{Address: address}
	if httpConfig != "" {
		settings, _, err := config_util.LoadHTTPConfigFile(httpConfig)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", httpConfig, err)
		}
		if c.Client, err = config_util.NewClientFromConfig(*settings, name); err != nil {
			return nil, fmt.Errorf("%s: %w", httpConfig, err)
		}
	}
	client, err := api.NewClient(c)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return &apiClient{client, "--" + flag + "=" + redact.BareURL(address)}, nil
}

// get asks for a path of the API, and decodes the data of the answer.
func (c *apiClient) get(ctx context.Context, path string, data any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.client.URL(path, nil).String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", c.shown, err)
	}
	resp, body, err := c.client.Do(ctx, req)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok { // its text repeats the URL
			err = of.Err
		}
		return fmt.Errorf("%s: %w", c.shown, err)
	}
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &answer); resp.StatusCode != http.StatusOK || err != nil || answer.Data == nil {
		return fmt.Errorf("%s%s answers %s, and not as Prometheus does: is the URL that of its pages, and does it want credentials?", c.shown, path, resp.Status)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return fmt.Errorf("%s%s: decode the answer: %w", c.shown, path, err)
	}
	return nil
}

// Query asks an instant query of PromQL, whose result is a vector.
func (c *apiClient) Query(ctx context.Context, query string, at time.Time) (model.Vector, error) {
	v, _, err := v1.NewAPI(c.client).Query(ctx, query, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.shown, err)
	}
	vector, ok := v.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s: the answer is a %s", c.shown, v.Type())
	}
	return vector, nil
}
