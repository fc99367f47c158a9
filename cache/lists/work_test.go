package lists

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// readEntries counts the entries of indexes that a client reads.
type readEntries struct {
	redis.Hook
	n atomic.Int64
}

func (h *readEntries) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *readEntries) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *readEntries) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		err := next(ctx, all)
		for _, each := range all {
			if entries, ok := each.(*redis.ZSliceCmd); ok {
				h.n.Add(int64(len(entries.Val())))
			}
		}
		return err
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
	read := &readEntries{}
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
		read.n.Store(0)
		page, err := c.List(t.Context(), test.q)
		if err != nil || len(page.Executions) != test.want {
			t.Fatalf("%s: %d executions, %v", what, len(page.Executions), err)
		}
		if page.Partial != (test.want == 0) || page.Next == (Position{}) {
			t.Errorf("%s: partial %v, next %v", what, page.Partial, page.Next)
		}
		if n := read.n.Load(); n > test.most {
			t.Errorf("%s: %d entries were read, at most %d are needed", what, n, test.most)
		} else {
			t.Logf("%s: %d", what, n)
		}
	}
}
