//go:build linux

package cluster_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"promrelay/test/cluster"
)

const endpointSlice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: cart, namespace: default, labels: {kubernetes.io/service-name: cart}}
addressType: IPv4
ports: [{name: metrics, port: 9090}]
endpoints: [{addresses: [ADDRESS]}]
`

// TestPodIP puts Pod addresses into an EndpointSlice and serves on them.
func TestPodIP(t *testing.T) {
	t.Parallel()
	first, last := cluster.PodIP(t, 0), cluster.PodIP(t, 99_999)
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	for _, ip := range []string{first, last} {
		c.Apply(t, strings.ReplaceAll(endpointSlice, "ADDRESS", ip))
		listener, err := net.Listen("tcp", ip+":0")
		if err != nil {
			t.Fatalf("listen on a Pod's address: %v", err)
		}
		server := &httptest.Server{
			Listener: listener,
			Config:   &http.Server{Handler: http.NotFoundHandler()},
		}
		server.Start()
		if err := fetch(server.Client(), server.URL, "", http.StatusNotFound, "not found"); err != nil {
			t.Error(err)
		}
		server.Close()
	}
}
