package scrape

import (
	"errors"
	"net/netip"

	"go.uber.org/zap"

	"promrelay/targets"
)

// checkToken tells why a target may not have the relay's own token, where its monitor asks for it. It is asked before each scrape: a
// Node may be gone, and its address be another's. Where nobody can tell, no target gets the token.
func (p *Pool) checkToken(t *targets.Target) error {
	trusted := p.trusted
	if trusted == nil {
		trusted = func(netip.AddrPort) error { return errors.New("the Nodes are not known") }
	}
	return t.CheckToken(trusted)
}

// guarded calls f, and tells of a panic in it.
func (p *Pool) guarded(what zap.Field, f func()) {
	var e *panicError
	if err := caught(func() error { f(); return nil }); errors.As(err, &e) {
		p.panics.tell(e, what)
	}
}

// logState logs an error of the log once, until another one comes.
func (p *Pool) logState(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text := err.Error(); text != p.logErr {
		p.logErr = text
		p.logger.Error("lose samples", zap.Error(err))
	}
}
