package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/indexes"
	"statuscache/cache/internal/record"
	"statuscache/cache/internal/redisdb"
)

// Every record ends with a trail: the latest 16 observations of its execution, in the
// order in which they arrived. An entry has a fixed length, 53 bytes:
//
//	verdict 1 | source 1 | version 10 | emitted at 6 | received at 6 | event id 16 | applied at 13
//
// The verdict is a letter of apply.lua, which also writes the last field, in decimal digits. The
// other fields are binary, with the highest byte first; times are in ms. Observations that came
// too late for a record are kept in the partition: entry and ARN.
//
// In a compact record an ordinary entry is shorter: an event of a first attempt that
// became the state, and has the start date of the record. It has 33 bytes:
//
//	A 1 | 10 * rank + completeness 1 | received after it was emitted, in ms 3 | received at 6 | event id 16 | applied at 6
const (
	trailEntryLength = 53
	trailGivenLength = trailEntryLength - 1 - 13 // what is written here

	shortApplied     = 'A'
	shortEntryLength = 1 + shortGivenLength + 6
	shortGivenLength = 1 + 3 + 6 + record.EventIDLength
)

// Observation is an entry of a trail: one observation of an execution, and its result.
type Observation struct {
	Verdict    Verdict
	Source     Source
	Version    Version
	EventID    string    // empty: not from an event
	EmittedAt  time.Time // by Step Functions, in whole seconds; zero: not known
	ReceivedAt time.Time // by the clock of the receiver; zero: not known
	AppliedAt  time.Time // by the clock of Redis
}

// appendTrailEntry appends the part of an entry that is passed to the script.
func appendTrailEntry(b []byte, v Version, e *Execution) []byte {
	if e.Completeness == OutputExpired {
		b = append(b, retentionCode)
	} else {
		b = append(b, cmp.Or(sourceCodes[e.Source], registrationCode))
	}
	b = record.AppendVersion(b, v)
	b = record.AppendTime(record.AppendTime(b, redisdb.Millis(e.EmittedAt)), redisdb.Millis(e.ReceivedAt))
	return record.AppendEventID(b, e.EventID)
}

// appendShortTrailEntry appends a short entry without its last field, zeros if e is not ordinary.
func appendShortTrailEntry(b []byte, v Version, e *Execution) []byte {
	lag := e.ReceivedAt.UnixMilli() - e.EmittedAt.UnixMilli()
	if e.Source != FromEvent || !v.FirstAttempt() || e.EmittedAt.IsZero() || e.ReceivedAt.IsZero() || lag < 0 || lag >= 1<<24 {
		return append(b, make([]byte, 1+shortGivenLength)...)
	}
	b = append(b, shortApplied, (v[rankAt]-'0')*10+v[completeAt]-'0', byte(lag>>16), byte(lag>>8), byte(lag))
	return record.AppendEventID(record.AppendTime(b, e.ReceivedAt.UnixMilli()), e.EventID)
}

// registrationCode is the source code of a registration, which has no payload.
const registrationCode = 'g'

// retentionCode is the source code in a trail of an output that has expired. The source of
// the state does not change.
const retentionCode = 'x'

var errTrail = errors.New("an entry of the trail is damaged")

// readObservation reads an entry that is not a short one.
func readObservation(b string) (o Observation, err error) {
	verdict, known := verdicts[b[0]]
	applied, parseErr := strconv.ParseInt(b[trailEntryLength-13:trailEntryLength], 10, 64)
	if !known || parseErr != nil {
		return o, errTrail
	}
	o = Observation{Verdict: verdict, Source: sourceOf(b[1]), AppliedAt: time.UnixMilli(applied)}
	switch b[1] {
	case registrationCode:
		o.Source = FromRegistration
	case retentionCode:
		o.Source = FromRetention
	}
	b = b[2:]
	o.Version = record.ReadVersion(b)
	o.EmittedAt, o.ReceivedAt = record.ReadTime(b[10:]), record.ReadTime(b[16:])
	o.EventID = record.ReadEventID(b[22:])
	return o, nil
}

// readShort reads a short entry of the trail of a record of version v.
func readShort(b string, v Version) Observation {
	lag := time.Duration(b[2])<<16 | time.Duration(b[3])<<8 | time.Duration(b[4])
	o := Observation{Verdict: Applied, Source: FromEvent, ReceivedAt: record.ReadTime(b[5:]), EventID: record.ReadEventID(b[11:]), AppliedAt: record.ReadTime(b[11+record.EventIDLength:])}
	o.EmittedAt = o.ReceivedAt.Add(-lag * time.Millisecond)
	o.Version = v[:startLength] + "-00000-" + Version([]byte{'0' + b[1]/10, '-', '0' + b[1]%10})
	return o
}

// readTrail reads the trail of a record of version v.
func readTrail(b string, v Version) (all []Observation, err error) {
	for {
		switch {
		case len(b) >= shortEntryLength && b[0] == shortApplied:
			all, b = append(all, readShort(b, v)), b[shortEntryLength:]
		case len(b) >= trailEntryLength:
			o, err := readObservation(b)
			if err != nil {
				return all, err
			}
			all, b = append(all, o), b[trailEntryLength:]
		default:
			return all, nil
		}
	}
}

// observations reads the readable part of the trail.
func (p *parts) observations() ([]Observation, error) {
	return readTrail(string(p.trail), p.head.Version())
}

// Explanation shows why an execution has the state that the API reports.
type Explanation struct {
	Record *Record       // nil: nothing is known
	Exact  Version       // as it is stored; it differs from the record's while an output is awaited
	Expiry time.Duration // until the record is removed
	Trail  []Observation // in the order in which they were applied
}

// Explain returns the record of an execution, and the observations from which it was
// joined: the latest 16, and the latest ones that came too late.
func (c *Cache) Explain(ctx context.Context, arn ARN) (Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	var x Explanation
	pipe := c.db.Writers.Pipeline() // the record in the primary, not in the near cache
	stored := pipe.Get(ctx, c.db.Names.Execution(string(arn)))
	life := pipe.PTTL(ctx, c.db.Names.Execution(string(arn)))
	late := pipe.LRange(ctx, c.db.Names.Partition(string(arn)).Late, 0, -1)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return x, fmt.Errorf("explain %s: %w", arn, err)
	}
	if b, err := stored.Bytes(); err == nil {
		p, err := takeApart(b)
		if err != nil {
			return x, fmt.Errorf("explain %s: %w", arn, err)
		}
		if x.Record, err = decode(arn, b); err != nil {
			return x, fmt.Errorf("explain %s: %w", arn, err)
		}
		if x.Trail, err = p.observations(); err != nil {
			return x, fmt.Errorf("explain %s: %w", arn, err)
		}
		x.Exact, x.Expiry = p.head.Version(), life.Val()
	}
	for _, each := range late.Val() {
		if len(each) < trailEntryLength || each[trailEntryLength:] != string(arn) {
			continue
		}
		if o, err := readObservation(each); err == nil {
			x.Trail = append(x.Trail, o)
		}
	}
	slices.SortStableFunc(x.Trail, func(a, b Observation) int { return a.AppliedAt.Compare(b.AppliedAt) })
	return x, nil
}

// LatestEvent returns the last applied observation, among the newest executions, that
// came from an event and not from a replay; a zero one if there is none.
func LatestEvent(ctx context.Context, c *Cache) (latest Observation, err error) {
	pipe := c.db.Writers.Pipeline()
	newest := make([]*redis.StringSliceCmd, redisdb.PartitionCount)
	for i := range c.db.Names.Partitions {
		newest[i] = pipe.ZRevRange(ctx, c.db.Names.Partitions[i].Recent, 0, 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return latest, fmt.Errorf("read indexes: %w", err)
	}
	pipe = c.db.Writers.Pipeline()
	var records []*redis.StringCmd
	for _, cmd := range newest {
		arns, err := indexes.Members(ctx, c.db, cmd.Val())
		if err != nil {
			return latest, err
		}
		for _, arn := range arns {
			records = append(records, pipe.Get(ctx, c.db.Names.Execution(string(arn))))
		}
	}
	if len(records) == 0 {
		return latest, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return latest, fmt.Errorf("read records: %w", err)
	}
	for _, record := range records {
		b, err := record.Bytes()
		if err != nil {
			continue // it has expired
		}
		p, err := takeApart(b)
		if err != nil {
			continue // of another release
		}
		trail, _ := p.observations() // as far as it can be read
		for _, o := range trail {
			if o.Source == FromEvent && !o.EmittedAt.IsZero() && !o.ReceivedAt.IsZero() && o.AppliedAt.After(latest.AppliedAt) {
				latest = o
			}
		}
	}
	return latest, nil
}
