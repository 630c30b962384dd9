package config

import (
	"time"

	promconfig "github.com/prometheus/prometheus/config"

	"promrelay/config/redact"
)

// Destination is one item of remote_write, with settings that Prometheus's own type cannot hold.
type Destination struct {
	*promconfig.RemoteWriteConfig
	// Negotiate is true if protobuf_message is left out. Then 2.0 is tried first.
	Negotiate bool
	// Exemplars and NativeHistograms are nil if send_exemplars and send_native_histograms are left out. Then they are sent by remote write
	// 2.0, where every receiver must understand them, and not by 1.0.
	Exemplars, NativeHistograms *bool
}

// ID identifies the destination, also across restarts: its name, else its URL. Credentials are not part of it, so they may change. The query
// is part of it and may hold secrets; Shown is for people.
func (d Destination) ID() string {
	if d.Name != "" {
		return d.Name
	}
	u := *d.URL.URL
	u.User = nil
	return u.String()
}

// Shown names the destination for people: its name, else its URL without user, query and fragment, which may be secret.
func (d Destination) Shown() string {
	if d.Name != "" {
		return d.Name
	}
	return redact.BareURL(d.URL.String())
}

// Relay holds settings of the delivery to destinations that a remote_write block cannot hold.
type Relay struct {
	// DrainFactor bounds how fast a backlog is sent, as a multiple of the live rate; 0 for no bound.
	DrainFactor float64 `yaml:"drain_factor"`
	// SplitRefused sends a request that is refused with 400, 409 or 422 in parts, until only the samples that the receiver refuses are
	// left.
	SplitRefused bool `yaml:"split_refused"`
	// KeepUnauthorized keeps samples that a destination refuses with 401, 403 or 404, and sends them again later.
	KeepUnauthorized bool `yaml:"keep_unauthorized"`
	// RetryStatusCodes are further answers after which a request is sent again, in addition to 5xx, 408, 425, 429 and 499.
	RetryStatusCodes []int `yaml:"retry_status_codes"`
	// RedirectHosts are hosts, without a port, to which a receiver may redirect samples. Its own host is always among them.
	RedirectHosts []string `yaml:"redirect_hosts"`
	// DrainTimeout is how long destinations may take to catch up when the relay stops. Nothing is scraped meanwhile. Samples that are not
	// sent stay in the log.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// DefaultRelay is used without a relay block.
var DefaultRelay = Relay{DrainFactor: 3, SplitRefused: true, KeepUnauthorized: true, DrainTimeout: 2 * time.Second}
