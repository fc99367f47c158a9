package fairness

import (
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"statuscache/cache/bounded"
)

// Holder is who takes from pools: a caller, or an address whose requests have not
// shown a valid token yet.
type Holder struct {
	held   []atomic.Int64      // by pool
	Bucket *rate.Limiter       // nil: no rate limit
	Reads  *semaphore.Weighted // executions that its sets and batches read at once
}

// Held returns how much of a pool it has.
func (h *Holder) Held(p *Pool) int64 { return h.held[p.index].Load() }

// Total returns how much of all pools it has.
func (h *Holder) Total() int64 {
	total := int64(0)
	for i := range h.held {
		total += h.held[i].Load()
	}
	return total
}

// maxHolders is how many of a kind are remembered. One that
// is forgotten starts with nothing; what it holds is still given back.
const maxHolders = 100_000

// Holders finds holders by what names them.
type Holders struct {
	known bounded.ByText[*Holder]
	make  func() *Holder
}

// NewHolders returns Holders that make each new holder with makeOne.
func NewHolders(makeOne func() *Holder) *Holders {
	return &Holders{known: bounded.NewByText[*Holder](maxHolders), make: makeOne}
}

// Of returns the holder of a name.
func (s *Holders) Of(name string) *Holder {
	h, ok := s.known.Get(name)
	if !ok {
		h = s.known.GetOrSet(name, s.make())
	}
	return h
}

// carrierGrade are addresses that carriers, and clouds, give out within their own networks.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// Public reports whether an address is one of the public internet, so that a connection
// from it is that of a client. Others are those of proxies and load balancers, too.
func Public(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrierGrade.Contains(ip)
}

// Neighbourhood returns the addresses that belong to one client as far as can be
// known: an IPv4 address, or the smallest network that is given out of IPv6.
func Neighbourhood(addr net.Addr) netip.Prefix {
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
