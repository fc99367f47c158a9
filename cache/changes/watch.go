package changes

import (
	"context"
	"errors"
	"time"

	"statuscache/cache"
)

// Watch is a subscription to executions, from Hub.Watch to Close. It is
// used by one goroutine.
type Watch struct {
	hub     *Hub
	wake    chan struct{} // capacity 1
	call    func()        // in its place; nil: none
	subs    []*subscription
	records []*cache.Record
}

// Watch begins to follow executions. From now on no change is missed: a caller who reads
// afterwards and then waits sees each change, or the last of several. It needs Run.
func (h *Hub) Watch(arns ...cache.ARN) *Watch {
	w := &Watch{hub: h, wake: make(chan struct{}, 1)}
	w.join(arns)
	return w
}

// WatchFunc is Watch for a caller that does not wait in Next, and so needs no goroutine:
// call is called when News may return true. It must not block or use the hub.
func (h *Hub) WatchFunc(call func(), arns ...cache.ARN) *Watch {
	w := &Watch{hub: h, call: call}
	w.join(arns)
	return w
}

func (w *Watch) join(arns []cache.ARN) {
	w.records, w.subs = make([]*cache.Record, len(arns)), make([]*subscription, len(arns))
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for i, arn := range arns {
		w.subs[i] = w.hub.join(w, arn)
	}
}

// signal reports that there may be a change. The hub is locked.
func (w *Watch) signal() {
	if w.call != nil {
		w.call()
		return
	}
	signal(w.wake)
}

// Close ends the watch.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for _, s := range w.subs {
		w.hub.leave(s)
	}
	w.subs = nil
}

// Records returns the latest records, in the order of the executions: nil for an unknown
// one. The slice changes with Read and Next.
func (w *Watch) Records() []*cache.Record { return w.records }

// Read looks all executions up. An error means that some could not be read.
func (w *Watch) Read(ctx context.Context) error {
	arns := make([]cache.ARN, len(w.subs))
	for i, s := range w.subs {
		arns[i] = s.arn
	}
	var err error
	all := w.hub.read(ctx, arns)
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for i, found := range all {
		switch {
		case found.Err == nil:
			w.take(i, found.Record)
			w.hub.renew(found.Record) // it need not be read again for the others
		case !errors.Is(found.Err, cache.ErrNotFound):
			err = found.Err
		}
	}
	return err
}

// take takes r if it is new, and reports whether it is. A watch never goes back to an older state.
func (w *Watch) take(i int, r *cache.Record) bool {
	if r == nil || !supersedes(r, w.records[i]) {
		return false
	}
	w.records[i] = r
	return true
}

// Next returns true as soon as a record is newer than in Records before. It also returns
// when early receives a value (early may be nil), and with the error of ctx when that
// ends.
func (w *Watch) Next(ctx context.Context, early <-chan time.Time) (news bool, err error) {
	for {
		select {
		case <-w.wake:
		case <-early:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if w.News() {
			return true, nil
		}
	}
}

// News takes over the records that the hub has read since the last call, and reports
// whether any of them is new.
func (w *Watch) News() (news bool) {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range w.subs {
		news = w.take(i, h.topics[h.turn(s.arn)][s.arn].newest) || news
	}
	return news
}

// Wait returns the record of an execution as soon as it is newer than since, which is nil
// for a caller without a version. It returns the error of ctx if that ends first, and any
// other error if Redis did not answer at the start.
func (h *Hub) Wait(ctx context.Context, arn cache.ARN, since *cache.Record) (*cache.Record, error) {
	w := h.Watch(arn)
	defer w.Close()
	w.records[0] = since
	if err := w.Read(ctx); err != nil {
		return nil, err
	}
	if r := w.records[0]; r != since {
		return r, nil
	}
	if _, err := w.Next(ctx, nil); err != nil {
		return nil, err
	}
	return w.records[0], nil
}
