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

// MaxHeaderBytes is the maximum size of the headers of a request. A browser sends the
// cookies of every program on the same host, and a load balancer that signs users in adds
// its tokens.
const MaxHeaderBytes = 32 << 10

// netHTTPHeaderBytes is how many bytes of headers net/http reads. It is larger than
// MaxHeaderBytes, so that normally this package refuses the request, with a better error.
const netHTTPHeaderBytes = 4 * MaxHeaderBytes

// Options configure how connections are served.
type Options struct {
	Handler http.Handler
	Log     *slog.Logger
	// Draining reports whether each connection must be closed after its next answer.
	Draining *atomic.Bool
	// BeforeShutdown is called when the context of Serve ends. It ends requests that wait.
	BeforeShutdown func()
	ShutdownLimit  time.Duration // for requests to be answered at shutdown

	// For the public only:

	Hot       string      // beginning of the paths of polls, see package wire; empty: none are hot
	NetHTTP   bool        // package wire serves nothing
	TLS       *tls.Config // nil: connections are not encrypted
	OpenFiles uint64      // how many files the process may open; 0: no bound
	// Admit reports whether a client may have one more connection, and returns a function to
	// call at its end, nil for none. nil: every connection is allowed.
	Admit       func(net.Addr) (leave func(), ok bool)
	AnswerLimit time.Duration // over HTTP/2, from the beginning of a request to the end of its answer
	ConnContext func(context.Context, net.Conn) context.Context
	Faults      *Faults
}

// Serve serves the public on a listener until ctx ends. Then it closes the listener
// without resetting a connection that has begun, and lets requests finish.
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
// net/http the connections that it cannot read.
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

// stop ends the port. First it waits until every connection that has begun answers a
// request, because until then the connection may have to be handed over.
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

// shutdownTurn is how often the server signals its end to connections, because a
// connection that is about to begin misses the first signal.
const shutdownTurn = time.Second

// shutDown lets a server finish its requests.
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

// hardened returns a server with the bounds for every listener.
func hardened(o Options) *http.Server {
	return &http.Server{
		Handler:           o.Handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    netHTTPHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}

// Bounds of an HTTP/2 connection.
const (
	maxStreams = 100              // requests at once
	pingAfter  = 30 * time.Second // of silence
)

// publicServer returns a server with the bounds for the public. Over HTTP/2 its write
// deadline covers the time from the beginning of a request to the end of its answer, also
// for answers that net/http generates itself; longer answers extend it. HTTP/1.1
// connections have separate deadlines, see limitedConn.
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
