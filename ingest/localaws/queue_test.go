package localaws

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const visibleFor = 30 * time.Second

// pass lets time pass, which takes no real time in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

// receiveNow receives without waiting and returns the bodies.
func receiveNow(t *testing.T, q *Queue) []delivery {
	t.Helper()
	return q.receive(t.Context(), maxBatch, visibleFor, 0)
}

// one fails the test unless there is exactly one delivery.
func one(t *testing.T, got []delivery) delivery {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	return got[0]
}

func wantDepth(t *testing.T, q *Queue, want Depth) {
	t.Helper()
	if got := q.Depth(); got != want {
		t.Errorf("depth of %s is %+v, want %+v", q.name, got, want)
	}
}

func TestReceivedMessageIsHiddenUntilItsTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		id := q.Send("a", 0)
		first := one(t, receiveNow(t, q))
		wantDepth(t, q, Depth{Hidden: 1})
		pass(visibleFor - 1)
		if got := receiveNow(t, q); len(got) != 0 {
			t.Fatal("received while it was hidden")
		}
		pass(1)
		wantDepth(t, q, Depth{Visible: 1})
		second := one(t, receiveNow(t, q))
		if first.id != id || second.id != id || first.receipt == second.receipt {
			t.Errorf("sent %s, received %+v, then %+v", id, first, second)
		}
		if first.receives != 1 || second.receives != 2 || !first.firstReceived.Equal(second.firstReceived) {
			t.Errorf("counted %d, then %d receives, first at %v, then %v",
				first.receives, second.receives, first.firstReceived, second.firstReceived)
		}
	})
}

func TestExpireVisibilityAffectsReceivedMessagesOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 0)
		q.Send("b", 0)
		q.Send("later", time.Minute)
		if n := len(receiveNow(t, q)); n != 2 {
			t.Fatalf("received %d", n)
		}
		wantDepth(t, q, Depth{Hidden: 2, Delayed: 1})
		q.ExpireVisibility()
		wantDepth(t, q, Depth{Visible: 2, Delayed: 1})
		for _, again := range receiveNow(t, q) {
			if again.receives != 2 {
				t.Errorf("%s was received %d times", again.body, again.receives)
			}
		}
		pass(time.Minute)
		wantDepth(t, q, Depth{Visible: 3})
	})
}

func TestDeleteCountsOnlyWithTheLatestReceipt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 0)
		old := one(t, receiveNow(t, q)).receipt
		pass(visibleFor)
		latest := one(t, receiveNow(t, q)).receipt
		for _, step := range []struct {
			receipt string
			left    int
		}{{old, 1}, {latest, 0}, {latest, 0}} {
			if err := q.remove(step.receipt); err != nil {
				t.Errorf("delete: %v", err)
			}
			if got := q.Depth().Total(); got != step.left {
				t.Errorf("%d messages left, want %d", got, step.left)
			}
		}
	})
}

func TestLatestReceiptDeletesAfterTheTimeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 0)
		receipt := one(t, receiveNow(t, q)).receipt
		pass(2 * visibleFor)
		if err := q.remove(receipt); err != nil {
			t.Error(err)
		}
		wantDepth(t, q, Depth{})
	})
}

func TestReceiptsOfOthersAreInvalid(t *testing.T) {
	t.Parallel()
	s := New()
	q, other := s.CreateQueue("q", nil), s.CreateQueue("other", nil)
	other.Send("a", 0)
	for _, receipt := range []string{
		"garbage", "", "YSBiIGM=", one(t, receiveNow(t, other)).receipt,
	} {
		for name, err := range map[string]error{"delete": q.remove(receipt), "hide": q.hide(receipt, 1)} {
			if !errors.Is(err, errReceiptHandle) {
				t.Errorf("%s with %q: %v", name, receipt, err)
			}
		}
	}
}

func TestHideMovesTheTimeOut(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			q := New().CreateQueue("q", nil)
			q.Send("a", 0)
			receipt := one(t, receiveNow(t, q)).receipt
			start := time.Now()
			if err := q.hide(receipt, d); err != nil {
				t.Fatal(err)
			}
			one(t, q.receive(t.Context(), 1, visibleFor, 2*time.Hour))
			if got := time.Since(start); got != d {
				t.Errorf("came back after %v, want %v", got, d)
			}
			if err := q.hide(receipt, d); asError(err).Code != "InvalidParameterValue" {
				t.Errorf("with the older receipt: %v", err)
			}
		})
	}
}

func TestMessageNotInFlightCannotBeHidden(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 0)
		receipt := one(t, receiveNow(t, q)).receipt
		pass(visibleFor)
		if err := q.hide(receipt, time.Hour); err == nil {
			t.Error("hidden although its time-out was over")
		}
		wantDepth(t, q, Depth{Visible: 1})
	})
}

func TestMessagesOfOneInstantKeepTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		for i := range 100 {
			q.Send(strconv.Itoa(i), 0)
		}
		for i := range 100 {
			if got := one(t, q.receive(t.Context(), 1, visibleFor, 0)).body; got != strconv.Itoa(i) {
				t.Fatalf("received %s as number %d", got, i)
			}
		}
	})
}

func TestVisibilityOfZeroGivesEachMessageOnceAReceive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 0)
		for count := 1; count <= 3; count++ {
			if got := one(t, q.receive(t.Context(), maxBatch, 0, 0)); got.receives != count {
				t.Errorf("receive %d counted as %d", count, got.receives)
			}
		}
	})
}

func TestDelayedMessageComesWhenItsDelayIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		q.Send("a", 5*time.Second)
		wantDepth(t, q, Depth{Delayed: 1})
		start := time.Now()
		one(t, q.receive(t.Context(), 1, visibleFor, 20*time.Second))
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("came after %v", got)
		}
	})
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	const wait = 20 * time.Second
	for name, c := range map[string]struct {
		after time.Duration // what happens, and when
		does  func(s *Server, q *Queue, giveUp func())
		want  int // messages
		ends  time.Duration
	}{
		"nothing happens":         {0, func(*Server, *Queue, func()) {}, 0, wait},
		"a message is sent":       {3 * time.Second, func(_ *Server, q *Queue, _ func()) { q.Send("a", 0) }, 1, 3 * time.Second},
		"a delayed message":       {3 * time.Second, func(_ *Server, q *Queue, _ func()) { q.Send("a", time.Second) }, 1, 4 * time.Second},
		"the caller goes":         {3 * time.Second, func(_ *Server, _ *Queue, giveUp func()) { giveUp() }, 0, 3 * time.Second},
		"the server ends":         {3 * time.Second, func(s *Server, _ *Queue, _ func()) { s.Shutdown() }, 0, 3 * time.Second},
		"a moment before the end": {wait - 1, func(_ *Server, q *Queue, _ func()) { q.Send("a", 0) }, 1, wait - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New()
				q := s.CreateQueue("q", nil)
				ctx, giveUp := context.WithCancel(t.Context())
				defer giveUp()
				time.AfterFunc(c.after, func() { c.does(s, q, giveUp) })
				start := time.Now()
				got := q.receive(ctx, maxBatch, visibleFor, wait)
				if len(got) != c.want || time.Since(start) != c.ends {
					t.Errorf("%d messages after %v, want %d after %v", len(got), time.Since(start), c.want, c.ends)
				}
				if q.Waiting() != 0 {
					t.Error("still counted as waiting")
				}
			})
		})
	}
}

func TestAReceiverThatDisconnectsTakesNoMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		ctx, giveUp := context.WithCancel(t.Context())
		go q.receive(ctx, maxBatch, visibleFor, time.Minute)
		synctest.Wait()
		if q.Waiting() != 1 {
			t.Fatal("nobody waits")
		}
		giveUp()
		q.Send("a", 0) // before the waiting receive has noticed
		synctest.Wait()
		wantDepth(t, q, Depth{Visible: 1})
	})
}

func TestEveryWaiterGetsItsMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := New().CreateQueue("q", nil)
		const waiters = 8
		var mu sync.Mutex
		got := map[string]int{}
		for range waiters {
			go func() {
				for _, d := range q.receive(t.Context(), 1, visibleFor, 20*time.Second) {
					mu.Lock()
					got[d.body]++
					mu.Unlock()
				}
			}()
		}
		synctest.Wait()
		for i := range waiters {
			q.Send(strconv.Itoa(i), 0)
		}
		synctest.Wait()
		if len(got) != waiters || q.Waiting() != 0 {
			t.Errorf("received %v, %d still wait", got, q.Waiting())
		}
	})
}

// deadLetters creates a queue with a dead-letter queue.
func deadLetters(s *Server, after int) (q, dead *Queue) {
	dead = s.CreateQueue("dead", nil)
	q = s.CreateQueue("q", map[string]string{
		redrivePolicy: fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, dead.ARN(), after),
	})
	return q, dead
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, dead := deadLetters(New(), 2)
		id := q.Send("a", 0)
		sentAt := time.Now()
		for range 2 {
			one(t, receiveNow(t, q))
			pass(visibleFor)
		}
		wantDepth(t, q, Depth{Visible: 1}) // it moves when it would be received again
		if got := receiveNow(t, q); len(got) != 0 {
			t.Error("received once more than allowed")
		}
		wantDepth(t, q, Depth{})
		wantDepth(t, dead, Depth{Visible: 1})
		d := one(t, receiveNow(t, dead))
		if d.id != id || d.receives != 3 || d.source != q.ARN() || !d.sent.Equal(sentAt) {
			t.Errorf("among the dead letters is %+v", d)
		}
	})
}

// The message keeps its count, but each queue allows its own number of receives.
func TestDeadLettersMayHaveDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		q, dead := deadLetters(s, 1)
		last := s.CreateQueue("last", nil)
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, last.ARN())
		if err := s.set(dead, map[string]string{redrivePolicy: policy}); err != nil {
			t.Fatal(err)
		}
		q.Send("a", 0)
		for i, at := range []*Queue{q, dead, last} {
			if got := one(t, receiveNow(t, at)); got.receives != i+1 {
				t.Errorf("receive %d was counted as %d", i+1, got.receives)
			}
			pass(visibleFor)
			receiveNow(t, at)
		}
	})
}

func TestAReceiverOfTheDeadLetterQueueIsWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, dead := deadLetters(New(), 1)
		q.Send("a", 0)
		receiveNow(t, q)
		time.AfterFunc(visibleFor, func() { receiveNow(t, q) })
		start := time.Now()
		one(t, dead.receive(t.Context(), 1, visibleFor, time.Hour))
		if got := time.Since(start); got != visibleFor {
			t.Errorf("woken after %v", got)
		}
	})
}
