package cache

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"
)

// How often what is waited for is read without having been heard of. It bounds
// how late a waiter is when a notification was lost. The executions take turns,
// so that they are not all read at once.
const (
	recheckEvery = 5 * time.Second
	recheckTurns = 250
)

// hub tells those who wait in this process that an execution has changed. What
// comes from the change feed carries no data: it means "read again", so a lost
// or merged notification costs time and never truth. The hub reads, once for all
// who wait for the same execution, and while a read is on its way, what changes
// meanwhile gathers and shares the next one.
type hub struct {
	read func(context.Context, []ARN) []Found
	// outdated returns the executions of which Redis has something else. It costs
	// less than to read them.
	outdated func(context.Context, []*Record) []ARN
	forget   func(ARN) // makes the next read of it go to Redis
	seed     maphash.Seed
	work     chan struct{} // room for one: there is something to read

	mu        sync.Mutex
	topics    [recheckTurns]map[ARN]*topic
	count     int              // of topics
	dirty     map[ARN]struct{} // to be read
	followers followers
}

// topic is an execution that somebody waits for.
type topic struct {
	newest *Record // that was read; nil: nothing known
	subs   []*subscription
}

// subscription is a place among those who wait for an execution.
type subscription struct {
	watch *Watch
	arn   ARN
	place int // in topic.subs
}

func newHub(read func(context.Context, []ARN) []Found, outdated func(context.Context, []*Record) []ARN, forget func(ARN)) *hub {
	h := &hub{
		read: read, outdated: outdated, forget: forget, seed: maphash.MakeSeed(), work: make(chan struct{}, 1),
		dirty: map[ARN]struct{}{}, followers: newFollowers(),
	}
	for i := range h.topics {
		h.topics[i] = map[ARN]*topic{}
	}
	return h
}

// turn returns when an execution is read again unheard of.
func (h *hub) turn(arn ARN) int {
	return int(maphash.String(h.seed, string(arn)) % recheckTurns)
}

// run reads what has changed until ctx ends.
func (h *hub) run(ctx context.Context) error {
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

// changed has executions read again that somebody waits for.
func (h *hub) changed(arns []ARN) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, arn := range arns {
		if h.topics[h.turn(arn)][arn] != nil || h.followers.count > 0 {
			h.dirty[arn] = struct{}{}
		}
	}
	h.wakeReader()
}

// recheck has those read whose turn it is, if they have changed unheard of.
func (h *hub) recheck(ctx context.Context, turn int) {
	var known []*Record
	var again []ARN
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
		h.forget(arn) // what is near may be what the lost notification was about
		h.dirty[arn] = struct{}{}
	}
}

// lost has everything read again: nobody knows what was not heard.
func (h *hub) lost() {
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

// wakeReader is called with the hub locked.
func (h *hub) wakeReader() {
	if len(h.dirty) > 0 {
		signal(h.work)
	}
}

// signal wakes who waits on c, or will. Signals that come before it looks are as
// good as one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readDirty reads what is to be read, and tells what that brought. What cannot
// be read now is left to the next turn.
func (h *hub) readDirty(ctx context.Context) {
	h.mu.Lock()
	arns := slices.Collect(maps.Keys(h.dirty))
	clear(h.dirty)
	h.mu.Unlock()
	for batch := range slices.Chunk(arns, maxReadBatch*maxReaders) {
		for _, found := range h.read(ctx, batch) {
			if found.Err == nil {
				h.tell(found.Record)
			}
		}
	}
}

// tell hands a record that was read again to those who wait for it.
func (h *hub) tell(r *Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers.tell(r)
	h.renew(r)
}

// renew is called with the hub locked.
func (h *hub) renew(r *Record) {
	t := h.topics[h.turn(r.ARN)][r.ARN]
	if t == nil || !r.supersedes(t.newest) {
		return
	}
	t.newest = r
	for _, s := range t.subs {
		signal(s.watch.wake)
	}
}

func (h *hub) join(w *Watch, arn ARN) *subscription {
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

func (h *hub) leave(s *subscription) {
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

// supersedes reports whether r tells something that old, which may be nil, does
// not, and is not older.
func (r *Record) supersedes(old *Record) bool {
	if old == nil || r.Version != old.Version {
		return old == nil || r.Version > old.Version
	}
	return r.Owner != old.Owner || r.Plain.ETag[0] != old.Plain.ETag[0]
}
