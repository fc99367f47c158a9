package httpapi

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"statuscache/cache"
	"statuscache/cache/changes"
	"statuscache/cache/intake"
	"statuscache/cache/lists"
	"statuscache/cache/stats"
	"statuscache/cache/worklist"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/certificate"
	"statuscache/httpapi/dashboard"
	"statuscache/httpapi/internal/accesslog"
	"statuscache/httpapi/internal/conns"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/health"
	"statuscache/httpapi/internal/reports"
	"statuscache/httpapi/internal/retryafter"
	"statuscache/httpapi/internal/traces"
)

// Executions is the store of executions.
type Executions interface {
	// Peek returns the record in the near cache, if it is current.
	Peek(text string) (*cache.Record, bool)
	// GetAtLeast returns the record, at least as new as a version.
	GetAtLeast(ctx context.Context, arn cache.ARN, v cache.Version) (*cache.Record, error)
	// GetMany returns the record of each.
	GetMany(ctx context.Context, arns []cache.ARN) []cache.Found
	// Register sets the owner of an execution.
	Register(ctx context.Context, r cache.Registration) (created bool, err error)
}

// Changes reports when executions change.
type Changes interface {
	// Wait returns the record as soon as it is newer than another one.
	Wait(ctx context.Context, arn cache.ARN, since *cache.Record) (*cache.Record, error)
	Watch(arns ...cache.ARN) *changes.Watch
	// WatchFunc is Watch with a function that is called when there may be a change.
	WatchFunc(call func(), arns ...cache.ARN) *changes.Watch
	Follow(owner string, all bool) *changes.Follow
}

// Lists finds the executions of an owner.
type Lists interface {
	List(ctx context.Context, q lists.Query) (lists.Page, error)
	// BeginCounts returns a function that waits for the counts.
	BeginCounts(ctx context.Context, owner string, all bool) (wait func(context.Context) (lists.Counts, error))
}

// Typical returns the usual durations of a state machine.
type Typical interface {
	// Typical answers from memory; ok is false if nothing is known.
	Typical(stateMachine string) (d stats.Distribution, ok bool)
}

// Intake has the reports of the processes that receive events. It answers from memory.
type Intake interface {
	Queue() *intake.Queue // nil: not known
	Ages() *intake.Ages   // nil: no event has been applied
	// Repairs returns how many executions the audits have corrected, by the ARN of a state
	// machine.
	Repairs() map[string]int64
}

// Options are the settings of a Server and the parts that it uses.
type Options struct {
	Cache   Executions
	Lists   Lists
	Changes Changes
	Trails  Trails
	Outputs Outputs
	Typical Typical // nil: not known
	// Statistics answers questions about many executions.
	Statistics reports.Statistics
	Overdue    reports.Late  // executions that run for longer than usual
	Keys       auth.Keys     // nil: no API keys
	Links      auth.LinkKeys // nil: no links
	JWT        *auth.JWT     // nil: no JWTs
	// Introspection is the server that checks other tokens; nil: none.
	Introspection *auth.Introspection
	Parts         []Part
	// Warming reports whether the first answers would take long, because the process has just
	// started; nil: never. A process that is warming up is healthy, but not ready.
	Warming func() bool
	// Concerns returns why answers may be wrong, as public texts; nil: never.
	Concerns func() []string
	// Notes returns why some callers do not get some executions, as public texts; nil: never.
	Notes func() []string
	// Audits returns up to when each state machine has been compared with Step
	// Functions, by ARN; nil: none is.
	Audits func() map[string]worklist.Audited
	// Intake has the reports of the processes that receive events; nil: none.
	Intake    Intake
	Retention time.Duration // how long ended executions are kept, for the message of 404
	// RetentionFailed is Retention for failures; 0: the same.
	RetentionFailed time.Duration
	MaxWait         time.Duration // longest wait of a request; 0: no request waits
	Grace           time.Duration // how long a read of an unknown execution waits (ARRIVAL_GRACE); 0: not at all
	// StateMachines are the ARNs of the state machines of this service; empty: all.
	// Requests wait for unknown executions only if these belong to one of them.
	StateMachines []string
	RateLimit     int                // requests per second and principal; 0: no limit
	Origins       []string           // origins whose pages may call the API
	TLS           *certificate.Files // nil: the API is served without TLS
	Version       string
	Dashboard     *dashboard.Dashboard // nil: nothing is served at /
	Log           *slog.Logger         // nil: none
	AccessLog     io.Writer            // a line for each request; must not block; nil: none
	LogJSON       bool                 // those lines are JSON
	LogLevel      slog.Level           // least level of those lines; a request is INFO, or WARN if the service failed
	Metrics       *prometheus.Registry // nil: one of its own
	Traces        trace.TracerProvider // nil: no spans are made
	Posts         []Post               // further routes
	Limits        Limits
	// NetHTTP makes net/http serve every public connection from its first byte, for
	// comparisons with package wire.
	NetHTTP bool
}

// Post is a route of another program that shares the checks of the API: token, rate, log
// and form of errors.
type Post struct {
	Path  string
	Limit int // of the body, bytes
	// Answer returns the status and the data of the answer, both JSON.
	Answer func(ctx context.Context, caller *auth.Principal, body jsontext.Value) (status int, data []byte, err error)
}

// Invalid returns an error that says to the caller what is wrong with the request: a
// ValidationError.
func Invalid(message string) error { return envelope.Invalid("%s", message) }

// Server answers requests. Handler and Admin return its handlers; Run must run while it
// serves.
type Server struct {
	options        Options
	auth           *auth.Authenticator
	limits         Limits
	pools          fairness.Pools
	callers        *fairness.Holders
	addresses      *fairness.Holders
	bodies         *fairness.Pool // bytes of requests that arrive
	answers        *fairness.Pool // bytes of large answers that are sent
	refusals       *fairness.Pool // places for answers that say what is wrong, over HTTP/2
	reads          *semaphore.Weighted
	rates          *fairness.RateLimits
	waiters        *waiters
	grace          *grace
	paces          *retryafter.Paces
	snapshots      *reports.Snapshots
	durations      reports.DurationTexts // of everybody's executions
	log            *accesslog.Log
	traces         *traces.Tracer // nil: no spans are made
	metrics        *metrics
	health         *health.Checks
	faults         *conns.Faults
	connections    *fairness.Pool // of addresses of the public internet; nil: no bound
	draining       atomic.Bool
	unknownMessage string
	handler        http.Handler
}

// New returns a Server. Without Keys and JWT it refuses every caller.
func New(o Options) *Server {
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		options:        o,
		traces:         traces.New(o.Traces),
		limits:         o.Limits.orDefaults(),
		rates:          fairness.NewRateLimits(o.RateLimit),
		log:            accesslog.New(o.AccessLog, o.LogJSON, o.LogLevel),
		metrics:        newMetrics(o.Metrics),
		unknownMessage: "this execution is not known; finished executions are kept for " + o.kept(),
	}
	s.auth = auth.New(o.Keys, o.Links, o.JWT, s.introspection(), o.Log)
	s.health = s.newHealth()
	s.faults = conns.NewFaults(o.Log, o.Metrics)
	s.share()
	s.grace, s.paces = newGrace(o.StateMachines), newPaces(o.Typical)
	s.snapshots = reports.NewSnapshots()
	s.metrics.observeWaiters(o.Metrics, s.waiters)
	s.observeProblems(o.Metrics)
	s.handler = s.routes()
	return s
}

// introspection returns the server that checks other tokens; calls to it continue the trace of
// the request.
func (s *Server) introspection() *auth.Introspection {
	if s.options.Introspection == nil {
		return nil
	}
	own := *s.options.Introspection
	own.Transport = s.traces.Transport()
	return &own
}

func newPaces(t Typical) *retryafter.Paces {
	if t == nil {
		return retryafter.NewPaces(nil)
	}
	return retryafter.NewPaces(func(stateMachine string) (retryafter.Ends, bool) { return t.Typical(stateMachine) })
}

// kept describes how long ended executions are kept.
func (o *Options) kept() string {
	if o.RetentionFailed == 0 || o.RetentionFailed == o.Retention {
		return inDays(o.Retention)
	}
	return inDays(o.Retention) + ", failed ones for " + inDays(o.RetentionFailed)
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

// Run keeps the keys for authentication fresh, and ends waits whose token is no longer
// valid, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.waiters.Run(ctx) })
	g.Go(func() error { return s.auth.Run(ctx) })
	if s.options.Dashboard != nil {
		g.Go(func() error { return s.options.Dashboard.Run(ctx, auth.TokenEndpoint) })
	}
	return g.Wait()
}

// Drain makes the server not ready, so that a load balancer sends no more requests. It
// still answers, and closes each connection after an answer: a request that is sent while
// its connection is being closed would be lost.
func (s *Server) Drain() { s.draining.Store(true) }

// answerBegins is how long an answer over HTTP/2 may take to begin, after the request has
// arrived.
const answerBegins = 2 * time.Second

// Serve answers requests on public and on admin until ctx ends. Then it ends waiting
// requests and lets the others finish, within shutdownLimit. Either listener may be nil.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener, shutdownLimit time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	o := conns.Options{Log: s.options.Log, Draining: &s.draining, ShutdownLimit: shutdownLimit, BeforeShutdown: func() {
		s.Drain()
		s.waiters.Close()
		cancel() // if one listener fails, the other ends too
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

// publicOptions returns the options of the public port.
func (s *Server) publicOptions(o conns.Options) conns.Options {
	o.Handler, o.Hot, o.NetHTTP = s.handler, statusPath, s.options.NetHTTP
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
