package scrape

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	config_util "github.com/prometheus/common/config"
)

// clients makes HTTP clients. Jobs with equal settings share one, so that a thousand jobs do not
// need a thousand pools of connections.
type clients struct {
	options []config_util.HTTPClientOption // of all clients

	mu     sync.Mutex
	byHint map[string][]*client
}

// client is an HTTP client that jobs share.
type client struct {
	*http.Client
	config config_util.HTTPClientConfig
	socket string
	users  int // guarded by clients.mu
	hint   string
}

// get returns a client for the configuration. With a socket, the client connects to it and ignores
// the address. The caller gives the client back with put.
func (cs *clients) get(cfg config_util.HTTPClientConfig, socket string) (*client, error) {
	hint, err := json.Marshal(cfg) // without secrets, so that equal hints do not mean equal configurations
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.byHint[string(hint)] {
		if c.socket == socket && reflect.DeepEqual(c.config, cfg) {
			c.users++
			return c, nil
		}
	}
	opts := append([]config_util.HTTPClientOption{config_util.WithDialContextFunc(dialer("", ""))}, cs.options...)
	if socket != "" {
		opts = append(opts, config_util.WithDialContextFunc(dialer("unix", socket)))
	}
	own := cfg
	if cfg.OAuth2 != nil { // NewClientFromConfig writes the proxy into it
		o := *cfg.OAuth2
		own.OAuth2 = &o
	}
	hc, err := config_util.NewClientFromConfig(own, "scrape", opts...)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	if cfg.FollowRedirects {
		other, err := config_util.NewRoundTripperFromConfig(withoutSecrets(own), "scrape", opts...)
		if err != nil {
			return nil, fmt.Errorf("HTTP client for redirects: %w", err)
		}
		hc.Transport = &redirects{first: hc.Transport, other: other}
	}
	c := &client{Client: hc, config: cfg, socket: socket, users: 1, hint: string(hint)}
	if cs.byHint == nil {
		cs.byHint = map[string][]*client{}
	}
	cs.byHint[c.hint] = append(cs.byHint[c.hint], c)
	return c, nil
}

// put gives back a client, which may be nil.
func (cs *clients) put(c *client) {
	if c == nil {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.users--; c.users > 0 {
		return
	}
	same := cs.byHint[c.hint]
	for i := range same {
		if same[i] == c {
			same = append(same[:i:i], same[i+1:]...)
			break
		}
	}
	if cs.byHint[c.hint] = same; len(same) == 0 {
		delete(cs.byHint, c.hint)
	}
	c.CloseIdleConnections()
}
