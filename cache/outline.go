package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Outline is what statistics need to know of an execution.
type Outline struct {
	ARN          ARN
	Status       Status    // Running, Succeeded or Failed as the public API has them
	StartDate    time.Time // zero: registered, and nothing observed yet
	StopDate     time.Time // zero while it runs
	Error        string    // name of the error, for failures
	ErrorMessage string    // one line for people, for failures
}

// outlineBytes is how much of a record holds what an outline says, as a rule.
const outlineBytes = 1 << 10

// ownedLimit is how long Owned may take.
const ownedLimit = time.Second

// ownedWhole is how many records are read to their end at once.
const ownedWhole = 100

// Owned returns outlines of an owner's executions, of the newest 1,000.
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
	arns := make([]ARN, len(members))
	for i, member := range members {
		arns[i] = ARN(member)
	}
	records, err := c.beginnings(ctx, arns, outlineBytes-1)
	if err != nil {
		return nil, err
	}
	var all []Outline
	var rest []ARN // with a long message, or long labels
	add := func(arn ARN, text string) (whole bool) {
		o, whole, err := outline(arn, text)
		if err == nil && whole && recordHead(text).owner() == owner {
			all = append(all, o) // else it is gone, somebody else's, or of another release
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

// outline reads the beginning of a record. whole is false if what it wants is further
// behind.
func outline(arn ARN, text string) (o Outline, whole bool, err error) {
	head := recordHead(text[:min(len(text), labeledHead)])
	if err := head.known(); err != nil {
		return o, false, err
	}
	n, err := head.lengths()
	if err != nil {
		return o, false, errOutline
	}
	o = Outline{ARN: arn, Status: statusOfHead(text)}
	if head.version() != Unobserved {
		o.StartDate = head.version().StartDate()
	}
	if o.Status == Running {
		return o, true, nil
	}
	at := head.length() + n.owner + n.inputType + n.labels
	if at > len(text) {
		return o, false, nil
	}
	d := payloadReader{rest: []byte(text[at:])}
	coding := d.byte()
	d.byte() // source
	d.text() // the word of Step Functions
	o.Error = d.text()
	stop, length := d.varint(), d.uvarint()
	if d.failed {
		return o, false, nil
	}
	if length > maxBodyLength {
		return o, false, errOutline
	}
	if stop != 0 {
		o.StopDate = time.UnixMilli(stop)
	}
	if o.Status == Succeeded {
		return o, true, nil
	}
	body := d.rest
	if coding == codingGzip {
		body, err = decompress(body, int(length))
	}
	if err != nil || len(body) < int(length) {
		return o, false, nil
	}
	var answer struct {
		Data struct {
			ErrorMessage string `json:"errorMessage"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body[:length], &answer); err != nil {
		return o, false, errOutline
	}
	o.ErrorMessage = answer.Data.ErrorMessage
	return o, true, nil
}
