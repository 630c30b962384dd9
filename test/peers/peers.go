// Package peers builds and starts the programs that promrelay works beside: Prometheus and VictoriaMetrics as receivers,
// node_exporter as an exporter, and promrelay itself. Each is built, unchanged, from the Go module that its nested go.mod
// pins, so that its dependencies stay out of ours.
//
// Promises: everything listens on loopback only; a child ends with the process that started it, also when that is
// killed (on Linux); a server that is started again has the same port and the same data. Not promised: that a port which was found
// free is still free when the server asks for it.
package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up). A server that is
// started again so finds its port free, and a client that retries meanwhile cannot be given the very port that it dials.
const (
	firstPort = 20000
	lastPort  = 29999
)

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// FreeAddress returns an address on a loopback host ("" is 127.0.0.1) whose port nothing listens on and that this
// process has not been given before.
func FreeAddress(host string) (string, error) {
	if host == "" {
		host = "127.0.0.1"
	}
	ports.Lock()
	defer ports.Unlock()
	var last error
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if ports.taken[port] {
			continue
		}
		address := fmt.Sprintf("%s:%d", host, port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		_ = l.Close() // nothing was accepted
		ports.taken[port] = true
		return address, nil
	}
	return "", fmt.Errorf("find a free port on %s: %w", host, last)
}

// WaitFor polls a condition every 50 ms until it holds. When the context ends first, the error is the condition's last one.
func WaitFor(ctx context.Context, what string, condition func() error) error {
	start := time.Now()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		var final finalError
		if errors.As(err, &final) {
			return fmt.Errorf("wait for %s: %w", what, final.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, for %s: %w: %w", what, time.Since(start).Round(time.Millisecond), ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// finalError ends a WaitFor.
type finalError struct{ error }

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
