package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/changes"
	"statuscache/cache/diagnose"
	"statuscache/cache/intake"
	"statuscache/cache/lists"
	"statuscache/cache/outputs"
	"statuscache/cache/stats"
	"statuscache/cache/worklist"
	"statuscache/cmd/internal/tracing"
	"statuscache/httpapi"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/certificate"
	"statuscache/httpapi/dashboard"
	"statuscache/ingest"
)

// service has the parts of one process. Parts that the role does not need are nil.
type service struct {
	config  Config
	program Program
	begun   time.Time // of Run
	out     *logWriter
	log     *slog.Logger
	metrics *prometheus.Registry
	traces  *tracing.Traces // nil: no spans are made

	cache    *cache.Cache
	changes  *changes.Hub
	stats    *stats.Stats
	lists    *lists.Reader
	keys     *apikeys.Keys
	worklist *worklist.Worklist
	sweeps   *worklist.Sweeps
	losses   *worklist.LossDetector
	settings *diagnose.Settings // settings that can only be checked while the process runs
	queue    *ingest.SQS
	consumer *ingest.Consumer
	hydrator *ingest.Hydrator
	refetch  *ingest.Refetcher
	outputs  *outputs.Sweeper
	auditor  *ingest.Auditor
	intake   *intake.Reports
	census   *census
	server   *httpapi.Server
	public   net.Listener
	admin    net.Listener
}

// open builds every part. It connects to nothing.
func (s *service) open(ctx context.Context) error {
	var err error
	if err = s.openTraces(ctx); err != nil {
		return err
	}
	if s.cache, err = openCache(s.config, s.log, s.metrics, s.program); err != nil {
		return err
	}
	s.changes, s.stats, s.lists = changes.Open(s.cache), stats.Open(s.cache, s.metrics), lists.NewReader(s.cache)
	if s.keys, err = OpenKeys(s.config, s.cache, s.log); err != nil {
		return err
	}
	db := s.cache.DB()
	s.losses = worklist.NewLossDetector(db, worklist.LossOptions{Log: s.log, Metrics: s.metrics, Noticed: s.keys.Reassert})
	s.worklist, s.sweeps = worklist.New(db, s.metrics), worklist.NewSweeps(db, s.losses, s.metrics)
	s.settings = diagnose.WatchSettings(db, s.log, s.metrics)
	s.settings.Add(diagnose.Setting{
		Name: "API_KEY_PEPPER", Check: s.keys.WrongPepper,
		Wrong: "API keys are refused: API_KEY_PEPPER does not match the API keys in Redis", Good: "API_KEY_PEPPER matches the API keys in Redis again",
	})
	s.census = newCensus(s)
	err = s.openIngest(ctx)
	s.intake = intake.Open(db, s.source())
	return errors.Join(err, s.openAPI())
}

func (s *service) openTraces(ctx context.Context) (err error) {
	if !s.config.Tracing {
		return nil
	}
	s.traces, err = tracing.Open(ctx, tracing.Options{
		Service: "statusd", Version: s.program.Version, Flush: min(flushLimit, s.config.ShutdownTimeout/5), Log: s.log, Metrics: s.metrics,
	})
	return err
}

// toolLimit is how long Redis may take for a command of statusctl. A service must answer soon,
// but the user of statusctl prefers to wait instead of running it again.
const toolLimit = 10 * time.Second

// OpenCache opens the cache that the settings name.
func OpenCache(c Config, log *slog.Logger, metrics prometheus.Registerer) (*cache.Cache, error) {
	return openCache(c, log, metrics, Program{ReadLimit: toolLimit, WriteLimit: toolLimit})
}

func openCache(c Config, log *slog.Logger, metrics prometheus.Registerer, p Program) (*cache.Cache, error) {
	outputLife := c.RetentionOutput
	if outputLife >= c.Retention {
		outputLife = 0 // they expire with their records
	}
	return cache.Open(cache.Options{
		URL: c.RedisURL, TLS: c.RedisTLS, Passwords: c.passwords(p.AWS), Prefix: c.RedisPrefix, Retention: c.Retention, RetentionFailed: c.RetentionFailed, RetentionOutput: outputLife, ReplicaAcks: c.RedisReplicaAcks,
		NearBytes: p.NearBytes, ReadLimit: p.ReadLimit, WriteLimit: p.WriteLimit, Log: log, Metrics: metrics,
	})
}

// OpenKeys opens the API keys that the settings name, in the Redis of a cache that does not
// run yet.
func OpenKeys(c Config, on *cache.Cache, log *slog.Logger) (*apikeys.Keys, error) {
	return apikeys.Open(on.DB(), apikeys.Options{Pepper: []byte(c.APIKeyPepper), File: c.APIKeysFile, Log: log})
}

func (s *service) openAPI() error {
	c := s.config
	o := httpapi.Options{
		Cache: s.cache, Lists: s.lists, Changes: s.changes, Trails: s.cache, Outputs: s.worklist, Typical: s.stats, Statistics: s.stats, Overdue: s.stats,
		MaxWait: c.MaxWait, Grace: c.ArrivalGrace, StateMachines: c.StateMachines,
		Retention: c.Retention, RetentionFailed: c.RetentionFailed, RateLimit: c.RateLimit, Origins: c.CORSOrigins,
		Limits: httpapi.Limits{Files: maxFiles()},
		Parts:  s.parts(), Warming: s.warming, Concerns: s.concerns, Notes: s.census.notes, Audits: s.sweeps.Audits, Intake: s.intake,
		Version: s.program.Version, Log: s.log, AccessLog: s.out, LogJSON: c.LogFormat == "json", LogLevel: logLevel(c), Metrics: s.metrics,
		Traces: s.traces.Provider(), NetHTTP: s.program.NetHTTP,
	}
	if c.APIKeyPepper != "" {
		o.Keys, o.Links = s.keys, s.keys
	}
	o.JWT, o.Introspection = c.JWT(), c.Introspection()
	if s.program.Posts != nil {
		o.Posts = s.program.Posts(s.cache)
	}
	var errs []error
	var err error
	if c.Dashboard {
		o.Dashboard, err = dashboard.New(dashboard.Options{
			Dir: s.program.DashboardDir, Version: s.program.Version, Issuer: c.JWTIssuer, ClientID: c.DashboardClient,
		})
		errs = append(errs, err)
	}
	if c.TLSCertFile != "" {
		o.TLS, err = certificate.Load(c.TLSCertFile, c.TLSKeyFile, s.log)
		errs = append(errs, err)
	}
	s.server = httpapi.New(o)
	return errors.Join(append(errs, s.listen())...)
}

// JWT returns which access tokens are accepted; nil: none.
func (c *Config) JWT() *auth.JWT {
	if c.JWTIssuer == "" {
		return nil
	}
	return &auth.JWT{
		Issuer: c.JWTIssuer, JWKSURL: c.JWTJWKSURL, ClientIDs: c.JWTClientIDs,
		OwnerClaim: c.JWTOwnerClaim, ScopePrefix: c.JWTScopePrefix, OperatorGroups: c.JWTOperatorGroups,
	}
}

// listen binds the listeners first, so that a port in use is reported before anything
// else starts.
func (s *service) listen() error {
	var errs []error
	bind := func(l net.Listener, setting, addr string) net.Listener {
		if l != nil {
			return l
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			errs = append(errs, listenError(setting, addr, err))
			return nil
		}
		return l
	}
	s.admin = bind(s.program.Admin, "ADMIN_ADDR", s.config.AdminAddr)
	if s.config.Role != Ingest {
		s.public = bind(s.program.Public, "LISTEN_ADDR", s.config.ListenAddr)
	}
	return errors.Join(errs...)
}

// addressOf returns where l listens, empty for nil.
func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// listenError removes the address from the error of net, because the message has it already.
func listenError(setting, addr string, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("%s: cannot listen on %s: %w; choose another address with --%s", setting, addr, err,
		strings.ReplaceAll(strings.ToLower(setting), "_", "-"))
}
