package cache

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"statuscache/cache/internal/record"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/shortname"
)

// maxCall is the maximum number of executions in one call of the script, which blocks Redis.
const maxCall = 128

// runningLife is how long the record of a running execution is kept, from its
// start. An execution may run for a year.
const runningLife = 400 * 24 * time.Hour

// Apply merges observations and returns the outcome of each, in their order. It can be
// repeated safely.
func (c *Cache) Apply(ctx context.Context, batch []Execution) []Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	machines := make([]string, len(batch))
	for i := range batch {
		machines[i] = batch[i].ARN.StateMachine()
	}
	compact := c.prepare(ctx, machines)
	writes := make([]*write, len(batch))
	for i := range batch {
		writes[i] = c.observation(&batch[i], target{machines[i], compact})
	}
	err := c.writes.Do(ctx, writes)

	outcomes := make([]Outcome, len(batch))
	for i := range batch {
		outcomes[i] = writes[i].outcome(err)
	}
	return outcomes
}

// outcome returns the outcome of an observation. If undone is set, the write may be in progress.
func (w *write) outcome(undone error) Outcome {
	switch {
	case undone != nil:
		return Outcome{Unconfirmed, fmt.Errorf("apply %s: %w", w.arn, undone)}
	case w.err != nil:
		return Outcome{Unconfirmed, fmt.Errorf("apply %s: %w", w.arn, w.err)}
	}
	return Outcome{Verdict: w.verdict}
}

// Register sets the owner of an execution before its first event. created is false if the
// same registration exists. If another owner is registered, the error is
// ErrOwnerConflict.
func (c *Cache) Register(ctx context.Context, r Registration) (created bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	machine := r.ARN.StateMachine()
	w := c.registration(r, target{machine, c.prepare(ctx, []string{machine})})
	if err := c.writes.Do(ctx, []*write{w}); err != nil {
		return false, fmt.Errorf("register %s: %w", r.ARN, err)
	}
	switch {
	case w.err != nil:
		return false, fmt.Errorf("register %s: %w", r.ARN, w.err)
	case w.owner != r.Owner: // verdict conflict, or an older incarnation than the one that is known
		return false, ErrOwnerConflict
	}
	return w.rankBefore != ownerRegistered, nil
}

// target has the properties of the place that a write goes to.
type target struct {
	machine string // ARN of the state machine
	compact bool   // the record may be compact
}

// prepare writes the names of state machines, and reports whether records may be compact.
func (c *Cache) prepare(ctx context.Context, machines []string) (compact bool) {
	c.machines.Write(ctx, c.db, machines)
	return c.formats.WritesCompact(ctx)
}

// How an owner became known. A greater rank overrides a lesser one.
const (
	ownerUnknown    = '0'
	ownerFromInput  = '1'
	ownerRegistered = '2'
)

// write is one observation or registration that is being written, and its result.
type write struct {
	arn       ARN
	member    string // short form of it, for indexes
	partition *redisdb.Partition
	kind      byte
	args      [argumentsEach]any // of apply.lua

	ownerLeftOut, labelsLeftOut bool
	outputFrom                  int64 // ms; 0: it has no output that expires

	owner string // first as given, then as the record has it
	start int64  // likewise, ms

	err        error // why it is not confirmed; nil: the following fields are set
	verdict    Verdict
	rankBefore byte // of the owner
	form       byte // of its member in indexes
}

// size returns approximately how many bytes are sent.
func (w *write) size() int { return 512 + len(w.args[payloadArgument-1].([]byte)) }

func (c *Cache) observation(e *Execution, to target) *write {
	kind, expires := byte(kindRunning), e.StartDate.Add(runningLife)
	switch {
	case e.Terminal():
		kind, expires = kindStopped, e.StopDate.Add(e.KeptFor(c.options.Retention, c.options.RetentionFailed))
		if publicStatus(e) == Running {
			kind = kindAwaiting
		}
	case e.Source == FromDescribe:
		kind = kindRunsNow
	}
	rank := byte(ownerUnknown)
	if e.Owner != "" {
		rank = ownerFromInput
	}
	to.compact = to.compact && c.machines.Unique(to.machine)
	enc := encode(e, to.compact)
	w := c.newWrite(e.ARN, to, given{string(enc.version), enc.hash, string(enc.version[:startLength]), rank, kind, e.OwnerLeftOut, e.LabelsLeftOut, e.Owner, e.InputType, e.Labels.encode(ownerFromInput)},
		enc.payload, expires.UnixMilli(), e)
	if c.options.RetentionOutput > 0 && e.Status == Succeeded && e.Completeness < OutputExpired {
		w.outputFrom = cmp.Or(redisdb.Millis(e.OutputFrom), e.StopDate.UnixMilli())
	}
	return w
}

func (c *Cache) registration(r Registration, to target) *write {
	const noHash, noStart = "0000000000000000", "00000000000000"
	start, shown := noStart, []byte(nil)
	if !r.StartDate.IsZero() {
		shown = record.AppendDigits(nil, r.StartDate.UnixMilli(), startLength)
		start = string(shown)
	}
	// It is kept as long as a message about the execution can still arrive.
	to.compact = to.compact && c.machines.Unique(to.machine)
	return c.newWrite(r.ARN, to, given{string(Unobserved), noHash, start, ownerRegistered, kindRegistered, false, false, r.Owner, "", r.Labels.encode(ownerRegistered)},
		shown, c.options.Retention.Milliseconds(), &Execution{ARN: r.ARN, Status: Running, StartDate: r.StartDate, Source: FromRegistration})
}

func (c *Cache) newWrite(arn ARN, to target, g given, payload []byte, expires int64, e *Execution) *write {
	machine := c.machines.ID(to.machine)
	short := shortname.Short(string(arn), machine)
	return &write{
		arn:       arn,
		member:    short,
		partition: c.db.Names.Partition(string(arn)),
		kind:      g.kind,
		args:      [argumentsEach]any{string(arn), g.encode(e, len(payload), to.compact), payload, expires, counts(e, machine), short},

		ownerLeftOut: g.ownerLeftOut, labelsLeftOut: g.labelsLeftOut,
		owner: g.owner, start: Version(g.start).StartDate().UnixMilli(),
	}
}

// write joins each write with its record and then enters the results into the owner
// indexes. A write without an error is confirmed by both.
func (c *Cache) write(ctx context.Context, writes []*write) {
	c.join(ctx, writes)

	owned := make([]*write, 0, len(writes))
	for _, w := range writes {
		if w.err == nil && w.owner != "" && !w.indexed() {
			owned = append(owned, w)
		}
	}
	c.indexOwners(ctx, owned)
}

// join runs the script for the writes. Writes whose slot is moving to another primary are
// joined without it (apply_slotmigration.go).
func (c *Cache) join(ctx context.Context, writes []*write) {
	calls := c.calls(writes)
	commands := make([]*redisdb.Command, len(calls))
	for i, call := range calls {
		keys, args := c.arguments(call)
		commands[i] = redisdb.NewScript(applyScript, keys, args...)
	}
	c.db.Confirm(ctx, commands...)
	var moving []*write
	for i, call := range calls {
		if redisdb.SlotMoves(commands[i].Err) {
			moving = append(moving, call...)
			continue
		}
		readAnswers(call, commands[i])
	}
	c.joinMoving(ctx, moving)
}

// calls distributes writes over calls of the script: one call costs less than many, but
// on a cluster it must stay within a slot.
func (c *Cache) calls(writes []*write) [][]*write {
	if !c.db.Cluster() {
		return slices.Collect(slices.Chunk(writes, maxCall))
	}
	sorted := slices.Clone(writes)
	slices.SortStableFunc(sorted, func(a, b *write) int { return cmp.Compare(a.partition.Changed, b.partition.Changed) })
	var calls [][]*write
	for first := 0; first < len(sorted); {
		last := first + 1
		for last < min(len(sorted), first+maxCall) && sorted[last].partition == sorted[first].partition {
			last++
		}
		calls = append(calls, sorted[first:last])
		first = last
	}
	return calls
}
