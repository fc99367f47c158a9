package wire

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure how connections are served.
type Options struct {
	Handler http.Handler
	// Hot is the beginning of the paths of polls; empty: nothing is hot.
	Hot string
	// Context returns the context of the requests of a connection; nil: the given one.
	Context func(context.Context, net.Conn) context.Context
	// Draining reports whether each connection must be closed after its next answer.
	Draining *atomic.Bool
	// HandOver takes over a connection with a foreign request, and the bytes that were
	// read from it. It returns false if that is not possible.
	HandOver func(c net.Conn, read []byte) bool
	Log      *slog.Logger
}

// Server serves connections.
type Server struct {
	options  Options
	sweeps   atomic.Uint32
	date     atomic.Pointer[string] // for the header Date
	stopping atomic.Bool

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New returns a Server. It needs Run.
func New(o Options) *Server {
	s := &Server{options: o, conns: map[*conn]struct{}{}}
	s.sweeps.Store(1) // 0 stands for no limit
	s.renewDate()
	return s
}

// Serve serves a connection until it ends or is handed over. ctx is the parent context of
// its requests, but its end does not end them.
func (s *Server) Serve(ctx context.Context, socket Conn) {
	c := &conn{Conn: socket, server: s, ctx: context.WithoutCancel(ctx), fd: -1}
	if s.options.Context != nil {
		c.ctx = s.options.Context(c.ctx, socket.Conn)
	}
	if socket.Socket != nil {
		if raw, err := socket.Socket.SyscallConn(); err == nil {
			c.raw, c.onReadable = raw, c.readable
			_ = raw.Control(func(fd uintptr) { c.fd = int32(fd) })
		}
	}
	_ = c.enter(fresh)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if err := c.begin(); err != nil {
		c.end()
		return
	}
	c.serve()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// Run sweeps over the connections until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep()
		}
	}
}

// sweep closes connections whose stage has lasted too long, and ends the waits of clients
// that have hung up.
func (s *Server) sweep() {
	s.renewDate()
	s.sweeps.Add(1)
	var waits []*Response
	var sockets []int32
	for _, c := range s.all() {
		c.closeIf(s.expired)
		if w := c.waits.Load(); w != nil && c.fd >= 0 {
			waits, sockets = append(waits, w), append(sockets, c.fd)
		}
	}
	hangUps(sockets, func(i int) { waits[i].hangUp() })
}

// renewDate sets the Date header for the time until the next sweep.
func (s *Server) renewDate() {
	text := time.Now().UTC().Format(http.TimeFormat)
	s.date.Store(&text)
}

// How a server stops.
const (
	stopTurn   = 10 * time.Millisecond // how often it checks whether it has stopped
	freshSpare = 5 * time.Second       // time for a first request to arrive
)

// Stop closes connections without a request, and every other connection after its answer.
// It returns when each remaining connection answers a request. New connections have a
// short time for their first request.
func (s *Server) Stop(ctx context.Context) {
	s.stopping.Store(true)
	ctx, cancel := context.WithTimeout(ctx, freshSpare)
	defer cancel()
	atRest := func() (n int) {
		for _, c := range s.all() {
			c.closeIf(func(now stage, _ uint32) bool { return now == idle })
			if now := stage(c.stage.Load() >> 32); now == fresh || now == begun {
				n++
			}
		}
		return n
	}
	until(ctx, func() bool { return atRest() == 0 })
	for _, c := range s.all() {
		c.closeIf(func(now stage, _ uint32) bool { return now == fresh || now == begun })
	}
}

// Drain returns when every request has been answered. It is called after Stop.
func (s *Server) Drain(ctx context.Context) error {
	until(ctx, func() bool { return len(s.all()) == 0 })
	left := s.all()
	for _, c := range left {
		go c.Close() // it waits for a poll that is being answered
	}
	if len(left) > 0 {
		return fmt.Errorf("%d requests cut off at shutdown: %w", len(left), ctx.Err())
	}
	return nil
}

// until returns when met reports true, or ctx ends.
func until(ctx context.Context, met func() bool) {
	tick := time.NewTicker(stopTurn)
	defer tick.Stop()
	for !met() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
