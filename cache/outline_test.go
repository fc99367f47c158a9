package cache

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// TestLongMessagesAreReadTogether: an owner may have a thousand failures whose messages are
// as long as they get. One trip for each would take longer than an answer may, and the owner
// would never have one.
func TestLongMessagesAreReadTogether(t *testing.T) {
	t.Parallel()
	trips := &trips{}
	c := openTest(t, cachetest.Redis(t).URL())
	const most = 10
	want := map[ARN]string{}
	for i := range 30 {
		arn, message := testARN(t, fmt.Sprint("long-", i)), "Boom: "+incompressible(uint64(i))
		e := failed(arn, now(), message)
		e.Owner = "ada"
		apply(t, c, e)
		want[arn] = message
	}
	c.db.Readers.AddHook(trips)
	all, err := c.Owned(t.Context(), "ada", nil)
	if err != nil || len(all) != len(want) {
		t.Fatalf("%d outlines, want %d; %v", len(all), len(want), err)
	}
	for _, o := range all {
		if o.ErrorMessage != want[o.ARN] {
			t.Errorf("%s: %.30s…, want %.30s…", o.ARN, o.ErrorMessage, want[o.ARN])
		}
	}
	if n := trips.n.Load(); n > most {
		t.Errorf("%d round trips, want %d at most", n, most)
	}
}

// TestOutlinesOfLabelledExecutions: the labels stand before what an outline is made of, and may be
// longer than what is read of a record at first.
func TestOutlinesOfLabelledExecutions(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	long := Labels{}
	for i := range MaxLabels {
		long[fmt.Sprint("l", i, strings.Repeat("n", MaxLabelName-2))] = strings.Repeat("v", MaxLabelValue)
	}
	for name, labels := range map[string]Labels{"none": nil, "one": {"ruleset": "r1"}, "as-long-as-may-be": long} {
		owner := "owner " + name
		var want []Outline
		for _, e := range []Execution{
			running(testARN(t, name+"-1"), now()), succeeded(testARN(t, name+"-2"), now(), `{}`), failed(testARN(t, name+"-3"), now(), "Boom: no"),
			failed(testARN(t, name+"-4"), now(), "Boom: "+incompressible(1)),
		} {
			e.Owner = owner
			apply(t, c, labeled(e, labels))
			want = append(want, Outline{ARN: e.ARN, Status: e.Status, StartDate: e.StartDate, StopDate: e.StopDate, Error: e.Error, ErrorMessage: e.ErrorMessage})
		}
		all, err := c.Owned(t.Context(), owner, nil)
		slices.SortFunc(all, func(a, b Outline) int { return cmp.Compare(a.ARN, b.ARN) })
		if diff := gocmp.Diff(want, all, cmpopts.IgnoreUnexported(Outline{})); diff != "" || err != nil {
			t.Errorf("labels %s: %v\n%s", name, err, diff)
		}
	}
}

// incompressible returns a message as long as they get.
func incompressible(seed uint64) string {
	random, text := rand.New(rand.NewPCG(seed, 1)), []rune{}
	for range 1000 {
		text = append(text, 0x4E00+random.Int32N(0x5000))
	}
	return string(text)
}

// trips counts the round trips of a client.
type trips struct{ n atomic.Int64 }

func (*trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

// TestOwnedReadsOnWhatHasChanged: an owner who watches asks every two seconds, and has up to
// 1,000 executions.
func TestOwnedReadsOnWhatHasChanged(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	owned := func(e Execution) Execution { e.Owner = "ada"; return e }
	for i := range 50 {
		apply(t, c, owned(running(testARN(t, fmt.Sprint("run-", i)), now())))
	}
	cachetest.Eventually(t, "changes are announced", c.near.trusted)
	trips := &trips{}
	c.db.Readers.AddHook(trips)
	ask := func(known []Outline) (all []Outline, reads int64) {
		before := trips.n.Load()
		all, err := c.Owned(t.Context(), "ada", known)
		if err != nil || len(all) != 50 {
			t.Fatalf("%d outlines, %v", len(all), err)
		}
		return all, trips.n.Load() - before
	}
	const index, records = 1, 1
	var known []Outline
	cachetest.Eventually(t, "nothing that is known is read again", func() bool {
		all, reads := ask(known)
		known = all
		return reads == index
	})
	apply(t, c, owned(failed(known[7].ARN, known[7].StartDate, "Boom: no")))
	cachetest.Eventually(t, "a change is read", func() bool {
		all, reads := ask(known)
		at := slices.IndexFunc(all, func(o Outline) bool { return o.Status == Failed })
		return at >= 0 && all[at].ErrorMessage == "Boom: no" && reads == index+records
	})
	c.near.generation.Add(1)
	if _, reads := ask(known); reads != index+records {
		t.Errorf("%d round trips after notifications were lost, want %d", reads, index+records)
	}
}
