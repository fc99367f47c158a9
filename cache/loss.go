package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// Loss is that Redis lost what it held. Its parts are back, or given up, each by
// itself.
type Loss struct {
	At      time.Time // when that was noticed, by the clock of Redis
	Why     string
	Running bool // what runs and what ended lately, which the audit learns again
	Results bool // of executions that ended before, which a backfill or a replay learns again
	Keys    bool // API keys, which an import stores again
	// Missing is how many API keys fewer there are than before; those of API_KEYS_FILE
	// are good all the same.
	Missing int64

	keysBefore int64 // how many there were; 0: no fewer
}

// lossReach is how long before a loss a range must begin that makes up for it: what ended
// later is learnt again anyway.
const lossReach = 5 * time.Minute

// The parts of a loss, by the names of their fields.
const (
	partRunning = "running"
	partResults = "results"
	partKeys    = "keys"
)

var lossParts = []string{partRunning, partResults, partKeys}

// keySign is what tells that API keys are lost.
type keySign struct {
	known   int64 // how many there are
	changes int64 // how often they changed
}

// lossScript remembers a loss, unless an earlier one is. KEYS: lost. ARGV: why; how many
// API keys there were, 0 where there are no fewer but older ones, empty where none is
// lost.
var lossScript = redis.NewScript(`
local time = redis.call('TIME')
if redis.call('HSETNX', KEYS[1], 'at', time[1] .. string.sub(1000000 + time[2], 2, 4)) == 1 then
  redis.call('HSET', KEYS[1], 'why', ARGV[1], 'running', 1, 'results', 1)
end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'keys', ARGV[2]) end`)

// endLossScript ends parts of a loss unless there was another since, and the loss with
// the last of them. KEYS: lost. ARGV: when, in ms; then the parts.
var endLossScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'at') ~= ARGV[1] then return end
for i = 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
for _, part in ipairs({'running', 'results', 'keys'}) do
  if redis.call('HEXISTS', KEYS[1], part) == 1 then return end
end
redis.call('DEL', KEYS[1])`)

// tell tells all processes of a loss, and looks at the API keys otherwise. Where that
// fails it is tried again.
func (l *lifeline) tell(ctx context.Context) error {
	now, err := l.cache.keySign(ctx)
	if err != nil {
		return err
	}
	if l.untold == "" {
		l.keys = now
		return nil
	}
	before := ""
	switch {
	case now.known < l.keys.known:
		before = fmt.Sprint(l.keys.known)
	case now.changes < l.keys.changes:
		before = "0"
	}
	c := l.cache
	_ = c.db.Writers.Del(ctx, c.db.Names.Sweeps).Err() // all are due at once; else they are soon
	if err := lossScript.Run(ctx, c.db.Writers, []string{c.db.Names.Lost}, l.untold, before).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("remember that records were lost: %w", err)
	}
	l.untold = ""
	if l.onLoss == nil {
		return nil
	}
	return l.onLoss(ctx)
}

func (c *Cache) keySign(ctx context.Context) (keySign, error) {
	pipe := c.db.Writers.Pipeline()
	known, changes := pipe.HLen(ctx, c.db.Names.APIKeys), pipe.Get(ctx, c.db.Names.KeyCount)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return keySign{}, fmt.Errorf("count API keys: %w", err)
	}
	n, _ := changes.Int64() // absent: none since this release
	return keySign{known.Val(), n}, nil
}

// recall learns what all processes know of a loss.
func (l *lifeline) recall(ctx context.Context) error {
	loss, err := l.cache.loss(ctx)
	if err == nil && loss != nil && loss.keysBefore > 0 && loss.Missing == 0 { // others in their place count, too
		err = l.cache.endLoss(ctx, loss, partKeys)
	}
	if err == nil && (loss != nil || l.untold == "") {
		l.lost.Store(loss)
		l.cache.metrics.tellLoss(loss)
	}
	return err
}

// loss returns what is stored of a loss, nil if nothing is.
func (c *Cache) loss(ctx context.Context) (*Loss, error) {
	lost, err := c.db.Writers.HGetAll(ctx, c.db.Names.Lost).Result()
	if err != nil {
		return nil, fmt.Errorf("ask whether records were lost: %w", err)
	}
	if len(lost) == 0 {
		return nil, nil
	}
	loss := &Loss{
		At: redisdb.Time(lost["at"]), Why: lost["why"],
		Running: lost[partRunning] != "", Results: lost[partResults] != "", Keys: lost[partKeys] != "",
	}
	if loss.Keys {
		now, err := c.keySign(ctx)
		if err != nil {
			return nil, err
		}
		loss.keysBefore, _ = strconv.ParseInt(lost[partKeys], 10, 64)
		loss.Missing = max(0, loss.keysBefore-now.known)
	}
	return loss, nil
}

// Lost returns what is known of a loss that is neither mended nor dismissed, nil if
// there is none. It needs Run, and is two seconds old at most.
func (c *Cache) Lost() *Loss { return c.lifeline.lost.Load() }

// LossNow is Lost for who does not Run: it asks Redis.
func (c *Cache) LossNow(ctx context.Context) (*Loss, error) { return c.loss(ctx) }

// Backfilled says that every execution that began in a range of time is known, or is
// about to be. A loss of records is over where that holds of the minutes before it, the
// dates by the clock of Redis: who chose the range knows what they need.
func (c *Cache) Backfilled(ctx context.Context, since, until time.Time) error {
	loss, err := c.loss(ctx)
	if err != nil || loss == nil || since.After(loss.At.Add(-lossReach)) || until.Before(loss.At) {
		return err
	}
	return c.endLoss(ctx, loss, partRunning, partResults)
}

// KeysImported says that API keys were stored that another Redis or a file held, and
// returns how many are still missing of those that were lost; none ends that part of
// a loss.
func (c *Cache) KeysImported(ctx context.Context) (missing int64, err error) {
	loss, err := c.loss(ctx)
	if err != nil || loss == nil || !loss.Keys || loss.Missing > 0 {
		if loss != nil {
			missing = loss.Missing
		}
		return missing, err
	}
	return 0, c.endLoss(ctx, loss, partKeys)
}

// DismissLoss ends a loss, whatever is still lost, and returns it; nil if there was
// none.
func (c *Cache) DismissLoss(ctx context.Context) (*Loss, error) {
	loss, err := c.loss(ctx)
	if err != nil || loss == nil {
		return nil, err
	}
	return loss, c.endLoss(ctx, loss, lossParts...)
}

func (c *Cache) endLoss(ctx context.Context, loss *Loss, parts ...string) error {
	args := []any{loss.At.UnixMilli()}
	for _, part := range parts {
		args = append(args, part)
	}
	err := endLossScript.Run(ctx, c.db.Writers, []string{c.db.Names.Lost}, args...).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("record in Redis that lost records are restored: %w", err)
	}
	return nil
}

// Lines says what is lost and what brings it back, for operators.
func (l *Loss) Lines() (lines []string) {
	if l.Running {
		lines = append(lines, "what runs and what ended lately is being learnt again, by the audit of STATE_MACHINES")
	}
	if l.Results {
		lines = append(lines, "results from before "+l.At.UTC().Format("2006-01-02 15:04 MST")+
			" are lost, and owners that only registrations named; statusctl backfill or replay brings results back")
	}
	switch {
	case l.Keys && l.Missing > 0:
		lines = append(lines, fmt.Sprintf("API keys are lost: %d; statusctl keys import stores those of API_KEYS_FILE again", l.Missing))
	case l.Keys:
		lines = append(lines, "API keys are those of an earlier time, so revocations may be lost; statusctl keys import stores those of API_KEYS_FILE again")
	}
	if len(lines) == 0 { // the end could not be written down
		lines = append(lines, "all of it is back or dismissed, and that could not be written down")
	}
	return lines
}
