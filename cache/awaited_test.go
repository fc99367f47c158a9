package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// awaiting is a success whose output an event left out.
func awaiting(arn ARN, start time.Time) Execution {
	e := succeeded(arn, start, "")
	e.Completeness, e.Output = OutputAwaited, nil
	return e
}

// visible is all that a reader can see of an execution.
func visible(t *testing.T, c *Cache, arn ARN) []string {
	t.Helper()
	r := stored(t, c, arn)
	return []string{
		string(r.Version), string(r.Status), r.Plain.ETag[0], string(r.Plain.Body), string(r.Full(time.Time{}).Body),
		r.Full(time.Time{}).ETag[0], string(r.Summary()), string(r.PublicStatus()), fmt.Sprint(r.Terminal),
	}
}

// TestAwaitedOutputIsNotSeen: while an output is awaited, everything that is reported is
// the run's, and nothing is announced.
func TestAwaitedOutputIsNotSeen(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "unseen"), now()
	run := running(arn, start)
	run.Owner = "ada"
	apply(t, c, run)
	before := visible(t, c, arn)
	sub := c.db.Writers.(*redis.Client).Subscribe(t.Context(), c.db.Names.Channels()...)
	defer func() { _ = sub.Close() }()
	for range c.db.Names.Channels() {
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := apply(t, c, awaiting(arn, start)); got[0] != Applied {
		t.Fatalf("the success is %s", got[0])
	}
	if diff := cmp.Diff(before, visible(t, c, arn)); diff != "" {
		t.Errorf("the success is seen before its output: %s", diff)
	}
	if err := c.db.Writers.Publish(t.Context(), c.db.Names.KeyChanges, "that is all").Err(); err != nil {
		t.Fatal(err)
	}
	if m, err := receiveMessage(t.Context(), sub); err != nil || m.Payload != "that is all" {
		t.Errorf("announced: %v, %v", m, err)
	}
	rows, _, err := c.Rows(t.Context(), []ARN{arn}, false)
	if err != nil || rows[0].Status != Running {
		t.Errorf("its status is %v, %v", rows, err)
	}

	// Without the run before it, it is seen as one.
	alone := testARN(t, "unseen-alone")
	apply(t, c, awaiting(alone, start))
	if r := stored(t, c, alone); r.PublicStatus() != Running || r.Status != Running || r.Version != r.Version.Public() {
		t.Errorf("alone: %s, version %s", r.Status, r.Version)
	}
	apply(t, c, running(alone, start))
	ran := testARN(t, "unseen-ran")
	apply(t, c, running(ran, start))
	if got, want := stored(t, c, alone).Plain.ETag[0], stored(t, c, ran).Plain.ETag[0]; got[:versionLength] != want[:versionLength] {
		t.Errorf("then the run: %s, and where it came first %s", got, want)
	}
}
