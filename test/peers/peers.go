// Package peers builds and starts the programs that promrelay works beside: Prometheus and VictoriaMetrics as receivers,
// node_exporter as an exporter, and promrelay itself. Each is built, unchanged, from the Go module that its nested go.mod
// pins, so that its dependencies stay out of ours.
//
// Everything listens on loopback only. A server that is started again has the same port and the same data. Children end as package
// process says.
package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// client asks the peers. It keeps no connections, so that a peer that is started again is not asked on a dead one.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}

// do sends a request and returns the body of a 2xx answer.
func do(req *http.Request) (body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read answer: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// Get returns the body of a 2xx answer; any other answer is an error that holds it.
func Get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return do(req)
}

// getJSON decodes a 2xx answer into v.
func getJSON(ctx context.Context, url string, v any) error {
	body, err := Get(ctx, url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode answer of %s: %w", url, err)
	}
	return nil
}
