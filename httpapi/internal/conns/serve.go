package conns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/httpapi/wire"
)

// MaxHeaderBytes bounds the headers of a request. A browser sends the cookies of every
// program on the same host, and a load balancer that signs people in adds tokens of
// its own.
const MaxHeaderBytes = 32 << 10

// netHTTPHeaderBytes is how much of headers net/http reads, in bytes. It is a
// backstop: what is larger than MaxHeaderBytes is refused by us, and better.
const netHTTPHeaderBytes = 4 * MaxHeaderBytes

// Options say how connections are served.
type Options struct {
	Handler http.Handler
	Log     *slog.Logger
	// Draining is true when the connection of each answer is to be closed behind it.
	Draining *atomic.Bool
	// BeforeShutdown is called when the context of Serve ends. It ends requests that wait.
	BeforeShutdown func()
	ShutdownLimit  time.Duration // for requests to be answered at shutdown

	// For the public only:

	Hot       string      // beginning of the paths of polls, see package wire; empty: none are hot
	NetHTTP   bool        // package wire serves nothing
	TLS       *tls.Config // nil: connections are not encrypted
	OpenFiles uint64      // how many files the process may have open; 0: no bound
	// Admit says whether a client may have one more connection, and what to call at its end,
	// nil for nothing. nil: it may.
	Admit       func(net.Addr) (leave func(), ok bool)
	AnswerLimit time.Duration // over HTTP/2, from the beginning of a request to the end of its answer
	ConnContext func(context.Context, net.Conn) context.Context
	Faults      *Faults
}

// Serve serves the public on a listener until ctx ends. Then it closes the listener
// without losing a connection that has begun, and lets requests finish.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	g, ctx := errgroup.WithContext(ctx)
	p := newPort(l, o)
	p.http.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	sweeping, stopSweeping := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return p.wire.Run(sweeping) })
	g.Go(func() error { return accept(p.http, p.handed) })
	g.Go(func() error { return p.listener.acceptAll(func(c *limitedConn) { p.serve(ctx, c) }) })
	g.Go(func() error {
		<-ctx.Done()
		defer stopSweeping()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.ShutdownLimit)
		defer cancel()
		o.BeforeShutdown()
		return p.stop(limit)
	})
	return g.Wait()
}

// port is the public port. Package wire serves its connections, and hands over to
// net/http those that speak what it does not know.
type port struct {
	listener *publicListener
	wire     *wire.Server
	handed   *handed
	http     *http.Server
	tls      *encryption // nil: none
	netHTTP  bool        // http serves every connection from its beginning
}

func newPort(l net.Listener, o Options) *port {
	p := &port{listener: newPublicListener(l, o), handed: newHanded(l.Addr()), http: publicServer(o), netHTTP: o.NetHTTP}
	p.http.ConnState = p.handed.follow
	if o.TLS != nil {
		p.tls = &encryption{o.TLS, o.Faults.floods, o.Log}
	}
	p.wire = wire.New(wire.Options{
		Handler: o.Handler, Hot: o.Hot, Context: o.ConnContext, Draining: o.Draining, HandOver: p.handOver, Log: o.Log,
	})
	return p
}

// serve serves a connection.
func (p *port) serve(ctx context.Context, c *limitedConn) {
	socket, _ := c.Conn.(*net.TCPConn)
	conn := wire.Conn{Conn: c, Socket: socket, Plain: true}
	if p.tls != nil {
		within := tls.Server(c, p.tls.config)
		conn = wire.Conn{Conn: within, Socket: socket, Begin: func() error { return p.tls.handshake(within) }}
	}
	if !p.netHTTP {
		p.wire.Serve(ctx, conn)
	} else if !p.handOver(conn.Conn, nil) {
		_ = c.Close()
	}
}

// handOver gives a connection to net/http.
func (p *port) handOver(c net.Conn, read []byte) bool {
	u := &unreadConn{Conn: c, unread: read}
	if p.tls == nil {
		return p.handed.take(plainConn{u})
	}
	return p.handed.take(&tlsConn{unreadConn: u, guard: p.tls.guard})
}

// stop ends the port. First every connection that has begun gets as far as a request that
// is being answered; until then it could have to be handed over.
func (p *port) stop(ctx context.Context) error {
	p.listener.stopAccepting()
	p.http.SetKeepAlivesEnabled(false)
	p.wire.Stop(ctx)
	p.handed.settle(ctx)
	var g errgroup.Group
	g.Go(func() error { return p.wire.Drain(ctx) })
	g.Go(func() error { return shutDown(ctx, p.http) })
	return g.Wait()
}

// ServeAdmin serves operators on a listener until ctx ends.
func ServeAdmin(ctx context.Context, l net.Listener, o Options) error {
	g, ctx := errgroup.WithContext(ctx)
	server := hardened(o)
	server.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	g.Go(func() error { return accept(server, l) })
	g.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.ShutdownLimit)
		defer cancel()
		o.BeforeShutdown()
		return shutDown(limit, server)
	})
	return g.Wait()
}

func accept(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// shutdownTurn is how often the server signals to connections that it ends: one that was
// about to begin misses the first signal.
const shutdownTurn = time.Second

// shutDown lets a server finish what it has begun.
func shutDown(ctx context.Context, server *http.Server) error {
	for {
		turn, cancel := context.WithTimeout(ctx, shutdownTurn)
		err := server.Shutdown(turn)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("requests cut off at shutdown: %w", err), server.Close())
		}
	}
}

// hardened returns a server with the bounds that hold for every listener.
func hardened(o Options) *http.Server {
	return &http.Server{
		Handler:           o.Handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    netHTTPHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

// Bounds of a connection over HTTP/2.
const (
	maxStreams = 100              // requests at once
	pingAfter  = 30 * time.Second // of silence
)

// publicServer returns a server with the bounds for the public. Over HTTP/2 its write
// deadline counts from the beginning of a request to the end of its answer, also
// for those that net/http gives by itself; longer answers move it. Over HTTP/1.1
// connections have their own, see limitedConn.
func publicServer(o Options) *http.Server {
	server := hardened(o)
	server.ConnContext = o.ConnContext
	server.WriteTimeout = o.AnswerLimit
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter}
	if o.TLS != nil {
		server.MaxHeaderBytes = http2HeaderBytes
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(o.TLS != nil) // TLS is beneath, see encryption
	return server
}
