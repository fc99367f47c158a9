package changes

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
)

// How often an awaited execution is read without a notification. It bounds the delay of a
// waiter after a lost notification. The executions take turns, so that they are not all
// read at once.
const (
	recheckEvery = 5 * time.Second
	recheckTurns = 250
	readBatch    = 512 // executions read together
)

// Hub wakes the waiting requests of this process when an execution has changed. A
// notification from the change feed has no data: it means "read again", so a lost or
// merged notification causes a delay but never a wrong state. The hub reads once for all
// waiters of an execution. Changes that arrive during a read are collected for the next
// read.
type Hub struct {
	read func(context.Context, []cache.ARN) []cache.Found
	// outdated returns the executions whose state in Redis is different. It costs less
	// than reading them.
	outdated func(context.Context, []*cache.Record) []cache.ARN
	forget   func(cache.ARN) // makes the next read of it go to Redis
	seed     maphash.Seed
	work     chan struct{} // capacity 1: there is something to read

	mu        sync.Mutex
	topics    [recheckTurns]map[cache.ARN]*topic
	count     int                    // of topics
	dirty     map[cache.ARN]struct{} // to be read
	followers followers
}

// topic is an execution with waiters.
type topic struct {
	newest *cache.Record // that was read; nil: nothing known
	subs   []*subscription
}

// subscription is the entry of a waiter of an execution.
type subscription struct {
	watch *Watch
	arn   cache.ARN
	place int // in topic.subs
}

// Open returns a Hub for a cache. It must be opened before the cache runs.
func Open(c *cache.Cache) *Hub {
	h := newHub(c.GetMany, c.Outdated, c.Invalidate)
	db := c.DB()
	db.Feed.Listeners = append(db.Feed.Listeners, redisdb.Listener{
		Changed: func(channel, payload string) {
			if channel != db.Names.KeyChanges {
				h.changed(cache.ChangedARNs(payload))
			}
		},
		Reset: h.lost,
	})
	return h
}

func newHub(read func(context.Context, []cache.ARN) []cache.Found, outdated func(context.Context, []*cache.Record) []cache.ARN, forget func(cache.ARN)) *Hub {
	h := &Hub{
		read: read, outdated: outdated, forget: forget, seed: maphash.MakeSeed(), work: make(chan struct{}, 1),
		dirty: map[cache.ARN]struct{}{}, followers: newFollowers(),
	}
	for i := range h.topics {
		h.topics[i] = map[cache.ARN]*topic{}
	}
	return h
}

// turn returns when an execution is read again without a notification.
func (h *Hub) turn(arn cache.ARN) int {
	return int(maphash.String(h.seed, string(arn)) % recheckTurns)
}

// Run reads what has changed until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(recheckEvery / recheckTurns)
	defer tick.Stop()
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-h.work:
		case <-tick.C:
			h.recheck(ctx, turn)
			turn = (turn + 1) % recheckTurns
		}
		h.readDirty(ctx)
	}
}

// changed makes changed executions with waiters be read again.
func (h *Hub) changed(arns []cache.ARN) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, arn := range arns {
		if h.topics[h.turn(arn)][arn] != nil || h.followers.count > 0 {
			h.dirty[arn] = struct{}{}
		}
	}
	h.wakeReader()
}

// recheck reads the executions that are due, if they have changed without a notification.
func (h *Hub) recheck(ctx context.Context, turn int) {
	var known []*cache.Record
	var again []cache.ARN
	h.mu.Lock()
	for arn, t := range h.topics[turn] {
		if t.newest != nil {
			known = append(known, t.newest)
		} else {
			again = append(again, arn)
		}
	}
	h.mu.Unlock()
	if len(known) > 0 {
		again = append(again, h.outdated(ctx, known)...)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, arn := range again {
		h.forget(arn) // the near cache may be outdated because of a lost notification
		h.dirty[arn] = struct{}{}
	}
}

// lost makes everything be read again, because notifications may have been missed.
func (h *Hub) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topics := range h.topics {
		for arn := range topics {
			h.dirty[arn] = struct{}{}
		}
	}
	h.followers.lost()
	h.wakeReader()
}

// wakeReader wakes the reader. The hub is locked.
func (h *Hub) wakeReader() {
	if len(h.dirty) > 0 {
		signal(h.work)
	}
}

// signal wakes the goroutine that waits on c, or the next one that does. Several signals before
// that count as one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readDirty reads the dirty executions, and passes the records on. Executions that cannot
// be read now are read at their next turn.
func (h *Hub) readDirty(ctx context.Context) {
	h.mu.Lock()
	arns := slices.Collect(maps.Keys(h.dirty))
	clear(h.dirty)
	h.mu.Unlock()
	for batch := range slices.Chunk(arns, readBatch) {
		for _, found := range h.read(ctx, batch) {
			if found.Err == nil {
				h.send(found.Record)
			}
		}
	}
}

// send passes a record to the waiters of its execution.
func (h *Hub) send(r *cache.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers.send(r)
	h.renew(r)
}

// renew is called with the hub locked.
func (h *Hub) renew(r *cache.Record) {
	t := h.topics[h.turn(r.ARN)][r.ARN]
	if t == nil || !supersedes(r, t.newest) {
		return
	}
	t.newest = r
	for _, s := range t.subs {
		s.watch.signal()
	}
}

func (h *Hub) join(w *Watch, arn cache.ARN) *subscription {
	topics := h.topics[h.turn(arn)]
	t := topics[arn]
	if t == nil {
		t = &topic{}
		topics[arn] = t
		h.count++
	}
	s := &subscription{watch: w, arn: arn, place: len(t.subs)}
	t.subs = append(t.subs, s)
	return s
}

func (h *Hub) leave(s *subscription) {
	topics := h.topics[h.turn(s.arn)]
	t := topics[s.arn]
	last := len(t.subs) - 1
	t.subs[s.place] = t.subs[last]
	t.subs[s.place].place = s.place
	t.subs[last] = nil
	if t.subs = t.subs[:last]; last == 0 {
		delete(topics, s.arn)
		h.count--
	}
}

// supersedes reports whether r is a change from old, which may be nil, and is not older.
func supersedes(r, old *cache.Record) bool {
	if old == nil || r.Version != old.Version {
		return old == nil || r.Version > old.Version
	}
	return r.Owner != old.Owner || r.Plain.ETag[0] != old.Plain.ETag[0]
}
