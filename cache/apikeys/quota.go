package apikeys

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
	"statuscache/cache/singleflight"
)

//go:embed quota.lua
var quotaSource string

var quotaScript = redis.NewScript(quotaSource)

const (
	// quotaIdle is how long a lease is unused before it is returned to Redis.
	quotaIdle = 10 * time.Second
	// limitReachedLife is how long a reached limit is not requested from Redis again;
	// after that, another process may have returned a part.
	limitReachedLife = time.Second
)

// quotas spends the daily limits of API keys. A process leases parts of a limit from Redis,
// so that most requests need no round trip and all processes together never exceed the
// limit. After a crash the leased part is lost: the caller gets less, on that day only. A
// lease that the replicas have not confirmed is not spent, because after a failover it
// would be leased again.
type quotas struct {
	db     *redisdb.DB
	leases singleflight.Group[struct{}] // one request to Redis at a time for each key

	mu    sync.Mutex
	local map[string]*lease // by key hash
}

// lease is the part of one key's limit that this process may still spend.
type lease struct {
	left      int64
	size      int64 // size of the last grant
	day       int64 // of Redis
	ends      time.Time
	used      time.Time
	denied    time.Time // when Redis last reported that nothing is left
	refilling bool
}

func newQuotas(db *redisdb.DB) *quotas { return &quotas{db: db, local: map[string]*lease{}} }

// SpendQuota takes one request off the key's daily limit. ErrLimitReached comes
// with the time until midnight UTC; any other error means that the limit could
// not be checked. A key without a limit costs nothing.
func (k *Keys) SpendQuota(ctx context.Context, key *Key) (reset time.Duration, err error) {
	if key.DailyLimit <= 0 {
		return 0, nil
	}
	return k.quotas.spend(ctx, key)
}

// RefundQuota gives back one request that SpendQuota took at the time spent. A request of
// yesterday is not given back.
func (k *Keys) RefundQuota(key *Key, spent time.Time) {
	if key.DailyLimit > 0 {
		k.quotas.refund(key.Hash, spent)
	}
}

func (q *quotas) spend(ctx context.Context, k *Key) (time.Duration, error) {
	for {
		reset, err := q.spendLocal(ctx, k)
		if !errors.Is(err, errNoLease) {
			return reset, err
		}
		if err := q.refill(ctx, k); err != nil {
			return 0, err
		}
	}
}

var errNoLease = errors.New("no lease")

// spendLocal spends from the lease. Before the lease runs out, it is refilled in the
// background; errNoLease means that the caller must wait for that.
func (q *quotas) spendLocal(ctx context.Context, k *Key) (time.Duration, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, now := q.local[k.Hash], time.Now()
	switch {
	case l == nil || !now.Before(l.ends):
		return 0, errNoLease
	case l.left > 0:
		l.left--
		l.used = now
		if l.left < l.size/4 && !l.refilling && now.Sub(l.denied) > limitReachedLife {
			l.refilling = true
			go func() { _ = q.refill(context.WithoutCancel(ctx), k) }() // a caller that finds nothing left leases again
		}
		return 0, nil
	case now.Sub(l.denied) <= limitReachedLife:
		return l.ends.Sub(now), ErrLimitReached
	}
	return 0, errNoLease
}

// refill leases another part from Redis.
func (q *quotas) refill(ctx context.Context, k *Key) error {
	_, err := q.leases.Do(k.Hash, func() (none struct{}, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.db.Limits.Read)
		defer cancel()
		asked := time.Now() // the lease must end before the day does, so the earliest moment counts
		granted, day, left, err := q.ask(ctx, k.Hash, k.DailyLimit, "", 0)
		q.mu.Lock()
		defer q.mu.Unlock()
		l := q.local[k.Hash]
		if l != nil {
			l.refilling = false
		}
		if err != nil {
			return none, fmt.Errorf("lease of a daily limit: %w", err)
		}
		if l == nil || l.day != day { // the rest of yesterday's lease is void
			l = &lease{day: day}
			q.local[k.Hash] = l
		}
		l.left, l.size, l.ends, l.used = l.left+granted, granted, asked.Add(left), asked
		if granted == 0 {
			l.denied = time.Now()
		}
		return none, nil
	})
	return err
}

func (q *quotas) ask(ctx context.Context, hash string, limit int64, givenDay any, given int64) (granted, day int64, left time.Duration, err error) {
	lease := redisdb.NewScript(quotaScript, []string{q.db.Names.Quota(hash)}, limit, givenDay, given)
	if q.db.Confirm(ctx, lease); lease.Err != nil {
		return 0, 0, 0, lease.Err
	}
	answer, err := lease.Answer.Int64Slice()
	if err != nil {
		return 0, 0, 0, err
	}
	if len(answer) != 3 {
		return 0, 0, 0, redisdb.ErrAnswer
	}
	return answer[0], answer[1], time.Duration(answer[2]) * time.Millisecond, nil
}

func (q *quotas) refund(hash string, spent time.Time) {
	const day = 24 * time.Hour
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.local[hash]; l != nil && time.Now().Before(l.ends) && !spent.Before(l.ends.Add(-day)) {
		l.left++
	}
}

// run returns idle leases to Redis, and all leases at the end.
func (q *quotas) run(ctx context.Context) error {
	tick := time.NewTicker(quotaIdle / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			q.giveBack(ctx, quotaIdle)
		case <-ctx.Done():
			q.giveBack(context.WithoutCancel(ctx), 0)
			return nil
		}
	}
}

// giveBack returns the rest of leases that have not been used for some time.
func (q *quotas) giveBack(ctx context.Context, idle time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for hash, l := range q.takeIdle(idle) {
		if l.left > 0 {
			// If the answer is lost, the rest counts as spent, so that the limit is never exceeded.
			_, _, _, _ = q.ask(ctx, hash, 0, l.day, l.left)
		}
	}
}

func (q *quotas) takeIdle(idle time.Duration) map[string]*lease {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := map[string]*lease{}
	for hash, l := range q.local {
		if time.Since(l.used) >= idle && !l.refilling {
			taken[hash] = l
			delete(q.local, hash)
		}
	}
	return taken
}
