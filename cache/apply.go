package cache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed apply.lua
var applySource string

// applyScript joins an observation with its record. Its contract stands at its
// head.
var applyScript = redis.NewScript(applySource)

// runningLife is how long the record of a running execution is kept, from its
// start. An execution may run for a year.
const runningLife = 400 * 24 * time.Hour

// batchLimit bounds one Apply: both pipelines and a script that must be loaded.
const batchLimit = 2 * time.Second

// Apply merges observations and returns what became of each, in their order. It
// may be repeated without harm.
func (c *Cache) Apply(ctx context.Context, batch []Execution) []Outcome {
	writes := make([]*write, len(batch))
	for i := range batch {
		writes[i] = c.observation(&batch[i])
	}
	c.write(ctx, writes)

	outcomes := make([]Outcome, len(batch))
	for i, w := range writes {
		outcomes[i] = Outcome{Verdict: Verdict(w.verdict)}
		if w.err != nil {
			outcomes[i] = Outcome{Unconfirmed, fmt.Errorf("apply %s: %w", w.arn, w.err)}
		}
	}
	return outcomes
}

// Register sets the owner of an execution before its first event. created is
// false where the same was registered before; another owner is ErrOwnerConflict.
func (c *Cache) Register(ctx context.Context, r Registration) (created bool, err error) {
	w := c.registration(r)
	c.write(ctx, []*write{w})
	switch {
	case w.err != nil:
		return false, fmt.Errorf("register %s: %w", r.ARN, w.err)
	case w.owner != r.Owner:
		return false, ErrOwnerConflict
	}
	return w.rankBefore != ownerRegistered, nil
}

// How an owner became known. The greater beats the lesser.
const (
	ownerUnknown = iota
	ownerFromInput
	ownerRegistered
)

// write is one call of the script and what came of it.
type write struct {
	arn  ARN
	keys []string
	args []any

	err        error // not confirmed, and why; else the rest is there
	verdict    string
	owner      string
	start      int64 // ms
	rankBefore int64 // of the owner
}

func (c *Cache) observation(e *Execution) *write {
	kind, expires := "running", e.StartDate.Add(runningLife)
	if publicStatus(e) != Running {
		kind, expires = "stopped", e.StopDate.Add(c.options.Retention)
	}
	rank := ownerUnknown
	if e.Owner != "" {
		rank = ownerFromInput
	}
	enc := encode(e)
	return c.newWrite(e.ARN, string(enc.version), enc.hash, string(enc.version[:14]),
		rank, e.Owner, e.InputType, enc.payload, expires.UnixMilli(), kind)
}

func (c *Cache) registration(r Registration) *write {
	epoch := ""
	if !r.StartDate.IsZero() {
		epoch = fmt.Sprintf("%014d", r.StartDate.UnixMilli())
	}
	const noHash = "0000000000000000"
	// It is kept as long as a message about the execution can be on its way.
	return c.newWrite(r.ARN, string(Unobserved), noHash, epoch,
		ownerRegistered, r.Owner, "", "", c.options.Retention.Milliseconds(), "registered")
}

func (c *Cache) newWrite(arn ARN, args ...any) *write {
	p := c.names.partition(arn)
	return &write{
		arn:  arn,
		keys: []string{p.executions + string(arn), p.running, p.recent, p.changed},
		args: append(append([]any{string(arn)}, args...), c.publish, recentIndexSize),
	}
}

// write runs the script for each and then enters what it answered into the
// owner indexes. What is left without an error is confirmed by both.
func (c *Cache) write(ctx context.Context, writes []*write) {
	ctx, cancel := context.WithTimeout(ctx, batchLimit)
	defer cancel()
	c.byPrimary(ctx, writes, func(w *write) string { return w.keys[0] }, c.runScripts)

	owned := make([]*write, 0, len(writes))
	for _, w := range writes {
		if w.err == nil && w.owner != "" {
			owned = append(owned, w)
		}
	}
	c.byPrimary(ctx, owned, func(w *write) string { return c.names.owner(w.owner) }, c.indexOwners)
}

// runScripts runs the scripts of one primary in one pipeline. A primary that
// does not have the script, because it restarted or was a replica a moment ago,
// is given it and asked again: the script may run twice.
func (c *Cache) runScripts(ctx context.Context, node *redis.Client, group []*write) {
	const tries = 3
	for try := range tries {
		cmds := make([]*redis.Cmd, len(group))
		err := c.confirmed(ctx, node, func(pipe redis.Pipeliner) {
			for i, w := range group {
				cmds[i] = applyScript.EvalSha(ctx, pipe, w.keys, w.args...)
			}
		})
		missing := false
		for i, w := range group {
			w.read(cmds[i], err)
			missing = missing || redis.HasErrorPrefix(cmds[i].Err(), "NOSCRIPT")
		}
		if !missing || try == tries-1 {
			return
		}
		if err := applyScript.Load(ctx, node).Err(); err != nil {
			return // each write says NOSCRIPT already
		}
	}
}

// read takes the answer of the script, or else why there is none.
func (w *write) read(cmd *redis.Cmd, unconfirmed error) {
	answer, err := cmd.Slice()
	if err != nil {
		w.err = err
		return
	}
	if w.err = unconfirmed; w.err != nil {
		return
	}
	ok := [4]bool{}
	if len(answer) == len(ok) {
		w.verdict, ok[0] = answer[0].(string)
		w.owner, ok[1] = answer[1].(string)
		w.start, ok[2] = answer[2].(int64)
		w.rankBefore, ok[3] = answer[3].(int64)
	}
	if ok != [4]bool{true, true, true, true} {
		w.err = errors.New("the script's answer is damaged")
	}
}

// indexOwners enters the executions of one primary's owners into their indexes,
// whatever the verdict: an earlier attempt may have ended between the script
// and here.
func (c *Cache) indexOwners(ctx context.Context, node *redis.Client, group []*write) {
	var cmds []redis.Cmder
	err := c.confirmed(ctx, node, func(pipe redis.Pipeliner) {
		for _, w := range group {
			key := c.names.owner(w.owner)
			cmds = append(cmds,
				pipe.ZAdd(ctx, key, redis.Z{Score: float64(w.start), Member: string(w.arn)}),
				pipe.ZRemRangeByRank(ctx, key, 0, -1-ownerIndexSize),
				pipe.Expire(ctx, key, runningLife))
		}
	})
	perWrite := len(cmds) / len(group)
	for i, w := range group {
		w.err = err
		for _, cmd := range cmds[i*perWrite : (i+1)*perWrite] {
			w.err = errors.Join(w.err, cmd.Err())
		}
	}
}
