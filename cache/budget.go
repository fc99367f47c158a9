package cache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed budget.lua
var budgetSource string

var budgetScript = redis.NewScript(budgetSource)

// How long nobody calls after AWS has throttled. What it grants is shared with the
// console and everybody else in the account, and may be used up for minutes.
const (
	firstThrottlePause = 5 * time.Second
	maxThrottlePause   = 5 * time.Minute
	maxBookedAhead     = time.Second // who waits cannot do what needs no call
)

// Budget is how often all processes together may call AWS for one purpose.
type Budget struct {
	client redis.UniversalClient
	key    string
	every  float64      // ms between two calls
	struck atomic.Bool  // AWS throttled lately, as far as this process knows
	until  atomic.Int64 // by uptime, before which this process knows not to call
}

// NewBudget returns a budget by its name, of a rate in calls per second, which
// must be above 0. Where processes disagree about the rate, each call counts as
// who makes it says.
func (c *Cache) NewBudget(name string, rate float64) *Budget {
	return &Budget{client: c.writers, key: c.names.budget(name), every: 1000 / rate}
}

// Take books a call, to be made after wait. ok is false where none can be booked,
// because too many are already or AWS throttles: then wait is after how long it is
// worth asking again.
func (b *Budget) Take(ctx context.Context) (wait time.Duration, ok bool, err error) {
	_, wait, ok, err = b.book(ctx)
	return wait, ok, err
}

// book is Take. It also returns when, by the clock of Redis.
func (b *Budget) book(ctx context.Context) (at time.Time, wait time.Duration, ok bool, err error) {
	answer, err := b.run(ctx, "take", b.every, maxBookedAhead.Milliseconds())
	if err != nil {
		return time.Time{}, 0, false, err
	}
	b.struck.Store(answer[2] > 0)
	return time.UnixMilli(answer[3]), time.Duration(answer[1]) * time.Millisecond, answer[0] == 1, nil
}

// Throttled says that AWS has refused a call because there were too many, and
// returns for how long nobody makes another.
func (b *Budget) Throttled(ctx context.Context) (pause time.Duration, err error) {
	answer, err := b.run(ctx, "throttled", firstThrottlePause.Milliseconds(), maxThrottlePause.Milliseconds())
	if err != nil {
		return 0, err
	}
	pause = time.Duration(answer[1]) * time.Millisecond
	b.until.Store(uptime() + int64(pause))
	return pause, nil
}

// Paused returns for how long no call may be made, though it was booked: AWS has
// throttled another of this process since. 0: it may be.
func (b *Budget) Paused() time.Duration { return max(0, time.Duration(b.until.Load()-uptime())) }

// Passed says that AWS has answered a call, so that the next pause is a short one
// again.
func (b *Budget) Passed(ctx context.Context) error {
	if !b.struck.Swap(false) {
		return nil
	}
	_, err := b.run(ctx, "passed", 0, 0)
	return err
}

func (b *Budget) run(ctx context.Context, args ...any) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	node, err := primaryOf(ctx, b.client, b.key)
	if err != nil {
		return nil, err
	}
	answer, err := budgetScript.Run(ctx, node, []string{b.key}, args...).Int64Slice()
	if err == nil && len(answer) != 4 {
		err = errors.New("the script's answer is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	return answer, nil
}
