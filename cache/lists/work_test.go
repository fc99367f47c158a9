package lists

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// reading counts what a client reads: entries of indexes, and beginnings of records.
type reading struct {
	redis.Hook
	entries, records atomic.Int64
}

func (h *reading) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *reading) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, one redis.Cmder) error {
		err := next(ctx, one)
		h.note(one)
		return err
	}
}

func (h *reading) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		err := next(ctx, all)
		for _, each := range all {
			h.note(each)
		}
		return err
	}
}

func (h *reading) note(done redis.Cmder) {
	switch entries := done.(type) {
	case *redis.ZSliceCmd:
		h.entries.Add(int64(len(entries.Val())))
	case *redis.StringSliceCmd:
		h.entries.Add(int64(len(entries.Val())))
	}
	if done.Name() == "getrange" {
		h.records.Add(1)
	}
}

// TestAPageReadsLittleMoreThanItLooksAt: the entries that are read of the indexes of all
// partitions are about as many as are needed, whether a page is full at once or a filter lets
// nothing through until a bound ends the page.
func TestAPageReadsLittleMoreThanItLooksAt(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	const executions = maxLooked + 3000
	begun := now().Add(-time.Hour)
	for i := 0; i < executions; {
		var some []cache.Execution
		for ; i < executions && len(some) < 256; i++ {
			some = append(some, running(testARN(t, fmt.Sprint("e", i)), begun.Add(time.Duration(i)*time.Millisecond)))
		}
		apply(t, c, some...)
	}
	read := &reading{}
	c.DB().Readers.AddHook(read)
	for what, test := range map[string]struct {
		q    Query
		want int // executions on the page
		most int64
	}{
		"a page of all":             {Query{Limit: 50}, 50, 640},
		"a page of what runs":       {Query{Limit: 50, Status: cache.Running}, 50, 640},
		"a page of nothing":         {Query{Limit: 50, Name: "none-"}, 0, maxLooked + maxBatch + 2000},
		"a page of another machine": {Query{Limit: 50, StateMachine: "arn:aws:states:eu-west-1:123456789012:stateMachine:None"}, 0, maxLooked + maxBatch + 2000},
	} {
		test.q.All = true
		read.entries.Store(0)
		page, err := c.List(t.Context(), test.q)
		if err != nil || len(page.Executions) != test.want {
			t.Fatalf("%s: %d executions, %v", what, len(page.Executions), err)
		}
		if page.Partial != (test.want == 0) || page.Next == (Position{}) {
			t.Errorf("%s: partial %v, next %v", what, page.Partial, page.Next)
		}
		if n := read.entries.Load(); n > test.most {
			t.Errorf("%s: %d entries were read, at most %d are needed", what, n, test.most)
		} else {
			t.Logf("%s: %d", what, n)
		}
	}
}

// TestCountsArePrepared: the statuses that everybody's counts need are read before the first
// request, which does not read them again.
func TestCountsArePrepared(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	writer := openTest(t, server.URL())
	var arns []cache.ARN
	for i := range 300 {
		e := running(testARN(t, fmt.Sprint("e", i)), now())
		apply(t, writer, e)
		arns = append(arns, e.ARN)
	}
	cachetest.Eventually(t, "the first request reads no status again", func() bool {
		c := openTest(t, server.URL()) // so that no change is announced to it after the count
		read := &reading{}
		c.DB().Readers.AddHook(read)
		if c.Begun() {
			t.Error("it has counted before it runs")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Reader.Run(ctx) }()
		cachetest.Eventually(t, "all are counted", func() bool { return c.Begun() })
		if n := c.recents.looked(); n != len(arns) {
			t.Errorf("%d are counted", n)
		}
		stop()
		if read.records.Load() < int64(len(arns)) {
			t.Fatal("they were known before")
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		_, more, err := c.Rows(t.Context(), arns, false)
		if err != nil {
			t.Fatal(err)
		}
		return more == 0 // else again: a process whose change feed was silent for 2 s reads them again
	})
}

// looked returns how many executions have been looked up.
func (r *recents) looked() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.of {
		r.of[i].eachOnce(func(s *cache.Seen) {
			if s.Status != "" {
				n++
			}
		})
	}
	return n
}

// TestOnlyChangesAreCountedAgain: counts of many executions read the record of the one that has
// changed, and of no other.
func TestOnlyChangesAreCountedAgain(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	const executions = 500
	for i := range executions {
		apply(t, c, running(testARN(t, fmt.Sprint("e", i)), now()))
	}
	count := func() Counts {
		n, err := c.count(t.Context(), "", true)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := Counts{Running: executions}
	cachetest.Eventually(t, "all are counted", func() bool { return count() == want })
	read := &reading{}
	c.DB().Readers.AddHook(read)
	reads := func() int64 {
		read.records.Store(0)
		cachetest.Eventually(t, "the counts are right", func() bool { return count() == want })
		return read.records.Load()
	}
	// While the change feed does not work, all are read.
	cachetest.Eventually(t, "nothing has changed, and nothing is read", func() bool { return reads() == 0 })
	cachetest.Eventually(t, "one has ended, and few are read", func() bool {
		apply(t, c, succeeded(testARN(t, fmt.Sprint("e", want.Succeeded)), now(), "{}"))
		want.Running, want.Succeeded = want.Running-1, want.Succeeded+1
		return reads() < 10
	})
}

// TestAnOwnersIndexIsReadOn: the counts of an owner who asks again read the ends of the index,
// and the record that has changed.
func TestAnOwnersIndexIsReadOn(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	const executions = 300
	of := func(e cache.Execution) cache.Execution {
		e.Owner = "ada"
		return e
	}
	for i := range executions {
		apply(t, c, of(running(testARN(t, fmt.Sprint("e", i)), now())))
	}
	read := &reading{}
	c.DB().Readers.AddHook(read)
	count := func(want Counts) (entries, records int64) {
		read.entries.Store(0)
		read.records.Store(0)
		cachetest.Eventually(t, "the counts are right", func() bool {
			n, err := c.count(t.Context(), "ada", false)
			return err == nil && n == want
		})
		return read.entries.Load(), read.records.Load()
	}
	want := Counts{Running: executions}
	cachetest.Eventually(t, "little is read again", func() bool {
		entries, records := count(want)
		return entries <= newestRead+1 && records == 0
	})
	cachetest.Eventually(t, "one has ended, and few are read", func() bool {
		apply(t, c, of(succeeded(testARN(t, fmt.Sprint("e", want.Succeeded)), now(), "{}")))
		want.Running, want.Succeeded = want.Running-1, want.Succeeded+1
		_, records := count(want)
		return records < 10
	})
	if n, err := c.count(t.Context(), "grace", false); n != (Counts{}) || err != nil {
		t.Errorf("another owner has %+v, %v", n, err)
	}
}

// TestChangesDuringACountAreCountedNext: what is announced while executions are counted is not
// missed afterwards.
func TestChangesDuringACountAreCountedNext(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	start := now()
	arns := make([]cache.ARN, 300)
	for i := range arns {
		arns[i] = testARN(t, fmt.Sprint("e", i))
		apply(t, c, running(arns[i], start))
	}
	count := func() Counts {
		n, err := c.count(t.Context(), "", true)
		if err != nil {
			t.Error(err)
		}
		return n
	}
	var counting errgroup.Group
	var ended atomic.Bool
	counting.Go(func() error {
		for !ended.Load() {
			count()
		}
		return nil
	})
	for _, arn := range arns {
		apply(t, c, succeeded(arn, start, "{}"))
	}
	ended.Store(true)
	_ = counting.Wait()
	cachetest.Eventually(t, "all ends are announced", func() bool {
		rows, _, err := c.Rows(t.Context(), arns, false)
		return err == nil && !slices.ContainsFunc(rows, func(r cache.Row) bool { return r.Status != cache.Succeeded })
	})
	if n := count(); n != (Counts{Succeeded: len(arns)}) {
		t.Errorf("all %d have succeeded, and %+v are counted", len(arns), n)
	}
}

// TestAPageOfEverybodysIsBounded: a filter that only the oldest execution passes is answered in
// partial pages, each with bounded work, of which the cursors lead to it. An owner, whose index
// is bounded itself, has it on the first page.
func TestAPageOfEverybodysIsBounded(t *testing.T) {
	t.Parallel()
	c := openTest(t, cachetest.Redis(t).URL())
	const owned = 1000 // all that an owner's index keeps
	begun := now().Add(-time.Hour)
	for i := 0; i < owned+2*maxLooked; {
		var some []cache.Execution
		for ; len(some) < 256 && i < owned+2*maxLooked; i++ {
			e := running(testARN(t, fmt.Sprint("e", i)), begun.Add(time.Duration(i)*time.Millisecond))
			if i == 0 {
				e = failed(e.ARN, e.StartDate, "x")
			}
			if i < owned {
				e.Owner = "ada"
			}
			some = append(some, e)
		}
		for _, o := range c.Apply(t.Context(), some) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	read := &reading{}
	c.DB().Readers.AddHook(read)
	q := Query{All: true, Error: "Boom", Limit: 10}
	for pages, found := 1, 0; found == 0; pages++ {
		read.records.Store(0)
		page, err := c.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if n := read.records.Load(); n > maxLooked {
			t.Errorf("page %d read %d records", pages, n)
		}
		found, q.After = len(page.Executions), page.Next
		if found == 0 && (!page.Partial || page.Next == (Position{})) {
			t.Fatalf("page %d is empty, partial %v, next %v", pages, page.Partial, page.Next)
		}
		if found != 0 && pages < 3 {
			t.Errorf("it is on page %d: no bound was reached", pages)
		}
	}
	page, err := c.List(t.Context(), Query{Owner: "ada", Error: "Boom", Limit: 10})
	if err != nil || page.Partial || len(page.Executions) != 1 {
		t.Errorf("of the owner: %d executions, partial %v, %v", len(page.Executions), page.Partial, err)
	}
}

// BenchmarkPage reads a page of everybody's executions that a filter leaves empty.
func BenchmarkPage(b *testing.B) {
	c := openTest(b, cachetest.Redis(b).URL())
	begun := now().Add(-time.Hour)
	for i := range 100 {
		some := make([]cache.Execution, 256)
		for n := range some {
			some[n] = running(testARN(b, fmt.Sprint("e", i, "-", n)), begun.Add(time.Duration(256*i+n)*time.Millisecond))
		}
		for _, o := range c.Apply(b.Context(), some) {
			if o.Err != nil {
				b.Fatal(o.Err)
			}
		}
	}
	for name, q := range map[string]Query{
		"by name": {All: true, Limit: 50, Name: "none-"}, "by label": {All: true, Limit: 50, Label: Label{"a", "b"}}, "all": {All: true, Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := c.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
