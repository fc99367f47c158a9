package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

const (
	beatEvery = time.Second
	// beatsKept is how many beats back a Redis may go without having lost what
	// matters: a replica that takes over may be a moment behind.
	beatsKept = 5
	beatLimit = 2 * time.Second
)

// lifeline notices when a Redis has lost its records: it was emptied, restarted
// without its files, or filled with an old copy. Each process counts a number on
// and remembers it. A Redis in which it is gone, or smaller than it was five
// seconds ago, is not the one that was written to.
//
// What was lost is remembered in Redis too, for all processes, until it is learnt or
// stored again, or an operator dismisses it (loss.go).
type lifeline struct {
	cache *Cache
	log   *slog.Logger
	// onLoss is called after all processes know of a loss; nil: nothing is.
	onLoss func(context.Context) error

	seen [redisdb.PartitionCount][]lifesign // the latest, the newest last
	keys keySign
	lost atomic.Pointer[Loss]

	untold string // why records were lost, until all processes are told; else empty
}

// lifesign is what a partition answered once.
type lifesign struct {
	born  string
	beats int64
}

// beatScript counts on, and begins where there is nothing. KEYS: born. ARGV: a
// name to begin with. It answers with the name and the count as it was before.
var beatScript = redis.NewScript(`
local born = redis.call('HGET', KEYS[1], 'id')
if not born then
  born = ARGV[1]
  redis.call('HSET', KEYS[1], 'id', born)
end
return {born, redis.call('HINCRBY', KEYS[1], 'beats', 1) - 1}`)

func newLifeline(c *Cache) *lifeline { return &lifeline{cache: c, log: c.options.Log} }

// run watches until ctx ends.
func (l *lifeline) run(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			l.log.Debug("cannot look whether records were lost", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look counts on in a partition of every primary and finds out what is lost. What
// replicas did not confirm proves nothing: it may be gone with a primary that was cut
// off.
func (l *lifeline) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(beatLimit, l.cache.db.WriteLimit()))
	defer cancel()
	c := l.cache
	partitions := c.db.Names.Partitions[:]
	if !c.db.Cluster() {
		partitions = partitions[:1]
	}
	beats, err := l.beats(ctx, partitions)
	if err != nil {
		return err
	}
	commands := make([]*redisdb.Command, 0, len(beats))
	for _, beat := range beats {
		commands = append(commands, beat)
	}
	c.db.Confirm(ctx, commands...)
	var errs []error
	for i, beat := range beats {
		sign, err := readLifesign(beat)
		if err != nil {
			errs = append(errs, err)
		} else if why := l.judge(i, sign); why != "" {
			l.noticed(why)
		}
	}
	return errors.Join(append(errs, l.tell(ctx), l.recall(ctx))...)
}

// beats returns a beat for a partition of every primary, by its number.
func (l *lifeline) beats(ctx context.Context, partitions []redisdb.Partition) (map[int]*redisdb.Command, error) {
	beats, seen, name := map[int]*redisdb.Command{}, map[*redis.Client]bool{}, rand.Text()
	for i := range partitions {
		node, err := l.cache.db.PrimaryOf(ctx, partitions[i].Born)
		if err != nil {
			return nil, err
		}
		if !seen[node] {
			seen[node] = true
			beats[i] = redisdb.NewScript(beatScript, []string{partitions[i].Born}, name)
		}
	}
	return beats, nil
}

func readLifesign(beat *redisdb.Command) (lifesign, error) {
	if beat.Err != nil {
		return lifesign{}, beat.Err
	}
	answer, err := beat.Answer.Slice()
	if err != nil {
		return lifesign{}, err
	}
	if len(answer) == 2 {
		born, ok1 := answer[0].(string)
		beats, ok2 := answer[1].(int64)
		if ok1 && ok2 {
			return lifesign{born, beats}, nil
		}
	}
	return lifesign{}, redisdb.ErrAnswer
}

// judge returns why the records of a partition are lost, or "" if they are not.
func (l *lifeline) judge(partition int, now lifesign) (why string) {
	seen := l.seen[partition]
	if len(seen) > 0 {
		switch oldest := seen[0]; {
		case now.born != oldest.born:
			why = "Redis was emptied"
		case now.beats < oldest.beats:
			why = "Redis went back to an older state"
		}
	}
	if why != "" {
		seen = nil
	}
	seen = append(seen, now)
	l.seen[partition] = slices.Clone(seen[max(0, len(seen)-beatsKept):])
	return why
}

// noticed is what this process does about a loss by itself.
func (l *lifeline) noticed(why string) {
	l.cache.metrics.losses.Inc()
	l.log.Error("Redis has lost records; fetching from Step Functions again what can be fetched; see /v1/health and statusctl doctor", "why", why)
	l.untold = why
	l.lost.CompareAndSwap(nil, &Loss{At: time.Now(), Why: why, Running: true, Results: true})
	l.cache.db.Feed.Reset() // what is near may be all that is left, and contradict what others tell
}
