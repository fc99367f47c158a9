package lists

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/indexes"
)

func TestLists(t *testing.T) {
	t.Parallel()
	cachetest.Each(t, func(t *testing.T, r cachetest.Running) {
		for name, test := range map[string]func(*testing.T, *fixture){
			"what is there is listed once, in order": listedInOrder,
			"a list is stable while it is read":      listedWhileItGrows,
			"an index is only a hint":                indexIsAHint,
		} {
			t.Run(name, func(t *testing.T) {
				test(t, openTest(t, r.URL, func(o *cache.Options) { o.Prefix = strings.ReplaceAll(name, " ", "-") }))
			})
		}
	}, cachetest.Single, cachetest.Clustered)
}

// listAll reads a list page by page.
func listAll(t *testing.T, c *fixture, q Query, between func()) []*cache.Record {
	t.Helper()
	var all []*cache.Record
	for {
		page, err := c.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Executions) > q.Limit {
			t.Fatalf("%d executions, requested %d", len(page.Executions), q.Limit)
		}
		all = append(all, page.Executions...)
		if q.After = page.Next; q.After == (Position{}) {
			return all
		}
		between()
	}
}

// TestAnExecutionFoundByItsNameIsListedOnce: also where the owner's index has it at the start
// date of its registration, and on whichever page it is.
func TestAnExecutionFoundByItsNameIsListedOnce(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	start := now()
	for name, registered := range map[string]time.Duration{"earlier": -2 * time.Millisecond, "later": time.Second} {
		arn := testARN(t, name)
		if _, err := c.Register(t.Context(), cache.Registration{ARN: arn, Owner: "ada", StartDate: start.Add(registered)}); err != nil {
			t.Fatal(err)
		}
		apply(t, c, running(arn, start), running(testARN(t, name+"-2"), start.Add(-time.Millisecond)))
		for _, q := range []Query{{Name: arn.Name()}, {Text: arn.Name()}, {Execution: arn}} {
			for _, q.All = range []bool{false, true} {
				q.Owner, q.Limit = "ada", 1
				times := 0
				for _, r := range listAll(t, c, q, func() {}) {
					if r.ARN == arn {
						times++
					}
				}
				if times != 1 {
					t.Errorf("registered %s: listed %d times by %+v", name, times, q)
				}
			}
		}
	}
}

// history is an execution of an owner in one of many states.
func history(t *testing.T, c *fixture, name, owner string, start time.Time) (cache.Execution, cache.Status) {
	t.Helper()
	arn := testARN(t, name)
	e := running(arn, start)
	e.Owner = owner
	seen, public := []cache.Execution{e}, cache.Running
	switch rand.N(5) {
	case 1:
		seen, public = append(seen, succeeded(arn, start, `{"a":1}`)), cache.Succeeded
	case 2:
		seen, public = append(seen, failed(arn, start, "Boom: no")), cache.Failed
	case 3:
		again := e
		again.RedriveCount = 1
		seen = append(seen, failed(arn, start, "Boom: no"), again)
	case 4:
		awaited := succeeded(arn, start, "")
		awaited.Completeness, awaited.Output = cache.OutputAwaited, nil
		seen = append(seen, awaited)
	}
	rand.Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
	apply(t, c, seen...)
	return e, public
}

func listedInOrder(t *testing.T, c *fixture) {
	type known struct {
		e      cache.Execution
		status cache.Status
	}
	all, countsOf := map[string][]known{}, map[string]Counts{}
	begun := now()
	for i := range 400 {
		owner := fmt.Sprint("order", i%3)
		start := begun.Add(-time.Duration(rand.N(50)) * time.Millisecond) // many at the same time
		e, status := history(t, c, fmt.Sprint("order-", i), owner, start)
		all[owner] = append(all[owner], known{e, status})
		all[""] = append(all[""], known{e, status})
	}
	for owner, want := range all {
		slices.SortFunc(want, func(a, b known) int {
			return cmp.Or(b.e.StartDate.Compare(a.e.StartDate), strings.Compare(string(b.e.ARN), string(a.e.ARN)))
		})
		var counts Counts
		for _, status := range []cache.Status{"", cache.Running, cache.Succeeded, cache.Failed} {
			for _, limit := range []int{1 + rand.N(9), 100} {
				got := listAll(t, c, Query{Owner: owner, All: owner == "", Status: status, Limit: limit}, func() {})
				i := 0
				for _, k := range want {
					if status != "" && k.status != status {
						continue
					}
					if i >= len(got) || got[i].ARN != k.e.ARN || got[i].PublicStatus() != k.status {
						t.Fatalf("owner %q, status %q, limit %d: entry %d of %d is not %s", owner, status, limit, i, len(got), k.e.ARN)
					}
					i++
				}
				if i != len(got) {
					t.Errorf("owner %q, status %q: %d, want %d", owner, status, len(got), i)
				}
				switch status {
				case cache.Running:
					counts.Running = i
				case cache.Succeeded:
					counts.Succeeded = i
				case cache.Failed:
					counts.Failed = i
				}
			}
		}
		if got, err := c.Counts(t.Context(), owner, owner == ""); err != nil || got != counts {
			t.Errorf("owner %q: %+v %v, want %+v", owner, got, err, counts)
		}
		countsOf[owner] = counts
	}
	e := all["order0"][slices.IndexFunc(all["order0"], func(k known) bool { return k.status == cache.Failed })].e
	again := e
	again.RedriveCount = 7
	apply(t, c, again)
	want := countsOf["order0"]
	want.Failed--
	want.Running++
	cachetest.Eventually(t, "counts are a second old at most", func() bool {
		got, err := c.Counts(t.Context(), "order0", false)
		return err == nil && got == want
	})
	machine := listAll(t, c, Query{Owner: "order0", StateMachine: e.ARN.StateMachine(), Limit: 100}, func() {})
	other := listAll(t, c, Query{Owner: "order0", StateMachine: e.ARN.StateMachine() + "2", Limit: 100}, func() {})
	if len(machine) != len(all["order0"]) || len(other) != 0 {
		t.Errorf("by state machine: %d and %d", len(machine), len(other))
	}
}

func listedWhileItGrows(t *testing.T, c *fixture) {
	begun := now()
	there := map[cache.ARN]int{}
	for i := range 300 {
		e, _ := history(t, c, fmt.Sprint("grow-", i), "grow", begun.Add(-time.Duration(i)*time.Millisecond))
		there[e.ARN] = 0
	}
	for _, q := range []Query{{Owner: "grow", Limit: 17}, {All: true, Limit: 17}} {
		n := 0
		for _, r := range listAll(t, c, q, func() {
			n++
			history(t, c, fmt.Sprintf("grow-late-%v-%d", q.All, n), "grow", begun.Add(time.Duration(n)*time.Millisecond))
			i := rand.N(300) // one that was there ends
			apply(t, c, succeeded(testARN(t, fmt.Sprint("grow-", i)), begun.Add(-time.Duration(i)*time.Millisecond), "1"))
		}) {
			if _, ok := there[r.ARN]; ok {
				there[r.ARN]++
			}
		}
		for arn, times := range there {
			if times != 1 {
				t.Errorf("all %v: %s is listed %d times", q.All, arn, times)
			}
			there[arn] = 0
		}
	}
}

func indexIsAHint(t *testing.T, c *fixture) {
	mine, _ := history(t, c, "hint-mine", "hint", now())
	foreign, _ := history(t, c, "hint-foreign", "somebody else", now())
	orphan := testARN(t, "hint-orphan")
	for _, key := range []string{c.DB().Names.Owner("hint"), c.DB().Names.Partition(string(orphan)).Recent, c.DB().Names.Partition(string(orphan)).Running} {
		for _, arn := range []cache.ARN{foreign.ARN, orphan} {
			if arn == orphan || key == c.DB().Names.Owner("hint") {
				err := c.DB().Writers.ZAdd(t.Context(), key, redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: string(arn)}).Err()
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	got := listAll(t, c, Query{Owner: "hint", Limit: 10}, func() {})
	if len(got) != 1 || got[0].ARN != mine.ARN {
		t.Errorf("%v", got)
	}
	for _, status := range []cache.Status{"", cache.Running} {
		for _, r := range listAll(t, c, Query{All: true, Status: status, Limit: 100}, func() {}) {
			if r.ARN == orphan {
				t.Error("an execution without a record is listed")
			}
		}
	}
	for _, key := range []string{c.DB().Names.Partition(string(orphan)).Recent, c.DB().Names.Partition(string(orphan)).Running} {
		members, err := c.DB().Writers.ZRange(t.Context(), key, 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		if arns, err := indexes.Members(t.Context(), c.DB(), members); err != nil || slices.Contains(arns, orphan) {
			t.Errorf("the execution without a record stays in %s: %v", key, err)
		}
	}
}
