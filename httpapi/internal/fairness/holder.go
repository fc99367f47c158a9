package fairness

import (
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"statuscache/cache/boundedmap"
)

// Holder is a user of pools: a caller, or an address whose requests have not had a valid
// token yet.
type Holder struct {
	held   []atomic.Int64      // by pool
	Bucket *rate.Limiter       // nil: no rate limit
	Reads  *semaphore.Weighted // executions that its sets and batches may read at once
}

// Held returns how much of a pool the holder has.
func (h *Holder) Held(p *Pool) int64 { return h.held[p.index].Load() }

// Total returns how much of all pools the holder has.
func (h *Holder) Total() int64 {
	total := int64(0)
	for i := range h.held {
		total += h.held[i].Load()
	}
	return total
}

// maxHolders is how many holders of a kind are remembered. A forgotten holder starts
// again with nothing; what it holds is still given back.
const maxHolders = 100_000

// Holders finds holders by name.
type Holders struct {
	known boundedmap.ByText[*Holder]
	make  func() *Holder
}

// NewHolders returns Holders that make each new holder with makeOne.
func NewHolders(makeOne func() *Holder) *Holders {
	return &Holders{known: boundedmap.NewByText[*Holder](maxHolders), make: makeOne}
}

// Of returns the holder of a name.
func (s *Holders) Of(name string) *Holder {
	h, ok := s.known.Get(name)
	if !ok {
		h = s.known.GetOrSet(name, s.make())
	}
	return h
}

// carrierGrade are addresses that carriers and clouds assign within their networks.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// Public reports whether an address belongs to the public internet, so that a connection
// from it is from a client. Other addresses may belong to proxies and load balancers.
func Public(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrierGrade.Contains(ip)
}

// Neighbourhood returns the addresses that probably belong to one client: an IPv4
// address, or the smallest IPv6 network that is assigned to customers.
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
