package worklist

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// Loss describes which records Redis has lost. Each part is restored or dismissed
// separately.
type Loss struct {
	At      time.Time // when that was noticed, by the clock of Redis
	Why     string
	Running bool // running and recently ended executions, which the audit restores
	Results bool // results of executions that ended before, which a backfill or a replay restores
	Keys    bool // API keys, which an import stores again
	// Missing is how many API keys are missing; those in API_KEYS_FILE are valid
	// nevertheless.
	Missing int64

	keysBefore int64 // how many there were; 0: none is missing
}

// lossReach is how long before a loss the range of a backfill or replay must begin to
// restore it: the audit restores executions that ended later.
const lossReach = 5 * time.Minute

// The parts of a loss, by the names of their fields.
const (
	partRunning = "running"
	partResults = "results"
	partKeys    = "keys"
)

var lossParts = []string{partRunning, partResults, partKeys}

// keyCount has the numbers that show a loss of API keys.
type keyCount struct {
	known   int64 // how many there are
	changes int64 // how often they changed
}

func (d *LossDetector) countKeys(ctx context.Context) (keyCount, error) {
	pipe := d.db.Writers.Pipeline()
	known, changes := pipe.HLen(ctx, d.db.Names.APIKeys), pipe.Get(ctx, d.db.Names.KeyCount)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return keyCount{}, fmt.Errorf("count API keys: %w", err)
	}
	n, _ := changes.Int64() // absent: none since this release
	return keyCount{known.Val(), n}, nil
}

// Lost returns the loss that is neither repaired nor dismissed, nil if there is none. It
// needs Run, and is at most two seconds old.
func (d *LossDetector) Lost() *Loss { return d.lost.Load() }

// LossNow is Lost without Run: it reads Redis.
func (d *LossDetector) LossNow(ctx context.Context) (*Loss, error) {
	lost, err := d.db.Writers.HGetAll(ctx, d.db.Names.Lost).Result()
	if err != nil {
		return nil, fmt.Errorf("read whether records were lost: %w", err)
	}
	if len(lost) == 0 {
		return nil, nil
	}
	loss := &Loss{
		At: redisdb.Time(lost["at"]), Why: lost["why"],
		Running: lost[partRunning] != "", Results: lost[partResults] != "", Keys: lost[partKeys] != "",
	}
	if loss.Keys {
		now, err := d.countKeys(ctx)
		if err != nil {
			return nil, err
		}
		loss.keysBefore, _ = strconv.ParseInt(lost[partKeys], 10, 64)
		loss.Missing = max(0, loss.keysBefore-now.known)
	}
	return loss, nil
}

// Backfilled notes that every execution that started in a time range is known, or soon
// will be. If the range covers the minutes before a loss, by the clock of Redis, the lost
// results count as restored. The caller decides how much further back the range must
// reach.
func (d *LossDetector) Backfilled(ctx context.Context, since, until time.Time) error {
	loss, err := d.LossNow(ctx)
	if err != nil || loss == nil || since.After(loss.At.Add(-lossReach)) || until.Before(loss.At) {
		return err
	}
	return d.end(ctx, loss, partRunning, partResults)
}

// KeysImported notes that API keys from another Redis or a file were stored, and returns
// how many of the lost keys are still missing. If none is missing, that part of the loss
// ends.
func (d *LossDetector) KeysImported(ctx context.Context) (missing int64, err error) {
	loss, err := d.LossNow(ctx)
	if err != nil || loss == nil || !loss.Keys || loss.Missing > 0 {
		if loss != nil {
			missing = loss.Missing
		}
		return missing, err
	}
	return 0, d.end(ctx, loss, partKeys)
}

// Dismiss ends a loss, even if something is still lost, and returns it; nil if there was none.
func (d *LossDetector) Dismiss(ctx context.Context) (*Loss, error) {
	loss, err := d.LossNow(ctx)
	if err != nil || loss == nil {
		return nil, err
	}
	return loss, d.end(ctx, loss, lossParts...)
}

// end ends parts of a loss.
func (d *LossDetector) end(ctx context.Context, loss *Loss, parts ...string) error {
	args := []any{loss.At.UnixMilli()}
	for _, part := range parts {
		args = append(args, part)
	}
	err := lossEndScript.Run(ctx, d.db.Writers, []string{d.db.Names.Lost}, args...).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("store in Redis that lost records are restored: %w", err)
	}
	return nil
}

// Lines returns what is lost and how to restore it, for operators. audited is whether this
// process knows of an audit.
func (l *Loss) Lines(audited bool) (lines []string) {
	switch {
	case l.Running && audited:
		lines = append(lines, "running and recently ended executions are being restored by the audit of STATE_MACHINES")
	case l.Running:
		lines = append(lines, "running and recently ended executions are lost; to restore them, set STATE_MACHINES for the processes that receive events, or run statusctl backfill")
	}
	if l.Results {
		lines = append(lines, "results from before "+l.At.UTC().Format("2006-01-02 15:04 MST")+
			" are lost, and so are owners that were set only by registration; statusctl backfill or replay restores the results")
	}
	switch {
	case l.Keys && l.Missing > 0:
		lines = append(lines, fmt.Sprintf("API keys are lost: %d; statusctl keys import copies API_KEYS_FILE into Redis again", l.Missing))
	case l.Keys:
		lines = append(lines, "the API keys in Redis are an old copy, so revocations may be lost; statusctl keys import restores the revocations from API_KEYS_FILE")
	}
	if len(lines) == 0 { // the end could not be stored
		lines = append(lines, "everything is restored or dismissed, but this could not be stored in Redis")
	}
	return lines
}
