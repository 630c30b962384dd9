//go:build linux

package cluster_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"promrelay/test/cluster"
)

// exporterPort is where every exporter listens, each at an address of its own.
const exporterPort = "9090"

// exporter is a target at a Pod's address. It counts its scrapes and, where it has passwords, demands one of them.
type exporter struct {
	ip string

	mu        sync.Mutex
	scrapes   int
	passwords map[string]int // accepted passwords, and how often each was used; nil: none is demanded
}

// startExporter listens at the n-th Pod address until the test ends.
func startExporter(t *testing.T, n int) *exporter {
	t.Helper()
	e := &exporter{ip: cluster.PodIP(t, n)}
	listener, err := net.Listen("tcp", net.JoinHostPort(e.ip, exporterPort))
	if err != nil {
		t.Fatalf("start exporter: %v", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: e}}
	server.Start()
	t.Cleanup(server.Close)
	return e
}

// demand sets the accepted passwords.
func (e *exporter) demand(passwords ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.passwords = map[string]int{}
	for _, p := range passwords {
		e.passwords[p] = 0
	}
}

// used tells whether the exporter was scraped with a password since it was demanded.
func (e *exporter) used(password string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.passwords[password] > 0
}

// instance is the label of its target.
func (e *exporter) instance() string { return net.JoinHostPort(e.ip, exporterPort) }

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.passwords != nil {
		_, password, _ := r.BasicAuth()
		if _, ok := e.passwords[password]; !ok {
			http.Error(w, "not this password", http.StatusUnauthorized)
			return
		}
		e.passwords[password]++
	}
	e.scrapes++
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "# TYPE app_scrapes_total counter\napp_scrapes_total %d\n# TYPE app_up gauge\napp_up{shelf=\"1\"} 1\n", e.scrapes)
}
