package cache

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/record"
)

// encoded is an observation in the form of apply.lua.
type encoded struct {
	version Version
	hash    string
	payload []byte
}

func encode(e *Execution, compact bool) encoded {
	body := appendBody(make([]byte, 0, 256+len(e.ARN)+len(e.ErrorMessage)+len(e.Output)), e)
	enc := encoded{version: e.Version(), hash: identityHash(body, e)}
	if compact {
		enc.payload = compactPayload(e)
	} else {
		enc.payload = payloadOf(e, body)
	}
	return enc
}

// public returns e as the API reports it: a success that waits for its output is still running.
func public(e *Execution) *Execution {
	if e.Status != Succeeded || e.Completeness != OutputAwaited {
		return e
	}
	return &Execution{Status: Running}
}

// parts are the parts of a record.
type parts struct {
	head      recordHead
	owner     string
	inputType string
	labels    record.Labels
	payload   []byte
	trail     []byte
}

// takeApart reads the head of a record. The result refers to b.
func takeApart(b []byte) (p parts, err error) {
	format := recordHead(b[:min(len(b), 1)])
	p.head = recordHead(b[:min(len(b), format.Length())])
	if err := p.head.Known(); err != nil {
		return p, err
	}
	rest := b[len(p.head):]
	n, err := p.head.Lengths()
	if b[0] == olderFormat {
		n.Payload = max(len(rest)-n.Owner-n.InputType, 0)
	}
	if err != nil || len(rest) < n.Owner+n.InputType+n.Labels+n.Payload || p.head.Observed().IsZero() {
		return p, fmt.Errorf("head of the record is damaged: %w", err)
	}
	p.owner, rest = string(rest[:n.Owner]), rest[n.Owner:]
	p.inputType, rest = string(rest[:n.InputType]), rest[n.InputType:]
	p.labels, rest = record.Labels(rest[:n.Labels]), rest[n.Labels:]
	p.payload, p.trail = rest[:n.Payload], rest[n.Payload:]
	return p, p.labels.Check()
}

// decode reads the record of arn. b is not kept.
func decode(arn ARN, b []byte) (*Record, error) {
	p, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	version, hash := p.head.Identity()
	r := &Record{
		ARN:        arn,
		Version:    record.PublicVersion(version, hash),
		Owner:      p.owner,
		InputType:  p.inputType,
		ObservedAt: p.head.Observed(),
		head:       p.head,
		labels:     p.labels,
	}
	if version == Unobserved {
		text := p.head.Epoch()
		if len(p.payload) > 0 {
			text = string(p.payload)
		}
		start, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("start date of the record is damaged: %w", err)
		}
		return registered(r, time.UnixMilli(start)), nil
	}
	r.StartDate = p.head.StartDate()
	return r, decodePayload(r, version, hash, p.payload)
}

// registered completes the record of an execution without any observation. Its start date
// is that of the registration, or otherwise the time of Redis.
func registered(r *Record, start time.Time) *Record {
	e := &Execution{ARN: r.ARN, Status: Running, StartDate: start}
	body := appendBody(nil, e)
	r.Status, r.StartDate, r.Source = Running, start, FromRegistration
	r.Plain = newRepresentation(body, Unobserved, bodyHash(body, e))
	return r
}

// Stored is a record with the parts that readers do not see.
type Stored struct {
	Record   *Record
	Exact    Version   // the stored version; it differs from the record's while an output is awaited
	StoredAt time.Time // when that version was stored, by the clock of Redis
	StopDate time.Time // zero while the execution runs
}

// ReadStored reads the record of arn from its bytes in Redis. b is not kept.
func ReadStored(arn ARN, b []byte) (Stored, error) {
	p, err := takeApart(b)
	if err != nil {
		return Stored{}, err
	}
	r, err := decode(arn, b)
	if err != nil {
		return Stored{}, err
	}
	return Stored{Record: r, Exact: p.head.Version(), StoredAt: p.storedAt(), StopDate: r.stopDate}, nil
}

// storedAt returns when the version of the record was stored. While an output is awaited,
// the date in the head cannot be used, because it is that of the run.
func (p *parts) storedAt() time.Time {
	trail, err := p.observations()
	for i := len(trail) - 1; i >= 0 && err == nil; i-- {
		if trail[i].Verdict == Applied && trail[i].Version == p.head.Version() {
			return trail[i].AppliedAt
		}
	}
	return p.head.Observed()
}

// Versions returns the stored version of each execution, empty for an unknown one.
func (c *Cache) Versions(ctx context.Context, arns []ARN) ([]Version, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	if len(arns) == 0 {
		return nil, nil
	}
	pipe := c.db.Writers.Pipeline()
	cmds := make([]*redis.StringCmd, len(arns))
	for i, arn := range arns {
		cmds[i] = pipe.GetRange(ctx, c.db.Names.Execution(string(arn)), 0, record.HashAt-1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	all := make([]Version, len(arns))
	for i, cmd := range cmds {
		if head := recordHead(cmd.Val()); head.HasVersion() {
			all[i] = head.Version()
		}
	}
	return all, nil
}

// Head is the beginning of a record.
type Head struct {
	Version   Version   // as it is stored
	Seen      time.Time // when the execution became known, by the clock of Redis
	Ownerless bool
}

// HeadLength is how many bytes of a record ReadHead needs.
const HeadLength = headEnough

// ReadHead reads the beginning of a record; ok is false if it is not complete.
func ReadHead(text string) (h Head, ok bool) {
	head := recordHead(text)
	if !head.Enough() {
		return h, false
	}
	return Head{Version: head.Version(), Seen: head.Seen(), Ownerless: head.Ownerless()}, true
}
