package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up). A server that
// is stopped and started again so finds its port free, and a client that retries meanwhile cannot connect to
// itself by being given the very port that it dials.
const (
	firstPort = 20000
	lastPort  = 29999
)

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// Port gives a loopback TCP port that nothing listens on and that this process has not been given before.
func Port(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if ports.taken[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close() // nothing was accepted
		ports.taken[port] = true
		return port
	}
	t.Fatal("no free port found in 1000 tries")
	return 0
}
