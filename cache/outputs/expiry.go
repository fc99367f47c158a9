// Package outputs removes outputs from records when their time is over (RETENTION_OUTPUT),
// so that Redis can reuse the memory. Readers do not see such outputs in any case. The
// record has the time since when its output is kept, and an index of each partition has the
// order in which outputs are due. If outputs are kept as long as their records, there is no
// index and no Sweeper.
//
// Any number of processes may run a Sweeper: the expiry of an output is an observation,
// and a second one changes nothing.
package outputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/outage"
)

const (
	sweepEvery = time.Second
	// sweepMost is how many outputs of a partition one sweep removes: 2,048 in total.
	sweepMost = 32
)

// Sweeper removes outputs whose time is over.
type Sweeper struct {
	cache   *cache.Cache
	db      *redisdb.DB
	removed prometheus.Counter
	failed  *outage.Part
}

// New returns a Sweeper. metrics may be nil.
func New(c *cache.Cache, log *slog.Logger, metrics prometheus.Registerer) *Sweeper {
	s := &Sweeper{
		cache: c, db: c.DB(),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "outputs_expired_total", Help: "Outputs that were removed because RETENTION_OUTPUT was over.",
		}),
		failed: &outage.Part{
			Log: log, Lost: "cannot read or remove expired outputs in Redis; trying again",
			Back: "expired outputs can be removed again",
		},
	}
	if metrics != nil {
		metrics.MustRegister(s.removed)
	}
	return s
}

// Run removes outputs until ctx ends. It does nothing if outputs are kept as long as their
// records.
func (s *Sweeper) Run(ctx context.Context) error {
	if s.cache.OutputLife() == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		_, err := s.Sweep(ctx)
		if ctx.Err() == nil {
			s.failed.Is(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(sweepEvery*3/4 + rand.N(sweepEvery/2)): // processes that started together take turns
		}
	}
}

// Sweep removes due outputs, the oldest of each partition first, and returns how many.
func (s *Sweeper) Sweep(ctx context.Context) (int, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	arns, err := s.due(ctx, now.Add(-s.cache.OutputLife()))
	if err != nil || len(arns) == 0 {
		return 0, err
	}
	expired, absent, err := s.observe(ctx, arns, now)
	s.cache.DropOrphans(ctx, absent)
	removed, errs := 0, []error{err}
	for _, o := range s.cache.Apply(ctx, expired) {
		if o.Verdict == cache.Applied {
			removed++
		}
		errs = append(errs, o.Err)
	}
	s.removed.Add(float64(removed))
	return removed, errors.Join(errs...)
}

// due returns executions whose output has been kept since the given time or longer, according
// to the indexes.
func (s *Sweeper) due(ctx context.Context, since time.Time) ([]cache.ARN, error) {
	pipe := s.db.Writers.Pipeline()
	cmds := make([]*redis.StringSliceCmd, redisdb.PartitionCount)
	by := &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(since.UnixMilli(), 10), Count: sweepMost}
	for i := range s.db.Names.Partitions {
		cmds[i] = pipe.ZRangeByScore(ctx, s.db.Names.Partitions[i].Outputs, by)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for outputs that have expired: %w", err)
	}
	var arns []cache.ARN
	for _, cmd := range cmds {
		for _, arn := range cmd.Val() {
			arns = append(arns, cache.ARN(arn))
		}
	}
	return arns, nil
}

// observe reads records. It returns the observations of expired outputs, and the
// executions without a record. It corrects wrong index entries.
func (s *Sweeper) observe(ctx context.Context, arns []cache.ARN, now time.Time) (expired []cache.Execution, absent []cache.ARN, err error) {
	pipe := s.db.Writers.Pipeline()
	records := make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		records[i] = pipe.Get(ctx, s.db.Names.Execution(string(arn)))
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	var errs []error
	for i, arn := range arns {
		e, kept, err := expiry(arn, records[i])
		switch {
		case errors.Is(err, redis.Nil):
			absent = append(absent, arn)
		case err != nil:
			errs = append(errs, fmt.Errorf("read %s: %w", arn, err))
		case !kept:
			errs = append(errs, s.correct(ctx, arn, time.Time{}))
		case e.OutputFrom.Add(s.cache.OutputLife()).After(now):
			errs = append(errs, s.correct(ctx, arn, e.OutputFrom))
		default:
			expired = append(expired, e)
		}
	}
	return expired, absent, errors.Join(errs...)
}

// expiry returns the observation that the output in a record has expired. kept is false if
// there is none.
func expiry(arn cache.ARN, record *redis.StringCmd) (e cache.Execution, kept bool, err error) {
	b, err := record.Bytes()
	if err != nil {
		return e, false, err
	}
	stored, err := cache.ReadStored(arn, b)
	if err != nil {
		return e, false, err
	}
	e, kept = stored.OutputExpired()
	return e, kept, nil
}

// correct sets in the index since when an output is kept; zero: there is no output.
func (s *Sweeper) correct(ctx context.Context, arn cache.ARN, from time.Time) error {
	key := s.db.Names.Partition(string(arn)).Outputs
	if from.IsZero() {
		return s.db.Writers.ZRem(ctx, key, string(arn)).Err()
	}
	return s.db.Writers.ZAddXX(ctx, key, redis.Z{Score: float64(from.UnixMilli()), Member: string(arn)}).Err()
}
