package httpapi

import (
	"context"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/httpapi/internal/conns"
)

// answerBegins is how long an answer may take to begin over HTTP/2, once the request
// is there.
const answerBegins = 2 * time.Second

// Serve answers requests on public and on admin until ctx ends, then ends those
// that wait and lets those that are being answered finish, for as long as
// shutdownLimit. Either listener may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener, shutdownLimit time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	o := conns.Options{Log: s.options.Log, Draining: &s.draining, ShutdownLimit: shutdownLimit, BeforeShutdown: func() {
		s.Drain()
		s.waiters.close()
		cancel() // where one listener fails, the other ends too
	}}
	if public != nil {
		if s.options.TLS != nil {
			g.Go(func() error { return s.options.TLS.Run(ctx) })
		}
		options := s.publicOptions(o)
		g.Go(func() error { return conns.Serve(ctx, public, options) })
	}
	if admin != nil {
		options := o
		options.Handler = s.Admin()
		g.Go(func() error { return conns.ServeAdmin(ctx, admin, options) })
	}
	return g.Wait()
}

// publicOptions returns how the public is served.
func (s *Server) publicOptions(o conns.Options) conns.Options {
	o.Handler = s.handler
	if !s.options.cold {
		o.Hot = statusPath
	}
	if s.options.TLS != nil {
		o.TLS = s.options.TLS.Config()
	}
	o.OpenFiles = s.limits.Files
	o.AnswerLimit = s.limits.Body + answerBegins + s.limits.Taken
	o.Admit = s.admitConn
	o.ConnContext = s.withAddress
	o.Faults = s.faults
	return o
}
