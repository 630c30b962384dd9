package scrape

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"promrelay/scrape/order"
	"promrelay/targets"
)

// shared is what all loops of a pool use.
type shared struct {
	writer       writer
	guard        *order.Guard
	clock        *clock
	clients      clients
	failures     failureLogs
	panics       panics
	limits       atomic.Pointer[limits]
	metrics      *metrics
	logger       *zap.Logger
	offsetSeed   uint64
	unauthorized func(*targets.Target) // see Options; may be nil
	trusted      func(netip.AddrPort) error
	progress     progress

	logMu  sync.Mutex
	logErr string // of the last commit that failed; guarded by logMu
}

func (s *shared) setLimits(l Limits) {
	if old := s.limits.Load(); old == nil || old.Limits != l {
		s.limits.Store(newLimits(l))
	}
}

// guarded calls f, and counts and logs a panic in it.
func (s *shared) guarded(what zap.Field, f func()) {
	var e *panicError
	if err := caught(func() error { f(); return nil }); errors.As(err, &e) {
		s.panics.report(e, what)
	}
}

// checkToken returns why a target may not have the relay's own token, if its monitor asks for it.
// It is called before each scrape, because a Node may be gone and its address may belong to
// something else. Without Trusted no target gets the token.
func (s *shared) checkToken(t *targets.Target) error {
	trusted := s.trusted
	if trusted == nil {
		trusted = func(netip.AddrPort) error { return errors.New("the Nodes are not known") }
	}
	return t.CheckToken(trusted)
}

// commitFailed logs an error of the log once, until a different one occurs.
func (s *shared) commitFailed(err error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if text := err.Error(); text != s.logErr {
		s.logErr = text
		s.logger.Error("samples lost", zap.NamedError("err", err))
	}
}
