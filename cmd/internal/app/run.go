package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cmd/internal/tracing"
	"statuscache/httpapi"
)

// Program has what a program sets in addition to the settings.
type Program struct {
	Version string
	Log     io.Writer
	// Public and Admin are the listeners to serve on; nil: listeners on LISTEN_ADDR and
	// ADMIN_ADDR.
	Public, Admin net.Listener
	// AWS returns the settings of the SDK; nil: ingest.LoadAWS.
	AWS func(context.Context) (aws.Config, error)
	// BalancerDelay is how long to keep serving after a load balancer could have noticed that
	// the process will stop.
	BalancerDelay time.Duration
	NearBytes     int64 // bound of the near cache; 0: cache.DefaultNearBytes
	NetHTTP       bool  // as in httpapi.Options
	// ReadLimit and WriteLimit are how long Redis may take, as in cache.Options.
	ReadLimit, WriteLimit time.Duration
	Posts                 func(*cache.Cache) []httpapi.Post
	DashboardDir          string // folder from which the files of the dashboard are read; empty: the embedded files
	// Background runs next to the service until its context ends; nil: nothing runs.
	Background func(context.Context, *cache.Cache, *apikeys.Keys) error
}

// Limits of starting and stopping.
const (
	startLimit    = 10 * time.Second // for Redis and the queue to answer
	startRetry    = 500 * time.Millisecond
	logCloseLimit = time.Second
	flushLimit    = 5 * time.Second // to export the last spans
)

// Run runs the service until ctx ends and then stops its parts in order. Its errors have
// a line for each mistake, with the fix.
func Run(ctx context.Context, c Config, p Program) error {
	signal.Ignore(syscall.SIGPIPE) // the reader of the log may end before this process
	out := newLogWriter(p.Log)
	defer out.Close(logCloseLimit)
	s := &service{config: c, program: p, begun: time.Now(), out: out, log: newLogger(c, out), metrics: newRegistry(p.Version)}
	s.metrics.MustRegister(out.lost)
	for _, w := range c.Warnings() {
		s.log.Warn("setting: " + w) //nolint:sloglint // each warning is a different sentence
	}
	if err := s.open(ctx); err != nil {
		return errors.Join(err, s.close())
	}
	if err := s.check(ctx); err != nil {
		if ctx.Err() != nil {
			err = nil // a signal arrived during the start
		}
		return errors.Join(err, s.close())
	}
	// Only statusdev passes a listener. A laptop has few clients, so the limit does not matter
	// there.
	if files := maxFiles(); s.public != nil && p.Public == nil && files < httpapi.FilesNeeded {
		s.log.Warn("the limit of open files is too low for 80,000 waiting clients, so connections are refused under load; raise it (LimitNOFILE of the systemd unit, nofile of the container, ulimit -n)", "limit", files, "needed", httpapi.FilesNeeded)
	}
	s.log.Info("started", "version", p.Version, "role", c.Role, "api", addressOf(s.public), "admin", addressOf(s.admin))
	err := runStages(ctx, c.ShutdownTimeout, s.stages())
	s.log.Info("stopped")
	return errors.Join(err, s.close())
}

// check returns when Redis and the queue answer and are set up correctly.
func (s *service) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var g errgroup.Group
	errs := make([]error, 2)
	g.Go(func() error {
		errs[0] = RedisError(s.config, s.untilGood(ctx, "Redis", s.cache.DB().Check))
		return nil
	})
	if s.queue != nil {
		g.Go(func() error {
			errs[1] = s.untilGood(ctx, "the queue", s.queue.Check)
			return nil
		})
	}
	_ = g.Wait() // waits for both
	return errors.Join(errs...)
}

// RedisError makes one line of the error of a check of Redis, with the fix.
func RedisError(c Config, err error) error {
	if err == nil {
		return nil
	}
	fix := "; check that it runs and that the address, user and password are correct"
	if errors.Is(err, cache.ErrUnfit) || strings.Contains(err.Error(), "; ") {
		fix = "" // the error already says what to do
	}
	return fmt.Errorf("REDIS_URL: %s: %s%s", hideURL(c.RedisURL), strings.ReplaceAll(err.Error(), "\n", "; "), fix)
}

// untilGood retries until ctx ends, and then returns the last error.
func (s *service) untilGood(ctx context.Context, what string, check func(context.Context) error) error {
	var latest error
	for {
		err := check(ctx)
		if err == nil || errors.Is(err, cache.ErrUnfit) {
			return err
		}
		if latest == nil {
			s.log.Info("not reachable yet; trying again until the time limit", "what", what, "limit", startLimit, "error", err)
		}
		if latest == nil || ctx.Err() == nil { // an attempt that was cancelled has no useful error
			latest = err
		}
		select {
		case <-ctx.Done():
			return latest
		case <-time.After(startRetry):
		}
	}
}

// close releases everything that open has opened so far.
func (s *service) close() error {
	for _, l := range []net.Listener{s.public, s.admin} {
		if l != nil {
			_ = l.Close() // most listeners were already closed by the server
		}
	}
	if s.cache == nil {
		return nil
	}
	return s.cache.Close()
}

func newLogger(c Config, out io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: logLevel(c), ReplaceAttr: readableDurations}
	var h slog.Handler = slog.NewJSONHandler(out, o)
	if c.LogFormat == "text" {
		h = slog.NewTextHandler(out, o)
	}
	if c.Tracing {
		h = tracing.Handler(h)
	}
	return slog.New(h)
}

// readableDurations writes a duration as 10s, because JSON logs would have a number of
// nanoseconds.
func readableDurations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func logLevel(c Config) (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked with the settings
	return level
}

func newRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "statuscache", Name: "build_info", Help: "Always 1; the labels name the release.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
