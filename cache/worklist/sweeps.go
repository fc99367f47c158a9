package worklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

// Sweeps has the schedule for comparing state machines with Step Functions. It is in
// Redis, so that only one process at a time compares a state machine.
type Sweeps struct {
	db        *redisdb.DB
	losses    *LossDetector
	confirmed *prometheus.GaugeVec
	audits    atomic.Pointer[map[string]Audited] // as last read by Run
}

// NewSweeps returns the sweeps of a Redis. losses reports which records may be lost, so
// that a sweep restores them. metrics may be nil.
func NewSweeps(db *redisdb.DB, losses *LossDetector, metrics prometheus.Registerer) *Sweeps {
	return &Sweeps{db: db, losses: losses, confirmed: gauge(metrics, "audit_confirmed_timestamp_seconds",
		"Time up to which a comparison with Step Functions has confirmed all changes of a state machine.", "state_machine")}
}

const (
	auditsEvery = 2 * time.Second
	// maxMismatches is how many mismatches of one state machine are remembered between
	// sweeps. Others are found again.
	maxMismatches = 100_000
	// mismatchesLife is how long they are remembered after the latest sweep.
	mismatchesLife = 400 * 24 * time.Hour
)

// Run keeps Audits fresh until ctx ends.
func (s *Sweeps) Run(ctx context.Context) error {
	return monotonic.Every(ctx, auditsEvery, func() { s.readAudits(ctx) })
}

// readAudits changes nothing if Redis does not answer.
func (s *Sweeps) readAudits(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit(s.db))
	defer cancel()
	all, err := s.auditsNow(ctx)
	if err != nil {
		return
	}
	s.audits.Store(&all)
	for machine, a := range all {
		s.confirmed.WithLabelValues(cache.MachineARN(machine).Name()).Set(float64(redisdb.Millis(a.ConfirmedUntil)) / 1000)
	}
}

// Incomplete reports whether records of a state machine may be missing, given the time of
// its last sweep: it was never swept, or records were lost since.
func (s *Sweeps) Incomplete(swept time.Time) bool {
	lost := s.losses.Lost()
	return swept.IsZero() || lost != nil && lost.At.After(swept)
}

// Claim returns a due sweep of one of the state machines, or nil if none is due. The
// caller has it for the time of the lease; End ends it, Extend extends the lease.
func (s *Sweeps) Claim(ctx context.Context, machines []string, lease time.Duration) (*Sweep, error) {
	ctx, cancel := context.WithTimeout(ctx, s.db.Limits.Batch)
	defer cancel()
	for _, i := range rand.Perm(len(machines)) { // otherwise the last ones would never have their turn if sweeps take long
		machine := machines[i]
		if err := s.db.Writers.ZAddNX(ctx, s.db.Names.Sweeps, redis.Z{Score: 0, Member: machine}).Err(); err != nil {
			return nil, fmt.Errorf("store a state machine: %w", err)
		}
		times, err := claimScript.Run(ctx, s.db.Writers, []string{s.db.Names.Sweeps}, machine, lease.Milliseconds()).Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("claim a sweep: %w", err)
		}
		if len(times) > 0 {
			return s.begin(ctx, &Sweep{Machine: machine, Begun: time.UnixMilli(times[0]), Mismatches: map[cache.ARN]Mismatch{}, all: machines})
		}
	}
	return nil, nil
}

func (s *Sweeps) begin(ctx context.Context, sweep *Sweep) (*Sweep, error) {
	before, err := s.db.Writers.HGet(ctx, s.db.Names.Machines, sweep.Machine).Bytes()
	if err == nil {
		err = json.Unmarshal(before, &sweep.Before)
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read how far the audit is: %w", err)
	}
	mismatches, err := s.db.Writers.HGetAll(ctx, s.db.Names.Mismatches(sweep.Machine)).Result()
	if err != nil {
		return nil, fmt.Errorf("read mismatches: %w", err)
	}
	for arn, text := range mismatches {
		sweep.Mismatches[cache.ARN(arn)] = parseMismatch(text)
	}
	return sweep, nil
}

// Fail stores why a sweep failed. The next one is due after d.
func (s *Sweeps) Fail(ctx context.Context, sweep *Sweep, problem string, d time.Duration) error {
	now := sweep.Before
	now.Problem = problem
	text, err := json.Marshal(now)
	if err == nil {
		err = s.db.Writers.HSet(ctx, s.db.Names.Machines, sweep.Machine, text).Err()
	}
	if err != nil {
		return fmt.Errorf("fail a sweep: %w", err)
	}
	return s.Extend(ctx, sweep.Machine, d)
}

// Extend extends the lease of a sweep to d from now.
func (s *Sweeps) Extend(ctx context.Context, machine string, d time.Duration) error {
	if err := postponeScript.Run(ctx, s.db.Writers, []string{s.db.Names.Sweeps}, machine, d.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("extend a sweep: %w", err)
	}
	return nil
}

// End stores the result of a sweep: how far it came, and what differs now. The next one
// is due after d.
func (s *Sweeps) End(ctx context.Context, sweep *Sweep, now Audited, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, s.db.Limits.Batch)
	defer cancel()
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("end a sweep: %w", err)
	}
	_, err = s.db.Writers.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		key := s.db.Names.Mismatches(sweep.Machine)
		pipe.Del(ctx, key)
		for some := range slices.Chunk(sweep.fields(), 10_000) { // otherwise other callers would wait for a long command
			pipe.HSet(ctx, key, some...)
		}
		pipe.Expire(ctx, key, mismatchesLife)
		pipe.HSet(ctx, s.db.Names.Machines, sweep.Machine, text)
		return nil
	})
	if err != nil {
		return fmt.Errorf("end a sweep: %w", err)
	}
	if err := s.endLoss(ctx, sweep.all); err != nil {
		return err
	}
	return s.Extend(ctx, sweep.Machine, d)
}

// endLoss ends the part of a loss that the audit restores. It does so when every state
// machine was swept since the loss and no mismatch from before is left: then running and
// recently ended executions are known again.
func (s *Sweeps) endLoss(ctx context.Context, machines []string) error {
	loss, err := s.losses.LossNow(ctx)
	if err != nil || loss == nil {
		return err
	}
	audits, err := s.auditsNow(ctx)
	if err != nil {
		return err
	}
	for _, machine := range slices.Concat(machines, slices.Collect(maps.Keys(audits))) {
		a := audits[machine]
		if !a.Swept.After(loss.At) || a.Mismatches > 0 && a.Oldest.Before(loss.At) {
			return nil
		}
	}
	return s.losses.end(ctx, loss, partRunning)
}

// abandonedAfter is how long a sweep must be overdue before it counts as abandoned: no
// process audits the state machine any more.
const abandonedAfter = 10 * time.Minute

func (s *Sweeps) auditsNow(ctx context.Context) (map[string]Audited, error) {
	pipe := s.db.Writers.Pipeline()
	texts := pipe.HGetAll(ctx, s.db.Names.Machines)
	turns := pipe.ZRangeWithScores(ctx, s.db.Names.Sweeps, 0, -1)
	clock := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read how far the audit is: %w", err)
	}
	all := map[string]Audited{}
	for _, turn := range turns.Val() {
		machine, _ := turn.Member.(string)
		if time.UnixMilli(int64(turn.Score)).Before(clock.Val().Add(-abandonedAfter)) && turn.Score > 0 {
			continue
		}
		var a Audited
		if json.Unmarshal([]byte(texts.Val()[machine]), &a) == nil { // otherwise there is nothing, or another release wrote it
			all[machine] = a
		}
	}
	return all, nil
}

// Audits returns how far the audit of each state machine has come, by ARN. It needs Run,
// and is at most a few seconds old. The map must not be changed.
func (s *Sweeps) Audits() map[string]Audited {
	if all := s.audits.Load(); all != nil {
		return *all
	}
	return nil
}

// Running calls f with the known running executions of a state machine, in batches, the oldest
// of each partition first. Those of its Distributed Maps are left out. started is the start
// date in the record.
func (s *Sweeps) Running(ctx context.Context, machine string, f func(arns []cache.ARN, started []time.Time) error) error {
	const some = 1000
	for i := range s.db.Names.Partitions {
		key := s.db.Names.Partitions[i].Running
		for offset := int64(0); ; offset += some {
			entries, err := s.db.Writers.ZRangeWithScores(ctx, key, offset, offset+some-1).Result()
			if err != nil {
				return fmt.Errorf("read the running executions: %w", err)
			}
			var arns []cache.ARN
			var started []time.Time
			known, err := indexes.Entries(ctx, s.db, entries)
			if err != nil {
				return err
			}
			for _, e := range known {
				if e.ARN.StateMachine() == machine {
					arns, started = append(arns, e.ARN), append(started, time.UnixMilli(e.Start))
				}
			}
			if len(arns) > 0 {
				if err := f(arns, started); err != nil {
					return err
				}
			}
			if len(entries) < some {
				break
			}
		}
	}
	return nil
}
