package intake

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

const machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"

// receiver is a process that receives events.
type receiver struct {
	queue    *Queue
	err      error
	measured int
	ages     *Ages
	repairs  int64
}

func (r *receiver) Measure(context.Context) (*Queue, error) {
	r.measured++
	if r.err != nil {
		return nil, r.err
	}
	q := *r.queue
	return &q, nil
}

func (r *receiver) Ages() *Ages               { return r.ages }
func (r *receiver) Repairs() map[string]int64 { return map[string]int64{machine: r.repairs} }

func openDB(t *testing.T, url string) *redisdb.DB {
	t.Helper()
	const redisTimeout = 30 * time.Second // a busy machine must not make a test fail
	c, err := cache.Open(cache.Options{URL: url, Prefix: "sc", Retention: time.Hour, Log: slog.New(slog.DiscardHandler), ReadLimit: redisTimeout, WriteLimit: redisTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c.DB()
}

func turn(t *testing.T, all ...*Reports) {
	t.Helper()
	for _, b := range all {
		if err := b.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAProcessThatOnlyAnswersKnowsWhatOthersReport: the queue, the slowest ages and all
// repairs; and one measurement of the queue is enough for all.
func TestAProcessThatOnlyAnswersKnowsWhatOthersReport(t *testing.T) {
	t.Parallel()
	db := openDB(t, cachetest.Redis(t).URL())
	dead, oldest := int64(3), 2*time.Second
	first := &receiver{queue: &Queue{Depth: 7, Oldest: &oldest, DeadLetters: &dead}, ages: &Ages{P50: 1, P99: 5, Max: 9}, repairs: 2}
	second := &receiver{queue: &Queue{Depth: 8}, ages: &Ages{P50: 2, P99: 4, Max: 8}, repairs: 3}
	api := Open(db, nil)
	if api.Queue() != nil || api.Ages() != nil || api.Repairs()[machine] != 0 {
		t.Error("something is known before anything was reported")
	}
	turn(t, Open(db, first), Open(db, second), api)
	q := api.Queue()
	if q == nil || q.Depth != 7 || *q.Oldest != oldest || *q.DeadLetters != dead || q.At.IsZero() {
		t.Errorf("the queue is %+v", q)
	}
	if first.measured != 1 || second.measured != 0 {
		t.Errorf("the queue was measured %d and %d times", first.measured, second.measured)
	}
	if ages := api.Ages(); ages == nil || *ages != (Ages{P50: 2, P99: 5, Max: 9}) {
		t.Errorf("the ages are %+v", ages)
	}
	if n := api.Repairs()[machine]; n != 5 {
		t.Errorf("%d repairs", n)
	}
}

// TestFiguresThatAreNotMeasuredAreNull: the rest of a report is.
func TestFiguresThatAreNotMeasuredAreNull(t *testing.T) {
	t.Parallel()
	db := openDB(t, cachetest.Redis(t).URL())
	r := &receiver{err: errors.New("access denied"), repairs: 1}
	api := Open(db, nil)
	turn(t, Open(db, r), api)
	if api.Queue() != nil || api.Ages() != nil || api.Repairs()[machine] != 1 {
		t.Errorf("%+v, %+v, %v", api.Queue(), api.Ages(), api.Repairs())
	}
}

// TestAProcessThatIsSilentIsLeftOut, and so is one that has stopped and what is no report.
func TestAProcessThatIsSilentIsLeftOut(t *testing.T) {
	t.Parallel()
	db := openDB(t, cachetest.Redis(t).URL())
	stopped := Open(db, &receiver{queue: &Queue{Depth: 1}, repairs: 1})
	api := Open(db, nil)
	turn(t, stopped)
	old := `{"at":"2026-01-01T00:00:00Z","queue":{"at":"2026-01-01T00:00:00Z","depth":99},"repairs":{"` + machine + `":99}}`
	if err := db.Writers.HSet(t.Context(), db.Names.Intake, "old", old, "odd", "{").Err(); err != nil {
		t.Fatal(err)
	}
	turn(t, api)
	if n := api.Repairs()[machine]; n != 1 || api.Queue().Depth != 1 {
		t.Errorf("%d repairs, %+v", n, api.Queue())
	}
	if err := stopped.leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn(t, api)
	if api.Queue() != nil || len(api.Repairs()) != 0 {
		t.Errorf("%+v and %v are left of a process that has stopped", api.Queue(), api.Repairs())
	}
	if n, err := db.Writers.HLen(t.Context(), db.Names.Intake).Result(); err != nil || n != 0 {
		t.Errorf("%d reports are left, %v", n, err)
	}
}

// TestRunReportsUntilItEnds: then the report is removed.
func TestRunReportsUntilItEnds(t *testing.T) {
	t.Parallel()
	db := openDB(t, cachetest.Redis(t).URL())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	b := Open(db, &receiver{queue: &Queue{Depth: 4}})
	go func() { ended <- b.Run(ctx) }()
	cachetest.Eventually(t, "the queue is reported", func() bool { return b.Queue() != nil && b.Queue().Depth == 4 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, err := db.Writers.Exists(t.Context(), db.Names.Intake).Result(); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
}
