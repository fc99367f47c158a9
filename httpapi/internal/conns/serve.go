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

	TLS         *tls.Config   // nil: connections are not encrypted
	OpenFiles   uint64        // how many files the process may have open; 0: no bound
	AnswerLimit time.Duration // over HTTP/2, from the beginning of a request to the end of its answer
	ConnContext func(context.Context, net.Conn) context.Context
	Faults      *Faults
}

// Serve serves the public on a listener until ctx ends. Then it closes the listener
// without losing a connection that has begun, and lets requests finish.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	public := newPublicListener(l, o.Faults.accepts, o.OpenFiles)
	server := publicServer(o)
	server.ConnState = public.follow
	l = preconnectListener{Listener: public, tls: o.TLS != nil}
	if o.TLS != nil {
		l = tlsListener{l, o.TLS, o.Faults.floods, o.Log}
	}
	return serve(ctx, l, server, o, public.stop)
}

// ServeAdmin serves operators on a listener until ctx ends.
func ServeAdmin(ctx context.Context, l net.Listener, o Options) error {
	return serve(ctx, l, hardened(o), o, func(context.Context, *http.Server) {})
}

// serve runs a server on a listener, and on the connections of it that were parked.
// stop ends accepting connections.
func serve(ctx context.Context, l net.Listener, server *http.Server, o Options, stop func(context.Context, *http.Server)) error {
	g, ctx := errgroup.WithContext(ctx)
	parked := newParkedConns(l.Addr(), o.Draining)
	server.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.WithoutCancel(ctx), parkedConnsKey{}, parked)
	}
	for _, each := range []net.Listener{l, parked} {
		g.Go(func() error { return accept(server, each) })
	}
	g.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.ShutdownLimit)
		defer cancel()
		o.BeforeShutdown()
		stop(limit, server)
		return shutDown(limit, server, parked)
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
func shutDown(ctx context.Context, server *http.Server, parked *parkedConns) error {
	for {
		turn, cancel := context.WithTimeout(ctx, shutdownTurn)
		err := server.Shutdown(turn)
		cancel()
		if err == nil {
			return parked.drain(ctx)
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
		IdleTimeout:       idleLimit,
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
	server.Protocols.SetUnencryptedHTTP2(o.TLS != nil) // TLS is beneath, see tlsListener
	return server
}
