package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/luascript"
	"statuscache/cache/internal/record"
	"statuscache/cache/internal/shortname"
	"statuscache/cache/internal/tally"
)

var removeScript = luascript.New(LuaConstants(), countScript, source("remove.lua"))

// condition is the condition that a record must meet for its execution to be removed.
type condition struct{ name, value string }

var recordAbsent = condition{name: "absent"}

// versionIs is met by a record of this version, and by no record if the text is not a version.
func versionIs(v Version) condition {
	stored, ok := record.ParseStored(string(v))
	if !ok {
		return condition{name: "version"}
	}
	return condition{"version", string(record.AppendVersion(nil, stored))}
}
func ownerIs(owner string) condition { return condition{"owner", owner} }

// remove removes an execution from its partition if the condition is met. The result is 1
// then, otherwise 0. With recordAbsent it only cleans the indexes.
func (c *Cache) remove(ctx context.Context, on redis.Scripter, arn ARN, only condition) *redis.Cmd {
	p := c.db.Names.Partition(string(arn))
	keys := []string{c.db.Names.Execution(string(arn)), p.Running, p.Recent, p.Awaiting, p.Mismatched, p.Changed, p.Outputs}
	machine := c.machines.ID(arn.StateMachine())
	args := []any{string(arn), c.db.Publish, only.name, only.value, machine[:], shortname.Short(string(arn), machine)}
	if _, pipelined := on.(redis.Pipeliner); pipelined {
		return removeScript.Eval(ctx, on, keys, args...) // a pipeline cannot send the source after the hash was refused
	}
	return removeScript.Run(ctx, on, keys, args...)
}

// Forget removes the record of an execution unless it has changed since the caller saw
// this version of it, and reports whether it has removed it.
func (c *Cache) Forget(ctx context.Context, arn ARN, v Version) (bool, error) {
	n, err := c.remove(ctx, c.db.Writers, arn, versionIs(v)).Int()
	if err != nil {
		return false, fmt.Errorf("remove %s: %w", arn, err)
	}
	if n == 1 {
		err = tally.RemoveExamples(ctx, c.db, []ARN{arn})
	}
	return n == 1, err
}

// DropOrphans removes executions whose records have expired from the indexes. If that
// fails, the next reader tries again.
func (c *Cache) DropOrphans(ctx context.Context, arns []ARN) {
	if len(arns) == 0 {
		return
	}
	pipe := c.db.Writers.Pipeline()
	for _, arn := range arns {
		c.remove(ctx, pipe, arn, recordAbsent)
	}
	_, _ = pipe.Exec(ctx)
}
