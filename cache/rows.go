package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/boundedmap"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/record"
	"statuscache/cache/internal/redisdb"
)

const (
	maxStatuses    = 200_000 // remembered
	maxStatusBatch = 1000    // read in one round trip
	statusLife     = terminalNearLife
)

// rowCache has the fields of many executions that lists and counts need, without their
// answers. It reads only the first bytes of records from Redis, and remembers them as long as
// the change feed works, like the near cache.
type rowCache struct {
	db   *redisdb.DB
	near *near
	kept boundedmap.ByText[Row]
	seed maphash.Seed
	// changes counts announced changes, by hash: a status that was read before the
	// notification of a change is not kept.
	changes [1 << 16]atomic.Uint32
}

// Row has the fields of an execution that filters of lists need.
type Row struct {
	Status Status // of the public API; empty: there is no record
	Error  string // name of the error, for failures

	labels     record.Labels
	detailed   bool   // all but the status is known
	until      int64  // by the monotonic clock, when it must be read again
	generation uint64 // of near
}

// HasLabel reports whether the execution has a label with this value; an empty name means
// any label.
func (r *Row) HasLabel(name, value string) bool { return r.labels.Have(name, value) }

// Row returns the fields of the record that lists need.
func (r *Record) Row() *Row {
	return &Row{Status: r.PublicStatus(), Error: r.Error, labels: r.labels, detailed: true}
}

// IndexedStart returns the start date of the execution in the indexes, in ms.
func (r *Record) IndexedStart() int64 {
	text := r.head.Epoch()
	if v := r.head.Version(); v != Unobserved {
		text = string(v[:startLength])
	}
	start, _ := strconv.ParseInt(text, 10, 64) // decode has read it
	return start
}

func newRowCache(db *redisdb.DB, near *near) *rowCache {
	return &rowCache{
		db: db, near: near, seed: maphash.MakeSeed(),
		kept: boundedmap.NewByText[Row](maxStatuses),
	}
}

func (h *rowCache) changesOf(arn ARN) *atomic.Uint32 {
	return &h.changes[maphash.String(h.seed, string(arn))%uint64(len(h.changes))]
}

// forget drops an execution because it has changed. The change is counted before, for keep, and
// after, for LookUp, which may have seen the dropped row in between.
func (h *rowCache) forget(arn ARN) {
	h.changesOf(arn).Add(1)
	h.kept.Delete(string(arn))
	h.changesOf(arn).Add(1)
}

// rows returns the row of each execution, with or without all details, and how many
// records it had to read from Redis.
func (h *rowCache) rows(ctx context.Context, arns []ARN, detailed bool) ([]Row, int, error) {
	all := make([]Row, len(arns))
	var missing []int
	at := h.near.moment()
	for i, arn := range arns {
		if r, ok := h.kept.Get(string(arn)); ok && at.trusted && at.now < r.until && r.generation == at.generation && (r.detailed || !detailed) {
			all[i] = r
		} else {
			missing = append(missing, i)
		}
	}
	for some := range slices.Chunk(missing, maxStatusBatch) {
		if err := h.read(ctx, arns, some, detailed, at.generation, all); err != nil {
			return nil, 0, err
		}
	}
	return all, len(missing), nil
}

// Rows returns the row of each execution, with only the status or with all details, and how
// many records it had to read from Redis.
func (c *Cache) Rows(ctx context.Context, arns []ARN, detailed bool) (rows []Row, read int, err error) {
	return c.statuses.rows(ctx, arns, detailed)
}

// Seen is an execution with its status when it was last looked up.
type Seen struct {
	ARN    ARN
	Status Status // of the public API; empty: there is no record

	lookup
}

// lookup is when an execution was looked up, and for how long the result is valid.
type lookup struct {
	until      int64 // as in Row
	generation uint64
	changes    *atomic.Uint32 // nil: it was not looked up
	before     uint32         // changes when it was
}

// moment is when the result of a lookup is to be used.
type moment struct {
	now        int64 // by the monotonic clock
	generation uint64
	trusted    bool // changes are announced
}

func (n *near) moment() moment { return moment{monotonic.Now(), n.generation.Load(), n.trusted()} }

// valid reports whether the execution is known to be unchanged since the lookup.
func (l *lookup) valid(at moment) bool {
	return at.trusted && l.changes != nil && l.changes.Load() == l.before && at.now < l.until && l.generation == at.generation
}

// LookUp updates the statuses of executions. It skips empty ARNs, and executions that are
// known to be unchanged since their last lookup, so that very many can be counted often.
func LookUp(ctx context.Context, c *Cache, all [][]Seen) error {
	var stale []*Seen
	var arns []ARN
	now := c.near.moment()
	for _, some := range all {
		for i := range some {
			s := &some[i]
			if s.ARN == "" || s.valid(now) {
				continue
			}
			s.changes, s.before = nil, c.statuses.changesOf(s.ARN).Load()
			stale, arns = append(stale, s), append(arns, s.ARN)
		}
	}
	rows, _, err := c.Rows(ctx, arns, false)
	for i := range rows {
		s := stale[i]
		s.Status, s.until, s.generation, s.changes = rows[i].Status, rows[i].until, rows[i].generation, c.statuses.changesOf(s.ARN)
	}
	return err
}

// How many bytes of a record are read for a row. The least is enough for its status, the
// usual for nearly all details, and the most for all of them.
const (
	leastRowBytes = record.HashAt
	usualRowBytes = 384
	mostRowBytes  = labeledHead + 999 + 99 + maxLabelsLength + 2048
)

// read reads the rows of some of the executions from Redis.
func (h *rowCache) read(ctx context.Context, arns []ARN, some []int, detailed bool, generation uint64, all []Row) error {
	length := leastRowBytes
	if detailed {
		length = usualRowBytes
	}
	long, err := h.readLength(ctx, arns, some, length, generation, all)
	if err == nil && detailed && len(long) > 0 {
		_, err = h.readLength(ctx, arns, long, mostRowBytes, generation, all)
	}
	return err
}

// readLength reads the first bytes of each record, up to the given length. It returns the
// executions whose details are longer.
func (h *rowCache) readLength(ctx context.Context, arns []ARN, some []int, length int, generation uint64, all []Row) (long []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.db.Limits.Read)
	defer cancel()
	pipe := h.db.Readers.Pipeline() // on a cluster it is one for each node
	cmds := make([]*redis.StringCmd, len(some))
	before := make([]uint32, len(some))
	for n, i := range some {
		before[n] = h.changesOf(arns[i]).Load()
		cmds[n] = pipe.GetRange(ctx, h.db.Names.Execution(string(arns[i])), 0, int64(length-1))
	}
	_, _ = pipe.Exec(ctx) // says no more than its commands do
	for n, i := range some {
		head, err := cmds[n].Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the heads of executions: %w", err)
		}
		all[i] = rowOf(head, length == mostRowBytes)
		if length > leastRowBytes && all[i].Status != "" && !all[i].detailed {
			long = append(long, i)
			continue
		}
		all[i].detailed = length > leastRowBytes
		all[i].until, all[i].generation = validUntil(), generation
		h.keep(arns[i], all[i], before[n])
	}
	return long, nil
}

// rowOf returns the row in the beginning of a record. It has no details if text is too short
// for them; suffices means that text has all fields.
func rowOf(text string, suffices bool) Row {
	r := Row{Status: statusOfHead(text), detailed: suffices}
	head := recordHead(text[:min(len(text), labeledHead)])
	if r.Status == "" || head.Known() != nil {
		return r
	}
	n, err := head.Lengths()
	labels := head.Length() + n.Owner + n.InputType
	if err != nil || len(text) < labels+n.Labels {
		return r
	}
	r.labels = record.Labels(strings.Clone(text[labels : labels+n.Labels])) // text is longer than it
	if head.Version() == Unobserved {
		r.detailed = true
		return r
	}
	if p, complete, err := readPayload(head.StartDate(), []byte(text[labels+n.Labels:])); complete && err == nil {
		r.Error, r.detailed = record.Intern(p.error), true
	}
	return r
}

// validUntil returns until when a result that was read just now may be used. Results that were
// read together expire at very different times, because otherwise all executions of an owner
// would be read again for one request.
func validUntil() int64 { return monotonic.Now() + int64(statusLife-rand.N(statusLife*3/4)) }

func (h *rowCache) keep(arn ARN, r Row, before uint32) {
	changes := h.changesOf(arn)
	if changes.Load() != before {
		return
	}
	h.kept.Set(string(arn), r)
	if changes.Load() != before { // announced between the two lines above
		h.kept.Delete(string(arn))
	}
}

// statusOfHead returns the public status, from the format byte and the version of a
// record.
func statusOfHead(head string) Status {
	if !recordHead(head).HasVersion() {
		return ""
	}
	return statusOf(recordHead(head).Version())
}

// statusOf returns the public status of a record of version v.
func statusOf(v Version) Status {
	switch rank := v[rankAt]; {
	case rank < '3' || v.AwaitsOutput():
		return Running
	case rank == '6':
		return Succeeded
	}
	return Failed
}
