package stats

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/tally"
)

// index has the counts of all partitions.
type index struct {
	now      time.Time // by the clock of Redis
	names    map[tally.Machine]string
	tallies  map[part]int64 // how often each has changed
	failures map[part]int64 // the same
	running  map[tally.Machine]int64
}

// readIndex reads what has changed in each partition, in one round trip.
func (s *Stats) readIndex(ctx context.Context) (*index, error) {
	pipe := s.db.Readers.Pipeline() // on a cluster it is one for each node
	now := pipe.Time(ctx)
	names := pipe.HGetAll(ctx, s.db.Names.Counted)
	var counts [redisdb.PartitionCount]*redis.MapStringStringCmd
	for i := range counts {
		counts[i] = pipe.HGetAll(ctx, s.db.Names.Partitions[i].Counts)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	x := &index{
		now: now.Val(), names: map[tally.Machine]string{},
		tallies: map[part]int64{}, failures: map[part]int64{}, running: map[tally.Machine]int64{},
	}
	for id, name := range names.Val() {
		if len(id) == tally.MachineLength {
			x.names[tally.Machine([]byte(id))] = name
		}
	}
	for i, cmd := range counts {
		x.take(i, cmd.Val())
	}
	return x, nil
}

// take reads the counts of a partition.
func (x *index) take(partition int, counts map[string]string) {
	oldest := tally.Hour(x.now) - tally.KeptHours
	for field, value := range counts {
		switch field[0] {
		case 't':
			take(x.tallies, partition, field, value, oldest)
		case 'f':
			take(x.failures, partition, field, value, oldest)
		case 'r':
			if len(field) == 1+tally.MachineLength {
				x.running[tally.Machine([]byte(field[1:]))] += number(value)
			}
		}
	}
}

// take reads how often a part has changed, unless it is too old.
func take(to map[part]int64, partition int, field, value string, oldest int64) {
	if at := (part{partition, number(field[1:])}); at.hour >= oldest {
		to[at] = number(value)
	}
}

// part is one hour of one partition.
type part struct {
	partition int
	hour      int64
}

// read has the data that a refresh reads.
type read struct {
	tallies  []*tallyRead
	failures []*failuresRead
}

// failuresRead are the failures of an hour in a partition.
type failuresRead struct {
	part
	changes int64
	cells   cells
}

// tallyRead is the part of a tally that is read: the entries after the known ones, or all.
type tallyRead struct {
	part
	changes int64
	known   progress

	text, header string
}

// progress is how far a tally has been read.
type progress struct {
	changes    int64 // of the tally, when it was read
	length     int64 // in bytes; 0: nothing is known
	generation uint16
}

// maxAtOnce is how many tallies, or hours of failures, are read in one round trip, because
// its time limit is the same as for any other answer. The changes of a second need one round
// trip; the first refresh of a process reads everything.
const maxAtOnce = 512

// parts distributes the data to read over round trips.
func (r read) parts() (all []read) {
	for len(r.tallies)+len(r.failures) > 0 {
		part := read{tallies: r.tallies[:min(len(r.tallies), maxAtOnce)]}
		part.failures = r.failures[:min(len(r.failures), maxAtOnce-len(part.tallies))]
		r.tallies, r.failures = r.tallies[len(part.tallies):], r.failures[len(part.failures):]
		all = append(all, part)
	}
	return all
}

// read reads a part of the changed data, in one round trip. It reads the last known byte of
// a tally again: if that byte is missing, Redis has lost what was read before.
func (s *Stats) read(ctx context.Context, wanted read) error {
	pipe := s.db.Readers.Pipeline()
	texts, headers := make([]*redis.StringCmd, len(wanted.tallies)), make([]*redis.StringCmd, len(wanted.tallies))
	for i, w := range wanted.tallies {
		key := s.db.Names.Partitions[w.partition].Tallies + strconv.FormatInt(w.hour, 10)
		texts[i] = pipe.GetRange(ctx, key, max(0, w.known.length-1), -1)
		headers[i] = pipe.GetRange(ctx, key, 0, tally.HeaderLength-1)
	}
	failures := make([]*redis.MapStringStringCmd, len(wanted.failures))
	for i, w := range wanted.failures {
		failures[i] = pipe.HGetAll(ctx, s.db.Names.Partitions[w.partition].Failures+strconv.FormatInt(w.hour, 10))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, w := range wanted.tallies {
		w.text, w.header = texts[i].Val(), headers[i].Val()
	}
	for i, w := range wanted.failures {
		w.cells = readCells(failures[i].Val())
	}
	return nil
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
