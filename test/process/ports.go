package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up). A server that is started again so
// finds its port free, and a client that retries meanwhile cannot be given the very port that it dials.
const (
	firstPort = 20000
	lastPort  = 29999
)

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// FreeAddress returns an address on a loopback host ("" is 127.0.0.1) whose port nothing listens on and that this process has not been
// given before.
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
