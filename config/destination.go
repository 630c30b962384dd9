package config

import (
	"time"

	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/config/redact"
)

// Destination is one remote_write block, with what Prometheus's own type cannot say of it.
type Destination struct {
	*promconfig.RemoteWriteConfig
	// Negotiate is true where protobuf_message is left out: 2.0 is tried first.
	Negotiate bool
	// Exemplars and NativeHistograms are nil where send_exemplars and send_native_histograms are left out: they are
	// then sent by remote write 2.0, which every receiver must understand, and not by 1.0.
	Exemplars, NativeHistograms *bool
}

// ID tells the destination from others, also across restarts: its name, else its URL. What may change
// without it being another destination, credentials above all, is not part of it. The query is, and may hold secrets: Shown is for people.
func (d Destination) ID() string {
	if d.Name != "" {
		return d.Name
	}
	u := *d.URL.URL
	u.User = nil
	return u.String()
}

// Shown names the destination for people: its name, else its URL without what may be secret, the user, the query and the fragment.
func (d Destination) Shown() string {
	if d.Name != "" {
		return d.Name
	}
	return redact.BareURL(d.URL.String())
}

// Relay says how destinations are served beyond what a remote_write block can say.
type Relay struct {
	// DrainFactor bounds how fast a backlog is sent, in multiples of the live rate. 0 means no bound.
	DrainFactor float64 `yaml:"drain_factor"`
	// SplitRefused makes a request that is refused with 400, 409 or 422 be sent in parts, until the samples that the receiver
	// does not take are alone.
	SplitRefused bool `yaml:"split_refused"`
	// KeepUnauthorized makes the relay keep the data that a destination refuses with 401, 403 or 404, and try again.
	KeepUnauthorized bool `yaml:"keep_unauthorized"`
	// RetryStatusCodes are answers that mean "later", beside 5xx, 408, 425, 429 and 499.
	RetryStatusCodes []int `yaml:"retry_status_codes"`
	// RedirectHosts are hosts, without a port, to which a receiver may redirect samples. Its own host is always among them.
	RedirectHosts []string `yaml:"redirect_hosts"`
	// DrainTimeout is how long destinations may take to catch up when the relay stops. Nothing is scraped meanwhile, and what is left
	// stays in the log.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// DefaultRelay is what holds without a relay block.
var DefaultRelay = Relay{DrainFactor: 3, SplitRefused: true, KeepUnauthorized: true, DrainTimeout: 2 * time.Second}
