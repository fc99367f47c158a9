package httpapi

import (
	"cmp"
	"context"
	"net"
	"time"

	"golang.org/x/sync/semaphore"

	"statuscache/httpapi/internal/conns"
	"statuscache/httpapi/internal/fairness"
)

// Limits are the limits of this process. Above a limit, requests are refused at once,
// which is better than delaying all of them. Callers share each limit, so that none of
// them can use all of it. 0 means the default.
type Limits struct {
	Reads   int64         // requests for the status of one execution that are being answered; 20,000
	Others  int64         // requests of each other route that are being answered, and errors that are being sent; 1,000
	Waiting int64         // executions that requests wait for or follow; 80,000
	Asked   int64         // executions that are read at once for sets and batches; 2,000
	Bodies  int64         // bytes of bodies that are arriving; 256 MiB
	Answers int64         // bytes of large answers that are being sent; 256 MiB
	Files   uint64        // files that this process may have open; connections leave some of them for other uses; no bound
	Body    time.Duration // time for the body of a request to arrive; 5 s
	Taken   time.Duration // time for a client to receive a piece of an answer over HTTP/2; 6 s
}

const (
	defaultWaiting = 80_000
	// FilesNeeded is how many open files a process needs for the default limits: one
	// connection for each waiting request, and some for everything else.
	FilesNeeded = defaultWaiting + 4_000
)

func (l Limits) orDefaults() Limits {
	l.Reads = cmp.Or(l.Reads, 20_000)
	l.Others = cmp.Or(l.Others, 1_000)
	l.Waiting = cmp.Or(l.Waiting, defaultWaiting)
	l.Asked = cmp.Or(l.Asked, 2_000)
	l.Bodies = cmp.Or(l.Bodies, 256<<20)
	l.Answers = cmp.Or(l.Answers, 256<<20)
	l.Body = cmp.Or(l.Body, bodyLimit)
	l.Taken = cmp.Or(l.Taken, conns.WriteLimit)
	return l
}

// share creates the resources that requests share.
func (s *Server) share() {
	s.callers = fairness.NewHolders(func() *fairness.Holder { return s.pools.NewHolder(s.rates.Bucket(), maxSet) })
	s.addresses = fairness.NewHolders(func() *fairness.Holder { return s.pools.NewHolder(nil, maxSet) })
	s.bodies = s.pools.New(s.limits.Bodies, fairness.Evenly)
	s.answers = s.pools.New(s.limits.Answers, fairness.Evenly)
	s.refusals = s.pools.New(s.limits.Others, fairness.Evenly)
	if most := conns.Most(s.limits.Files); most > 0 {
		s.connections = s.pools.New(int64(most), fairness.Evenly)
	}
	s.reads = semaphore.NewWeighted(s.limits.Asked)
	s.waiters = newWaiters(s.auth, s.pools.New(s.limits.Waiting, fairness.Nearly))
}

// admitConn takes a place for a connection. An address of the public internet may have at
// most as many connections as are left for all others. Other addresses have no bound,
// because they may be proxies, and all clients connect through those.
func (s *Server) admitConn(addr net.Addr) (leave func(), ok bool) {
	if s.connections == nil || !fairness.Public(addr) {
		return nil, true
	}
	holder := s.addresses.Of(fairness.Neighbourhood(addr).String())
	return func() { s.connections.Give(holder, 1) }, s.connections.Take(holder, 1)
}

// addressKey is the key of the address's holder in the context of a connection.
type addressKey struct{}

// withAddress is the ConnContext of the server.
func (s *Server) withAddress(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, addressKey{}, s.addresses.Of(fairness.Neighbourhood(c.RemoteAddr()).String()))
}

// addressOf returns the holder of the client's address. Requests without a connection of
// the server share one holder.
func (s *Server) addressOf(ctx context.Context) *fairness.Holder {
	if h, ok := ctx.Value(addressKey{}).(*fairness.Holder); ok {
		return h
	}
	return s.addresses.Of("")
}
