package worklist

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// TestAwaitedOutputComes: given up and complete are versions of their own, in any
// order, and what is settled is not asked for again.
func TestAwaitedOutputComes(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	start := now()
	for name, last := range map[string]func(cache.ARN) []cache.Execution{
		"complete": func(a cache.ARN) []cache.Execution { return []cache.Execution{succeeded(a, start, `{"n":1}`)} },
		"given-up": func(a cache.ARN) []cache.Execution { return []cache.Execution{gaveUp(a, start)} },
		"later": func(a cache.ARN) []cache.Execution {
			return []cache.Execution{gaveUp(a, start), succeeded(a, start, `{"n":1}`)}
		},
		"again": func(a cache.ARN) []cache.Execution {
			return []cache.Execution{succeeded(a, start, `{"n":1}`), awaiting(a, start), gaveUp(a, start), running(a, start)}
		},
	} {
		arn := testARN("comes-" + name)
		apply(t, c, awaiting(arn, start))
		apply(t, c, last(arn)...)
		want := `"output":{"n":1}}`
		if name == "given-up" {
			want = `"output":null,"outputTruncated":true}`
		}
		if body := string(stored(t, c, arn).Plain.Body); !strings.Contains(body, want) {
			t.Errorf("%s: %s", name, body)
		}
		_, err := c.db.Writers.ZScore(t.Context(), c.db.Names.Partition(string(arn)).Awaiting, string(arn)).Result()
		if asked := err == nil; asked != (name == "given-up") { // which is asked for until it is settled
			t.Errorf("%s: on the list: %v", name, asked)
		}
		if err := c.worklist.Settle(t.Context(), Awaited, arn); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.worklist.Pending(t.Context(), Awaited); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

// TestAnOmittedOwnerIsFetched: only while the owner is not known.
func TestAnOmittedOwnerIsFetched(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	asked := func(arn cache.ARN) bool {
		return c.db.Writers.ZScore(t.Context(), c.db.Names.Partition(string(arn)).Awaiting, string(arn)).Err() == nil
	}
	without := running(testARN("without-owner"), now())
	without.OwnerLeftOut = true
	apply(t, c, without)
	if !asked(without.ARN) {
		t.Error("the owner is not on the list")
	}
	known := running(testARN("with-owner"), now())
	if _, err := c.Register(t.Context(), cache.Registration{ARN: known.ARN, Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	known.OwnerLeftOut = true
	apply(t, c, known)
	if asked(known.ARN) {
		t.Error("an owner that is known is on the list")
	}
	if err := c.worklist.Settle(t.Context(), Awaited, without.ARN); err != nil || asked(without.ARN) {
		t.Errorf("settled and still there: %v", err)
	}
}

// TestClaimsAreExclusive: however many processes ask, one gets it, until the lease
// is over.
func TestClaimsAreExclusive(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	c := openIdle(t, url)
	const executions, processes = 200, 8
	for i := range executions {
		apply(t, c, awaiting(testARN(fmt.Sprint("claimed-", i)), now()))
	}
	var mu sync.Mutex
	got := map[cache.ARN]int{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range processes {
		own := openIdle(t, url)
		wg.Go(func() {
			for ctx.Err() == nil {
				due, err := own.worklist.Claim(ctx, Awaited, 7, time.Hour)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, d := range due {
					got[d.ARN]++
				}
				if len(got) == executions {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for arn, n := range got {
		if n != 1 {
			t.Errorf("%s was claimed %d times", arn, n)
		}
	}
	if len(got) != executions {
		t.Errorf("%d of %d were claimed", len(got), executions)
	}

	again := testARN("claimed-0")
	if err := c.worklist.Postpone(t.Context(), Awaited, again, 0); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "a lease that is over is claimed", func() bool {
		due, err := c.worklist.Claim(t.Context(), Awaited, 1, time.Hour)
		return err == nil && len(due) == 1 && due[0].ARN == again
	})
}

// TestClaimIsNotHeldUpByOneRecord: a record that cannot be read, such as one of a
// newer release, takes no other with it for the time of a lease.
func TestClaimIsNotHeldUpByOneRecord(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	const executions = 40
	for i := range executions {
		apply(t, c, awaiting(testARN(strconv.Itoa(i)), now()))
	}
	odd := testARN("20")
	if err := c.db.Writers.SetRange(t.Context(), c.db.Names.Execution(string(odd)), 0, "9").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.ZAdd(t.Context(), c.db.Names.Partition(string(odd)).Awaiting, redis.Z{Score: 1, Member: string(odd)}).Err(); err != nil {
		t.Fatal(err)
	}
	due, err := c.worklist.Claim(t.Context(), Awaited, 2*executions, 30*time.Second)
	if len(due) != executions-1 || err == nil {
		t.Errorf("claimed %d of %d, with the error %v", len(due), executions, err)
	}
}
