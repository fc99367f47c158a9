package changes

import (
	"context"
	"slices"
	"time"

	"statuscache/cache"
)

// maxPending is how many changes a follower may be behind before changes are dropped.
// Each execution counts once, because only its newest state is kept.
const maxPending = 4096

// Follow receives every change of the executions of an owner, or of all owners. It
// is used by one goroutine.
type Follow struct {
	hub   *Hub
	owner string
	all   bool
	wake  chan struct{} // capacity 1

	// Guarded by the lock of the hub.
	pending map[cache.ARN]*cache.Record
	lost    bool
}

// followers are the open Follows, by owner. The lock of the hub guards them.
type followers struct {
	byOwner    map[string][]*Follow
	everybodys []*Follow
	count      int
}

func newFollowers() followers { return followers{byOwner: map[string][]*Follow{}} }

// Follow begins to follow the executions of an owner or, with all, of all owners. From
// now on no change is missed. It needs Run.
func (h *Hub) Follow(owner string, all bool) *Follow {
	f := &Follow{hub: h, owner: owner, all: all, wake: make(chan struct{}, 1), pending: map[cache.ARN]*cache.Record{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers.count++
	if all {
		h.followers.everybodys = append(h.followers.everybodys, f)
	} else {
		h.followers.byOwner[owner] = append(h.followers.byOwner[owner], f)
	}
	return f
}

// Close ends it.
func (f *Follow) Close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	all := &f.hub.followers
	all.count--
	if f.all {
		all.everybodys = without(all.everybodys, f)
		return
	}
	if all.byOwner[f.owner] = without(all.byOwner[f.owner], f); len(all.byOwner[f.owner]) == 0 {
		delete(all.byOwner, f.owner)
	}
}

func without(all []*Follow, f *Follow) []*Follow {
	return slices.DeleteFunc(all, func(other *Follow) bool { return other == f })
}

// Next returns the records that have changed since the last call, or waits until there
// are some. lost means that changes may be missing, and the list must be read again. It
// also returns, with nothing, when early receives a value (early may be nil), and with
// the error of ctx when that ends.
func (f *Follow) Next(ctx context.Context, early <-chan time.Time) (changed []*cache.Record, lost bool, err error) {
	for {
		select {
		case <-f.wake:
		case <-early:
			return nil, false, nil
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		if changed, lost = f.take(); lost || len(changed) > 0 {
			return changed, lost, nil
		}
	}
}

func (f *Follow) take() (changed []*cache.Record, lost bool) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	for _, r := range f.pending {
		changed = append(changed, r)
	}
	clear(f.pending)
	lost, f.lost = f.lost, false
	return changed, lost
}

// send passes a record to the followers that may see it.
func (all *followers) send(r *cache.Record) {
	for _, f := range all.everybodys {
		f.add(r)
	}
	if r.Owner != "" {
		for _, f := range all.byOwner[r.Owner] {
			f.add(r)
		}
	}
}

func (f *Follow) add(r *cache.Record) {
	switch old := f.pending[r.ARN]; {
	case len(f.pending) >= maxPending:
		clear(f.pending)
		f.lost = true
	case supersedes(r, old):
		f.pending[r.ARN] = r
	}
	signal(f.wake)
}

// lost reports to every follower that changes may be missing.
func (all *followers) lost() {
	for _, f := range all.everybodys {
		f.missed()
	}
	for _, some := range all.byOwner {
		for _, f := range some {
			f.missed()
		}
	}
}

func (f *Follow) missed() {
	f.lost = true
	signal(f.wake)
}
