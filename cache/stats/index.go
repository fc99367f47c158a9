package stats

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

const (
	// completeEvery is how often all counts of a partition are read. Meanwhile, only the latest
	// hours and the running executions are read if that is much less. All counts of a week take
	// Redis and this process some milliseconds, and other requests wait for that time.
	completeEvery = 30 * time.Second
	// inTurn is how many partitions each refresh reads completely.
	inTurn = redisdb.PartitionCount / 16
)

// index has the counts of all partitions, as they were read last.
type index struct {
	now        time.Time // by the clock of Redis
	names      map[tally.Machine]string
	partitions [redisdb.PartitionCount]partitionIndex
	turn       int // the partition that the next refresh reads completely
}

// partitionIndex has the counts of a partition.
type partitionIndex struct {
	tallies  map[int64]int64 // how often the tally of each hour has changed
	failures map[int64]int64 // the same for its failures
	running  map[tally.Machine]int64
	readAt   int64 // by the monotonic clock, when all was read; 0: it must be
}

// read reads what has changed in each partition, in one round trip. After an error the index is
// unchanged.
func (x *index) read(ctx context.Context, db *redisdb.DB) error {
	pipe := db.Readers.Pipeline() // on a cluster it is one for each node
	now, begun := pipe.Time(ctx), max(monotonic.Now(), 1)
	names := pipe.HGetAll(ctx, db.Names.Counted)
	latest := x.latest()
	var complete [redisdb.PartitionCount]*redis.MapStringStringCmd
	var some [redisdb.PartitionCount]*redis.SliceCmd
	for i := range x.partitions {
		key := db.Names.Partitions[i].Counts
		if x.due(i, begun, len(latest)) {
			complete[i] = pipe.HGetAll(ctx, key)
		} else {
			some[i] = pipe.HMGet(ctx, key, latest...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	x.now, x.turn = now.Val(), (x.turn+inTurn)%len(x.partitions)
	x.names = map[tally.Machine]string{}
	for id, name := range names.Val() {
		if len(id) == tally.MachineLength {
			x.names[tally.Machine([]byte(id))] = name
		}
	}
	for i := range x.partitions {
		if complete[i] != nil {
			x.partitions[i] = readPartition(complete[i].Val(), begun)
		} else {
			x.partitions[i].takeSome(latest, some[i].Val())
		}
		x.partitions[i].drop(tally.Hour(x.now) - tally.KeptHours)
	}
	return nil
}

// due reports whether all counts of a partition must be read, and not only some of them.
func (x *index) due(i int, now int64, some int) bool {
	p := &x.partitions[i]
	itsTurn := i >= x.turn && i < x.turn+inTurn
	all := len(p.tallies) + len(p.failures) + len(p.running)
	return itsTurn || p.readAt == 0 || now-p.readAt >= int64(completeEvery) || all < 2*some
}

// latest returns the fields of the counts that change most often: those of the latest hours, and
// of the running executions.
func (x *index) latest() []string {
	fields := make([]string, 0, 6+len(x.names))
	for hour := tally.Hour(x.now) - 1; hour <= tally.Hour(x.now)+1; hour++ {
		text := strconv.FormatInt(hour, 10)
		fields = append(fields, "t"+text, "f"+text)
	}
	for id := range x.names {
		fields = append(fields, "r"+string(id[:]))
	}
	return fields
}

// readPartition reads all counts of a partition.
func readPartition(counts map[string]string, now int64) partitionIndex {
	p := partitionIndex{tallies: map[int64]int64{}, failures: map[int64]int64{}, running: map[tally.Machine]int64{}, readAt: now}
	for field, value := range counts {
		p.set(field, value)
	}
	return p
}

// takeSome takes the values of some fields; nil is a missing one.
func (p *partitionIndex) takeSome(fields []string, values []any) {
	for i, value := range values {
		if text, ok := value.(string); ok {
			p.set(fields[i], text)
		} else {
			p.unset(fields[i])
		}
	}
}

func (p *partitionIndex) set(field, value string) {
	switch field[0] {
	case 't':
		p.tallies[number(field[1:])] = number(value)
	case 'f':
		p.failures[number(field[1:])] = number(value)
	case 'r':
		if len(field) == 1+tally.MachineLength {
			p.running[tally.Machine([]byte(field[1:]))] = number(value)
		}
	}
}

// unset forgets a field that Redis does not have. If it has lost the count of an hour, it may
// have lost others.
func (p *partitionIndex) unset(field string) {
	hours := p.tallies
	switch field[0] {
	case 'r':
		delete(p.running, tally.Machine([]byte(field[1:])))
		return
	case 'f':
		hours = p.failures
	}
	hour := number(field[1:])
	if _, known := hours[hour]; known {
		delete(hours, hour)
		p.readAt = 0
	}
}

// drop forgets the hours before oldest.
func (p *partitionIndex) drop(oldest int64) {
	for _, hours := range []map[int64]int64{p.tallies, p.failures} {
		for hour := range hours {
			if hour < oldest {
				delete(hours, hour)
			}
		}
	}
}

// number reads a decimal number; other texts are 0.
func number(text string) int64 {
	if text == "" { // a missing field; an error for each would create much garbage
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
