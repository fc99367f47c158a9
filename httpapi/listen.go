package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Serve answers requests on public and on admin until ctx ends, then ends those
// that wait and lets those that are being answered finish, for as long as
// shutdownLimit. Either listener may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener, shutdownLimit time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	run := func(l net.Listener, server *http.Server, leave func(context.Context, *http.Server)) {
		lot := newParkingLot(l.Addr(), &s.draining)
		server.BaseContext = func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), parkingKey{}, lot)
		}
		for _, each := range []net.Listener{l, lot} {
			g.Go(func() error { return serve(server, each) })
		}
		g.Go(func() error {
			<-ctx.Done()
			s.Drain()
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
			defer cancel()
			s.room.close()
			leave(limit, server)
			return shutDown(limit, server, lot)
		})
	}
	if public != nil {
		door := newDoor(public, s.accepts, s.limits.Files)
		public = patientListener{Listener: door, tls: s.options.TLS != nil}
		if s.options.TLS != nil {
			public = secureListener{public, s.options.TLS.Config(), s.floods, s.options.Log}
			g.Go(func() error { return s.options.TLS.Run(ctx) })
		}
		server := s.publicServer()
		server.ConnState = door.follow
		run(public, server, door.leave)
	}
	if admin != nil {
		run(admin, hardened(s.Admin(), s.options.Log), func(context.Context, *http.Server) {})
	}
	return g.Wait()
}

func serve(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// goodbyeEvery is how often connections are told that the server ends: one that was
// about to begin does not hear it the first time.
const goodbyeEvery = time.Second

// shutDown lets a server finish what it has begun.
func shutDown(ctx context.Context, server *http.Server, lot *parkingLot) error {
	for {
		turn, cancel := context.WithTimeout(ctx, goodbyeEvery)
		err := server.Shutdown(turn)
		cancel()
		if err == nil {
			return lot.drain(ctx)
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("requests cut off at shutdown: %w", err), server.Close())
		}
	}
}

// netHTTPHeaderBytes is how much of headers net/http reads, in bytes. It is a
// backstop: what is larger than maxHeaderBytes is refused by us, and better.
const netHTTPHeaderBytes = 4 * maxHeaderBytes

// hardened returns a server with the bounds that hold for every listener.
func hardened(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    netHTTPHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Bounds of a connection over HTTP/2.
const (
	maxStreams   = 100              // requests at once
	pingAfter    = 30 * time.Second // of silence
	answerBegins = 2 * time.Second  // for an answer to begin, once the request is there
)

// publicServer returns a server with the bounds for anybody. Over HTTP/2 its write
// deadline counts from the beginning of a request to the end of its answer, also
// for those that net/http gives by itself; longer answers move it. Over HTTP/1.1
// connections have their own, see impatientConn.
func (s *Server) publicServer() *http.Server {
	server := hardened(s.handler, s.options.Log)
	server.ConnContext = s.withAddress
	server.WriteTimeout = bodyLimit + answerBegins + s.limits.Taken
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter}
	if s.options.TLS != nil {
		server.MaxHeaderBytes = http2HeaderBytes
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(s.options.TLS != nil) // TLS is beneath, see secureListener
	return server
}
