package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/compression"
	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/record"
)

// Outline has the fields of an execution that statistics need.
type Outline struct {
	ARN          ARN
	Status       Status    // Running, Succeeded or Failed, as in the public API
	StartDate    time.Time // zero: registered, and nothing observed yet
	StopDate     time.Time // zero while it runs
	Error        string    // name of the error, for failures
	ErrorMessage string    // one line for people, for failures

	lookup
}

// ownedLimit is how long Owned may take.
const ownedLimit = time.Second

// ownedAtOnce is how many records are read completely at once.
const ownedAtOnce = 100

// Owned returns the outlines of an owner's newest 1,000 executions. known has the outlines of
// an earlier call; it reads only those again that may have changed.
func (c *Cache) Owned(ctx context.Context, owner string, known []Outline) ([]Outline, error) {
	ctx, cancel := context.WithTimeout(ctx, max(ownedLimit, c.db.Limits.Read))
	defer cancel()
	members, err := c.db.Readers.ZRange(ctx, c.db.Names.Owner(owner), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read the index of an owner: %w", err)
	}
	if len(members) == 0 {
		return nil, nil
	}
	arns, err := indexes.Members(ctx, c.db, members)
	if err != nil {
		return nil, err
	}
	all, stale := c.unchanged(arns, known)
	all, long, err := c.readOutlines(ctx, owner, all, stale, usualRowBytes-1)
	for some := range slices.Chunk(long, ownedAtOnce) {
		if err == nil {
			all, _, err = c.readOutlines(ctx, owner, all, some, -1)
		}
	}
	return all, err
}

// unchanged returns the known outlines that are still valid, and the other executions.
func (c *Cache) unchanged(arns []ARN, known []Outline) (all []Outline, stale []ARN) {
	now, valid := c.near.moment(), make(map[ARN]*Outline, len(known))
	all = make([]Outline, 0, len(arns))
	for i := range known {
		if known[i].valid(now) {
			valid[known[i].ARN] = &known[i]
		}
	}
	for _, arn := range arns {
		if o := valid[arn]; o != nil {
			all = append(all, *o)
		} else {
			stale = append(stale, arn)
		}
	}
	return all, stale
}

// readOutlines adds the outlines of an owner's executions, from their records up to the byte
// last; -1: to the end. It returns the executions whose outlines are longer. Executions without
// a record are left out, as are those of another owner or another release.
func (c *Cache) readOutlines(ctx context.Context, owner string, all []Outline, arns []ARN, last int64) (_ []Outline, long []ARN, err error) {
	if len(arns) == 0 {
		return all, nil, nil
	}
	generation, before := c.near.generation.Load(), make([]uint32, len(arns))
	for i, arn := range arns {
		before[i] = c.statuses.changesOf(arn).Load()
	}
	records, err := c.beginnings(ctx, arns, last)
	for i, text := range records {
		switch o, complete, err := outline(arns[i], text); {
		case err != nil:
		case !complete:
			long = append(long, arns[i])
		case recordHead(text).Owner() == owner:
			o.lookup = lookup{validUntil(), generation, c.statuses.changesOf(o.ARN), before[i]}
			all = append(all, o)
		}
	}
	return all, long, err
}

// beginnings reads records up to their byte last; -1: to the end.
func (c *Cache) beginnings(ctx context.Context, arns []ARN, last int64) ([]string, error) {
	pipe := c.db.Readers.Pipeline() // on a cluster it is one for each node
	cmds := make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		cmds[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(arn)), 0, last)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	texts := make([]string, len(arns))
	for i, cmd := range cmds {
		texts[i] = cmd.Val()
	}
	return texts, nil
}

var errOutline = errors.New("the beginning of a record is damaged")

// outline reads the beginning of a record. complete is false if text ends before the end of
// the outline.
func outline(arn ARN, text string) (o Outline, complete bool, err error) {
	head := recordHead(text[:min(len(text), labeledHead)])
	if err := head.Known(); err != nil {
		return o, false, err
	}
	n, err := head.Lengths()
	if err != nil {
		return o, false, errOutline
	}
	version := head.Version()
	o = Outline{ARN: arn, Status: statusOf(version)}
	if version != Unobserved {
		o.StartDate = head.StartDate()
	}
	if o.Status == Running {
		return o, true, nil
	}
	at := head.Length() + n.Owner + n.InputType + n.Labels
	end := at + n.Payload
	if head[0] == olderFormat {
		end = len(text) // bytes after the body do not matter
	}
	if at > len(text) {
		return o, false, nil
	}
	p, complete, err := readPayload(o.StartDate, []byte(text[at:min(end, len(text))]))
	if err != nil {
		return o, false, errOutline
	}
	if !complete {
		return o, false, nil
	}
	o.Error, o.StopDate = record.Intern(p.error), p.stop
	if o.Status == Succeeded {
		return o, true, nil
	}
	o.ErrorMessage, complete, err = p.message()
	return o, complete, err
}

// message returns the error message of a failure. complete is false if a part of it is
// missing.
func (p *payloadHead) message() (text string, complete bool, err error) {
	if compression.Known(p.coding) {
		result, err := compression.Append(nil, p.coding, p.stored, p.length)
		if err != nil {
			return "", false, nil
		}
		if err := json.Unmarshal(result, &text); err != nil {
			return "", false, errOutline
		}
		return text, true, nil
	}
	body := p.stored
	if p.coding == codingGzip {
		body, err = compression.Gunzip(body, p.length)
	}
	if err != nil || len(body) < p.length {
		return "", false, nil
	}
	var answer struct {
		Data struct {
			ErrorMessage string `json:"errorMessage"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body[:p.length], &answer); err != nil {
		return "", false, errOutline
	}
	return answer.Data.ErrorMessage, true, nil
}
