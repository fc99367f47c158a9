package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"statuscache/cache/internal/formats"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/readbatch"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
	"statuscache/cache/internal/writebatch"
	"statuscache/cache/singleflight"
)

// Errors that callers check for.
var (
	// ErrNotFound means that an execution is not known. It may exist nevertheless: its
	// first event may not have arrived yet.
	ErrNotFound = errors.New("execution not known")
	// ErrOwnerConflict means that an execution is already registered with another owner.
	ErrOwnerConflict = errors.New("already registered with another owner")
	// ErrUnfit means that a Redis cannot be used: it would lose records, or lacks a needed feature.
	ErrUnfit = redisdb.ErrUnfit
	// ErrReplicas means that too few replicas have confirmed a write.
	ErrReplicas = redisdb.ErrReplicas
	// ErrOverloaded means that too many reads are already waiting for Redis.
	ErrOverloaded = readbatch.ErrOverloaded
	// ErrPanicked means that code panicked; the text has the stack.
	ErrPanicked = singleflight.ErrPanicked
)

// Verdict is the result of an observation.
type Verdict string

// The verdicts. All except Unconfirmed are final: applying the observation again changes
// nothing.
const (
	Applied     Verdict = "applied"     // it is the newest state now
	Superseded  Verdict = "superseded"  // the same or a newer state was already stored
	Expired     Verdict = "expired"     // too old to be kept
	Unconfirmed Verdict = "unconfirmed" // Redis did not confirm it; Err says why
)

// Outcome is the result of one observation of an Apply.
type Outcome struct {
	Verdict Verdict
	Err     error // set exactly if Verdict is Unconfirmed
}

// Final reports whether the observation needs no further processing.
func (o Outcome) Final() bool { return o.Verdict != Unconfirmed }

// Registration announces an execution that is about to start, and its owner.
type Registration struct {
	ARN       ARN
	Owner     string
	StartDate time.Time // zero: now, by the clock of Redis
	Labels    Labels
}

// Options configure a cache.
type Options struct {
	URL       string        // REDIS_URL; internal/redisdb/url.go lists its forms
	Prefix    string        // prefix of every Redis key
	Retention time.Duration // how long a stopped execution is kept, from its stop
	// RetentionFailed is Retention for failures, RetentionOutput is how long the output
	// of a success is kept. 0: the same as Retention.
	RetentionFailed, RetentionOutput time.Duration

	ReplicaAcks int       // replicas that must confirm a write; AutoAcks: 1 where there is or was one
	TLS         TLS       // beyond what rediss in URL says
	Passwords   Passwords // nil: the password is in URL and never changes
	NearBytes   int64     // bound of the near cache, bytes
	Log         *slog.Logger
	Metrics     prometheus.Registerer

	// How long Redis may take before a call fails. The package promises the defaults;
	// tests of something else set longer times for busy machines.
	ReadLimit  time.Duration // of one read; 0: 300 ms
	WriteLimit time.Duration // of one answer to a write; 0: 500 ms

	Dial   redisdb.Dialer // nil: net.Dialer; tests put faults into it
	Reload time.Duration  // how often the primaries of a cluster are read again; 0: 1 s
}

// The TLS options and passwords of Redis.
type (
	URL       = redisdb.URL
	TLS       = redisdb.TLS
	Password  = redisdb.Password
	Passwords = redisdb.Passwords
)

// AutoAcks requires the confirmation of one replica of each primary that has one, or
// has had one within the hour.
const AutoAcks = redisdb.AutoAcks

// Cache stores the states of executions in Redis, shared by every process with the same
// Redis and prefix. Its methods can be called concurrently.
type Cache struct {
	options Options
	db      *redisdb.DB
	metrics *metrics

	machines *tally.Names
	formats  *formats.Formats

	upkeep   indexes.Upkeep
	near     *near
	statuses *rowCache
	reads    *readbatch.Batcher
	writes   *writebatch.Batcher[*write]
}

// Open returns a Cache. It does not connect: Check does. Its error says what is
// wrong with the options.
func Open(o Options) (*Cache, error) {
	db, err := redisdb.Open(redisdb.Options{
		URL: o.URL, Prefix: o.Prefix, ReplicaAcks: o.ReplicaAcks, Log: o.Log,
		TLS: o.TLS, Passwords: o.Passwords, ReadLimit: o.ReadLimit, WriteLimit: o.WriteLimit, Dial: o.Dial, Reload: o.Reload,
	})
	if err != nil {
		return nil, err
	}
	if o.NearBytes == 0 {
		o.NearBytes = DefaultNearBytes
	}
	c := &Cache{options: o, db: db, metrics: newMetrics(o.Metrics)}
	c.formats = formats.New(db)
	c.machines = tally.NewNames()
	c.near = newNear(o.NearBytes, &db.Feed.Trust)
	c.near.names, c.near.limit, c.near.outputLife = db.Names, db.Limits.Read, o.RetentionOutput
	c.reads = readbatch.New(db, c.metrics.readBatches)
	c.writes = writebatch.New(c.write, (*write).size, db.Limits.Batch)
	c.statuses = newRowCache(db, c.near)
	c.listen()
	return c, nil
}

// listen drops changed executions from the near cache. It is the first listener, because
// other listeners read executions again.
func (c *Cache) listen() {
	c.db.Feed.Listeners = append(c.db.Feed.Listeners, redisdb.Listener{
		Changed: func(channel, payload string) {
			c.metrics.notifications.Inc()
			if channel == c.db.Names.KeyChanges {
				return // package apikeys listens to it
			}
			for _, arn := range ChangedARNs(payload) {
				c.near.forget(arn)
				c.statuses.forget(arn)
			}
		},
		Reset: func() {
			c.near.clear()
		},
	})
}

// Run keeps the near cache up to date until ctx ends: it listens to the
// change feed and watches the primaries. Without it every read goes to Redis.
func (c *Cache) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.db.Run(ctx) })
	return g.Wait()
}

// Close ends every connection. Run must have ended.
func (c *Cache) Close() error { return c.db.Close() }

// DB returns the Redis of the cache, for other packages that store there.
func (c *Cache) DB() *redisdb.DB { return c.db }

// Ping writes to Redis and waits for the confirmation. Its error says why that fails, and
// how to fix it.
func (c *Cache) Ping(ctx context.Context) error { return c.db.Ping(ctx) }

// ChangedARNs returns the executions that a message on a change channel names.
func ChangedARNs(payload string) (arns []ARN) {
	for arn := range strings.SplitSeq(payload, "\n") {
		if arn != "" {
			arns = append(arns, ARN(arn))
		}
	}
	return arns
}

// Invalidate makes the next read of an execution go to Redis.
func (c *Cache) Invalidate(arn ARN) { c.near.forget(arn) }

// Peek returns the record in the near cache if it is known to be current. text need not
// be a well-formed ARN; in that case there is no record.
func (c *Cache) Peek(text string) (*Record, bool) {
	r, ok := c.near.get(text)
	if ok {
		c.metrics.nearHits.Inc()
	}
	return r, ok
}

// Get returns the record of an execution, or ErrNotFound. Any other error means that
// Redis did not answer in time. Get never takes longer than 300 ms.
func (c *Cache) Get(ctx context.Context, arn ARN) (*Record, error) {
	return c.GetAtLeast(ctx, arn, "")
}

// GetAtLeast is Get for a caller who has seen version v. It uses no older record of the near
// cache, because another process may have sent a newer one a moment ago.
func (c *Cache) GetAtLeast(ctx context.Context, arn ARN, v Version) (*Record, error) {
	if r, ok := c.Peek(string(arn)); ok && r.Version >= v {
		return r, nil
	}
	c.metrics.nearMisses.Inc()
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Read)
	defer cancel()
	r, err := c.load(ctx, arn, v)
	if v != "" && (errors.Is(err, ErrNotFound) || err == nil && r.Version < v) {
		// This may be the read of another caller, which began before v was stored. A read
		// that begins now is new enough.
		r, err = c.load(ctx, arn, v)
	}
	return r, err
}

// load reads from Redis. Concurrent callers for one execution share the read.
func (c *Cache) load(ctx context.Context, arn ARN, v Version) (*Record, error) {
	f, first := c.near.startFill(ctx, arn, v)
	if first {
		c.reads.Do(f)
	}
	select {
	case <-f.done:
		return f.record, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("get %s: %w", arn, ctx.Err())
	}
}

// ParseURL checks a REDIS_URL. Its errors never quote the URL, which may contain a
// password.
func ParseURL(s string) error { return redisdb.ParseURL(s) }

// InspectURL returns the parts of a REDIS_URL that other settings must match. Its errors are
// those of ParseURL.
func InspectURL(s string) (URL, error) { return redisdb.InspectURL(s) }

// Explain explains an error of Redis: in a few words for the public, without addresses
// and users, and in one line for the operator, with the fix.
func Explain(err error) (brief, text string) { return redisdb.Explain(err) }

// Unreachable reports whether err means that Redis did not answer in time, or not at all.
// Everything that needs Redis then fails in the same way.
func Unreachable(err error) bool { return redisdb.Unreachable(err) }
