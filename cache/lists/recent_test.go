package lists

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// TestRecentIndexesAreReadOn: whatever changes in an index, what is read of it and what was
// known of it make the whole, and what is new on top is no reason to read all.
func TestRecentIndexesAreReadOn(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	db := c.DB()
	tries := 0
	rapid.Check(t, func(t *rapid.T) {
		tries++
		index := &testIndex{t: t, db: db, key: fmt.Sprint("recent", tries)}
		keys := recentKeys(db.Names)
		keys[7] = index.key
		r := newRecents(db, 1000*time.Hour, keys...)
		read := func() []cache.ARN {
			if err := r.read(t.Context()); err != nil {
				t.Fatal(err)
			}
			var all []cache.ARN
			r.of[7].eachOnce(func(s *cache.Seen) { all = append(all, s.ARN) })
			return all
		}
		index.addNewest(rapid.IntRange(0, 120).Draw(t, "at first"))
		read()
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			completeAt := r.of[7].completeAt
			length := index.length()
			step := rapid.SampledFrom([]string{"newest", "trim", "middle", "remove", "replace", "nothing"}).Draw(t, "step")
			index.change(step)
			if got, want := read(), index.members(); !slices.Equal(got, want) {
				t.Fatalf("after %s: %d members, and not %d: %v, %v", step, len(got), len(want), got, want)
			}
			if few := length > newestRead && (step == "newest" || step == "trim" || step == "nothing"); few && r.of[7].completeAt != completeAt {
				t.Fatalf("after %s of %d members all were read", step, length)
			}
		}
	})
}

// testIndex is an index that changes as apply.lua and remove.lua change it.
type testIndex struct {
	t      *rapid.T
	db     *redisdb.DB
	key    string
	newest int
}

func (x *testIndex) change(step string) {
	ctx := x.t.Context()
	switch step {
	case "newest":
		x.addNewest(rapid.IntRange(1, newestRead-1).Draw(x.t, "more"))
	case "trim":
		n := x.length()
		x.addNewest(rapid.IntRange(1, newestRead-1).Draw(x.t, "more"))
		x.must(x.db.Writers.ZRemRangeByRank(ctx, x.key, 0, x.length()-n-1).Err())
	case "middle":
		x.add(rapid.IntRange(0, 2*x.newest+1).Draw(x.t, "place"))
	case "remove", "replace":
		all := x.members()
		if len(all) > 0 {
			x.must(x.db.Writers.ZRem(ctx, x.key, string(rapid.SampledFrom(all).Draw(x.t, "which"))).Err())
		}
		if step == "replace" {
			x.addNewest(1)
		}
	}
}

// addNewest adds members that are newer than all. Between two there is place for another.
func (x *testIndex) addNewest(n int) {
	for range n {
		x.newest++
		x.add(2 * x.newest)
	}
}

func (x *testIndex) add(score int) {
	x.must(x.db.Writers.ZAdd(x.t.Context(), x.key, redis.Z{Score: float64(score), Member: fmt.Sprintf("e%06d", score)}).Err())
}

func (x *testIndex) length() int64 {
	n, err := x.db.Readers.ZCard(x.t.Context(), x.key).Result()
	x.must(err)
	return n
}

func (x *testIndex) members() []cache.ARN {
	all, err := x.db.Readers.ZRange(context.Background(), x.key, 0, -1).Result()
	x.must(err)
	arns := make([]cache.ARN, len(all))
	for i, text := range all {
		arns[i] = cache.ARN(text)
	}
	return arns
}

func (x *testIndex) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}
