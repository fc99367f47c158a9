package worklist

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"statuscache/cache"
)

func testRequest(t *testing.T, c *store) {
	arn := testARN("requested")
	apply(t, c, succeeded(arn, now(), `{}`))
	for _, caller := range []string{"ada", "ada", "bob {}"} {
		if err := c.worklist.Request(t.Context(), arn, caller); err != nil {
			t.Fatal(err)
		}
	}
	due, err := c.worklist.Claim(t.Context(), Requested, 10, time.Hour)
	if err != nil || len(due) != 1 || due[0].ARN != arn || !due[0].Exact.Succeeded() {
		t.Fatalf("claimed %+v, %v", due, err)
	}
	if err := c.worklist.Request(t.Context(), arn, "ada"); err != nil {
		t.Fatal(err)
	}
	if due, err := c.worklist.Claim(t.Context(), Requested, 10, time.Hour); err != nil || len(due) != 0 {
		t.Errorf("a request has it claimed again: %+v, %v", due, err)
	}
	if err := c.worklist.Settle(t.Context(), Requested, arn); err != nil {
		t.Fatal(err)
	}
	if n, err := c.worklist.Pending(t.Context(), Requested); err != nil || n != 0 {
		t.Errorf("%d are requested, %v", n, err)
	}
}

// TestRequestsAreBounded: for each caller within a time, and for all together.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	at := time.Now()
	m.SetTime(at)
	c := openIdle(t, "redis://"+m.Addr())
	request := func(caller string, i int) error {
		return c.worklist.Request(t.Context(), testARN(fmt.Sprint("n", i)), caller)
	}
	for i := range maxOfCaller {
		if err := request("ada", i); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	busy, ok := errors.AsType[*ErrBusy](request("ada", maxOfCaller))
	if !ok || !busy.OfCaller || busy.Wait <= 0 || busy.Wait > callerWindow {
		t.Errorf("beyond the bound of a caller: %+v", busy)
	}
	if err := request("ada", 0); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := request("bob", maxOfCaller); err != nil {
		t.Errorf("another caller: %v", err)
	}
	at = at.Add(callerWindow)
	m.SetTime(at)
	if err := request("ada", maxOfCaller); err != nil {
		t.Errorf("when the time is over: %v", err)
	}

	arn := testARN("one more")
	list := c.db.Names.Partition(string(arn)).Requested
	for i := range maxRequested {
		c.db.Writers.ZAdd(t.Context(), list, redis.Z{Score: 1, Member: fmt.Sprint(i)})
	}
	if busy, ok := errors.AsType[*ErrBusy](c.worklist.Request(t.Context(), arn, "cyd")); !ok || busy.OfCaller || busy.Wait <= 0 {
		t.Errorf("beyond the bound of all: %+v", busy)
	}
}

// TestRequestsThatNobodyFetchesAreNoticed, and only those that were due for long.
func TestRequestsThatNobodyFetchesAreNoticed(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	at := time.Now()
	m.SetTime(at)
	c := openIdle(t, "redis://"+m.Addr())
	for i := range 3 {
		if err := c.worklist.Request(t.Context(), testARN(fmt.Sprint("n", i)), "ada"); err != nil {
			t.Fatal(err)
		}
	}
	unattended := func() int64 {
		if err := c.worklist.countUnattended(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.worklist.Unattended()
	}
	if n := unattended(); n != 0 {
		t.Errorf("%d at once", n)
	}
	m.SetTime(at.Add(2 * unattendedAfter))
	if n := unattended(); n != 3 {
		t.Errorf("%d after some minutes, want 3", n)
	}
	for i := range 3 {
		if err := c.worklist.Settle(t.Context(), Requested, cache.ARN(testARN(fmt.Sprint("n", i)))); err != nil {
			t.Fatal(err)
		}
	}
	if n := unattended(); n != 0 {
		t.Errorf("%d when all are fetched", n)
	}
}
