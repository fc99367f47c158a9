package changes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache"
)

// world is what the hub of a test reads.
type world struct {
	mu      sync.Mutex
	records map[cache.ARN]*cache.Record
	reads   int // of executions
	broken  bool
	during  func() // runs once within a read, after the records were looked up
}

func (w *world) read(_ context.Context, arns []cache.ARN) []cache.Found {
	w.mu.Lock()
	found := make([]cache.Found, len(arns))
	for i, arn := range arns {
		w.reads++
		switch r := w.records[arn]; {
		case w.broken:
			found[i].Err = errors.New("redis is gone")
		case r == nil:
			found[i].Err = cache.ErrNotFound
		default:
			found[i].Record = r
		}
	}
	during := w.during
	w.during = nil
	w.mu.Unlock()
	if during != nil {
		during()
	}
	return found
}

func (w *world) outdated(_ context.Context, records []*cache.Record) (arns []cache.ARN) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range records {
		if !w.broken && w.records[r.ARN] != r {
			arns = append(arns, r.ARN)
		}
	}
	return arns
}

// set makes an execution known in a state of its n-th attempt.
func (w *world) set(arn cache.ARN, attempt int, status cache.Status) *cache.Record {
	e := cache.Execution{
		ARN: arn, Status: status, StartDate: time.UnixMilli(1e12), StopDate: time.UnixMilli(1e12 + 1),
		RedriveCount: attempt, Completeness: cache.Complete, Output: []byte("1"),
	}
	r := &cache.Record{
		ARN: arn, Version: e.Version(), Status: status, Terminal: e.Terminal(), Owner: "ada",
		Plain: &cache.Representation{ETag: []string{`"` + string(e.Version()) + `"`}},
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[arn] = r
	return r
}

// inWorld runs a test in a bubble of time, with a hub whose reads it can see and
// break, and looks whether anything is left behind.
func inWorld(t *testing.T, test func(t *testing.T, h *Hub, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{records: map[cache.ARN]*cache.Record{}}
		h := newHub(w.read, w.outdated, func(cache.ARN) {})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		test(t, h, w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if f := h.followers; h.count != 0 || f.count != 0 || len(f.byOwner) != 0 || len(f.everybodys) != 0 {
			t.Errorf("left behind: %d topics, %d followers", h.count, f.count)
		}
	})
}

// watch watches executions of which the first state is known.
func watch(t *testing.T, h *Hub, arns ...cache.ARN) *Watch {
	t.Helper()
	w := h.Watch(arns...)
	if err := w.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func next(t *testing.T, w *Watch) *cache.Record {
	t.Helper()
	if news, err := w.Next(t.Context(), nil); err != nil || !news {
		t.Fatal(news, err)
	}
	return w.Records()[0]
}

// TestManyWaitersShareOneRead: however many of one process wait.
func TestManyWaitersShareOneRead(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		const waiters = 5000
		arn := cache.ARN("hot")
		w.set(arn, 0, cache.Running)
		reported := make(chan cache.Version, waiters)
		for range waiters {
			watched := watch(t, h, arn)
			go func() {
				defer watched.Close()
				reported <- next(t, watched).Version
			}()
		}
		synctest.Wait()
		before, begun := w.reads, time.Now()
		done := w.set(arn, 0, cache.Succeeded)
		h.changed([]cache.ARN{arn})
		for range waiters {
			if v := <-reported; v != done.Version {
				t.Fatalf("%s, want %s", v, done.Version)
			}
		}
		if reads := w.reads - before; reads != 1 || time.Since(begun) != 0 {
			t.Errorf("%d reads in %v", reads, time.Since(begun))
		}
		h.changed([]cache.ARN{"somebody else's"})
		synctest.Wait()
		if reads := w.reads - before; reads != 1 {
			t.Errorf("%d reads, one of something that nobody waits for", reads)
		}
	})
}

// TestALostNotificationCostsTimeOnly leaves the change feed out: nothing is heard
// at all, or only that something was lost.
func TestALostNotificationCostsTimeOnly(t *testing.T) {
	t.Parallel()
	const longest = recheckEvery + recheckEvery/recheckTurns
	for name, loss := range map[string]func(*Hub){"unnoticed": func(*Hub) {}, "noticed": (*Hub).lost} {
		inWorld(t, func(t *testing.T, h *Hub, w *world) {
			var slowest time.Duration
			for i := range 300 {
				arn := cache.ARN(fmt.Sprint("e", i))
				w.set(arn, 0, cache.Running)
				watched := watch(t, h, arn)
				<-time.After(rand.N(recheckEvery))
				w.set(arn, 0, cache.Succeeded)
				begun := time.Now()
				loss(h)
				next(t, watched)
				slowest = max(slowest, time.Since(begun))
				watched.Close()
			}
			if slowest > longest || name == "noticed" && slowest != 0 {
				t.Errorf("%s: reported after %v", name, slowest)
			}
			if name == "unnoticed" && slowest < recheckEvery/2 {
				t.Errorf("the slowest of 300 took %v: a notification arrived, so this proves nothing", slowest)
			}
		})
	}
}

// TestNoChangeFallsIntoTheGap: it lands a change at every place between joining and
// waiting. A waiter that reads first and joins then misses some.
func TestNoChangeFallsIntoTheGap(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		for i := range 10_000 {
			arn := cache.ARN(fmt.Sprint("e", i))
			since := w.set(arn, 0, cache.Running)
			change := func() {
				w.set(arn, 0, cache.Succeeded)
				h.changed([]cache.ARN{arn})
			}
			switch i % 3 {
			case 0:
				change() // before it is joined
			case 1:
				w.during = change // while it is read
			case 2:
				go change() // at any time
			}
			begun := time.Now()
			r, err := h.Wait(t.Context(), arn, since)
			if err != nil || r.Status != cache.Succeeded || time.Since(begun) != 0 {
				t.Fatalf("%d: %v %v after %v", i, r, err, time.Since(begun))
			}
			synctest.Wait()
		}
		// The control: what is read before it is joined.
		w.set("control", 0, cache.Running)
		read := w.read(t.Context(), []cache.ARN{"control"})[0].Record
		w.set("control", 0, cache.Succeeded)
		h.changed([]cache.ARN{"control"})
		synctest.Wait()
		late := h.Watch("control")
		defer late.Close()
		late.take(0, read)
		begun := time.Now()
		if next(t, late); time.Since(begun) == 0 {
			t.Error("reading first lost nothing, so this proves nothing")
		}
	})
}

func TestWaitingOutlivesRedis(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		w.set("e", 0, cache.Running)
		watched := watch(t, h, "e")
		defer watched.Close()
		w.mu.Lock()
		w.broken = true
		w.mu.Unlock()
		w.set("e", 0, cache.Succeeded)
		h.changed([]cache.ARN{"e"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := watched.Next(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("a change was reported while Redis was gone: ", err)
		}
		if _, err := h.Wait(t.Context(), "e", nil); err == nil {
			t.Error("a wait begins on nothing")
		}
		w.mu.Lock()
		w.broken = false
		w.mu.Unlock()
		h.lost() // as the feed does when it is back
		begun := time.Now()
		if r := next(t, watched); r.Status != cache.Succeeded || time.Since(begun) != 0 {
			t.Errorf("%v after %v", r.Status, time.Since(begun))
		}
	})
}

// TestAWatchNeverGoesBack has an older state read after a newer one, as from a
// copy of Redis that has been put in charge too early.
func TestAWatchNeverGoesBack(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		w.set("e", 0, cache.Failed)
		watched := watch(t, h, "e")
		defer watched.Close()
		w.set("e", 0, cache.Running)
		h.changed([]cache.ARN{"e"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := watched.Next(ctx, nil); err == nil {
			t.Error("returned an older state")
		}
		w.set("e", 1, cache.Running) // redriven
		h.changed([]cache.ARN{"e"})
		if r := next(t, watched); r.Version.RedriveCount() != 1 {
			t.Errorf("%v", r.Version)
		}
	})
}

func TestWaitForAnExecutionThatIsUnknown(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		go func() {
			<-time.After(time.Second)
			w.set("e", 0, cache.Running)
			h.changed([]cache.ARN{"e"})
		}()
		begun := time.Now()
		r, err := h.Wait(t.Context(), "e", nil)
		if err != nil || r.Status != cache.Running || time.Since(begun) != time.Second {
			t.Errorf("%v %v after %v", r, err, time.Since(begun))
		}
		if r, err = h.Wait(t.Context(), "e", nil); err != nil || r.Status != cache.Running {
			t.Errorf("a waiter that knows no version does not get the current state: %v %v", r, err)
		}
	})
}

func TestASetIsWatchedTogether(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		arns := make([]cache.ARN, 1000)
		for i := range arns {
			arns[i] = cache.ARN(fmt.Sprint("e", i%900)) // some twice
			w.set(arns[i], 0, cache.Running)
		}
		watched := watch(t, h, arns...)
		defer watched.Close()
		for i := range 900 {
			w.set(arns[i], 0, cache.Succeeded)
		}
		h.changed(arns)
		for ended := 0; ended < 1000; {
			next(t, watched)
			ended = 0
			for _, r := range watched.Records() {
				if r.Terminal {
					ended++
				}
			}
		}
	})
}

func TestFollowersGetTheirOwnExecutions(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		ada, eve, operator := h.Follow("ada", false), h.Follow("eve", false), h.Follow("", true)
		second := h.Follow("ada", false)
		second.Close()
		for _, f := range []*Follow{ada, eve, operator} {
			defer f.Close()
		}
		w.set("e", 0, cache.Running)
		h.changed([]cache.ARN{"e"})
		synctest.Wait()
		w.set("e", 0, cache.Succeeded)
		w.set("of nobody", 0, cache.Running).Owner = ""
		h.changed([]cache.ARN{"e", "of nobody", "gone meanwhile"})
		synctest.Wait()
		if got, lost, err := ada.Next(t.Context(), nil); err != nil || lost || len(got) != 1 || got[0].Status != cache.Succeeded {
			t.Errorf("ada: %v %v %v, want the newest state once", got, lost, err)
		}
		if got, lost, err := operator.Next(t.Context(), nil); err != nil || lost || len(got) != 2 {
			t.Errorf("operator: %v %v %v", got, lost, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, _, err := eve.Next(ctx, nil); err == nil {
			t.Errorf("eve: %v", got)
		}
		h.lost()
		if _, lost, err := eve.Next(t.Context(), nil); err != nil || !lost {
			t.Error("eve is not notified that something was lost", err)
		}
	})
}

func TestAFollowerThatFallsBehindIsReset(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, h *Hub, w *world) {
		slow, quick := h.Follow("ada", false), h.Follow("ada", false)
		defer slow.Close()
		defer quick.Close()
		heard := 0
		for i := range maxPending + 10 {
			arn := cache.ARN(fmt.Sprint("e", i))
			w.set(arn, 0, cache.Running)
			h.changed([]cache.ARN{arn})
			if got, lost, err := quick.Next(t.Context(), nil); err != nil || lost || len(got) != 1 {
				t.Fatal(got, lost, err)
			}
			heard++
		}
		if got, lost, err := slow.Next(t.Context(), nil); err != nil || !lost || len(got) > maxPending {
			t.Errorf("%d changes, lost %v, %v", len(got), lost, err)
		}
	})
}
