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
)

// Outline has the fields of an execution that statistics need.
type Outline struct {
	ARN          ARN
	Status       Status    // Running, Succeeded or Failed, as in the public API
	StartDate    time.Time // zero: registered, and nothing observed yet
	StopDate     time.Time // zero while it runs
	Error        string    // name of the error, for failures
	ErrorMessage string    // one line for people, for failures
}

// outlineBytes is how many bytes of a record usually contain its outline.
const outlineBytes = 1 << 10

// ownedLimit is how long Owned may take.
const ownedLimit = time.Second

// ownedWhole is how many records are read completely at once.
const ownedWhole = 100

// Owned returns the outlines of an owner's newest 1,000 executions.
func (c *Cache) Owned(ctx context.Context, owner string) ([]Outline, error) {
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
	records, err := c.beginnings(ctx, arns, outlineBytes-1)
	if err != nil {
		return nil, err
	}
	var all []Outline
	var rest []ARN // with a long message, or long labels
	add := func(arn ARN, text string) (whole bool) {
		o, whole, err := outline(arn, text)
		if err == nil && whole && recordHead(text).Owner() == owner {
			all = append(all, o) // otherwise it is gone, or belongs to another owner or another release
		}
		return whole || err != nil
	}
	for i, arn := range arns {
		if !add(arn, records[i]) {
			rest = append(rest, arn)
		}
	}
	for some := range slices.Chunk(rest, ownedWhole) {
		if records, err = c.beginnings(ctx, some, -1); err != nil {
			return nil, err
		}
		for i, arn := range some {
			add(arn, records[i])
		}
	}
	return all, nil
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

// outline reads the beginning of a record. whole is false if text ends before the end of the
// outline.
func outline(arn ARN, text string) (o Outline, whole bool, err error) {
	head := recordHead(text[:min(len(text), labeledHead)])
	if err := head.Known(); err != nil {
		return o, false, err
	}
	n, err := head.Lengths()
	if err != nil {
		return o, false, errOutline
	}
	o = Outline{ARN: arn, Status: statusOfHead(text)}
	if head.Version() != Unobserved {
		o.StartDate = head.Version().StartDate()
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
	p, whole, err := readPayload(head.Version(), []byte(text[at:min(end, len(text))]))
	if err != nil {
		return o, false, errOutline
	}
	if !whole {
		return o, false, nil
	}
	o.Error, o.StopDate = p.error, p.stop
	if o.Status == Succeeded {
		return o, true, nil
	}
	o.ErrorMessage, whole, err = p.message()
	return o, whole, err
}

// message returns the error message of a failure. whole is false if it is incomplete.
func (p *payloadHead) message() (text string, whole bool, err error) {
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
