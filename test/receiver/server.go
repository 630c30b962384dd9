package receiver

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a receiver at an address of its own, which it may leave and come back to. Its methods may be called by several goroutines.
type Server struct {
	*Receiver
	address string

	mu   sync.Mutex
	http *http.Server // guarded by mu; nil while connections are refused
	err  error        // guarded by mu
}

// NewServer returns a receiver at host:port. It refuses connections until Up is called.
func NewServer(address string, p Profile) *Server { return &Server{Receiver: New(p), address: address} }

// URL is where requests are to go.
func (s *Server) URL() string { return "http://" + s.address + "/api/v1/write" }

// Up makes the receiver listen.
func (s *Server) Up() error {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("listen as receiver: %w", err)
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.mu.Lock()
	s.http = h
	s.mu.Unlock()
	go func() {
		if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.mu.Lock()
			s.err = errors.Join(s.err, err)
			s.mu.Unlock()
		}
	}()
	return nil
}

// Down ends all connections, and has new ones refused.
func (s *Server) Down() {
	s.mu.Lock()
	h := s.http
	s.http = nil
	s.mu.Unlock()
	if h != nil {
		_ = h.Close()
	}
}

// Err returns what made the receiver stop listening, other than Down.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
