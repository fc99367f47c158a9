package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"statuscache/cache/internal/redisdb"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Audited is how far the audit of a state machine has come.
type Audited struct {
	// Swept is when the latest sweep began that came to its end, by the clock of
	// Redis; zero: none did.
	Swept time.Time `json:"swept,omitzero"`
	// ConfirmedUntil is the time up to which everything that Step Functions lists
	// is known here; zero: nothing is confirmed.
	ConfirmedUntil time.Time `json:"confirmedUntil,omitzero"`
	// Doubts is how many executions differed when the latest sweep ended, and Oldest
	// until when the first of these did not; zero: not that anybody knows.
	Doubts int       `json:"doubts"`
	Oldest time.Time `json:"oldest,omitzero"`
	// Problem is why the state machine cannot be swept, fit to be told to everybody;
	// empty: it can.
	Problem string `json:"problem,omitempty"`
}

// Doubt is an execution of which an earlier state is known than Step Functions lists.
type Doubt struct {
	Noted  time.Time // first
	Until  time.Time // it did not differ then; zero: not that anybody knows
	Listed Version   // the latest that was listed; empty: it is not listed where it should be
}

// text is a doubt as it is stored.
func (d Doubt) text() string {
	return fmt.Sprintf("%d %d %s", unixMilli(d.Noted), unixMilli(d.Until), d.Listed)
}

func parseDoubt(text string) (d Doubt) {
	noted, rest, _ := strings.Cut(text, " ")
	until, listed, _ := strings.Cut(rest, " ")
	d.Noted, d.Until = redisdb.Time(noted), redisdb.Time(until)
	d.Listed, _ = ParseVersion(listed)
	return d
}

// Sweep is the turn of one process to compare a state machine with Step Functions.
type Sweep struct {
	Machine string
	Begun   time.Time     // by the clock of Redis
	Before  Audited       // as the sweep before left it
	Doubts  map[ARN]Doubt // executions that differed then

	all []string // state machines that are audited
}

// maxDoubts bounds what is remembered of one state machine from sweep to sweep.
// What is left out is found again.
const maxDoubts = 100_000

// Learning reports whether what is known of a state machine that was last swept
// then may be lost: it never was, or records were lost since.
func (c *Cache) Learning(swept time.Time) bool {
	lost := c.Lost()
	return swept.IsZero() || lost != nil && lost.At.After(swept)
}

// ClaimSweep returns a sweep of one of the state machines that is due, or nil if
// none is. It is the caller's for the time of the lease; EndSweep ends it,
// ExtendSweep makes it last longer.
func (c *Cache) ClaimSweep(ctx context.Context, machines []string, lease time.Duration) (*Sweep, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.BatchLimit())
	defer cancel()
	for _, i := range rand.Perm(len(machines)) { // or the last would never have their turn where sweeps take long
		machine := machines[i]
		if err := c.db.Writers.ZAddNX(ctx, c.db.Names.Sweeps, redis.Z{Score: 0, Member: machine}).Err(); err != nil {
			return nil, fmt.Errorf("enter a state machine: %w", err)
		}
		times, err := claimScript.Run(ctx, c.db.Writers, []string{c.db.Names.Sweeps}, machine, lease.Milliseconds()).Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("claim a sweep: %w", err)
		}
		if len(times) > 0 {
			return c.beginSweep(ctx, &Sweep{Machine: machine, Begun: time.UnixMilli(times[0]), Doubts: map[ARN]Doubt{}, all: machines})
		}
	}
	return nil, nil
}

func (c *Cache) beginSweep(ctx context.Context, s *Sweep) (*Sweep, error) {
	before, err := c.db.Writers.HGet(ctx, c.db.Names.Machines, s.Machine).Bytes()
	if err == nil {
		err = json.Unmarshal(before, &s.Before)
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read how far the audit is: %w", err)
	}
	doubts, err := c.db.Writers.HGetAll(ctx, c.db.Names.Doubts(s.Machine)).Result()
	if err != nil {
		return nil, fmt.Errorf("read what is doubted: %w", err)
	}
	for arn, text := range doubts {
		s.Doubts[ARN(arn)] = parseDoubt(text)
	}
	return s, nil
}

// FailSweep says why a sweep did not come to its end. The next is due after d.
func (c *Cache) FailSweep(ctx context.Context, s *Sweep, problem string, d time.Duration) error {
	now := s.Before
	now.Problem = problem
	text, err := json.Marshal(now)
	if err == nil {
		err = c.db.Writers.HSet(ctx, c.db.Names.Machines, s.Machine, text).Err()
	}
	if err != nil {
		return fmt.Errorf("fail a sweep: %w", err)
	}
	return c.ExtendSweep(ctx, s.Machine, d)
}

// ExtendSweep keeps a sweep from being claimed by others for d from now.
func (c *Cache) ExtendSweep(ctx context.Context, machine string, d time.Duration) error {
	if err := postponeScript.Run(ctx, c.db.Writers, []string{c.db.Names.Sweeps}, machine, d.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("extend a sweep: %w", err)
	}
	return nil
}

// EndSweep stores what a sweep found out: how far it came, and what differs now.
// The next is due after d.
func (c *Cache) EndSweep(ctx context.Context, s *Sweep, now Audited, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, c.db.BatchLimit())
	defer cancel()
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("end a sweep: %w", err)
	}
	_, err = c.db.Writers.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		key := c.db.Names.Doubts(s.Machine)
		pipe.Del(ctx, key)
		fields := make([]any, 0, 2*min(len(s.Doubts), maxDoubts))
		for arn, d := range s.Doubts {
			if len(fields) < 2*maxDoubts {
				fields = append(fields, string(arn), d.text())
			}
		}
		for some := range slices.Chunk(fields, 10_000) { // or others would wait for a command
			pipe.HSet(ctx, key, some...)
		}
		pipe.Expire(ctx, key, runningLife)
		pipe.HSet(ctx, c.db.Names.Machines, s.Machine, text)
		return nil
	})
	if err != nil {
		return fmt.Errorf("end a sweep: %w", err)
	}
	if err := c.relearnt(ctx, s.all); err != nil {
		return err
	}
	return c.ExtendSweep(ctx, s.Machine, d)
}

// relearnt ends that part of a loss which the audit learns again when every state machine
// was swept since, and no doubt is left that is as old: then what runs, and what ended
// lately, is known again.
func (c *Cache) relearnt(ctx context.Context, machines []string) error {
	loss, err := c.loss(ctx)
	if err != nil || loss == nil {
		return err
	}
	audits, err := c.auditsNow(ctx)
	if err != nil {
		return err
	}
	for _, machine := range slices.Concat(machines, slices.Collect(maps.Keys(audits))) {
		a := audits[machine]
		if !a.Swept.After(loss.At) || a.Doubts > 0 && a.Oldest.Before(loss.At) {
			return nil
		}
	}
	return c.endLoss(ctx, loss, partRunning)
}

// audited is what this process knows of the audits of all.
type audited struct {
	all atomic.Pointer[map[string]Audited]
}

const (
	auditedEvery = 2 * time.Second
	pendingEvery = 5 // times as long: it asks every partition
)

// watchAudits keeps that fresh until ctx ends.
func (c *Cache) watchAudits(ctx context.Context) error {
	tick := time.NewTicker(auditedEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		c.readAudits(ctx)
		if n%pendingEvery == 0 {
			c.readPending(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// readAudits leaves everything as it is where Redis cannot be asked.
func (c *Cache) readAudits(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, max(beatLimit, c.db.WriteLimit()))
	defer cancel()
	if all, err := c.auditsNow(ctx); err == nil {
		c.audited.all.Store(&all)
		for machine, a := range all {
			c.metrics.confirmed.WithLabelValues(MachineARN(machine).Name()).Set(float64(unixMilli(a.ConfirmedUntil)) / 1000)
		}
	}
}

// readPending tells of how many executions Step Functions is to be asked.
func (c *Cache) readPending(ctx context.Context) {
	for list, name := range map[Inquiry]string{Awaited: "awaited", Doubted: "doubted"} {
		if n, err := c.Pending(ctx, list); err == nil {
			c.metrics.inquiries.WithLabelValues(name).Set(float64(n))
		}
	}
}

// abandonedAfter is for how long a sweep is due before it is clear that no process
// audits the state machine any more.
const abandonedAfter = 10 * time.Minute

func (c *Cache) auditsNow(ctx context.Context) (map[string]Audited, error) {
	pipe := c.db.Writers.Pipeline()
	texts := pipe.HGetAll(ctx, c.db.Names.Machines)
	turns := pipe.ZRangeWithScores(ctx, c.db.Names.Sweeps, 0, -1)
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
		if json.Unmarshal([]byte(texts.Val()[machine]), &a) == nil { // else there is nothing, or another release wrote it
			all[machine] = a
		}
	}
	return all, nil
}

// Audits returns how far the audit of each state machine is, by ARN. It needs Run,
// and is a few seconds old at most. The map must not be changed.
func (c *Cache) Audits() map[string]Audited {
	if all := c.audited.all.Load(); all != nil {
		return *all
	}
	return nil
}
