package formats

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

// Formats decides for one Redis. Releases before the compact format refuse its records, so
// none is written while such a release may have to read it. Every process listens to the
// channel of changes; processes that know the format also listen to a second channel. As long
// as Redis reports more listeners to the first channel, a process of an older release runs.
// After the last of them has ended, an upgrade may still be rolled back, so nothing compact is
// written for rollbackWindow. If Redis has never had an older release, the format is compact
// from the start.
//
// A record of another format is not converted until its state changes. Compact records can
// always be read, and are written in digits again if they change while an older release runs.
type Formats struct {
	db *redisdb.DB

	mu       sync.Mutex
	asked    int64 // by the monotonic clock; 0: never
	compact  bool
	suspects int // consecutive answers that show an older release
}

// New returns the Formats of a Redis.
func New(db *redisdb.DB) *Formats { return &Formats{db: db} }

// Fix sets whether records are compact, independent of other releases. It is for tests of mixed formats.
func (f *Formats) Fix(compact bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.compact = math.MaxInt64, compact
}

const (
	askEvery       = time.Second
	rollbackWindow = 24 * time.Hour
)

//go:embed listeners.lua
var listenersSource string

var listenersScript = redis.NewScript(listenersSource)

// WritesCompact reports whether records must be compact. They are not while Redis does not
// answer.
func (f *Formats) WritesCompact(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked != 0 && monotonic.Now()-f.asked < int64(askEvery) {
		return f.compact
	}
	compact, err := f.ask(ctx)
	f.compact, f.asked = err == nil && compact, max(monotonic.Now(), 1)
	return f.compact
}

func (f *Formats) ask(ctx context.Context) (compact bool, err error) {
	p := &f.db.Names.Partitions[0]
	heard, err := listenersScript.Run(ctx, f.db.Writers, []string{p.Changed, f.db.Names.Formats}, f.db.Publish).Int64Slice()
	if err != nil || len(heard) != 3 {
		return false, fmt.Errorf("count the subscribers: %w", err)
	}
	now, older := heard[0], heard[1] > heard[2]
	last, err := f.lastOlder(ctx, now)
	if err != nil {
		return false, err
	}
	if !older {
		f.suspects = 0
		return now-last >= rollbackWindow.Milliseconds(), nil
	}
	// One answer may fall between the two subscriptions of a starting process.
	if f.suspects++; f.suspects > 1 && now-last >= time.Minute.Milliseconds() {
		err = f.db.Writers.Set(ctx, f.db.Names.OlderSeen, now, 0).Err()
	}
	return false, err
}

// lastOlder returns when an older release last ran, in ms; 0 if never. If that is not
// stored yet, and executions exist, an older release has written them.
func (f *Formats) lastOlder(ctx context.Context, now int64) (int64, error) {
	text, err := f.db.Writers.Get(ctx, f.db.Names.OlderSeen).Result()
	if err == nil {
		return strconv.ParseInt(text, 10, 64)
	}
	if !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("read when an older release ran: %w", err)
	}
	pipe := f.db.Writers.Pipeline()
	var known [redisdb.PartitionCount]*redis.IntCmd
	for i := range known {
		known[i] = pipe.Exists(ctx, f.db.Names.Partitions[i].Recent)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("look for executions: %w", err)
	}
	last := int64(0)
	for _, cmd := range known {
		if cmd.Val() > 0 {
			last = now
		}
	}
	return last, f.db.Writers.SetNX(ctx, f.db.Names.OlderSeen, last, 0).Err()
}
