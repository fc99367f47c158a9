package worklist

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"statuscache/cache/internal/redisdb"
)

// maxBookedAhead is how long a call may be booked ahead, because a worker that waits for
// its call cannot do other work.
const maxBookedAhead = time.Second

// Budget is how often all processes together may call AWS for one purpose. If AWS
// throttles, it slows down (budget.lua), but the budgets of other purposes do not.
type Budget struct {
	db     *redisdb.DB
	key    string
	every  float64     // ms between two calls
	slowed atomic.Bool // according to this process
}

// NewBudget returns a budget by its name, of a rate in calls per second, which must be
// above 0. If processes have different rates, each counts its calls by its own rate.
func NewBudget(db *redisdb.DB, name string, rate float64) *Budget {
	return &Budget{db: db, key: db.Names.Budget(name), every: 1000 / rate}
}

// Take books a call, which must be made after wait. ok is false if too many calls are
// already booked: then try again after wait.
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
	return time.UnixMilli(answer[3]), time.Duration(answer[1]) * time.Millisecond, answer[0] == 1, nil
}

// Throttled records that AWS has throttled a call, and returns after how long to book
// another one.
func (b *Budget) Throttled(ctx context.Context) (wait time.Duration, err error) {
	answer, err := b.run(ctx, "throttled", b.every)
	if err != nil {
		return 0, err
	}
	return time.Duration(answer[1]) * time.Millisecond, nil
}

// Passed records that AWS has answered a call.
func (b *Budget) Passed(ctx context.Context) error {
	if !b.slowed.Load() {
		return nil
	}
	_, err := b.run(ctx, "passed", b.every)
	return err
}

func (b *Budget) run(ctx context.Context, args ...any) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.db.Limits.Write)
	defer cancel()
	node, err := b.db.PrimaryOf(ctx, b.key)
	if err != nil {
		return nil, err
	}
	answer, err := budgetScript.Run(ctx, node, []string{b.key}, args...).Int64Slice()
	if err == nil && len(answer) != 4 {
		err = redisdb.ErrAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	b.slowed.Store(answer[2] == 1)
	return answer, nil
}
