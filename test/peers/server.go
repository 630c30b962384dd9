package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"promrelay/test/process"
)

// stopGrace is how long a server may take to end by itself.
const stopGrace = 30 * time.Second

// readyWithin bounds the wait for a server when the context does not bound it closer.
const readyWithin = 2 * time.Minute

// Options say how a peer is started. The zero value of each field but Dir has a meaning.
type Options struct {
	// Dir keeps data, configuration and log; it is made if it is not there. Two servers need two of them.
	Dir string
	// Binary is what is run; empty for what Build makes.
	Binary string
	// Address is where it listens, host:port; empty for a free port of 127.0.0.1.
	Address string
	// Config is the text of Prometheus's configuration file; empty for defaults, which scrape nothing.
	Config string
	// Args are added to its own.
	Args []string
}

// complete fills in what is empty.
func (o *Options) complete(ctx context.Context, peer Peer) (err error) {
	if o.Dir == "" {
		return errors.New("start " + peer.Name + ": Options.Dir is missing")
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("start %s: %w", peer.Name, err)
	}
	if o.Binary == "" {
		if o.Binary, err = Build(ctx, "", peer); err != nil {
			return err
		}
	}
	if o.Address == "" {
		o.Address, err = process.FreeAddress("")
	}
	return err
}

// Server is a program that listens on a loopback address, and that can be stopped and started again there.
// Its methods may be called by several goroutines, Start, Stop and Kill by one at a time.
type Server struct {
	program process.Program
	address string
	health  string // the path that answers 2xx when it is ready
	// noHandler tells that the program does not catch SIGTERM, so that the signal ends it.
	noHandler bool

	mu      sync.Mutex
	process *process.Process // guarded by mu; nil before the first start
}

// newServer makes a server of a peer and starts it.
func newServer(ctx context.Context, o Options, health string, args ...string) (*Server, error) {
	s := &Server{address: o.Address, health: health}
	s.program = process.Program{Path: o.Binary, Args: append(args, o.Args...), Log: filepath.Join(o.Dir, filepath.Base(o.Binary)+".log")}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts the server, for the first time or again, with the same port and data, and waits until it is ready.
func (s *Server) Start(ctx context.Context) error {
	if p := s.Process(); p != nil && !p.Ended() {
		return fmt.Errorf("start %s: it runs already", s.program.Name())
	}
	p, err := process.Start(s.program)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	if err := s.AwaitReady(ctx); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// AwaitReady waits until the server says that it is ready, and gives up when it has ended.
func (s *Server) AwaitReady(ctx context.Context) error {
	p := s.Process()
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return p.WaitFor(ctx, "ready", func() error {
		_, err := Get(ctx, s.URL()+s.health)
		return err
	})
}

// Stop asks the server to end and waits for it; it is an error if it does not exit with 0 within 30 s. A server that has
// ended already is none.
func (s *Server) Stop() error {
	p := s.Process()
	if p == nil {
		return nil
	}
	err := p.Stop(stopGrace)
	if s.noHandler && p.EndedBy(syscall.SIGTERM) {
		return nil
	}
	return err
}

// Kill ends the server at once, as "kill -9" does.
func (s *Server) Kill() {
	if p := s.Process(); p != nil {
		p.Kill()
	}
}

// Process is the one that was started last.
func (s *Server) Process() *process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Address is host:port.
func (s *Server) Address() string { return s.address }

// URL is http:// and the address, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.address }

// Log is the path of the file that holds the output of all its starts.
func (s *Server) Log() string { return s.program.Log }
