package scrape

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
)

// maxHeader bounds the header of an answer, in bytes. All of it is in memory at once. By default,
// net/http allows 10 MB.
const maxHeader = 1 << 20

// dialer returns a dial function whose connections bound the header of an answer. On encrypted
// connections they cannot.
func dialer(network, address string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, n, a string) (net.Conn, error) {
		if network != "" {
			n, a = network, address
		}
		c, err := new(net.Dialer).DialContext(ctx, n, a)
		if err != nil {
			return nil, err
		}
		return &headerConn{Conn: c}, nil
	}
}

// headerConn refuses an HTTP/1.1 answer whose header is too large. The headers of interim answers
// (1xx) are included, since any number of them may come first. One goroutine writes, another one
// reads.
type headerConn struct {
	net.Conn
	requests  atomic.Uint64 // lower bound of those that were written
	encrypted atomic.Bool

	// The goroutine that reads uses these.
	seen  uint64 // requests
	bytes int    // of the headers of the answers to the last one
	start int    // how many of them belong to interim answers
	line  int    // bytes of the last line, without its end
	class byte   // first digit of the status
	ended bool
}

// Write implements net.Conn.
func (c *headerConn) Write(b []byte) (int, error) {
	const handshake = 0x16 // ContentType of TLS records that begin a connection, RFC 8446, 5.1
	if len(b) > 0 && b[0] == handshake {
		c.encrypted.Store(true)
	}
	c.requests.Add(1)
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *headerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.encrypted.Load() {
		return n, err
	}
	if r := c.requests.Load(); r != c.seen {
		c.seen, c.bytes, c.start, c.line, c.ended = r, 0, 0, 0, false
	}
	if !c.ended && !c.headerFits(b[:n]) {
		return 0, fmt.Errorf("the header of the answer has more than %d bytes", maxHeader)
	}
	return n, err
}

// headerFits counts more bytes of a header, and reports whether it is small enough so far.
func (c *headerConn) headerFits(b []byte) bool {
	const status = len("HTTP/1.1 ")
	for _, x := range b {
		if c.bytes-c.start == status {
			c.class = x
		}
		c.bytes++
		switch {
		case x == '\r':
		case x != '\n':
			c.line++
		case c.line > 0 || c.bytes-c.start <= 2:
			c.line = 0
		case c.class == '1':
			c.start = c.bytes
		default:
			c.ended = true
			return true
		}
	}
	return c.bytes <= maxHeader
}
