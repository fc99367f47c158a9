package cache

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// Every record ends with a trail: the latest 16 observations of its execution, in
// the order in which they came. An entry has a fixed length, 53 bytes:
//
//	verdict 1 | source 1 | version 10 | emitted at 6 | received at 6 | event id 16 | applied at 13
//
// The first is a letter of apply.lua, which also writes the last, in decimal
// digits. The rest are bytes, numbers with the highest first, times in ms. What
// came too late to leave a record is kept for its partition: entry and ARN.
const (
	trailEntryLength = 53
	trailGivenLength = trailEntryLength - 1 - 13 // what is written here
	eventIDLength    = 16
)

// Observation is an entry of a trail: one observation of an execution and what
// became of it.
type Observation struct {
	Verdict    Verdict
	Source     Source
	Version    Version
	EventID    string    // empty: not from an event
	EmittedAt  time.Time // by Step Functions, in whole seconds; zero: not known
	ReceivedAt time.Time // by the clock of the receiver; zero: not known
	AppliedAt  time.Time // by the clock of Redis
}

// trailEntry returns the part of an entry that the script is given.
func trailEntry(v Version, e *Execution) []byte {
	b := make([]byte, 0, trailGivenLength)
	if e.Completeness == OutputExpired {
		b = append(b, retentionCode)
	} else {
		b = append(b, cmp.Or(sourceCodes[e.Source], registrationCode))
	}
	b = appendTime(b, v.StartDate().UnixMilli())
	redrives := uint32(v.redriveCount())
	b = append(b, byte(redrives>>16), byte(redrives>>8), byte(redrives), (v[rankAt]-'0')*10+v[completeAt]-'0')
	b = appendTime(appendTime(b, redisdb.Millis(e.EmittedAt)), redisdb.Millis(e.ReceivedAt))
	id, err := hex.DecodeString(strings.ReplaceAll(e.EventID, "-", ""))
	if err != nil || len(id) != eventIDLength { // AWS sends UUIDs
		id = make([]byte, eventIDLength)
	}
	return append(b, id...)
}

// registrationCode is the source code of a registration, which has no payload.
const registrationCode = 'g'

// retentionCode is the source code in a trail of an output that has expired. The source of
// the state stays what it was.
const retentionCode = 'x'

// appendTime appends a time in ms as 6 bytes.
func appendTime(b []byte, ms int64) []byte {
	return append(b, byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms))
}

func readTime(b []byte) time.Time {
	var eight [8]byte
	copy(eight[2:], b[:6])
	ms := binary.BigEndian.Uint64(eight[:])
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

var errTrail = errors.New("an entry of the trail is damaged")

func readObservation(b []byte) (o Observation, err error) {
	verdict, known := verdicts[b[0]]
	applied, parseErr := strconv.ParseInt(string(b[trailEntryLength-13:trailEntryLength]), 10, 64)
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
	v := appendDigits(nil, redisdb.Millis(readTime(b)), startLength)
	v = appendDigits(append(v, '-'), int64(b[6])<<16|int64(b[7])<<8|int64(b[8]), redriveDigits)
	v = append(v, '-', '0'+b[9]/10, '-', '0'+b[9]%10)
	o.Version = Version(v)
	o.EmittedAt, o.ReceivedAt = readTime(b[10:]), readTime(b[16:])
	if id := b[22 : 22+eventIDLength]; slices.ContainsFunc(id, func(c byte) bool { return c != 0 }) {
		o.EventID = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
	return o, nil
}

// readTrail reads entries one after the other.
func readTrail(b []byte) (all []Observation, err error) {
	for len(b) >= trailEntryLength {
		o, err := readObservation(b[:trailEntryLength])
		if err != nil {
			return all, err
		}
		all, b = append(all, o), b[trailEntryLength:]
	}
	return all, nil
}

// Explanation is why an execution has the state that the API reports.
type Explanation struct {
	Record *Record       // nil: nothing is known
	Exact  Version       // as it is stored; it differs from the record's while an output is awaited
	Expiry time.Duration // until the record is forgotten
	Trail  []Observation // in the order in which they were applied
}

// Explain returns what is known of an execution and the observations from which
// that is known, the latest 16 and the latest that came too late.
func (c *Cache) Explain(ctx context.Context, arn ARN) (Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.Limits.Batch)
	defer cancel()
	var x Explanation
	pipe := c.db.Writers.Pipeline() // what is in the primary, not in a copy
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
		if x.Trail, err = readTrail(p.trail); err != nil {
			return x, fmt.Errorf("explain %s: %w", arn, err)
		}
		x.Exact, x.Expiry = p.head.version(), life.Val()
	}
	for _, each := range late.Val() {
		if len(each) < trailEntryLength || each[trailEntryLength:] != string(arn) {
			continue
		}
		if o, err := readObservation([]byte(each)); err == nil {
			x.Trail = append(x.Trail, o)
		}
	}
	slices.SortStableFunc(x.Trail, func(a, b Observation) int { return a.AppliedAt.Compare(b.AppliedAt) })
	return x, nil
}

// LatestEvent returns the observation that was applied last among the newest executions
// and came as an event, not as a replay; a zero one if there is none.
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
		for _, arn := range cmd.Val() {
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
		trail, _ := readTrail(p.trail) // as far as it can be read
		for _, o := range trail {
			if o.Source == FromEvent && !o.EmittedAt.IsZero() && !o.ReceivedAt.IsZero() && o.AppliedAt.After(latest.AppliedAt) {
				latest = o
			}
		}
	}
	return latest, nil
}
