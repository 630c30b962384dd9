package scrape

import (
	"errors"
	"net/netip"

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
