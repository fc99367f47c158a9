package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
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

// TestAwaitedOutputIsNotSeen: while an output is awaited, everything that is told is
// the run's, and nothing is announced.
func TestAwaitedOutputIsNotSeen(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	arn, start := testARN(t, "unseen"), now()
	run := running(arn, start)
	run.Owner = "ada"
	apply(t, c, run)
	before := visible(t, c, arn)
	sub := c.db.Writers.Subscribe(t.Context(), c.db.Names.Channels()...)
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
	counts, err := c.count(t.Context(), "ada", false)
	if want := (Counts{Running: 1}); err != nil || counts != want {
		t.Errorf("counted %+v, %v", counts, err)
	}

	// Without the run before it, it is seen as one.
	alone := testARN(t, "unseen-alone")
	apply(t, c, awaiting(alone, start))
	if r := stored(t, c, alone); r.PublicStatus() != Running || r.Status != Running || r.Version != r.Version.public() {
		t.Errorf("alone: %s, version %s", r.Status, r.Version)
	}
	apply(t, c, running(alone, start))
	ran := testARN(t, "unseen-ran")
	apply(t, c, running(ran, start))
	if got, want := stored(t, c, alone).Plain.ETag[0], stored(t, c, ran).Plain.ETag[0]; got[:versionLength] != want[:versionLength] {
		t.Errorf("then the run: %s, and where it came first %s", got, want)
	}
}

// TestAwaitedOutputComes: given up and complete are versions of their own, in any
// order, and what is settled is not asked for again.
func TestAwaitedOutputComes(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	start := now()
	for name, last := range map[string]func(ARN) []Execution{
		"complete": func(a ARN) []Execution { return []Execution{succeeded(a, start, `{"n":1}`)} },
		"given-up": func(a ARN) []Execution { return []Execution{gaveUp(a, start)} },
		"later":    func(a ARN) []Execution { return []Execution{gaveUp(a, start), succeeded(a, start, `{"n":1}`)} },
		"again": func(a ARN) []Execution {
			return []Execution{succeeded(a, start, `{"n":1}`), awaiting(a, start), gaveUp(a, start), running(a, start)}
		},
	} {
		arn := testARN(t, "comes-"+name)
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
			t.Errorf("%s: to be asked for: %v", name, asked)
		}
		if err := c.Settle(t.Context(), Awaited, arn); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Pending(t.Context(), Awaited); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

func gaveUp(arn ARN, start time.Time) Execution {
	e := awaiting(arn, start)
	e.Completeness = OutputGivenUp
	return e
}

// TestOwnerLeftOutIsAskedFor: only while the owner is not known.
func TestOwnerLeftOutIsAskedFor(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	asked := func(arn ARN) bool {
		return c.db.Writers.ZScore(t.Context(), c.db.Names.Partition(string(arn)).Awaiting, string(arn)).Err() == nil
	}
	without := running(testARN(t, "without-owner"), now())
	without.OwnerLeftOut = true
	apply(t, c, without)
	if !asked(without.ARN) {
		t.Error("nobody asks for the owner")
	}
	known := running(testARN(t, "with-owner"), now())
	if _, err := c.Register(t.Context(), Registration{ARN: known.ARN, Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	known.OwnerLeftOut = true
	apply(t, c, known)
	if asked(known.ARN) {
		t.Error("an owner is asked for that is known")
	}
	if err := c.Settle(t.Context(), Awaited, without.ARN); err != nil || asked(without.ARN) {
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
		apply(t, c, awaiting(testARN(t, fmt.Sprint("claimed-", i)), now()))
	}
	var mu sync.Mutex
	got := map[ARN]int{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range processes {
		own := openIdle(t, url)
		wg.Go(func() {
			for ctx.Err() == nil {
				due, err := own.Claim(ctx, Awaited, 7, time.Hour)
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

	again := testARN(t, "claimed-0")
	if err := c.Postpone(t.Context(), Awaited, again, 0); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "a lease that is over is claimed", func() bool {
		due, err := c.Claim(t.Context(), Awaited, 1, time.Hour)
		return err == nil && len(due) == 1 && due[0].ARN == again
	})
}

// inquirySuite is the part of the store suite that is about asking Step Functions.
var inquirySuite = map[string]func(*testing.T, *Cache){
	"what is awaited is claimed, postponed and settled": func(t *testing.T, c *Cache) {
		arn, start := testARN(t, "inquiry"), now()
		apply(t, c, running(arn, start), awaiting(arn, start))
		for _, left := range []string{"versions-1", "awaited"} { // by others of the suite
			apply(t, c, succeeded(testARN(t, left), now(), `1`))
		}
		due, err := c.Claim(t.Context(), Awaited, 10, time.Hour)
		if err != nil || len(due) != 1 || due[0].ARN != arn || !due[0].Exact.AwaitsOutput() || due[0].Age < 0 || due[0].Age > time.Minute ||
			!due[0].StopDate().Equal(start.Add(time.Second)) || due[0].Record == nil {
			t.Fatalf("claimed %+v, %v", due, err)
		}
		if again, err := c.Claim(t.Context(), Awaited, 10, time.Hour); err != nil || len(again) != 0 {
			t.Errorf("claimed again: %+v, %v", again, err)
		}
		if err := c.Settle(t.Context(), Awaited, arn); err != nil {
			t.Error(err)
		}
		if n, err := c.Pending(t.Context(), Awaited); n != 1 || err != nil {
			t.Errorf("settled while it is awaited: %d left, %v", n, err)
		}
		apply(t, c, succeeded(arn, start, `1`))
		if n, err := c.Pending(t.Context(), Awaited); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	},
	"what is doubted is forgotten if it has not changed": func(t *testing.T, c *Cache) {
		arn, start := testARN(t, "doubted"), now()
		apply(t, c, running(arn, start))
		if err := c.Doubt(t.Context(), []ARN{arn, testARN(t, "never-heard-of")}); err != nil {
			t.Fatal(err)
		}
		due, err := c.Claim(t.Context(), Doubted, 10, time.Hour)
		if err != nil || len(due) != 2 {
			t.Fatalf("claimed %+v, %v", due, err)
		}
		old := running(arn, start).versionOf()
		apply(t, c, failed(arn, start, "no"))
		if gone, err := c.Forget(t.Context(), arn, old); gone || err != nil {
			t.Errorf("forgotten although it changed: %v, %v", gone, err)
		}
		new := failed(arn, start, "no").versionOf()
		if gone, err := c.Forget(t.Context(), arn, new); !gone || err != nil || stored(t, c, arn) != nil {
			t.Errorf("not forgotten: %v, %v", gone, err)
		}
		if err := c.Settle(t.Context(), Doubted, testARN(t, "never-heard-of")); err != nil {
			t.Error(err)
		}
		if n, err := c.Pending(t.Context(), Doubted); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	},
	"versions are told as they are stored": func(t *testing.T, c *Cache) {
		start := now()
		one, other, none := testARN(t, "versions-1"), testARN(t, "versions-2"), testARN(t, "versions-0")
		apply(t, c, awaiting(one, start), failed(other, start, "no"))
		got, err := c.Versions(t.Context(), []ARN{one, none, other})
		want := []Version{awaiting(one, start).versionOf(), "", failed(other, start, "no").versionOf()}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	},
	"what runs is told of a state machine itself": func(t *testing.T, c *Cache) {
		own, child, ended := testARN(t, "runs"), ARN(strings.TrimSuffix(testMachine, ":")+"/Map:runs"), testARN(t, "runs-not")
		apply(t, c, running(own, now()), running(child, now()), failed(ended, now(), "no"))
		found := map[ARN]bool{}
		if err := c.Running(t.Context(), own.StateMachine(), func(arns []ARN, started []time.Time) error {
			for i, arn := range arns {
				found[arn] = time.Since(started[i]) < time.Minute
			}
			return nil
		}); err != nil || !found[own] || found[child] || found[ended] {
			t.Errorf("found %v, %v", found, err)
		}
	},
}

func (e Execution) versionOf() Version { return e.Version() }

// TestClaimIsNotHeldUpByOneRecord: a record that cannot be read, such as one of a
// newer release, takes no other with it for the time of a lease.
func TestClaimIsNotHeldUpByOneRecord(t *testing.T) {
	t.Parallel()
	c := openIdle(t, cachetest.Redis(t).URL())
	const executions = 40
	for i := range executions {
		apply(t, c, awaiting(testARN(t, strconv.Itoa(i)), now()))
	}
	odd := testARN(t, "20")
	if err := c.db.Writers.SetRange(t.Context(), c.db.Names.Execution(string(odd)), 0, "9").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.db.Writers.ZAdd(t.Context(), c.db.Names.Partition(string(odd)).Awaiting, redis.Z{Score: 1, Member: string(odd)}).Err(); err != nil {
		t.Fatal(err)
	}
	due, err := c.Claim(t.Context(), Awaited, 2*executions, 30*time.Second)
	if len(due) != executions-1 || err == nil {
		t.Errorf("claimed %d of %d, with the error %v", len(due), executions, err)
	}
}
