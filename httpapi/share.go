package httpapi

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"statuscache/cache/bounded"
)

// pool is something of which a process has only so much, such as places for
// requests or bytes for bodies. It is shared between those who ask for it: one of
// them alone may have a part of it, several have less each, and something is left
// for whoever comes next.
type pool struct {
	limit int64
	greed int64 // a holder may have so many times what is left for all others
	index int   // where a holder counts what it has
	taken atomic.Int64
}

// take takes n for a holder, or nothing. Who has nothing yet may have the last of
// it.
func (p *pool) take(h *holder, n int64) bool {
	total, own := p.taken.Add(n), h.held[p.index].Add(n)
	if p.fair(total, own-n) {
		return true
	}
	p.give(h, n)
	return false
}

func (p *pool) fair(total, before int64) bool {
	return total <= p.limit && before <= p.greed*(p.limit-total)
}

// give gives n back.
func (p *pool) give(h *holder, n int64) {
	h.held[p.index].Add(-n)
	p.taken.Add(-n)
}

// pass hands n on from one holder to another, or changes nothing.
func (p *pool) pass(from, to *holder, n int64) bool {
	if own := to.held[p.index].Add(n); !p.fair(p.taken.Load(), own-n) {
		to.held[p.index].Add(-n)
		return false
	}
	from.held[p.index].Add(-n)
	return true
}

// holder is who takes from pools: a caller, or an address whose requests have not
// shown yet who sends them.
type holder struct {
	held   []atomic.Int64      // by pool
	bucket *rate.Limiter       // nil: no limit of rate
	reads  *semaphore.Weighted // executions that its sets and batches read at once
}

// maxHolders is how many of a kind are remembered. Whoever falls out starts
// afresh; what it holds is still given back.
const maxHolders = 100_000

// holders finds holders by what names them.
type holders struct {
	known bounded.ByText[*holder]
	make  func() *holder
}

func newHolders(makeOne func() *holder) *holders {
	return &holders{known: bounded.NewByText[*holder](maxHolders), make: makeOne}
}

func (s *holders) of(name string) *holder {
	h, ok := s.known.Get(name)
	if !ok {
		h = s.known.GetOrSet(name, s.make())
	}
	return h
}

// addressKey is where the context of a connection has the holder of its address.
type addressKey struct{}

// withAddress is the ConnContext of the server.
func (s *Server) withAddress(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, addressKey{}, s.addresses.of(neighbourhood(c.RemoteAddr()).String()))
}

// addressOf returns the holder of the address that a request came from. Requests
// that came over no connection of the server share one.
func (s *Server) addressOf(ctx context.Context) *holder {
	if h, ok := ctx.Value(addressKey{}).(*holder); ok {
		return h
	}
	return s.addresses.of("")
}

// neighbourhood returns the addresses that belong to one client as far as can be
// told: an IPv4 address, or the smallest network that is given out of IPv6.
func neighbourhood(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // fails only for bits that no address has
	return prefix
}
