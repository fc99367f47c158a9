package stats

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/tally"
)

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
