package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// Executions is what is known of executions.
type Executions interface {
	// Peek returns what this process holds of an execution, if that may be told.
	Peek(text string) (*cache.Record, bool)
	// GetAtLeast returns what is known, not from before a version was.
	GetAtLeast(ctx context.Context, arn cache.ARN, v cache.Version) (*cache.Record, error)
	// Register sets the owner of an execution.
	Register(ctx context.Context, r cache.Registration) (created bool, err error)
}

// Part is something that the service needs to be whole.
type Part struct {
	Name  string       // as everybody may read it, such as "redis"
	Ready func() error // nil, or the reason for operators
}

// Options say what a Server serves and to whom.
type Options struct {
	Cache     Executions
	Keys      Keys // nil: no API keys
	JWT       *JWT // nil: no JWTs
	Parts     []Part
	Retention time.Duration // how long stopped executions are kept, to be told
	RateLimit int           // requests per second and principal; 0: no limit
	Origins   []string      // whose pages may call the API
	TLS       *Certificate  // nil: the API is served without TLS
	Version   string
	Log       *slog.Logger         // nil: none
	AccessLog io.Writer            // a line for each request; must not block; nil: none
	LogJSON   bool                 // form of those lines
	LogLevel  slog.Level           // of those lines; a request is INFO, one that failed here WARN
	Metrics   *prometheus.Registry // nil: one of its own
	Posts     []Post               // further routes
}

// Post is a route that is not of this service and shares its checks: token,
// rate, log and form of errors.
type Post struct {
	Path  string
	Limit int // of the body, bytes
	// Answer returns the status and the data of the answer, both JSON.
	Answer func(ctx context.Context, caller *Principal, body jsontext.Value) (status int, data []byte, err error)
}

// Server answers requests. Handler and Admin are what it serves, Run what it
// needs to do so.
type Server struct {
	options        Options
	auth           *authenticator
	signingKeys    *keySet // nil: no JWTs
	limits         *rateLimits
	log            *accessLog
	metrics        *metrics
	draining       atomic.Bool
	unknownMessage string
	handler        http.Handler
}

// New returns a Server. Without Keys and JWT it lets nobody in.
func New(o Options) *Server {
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		options: o,
		auth:    &authenticator{keys: o.Keys},
		limits:  newRateLimits(o.RateLimit),
		log:     &accessLog{w: o.AccessLog, json: o.LogJSON, level: o.LogLevel},
		metrics: newMetrics(o.Metrics),
		unknownMessage: fmt.Sprintf("nothing is known of this execution; finished ones are kept for %s",
			inDays(o.Retention)),
	}
	if o.JWT != nil {
		url := o.JWT.JWKSURL
		if url == "" {
			url = strings.TrimSuffix(o.JWT.Issuer, "/") + "/.well-known/jwks.json"
		}
		s.signingKeys = newKeySet(url, o.Log)
		s.auth.tokens = newTokens(*o.JWT, s.signingKeys)
		s.options.Parts = append(s.options.Parts[:len(o.Parts):len(o.Parts)], Part{"signing keys", s.signingKeys.ready})
	}
	s.handler = s.routes()
	return s
}

func inDays(d time.Duration) string {
	days := d.Hours() / 24
	if days >= 2 && days == math.Trunc(days) {
		return fmt.Sprintf("%.0f days", days)
	}
	return d.String()
}

// Handler serves the public API.
func (s *Server) Handler() http.Handler { return s.handler }

// Run keeps what authentication needs fresh until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s.signingKeys == nil {
		<-ctx.Done()
		return nil
	}
	return s.signingKeys.run(ctx)
}

// Drain makes the server not ready, so that a load balancer sends no more. It
// goes on answering, and closes each connection behind its answer: a request that
// crosses with the end of a connection would be lost.
func (s *Server) Drain() { s.draining.Store(true) }

// Serve answers requests on public and on admin until ctx ends, then lets those
// that are being answered finish, for as long as shutdownLimit. Either listener
// may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener, shutdownLimit time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	if public != nil {
		public = impatientListener{public}
	}
	if s.options.TLS != nil && public != nil { // net/http has to see it for HTTP/2
		public = tls.NewListener(public, s.options.TLS.Config())
		g.Go(func() error { return s.options.TLS.Run(ctx) })
	}
	for _, each := range []struct {
		listener net.Listener
		handler  http.Handler
	}{{public, s.handler}, {admin, s.Admin()}} {
		if each.listener == nil {
			continue
		}
		server := hardened(each.handler, s.options.Log)
		g.Go(func() error {
			if err := server.Serve(each.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", each.listener.Addr(), err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
			defer cancel()
			if err := server.Shutdown(limit); err != nil {
				return errors.Join(fmt.Errorf("requests cut off at shutdown: %w", err), server.Close())
			}
			return nil
		})
	}
	return g.Wait()
}

// hardened returns a server with the bounds of RELIABILITY.md §6.
func hardened(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes, // a backstop: net/http admits more, see serve.go
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
