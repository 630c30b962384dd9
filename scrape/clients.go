package scrape

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	config_util "github.com/prometheus/common/config"
)

// clients makes HTTP clients, one for all jobs of the same settings, so that a thousand jobs do not
// mean a thousand pools of connections.
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

// get returns a client for the configuration; with a socket, one that connects to it whatever the
// address. It must be given back with put.
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
	lent := cfg
	if cfg.OAuth2 != nil { // the client notes in it how a proxy is reached
		o := *cfg.OAuth2
		lent.OAuth2 = &o
	}
	hc, err := config_util.NewClientFromConfig(lent, "scrape", opts...)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	if cfg.FollowRedirects {
		away, err := config_util.NewRoundTripperFromConfig(withoutSecrets(lent), "scrape", opts...)
		if err != nil {
			return nil, fmt.Errorf("HTTP client for redirects: %w", err)
		}
		hc.Transport = &redirects{home: hc.Transport, away: away}
	}
	c := &client{Client: hc, config: cfg, socket: socket, users: 1, hint: string(hint)}
	if cs.byHint == nil {
		cs.byHint = map[string][]*client{}
	}
	cs.byHint[c.hint] = append(cs.byHint[c.hint], c)
	return c, nil
}

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
