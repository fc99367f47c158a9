package cache

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/cachetest"
)

// upgradedRecords is how many records an upgrade finds; `make soak-upgrade` has a million.
var upgradedRecords = flag.Int("upgraded", 5_000, "records of TestAnUpgradeChangesNoAnswer")

// upgradedKinds are the lives of an execution, of which one part is observed before the
// upgrade and one after it.
var upgradedKinds = []struct {
	name          string
	before, after func(l *life)
}{
	{"runs, then succeeds", func(l *life) { l.observe(l.run()) }, func(l *life) { l.observe(l.succeed(200)) }},
	{"has succeeded, then its events come again", func(l *life) { l.observe(l.succeed(10)) }, func(l *life) { l.repeat(l.run()); l.repeat(l.succeed(10)) }},
	{"has succeeded with a large output", func(l *life) { l.observe(l.succeed(3000)) }, func(*life) {}},
	{"has failed, then is redriven", func(l *life) { l.observe(l.fail()) }, func(l *life) {
		e := l.run()
		e.RedriveCount = 1
		l.observe(e)
	}},
	{"runs with labels, then fails", func(l *life) {
		e := l.run()
		e.Labels = Labels{"customer": "acme", "n": fmt.Sprint(l.n)}
		l.observe(e)
		l.labels = e.Labels
	}, func(l *life) { l.observe(l.fail()) }},
	{"awaits its output, then has it", func(l *life) {
		e := l.succeed(0)
		e.Output, e.Completeness = nil, OutputAwaited
		l.observe(e)
	}, func(l *life) { l.observe(l.succeed(50)) }},
	{"is registered, then runs", func(l *life) { l.register("ada") }, func(l *life) { l.observe(l.run()) }},
	{"has failed, then is registered", func(l *life) { l.observe(l.fail()) }, func(l *life) { l.register("bob") }},
}

// life is what is observed of one execution, and what must be known of it then.
type life struct {
	n   int
	arn ARN
	t0  time.Time

	steps  []func(*Cache, *testing.T) error
	latest Execution // the state
	owner  string
	labels Labels
	marked bool // it is registered, and nothing was observed
}

// lifeOf returns the execution with a number, up to the upgrade or to its end.
func lifeOf(t *testing.T, n int, t0 time.Time, upgraded bool) *life {
	l := &life{n: n, arn: testARN(t, fmt.Sprintf("upgraded-%d", n)), t0: t0}
	kind := upgradedKinds[n%len(upgradedKinds)]
	kind.before(l)
	if upgraded {
		l.steps = nil
		kind.after(l)
	}
	return l
}

func (l *life) run() Execution {
	e := running(l.arn, l.t0.Add(-time.Duration(l.n)*time.Millisecond))
	e.Owner, e.EventID, e.EmittedAt, e.ReceivedAt = fmt.Sprint("owner-", l.n%50), "11111111-2222-3333-4444-555555555555", e.StartDate, e.StartDate
	return e
}

func (l *life) succeed(size int) Execution {
	e := succeeded(l.arn, l.run().StartDate, fmt.Sprintf(`{"n":%d,"text":"%s"}`, l.n, strings.Repeat("the same again ", size/15)))
	e.Owner = l.run().Owner
	return e
}

func (l *life) fail() Execution {
	e := failed(l.arn, l.run().StartDate, fmt.Sprint("no ", l.n))
	e.Owner = l.run().Owner
	return e
}

// observe applies what is the newest state then.
func (l *life) observe(e Execution) {
	l.repeat(e)
	l.latest, l.marked = e, false
	if l.owner == "" {
		l.owner = e.Owner
	}
}

// repeat applies what changes nothing, or is the newest state.
func (l *life) repeat(e Execution) {
	l.steps = append(l.steps, func(c *Cache, t *testing.T) error { return c.Apply(t.Context(), []Execution{e})[0].Err })
}

func (l *life) register(owner string) {
	r := Registration{ARN: l.arn, Owner: owner, StartDate: l.run().StartDate}
	l.steps = append(l.steps, func(c *Cache, t *testing.T) error {
		_, err := c.Register(t.Context(), r)
		return err
	})
	if l.owner = owner; l.latest.ARN == "" {
		l.marked, l.latest = true, Execution{ARN: l.arn, Status: Running, StartDate: r.StartDate, Source: FromRegistration}
	}
}

// expiry returns when the record expires; zero where Redis says it.
func (l *life) expiry(c *Cache) time.Time {
	switch {
	case l.marked:
		return time.Time{}
	case l.latest.Terminal():
		return l.latest.StopDate.Add(c.options.Retention)
	}
	return l.latest.StartDate.Add(runningLife)
}

// check returns what is wrong with what is read of the execution.
func (l *life) check(c *Cache, found Found, expires time.Time) error {
	if found.Err != nil {
		return found.Err
	}
	r, e := found.Record, &l.latest
	body := appendBody(nil, e)
	switch want := l.expiry(c); {
	case string(r.Plain.Body) != string(body):
		return fmt.Errorf("answered as %s, want %s", r.Plain.Body, body)
	case r.Plain.ETag[0] != `"`+string(e.Version().Public())+"-"+identityHash(body, e)+`"`:
		return fmt.Errorf("its entity tag is %s", r.Plain.ETag[0])
	case r.Owner != l.owner || fmt.Sprint(r.Labels()) != fmt.Sprint(l.labels):
		return fmt.Errorf("it is of %s, with the labels %v", r.Owner, r.Labels())
	case !want.IsZero() && !want.Equal(expires):
		return fmt.Errorf("it expires at %v, want %v", expires, want)
	}
	return nil
}

// upgrade is a Redis with many records, and what was wrong with them.
type upgrade struct {
	t     *testing.T
	t0    time.Time
	wrong atomic.Int64
}

// each calls f for the executions, many at once.
func (u *upgrade) each(f func(numbers []int)) {
	all := make([]int, *upgradedRecords)
	for n := range all {
		all[n] = n
	}
	chunks := make(chan []int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for numbers := range chunks {
				f(numbers)
			}
		})
	}
	for numbers := range slices.Chunk(all, 100) {
		chunks <- numbers
	}
	close(chunks)
	workers.Wait()
}

// failed counts what is wrong, and reports the first few.
func (u *upgrade) failed(n int, when string, err error) {
	if u.wrong.Add(1) <= 10 {
		u.t.Errorf("execution %d, which %s, %s: %v", n, upgradedKinds[n%len(upgradedKinds)].name, when, err)
	}
}

// write has a cache observe every execution, up to the upgrade or from then on.
func (u *upgrade) write(c *Cache, upgraded bool) {
	u.each(func(numbers []int) {
		for _, n := range numbers {
			for _, step := range lifeOf(u.t, n, u.t0, upgraded).steps {
				if err := step(c, u.t); err != nil {
					u.failed(n, "is written", err)
				}
			}
		}
	})
}

// read compares what a cache knows of every execution, except of those that are gone.
func (u *upgrade) read(c *Cache, when string, upgraded bool, gone func(n int) bool) {
	u.each(func(numbers []int) {
		pipe := c.db.Readers.Pipeline()
		arns, expiries := make([]ARN, len(numbers)), make([]*redis.DurationCmd, len(numbers))
		for i, n := range numbers {
			arns[i] = testARN(u.t, fmt.Sprintf("upgraded-%d", n))
			expiries[i] = pipe.PExpireTime(u.t.Context(), c.db.Names.Execution(string(arns[i])))
		}
		if _, err := pipe.Exec(u.t.Context()); err != nil {
			u.t.Error(err)
			return
		}
		for i, found := range c.GetMany(u.t.Context(), arns) {
			if n := numbers[i]; gone(n) {
				if !errors.Is(found.Err, ErrNotFound) {
					u.failed(n, when, fmt.Errorf("it is not gone: %w", found.Err))
				}
			} else if err := lifeOf(u.t, n, u.t0, upgraded).check(c, found, time.UnixMilli(expiries[i].Val().Milliseconds())); err != nil {
				u.failed(n, when, err)
			}
		}
	})
}

// expire has the time come for those that are to go, and the indexes cleaned as readers do it.
func (u *upgrade) expire(c *Cache, gone func(n int) bool) {
	u.each(func(numbers []int) {
		var arns []ARN
		pipe := c.db.Writers.Pipeline()
		for _, n := range numbers {
			if gone(n) {
				arns = append(arns, testARN(u.t, fmt.Sprintf("upgraded-%d", n)))
				pipe.PExpireAt(u.t.Context(), c.db.Names.Execution(string(arns[len(arns)-1])), time.UnixMilli(1))
			}
		}
		if _, err := pipe.Exec(u.t.Context()); err != nil {
			u.t.Error(err)
		}
		c.DropOrphans(u.t.Context(), arns)
	})
}

// TestAnUpgradeChangesNoAnswer: what an older release has written, a newer one reads, changes
// and lets expire, without an answer, an owner or a time of expiry that is wrong.
func TestAnUpgradeChangesNoAnswer(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	older, newer := openIdle(t, url), openIdle(t, url)
	older.formats.Fix(false)
	newer.formats.Fix(true)
	// The executions start in the future: however long the writing takes, no RUNNING is so old
	// that it expires early (suspiciousAge).
	u := &upgrade{t: t, t0: now().Add(24 * time.Hour)}
	none, third := func(int) bool { return false }, func(n int) bool { return n%3 == 0 }

	u.write(older, false)
	u.read(newer, "before the upgrade", false, none)
	u.write(newer, true)
	u.read(newer, "after the upgrade", true, none)
	u.expire(newer, third)
	u.read(newer, "when others have expired", true, third)

	run := 0
	for n := range *upgradedRecords {
		if !third(n) && publicStatus(&lifeOf(t, n, u.t0, true).latest) == Running {
			run++
		}
	}
	if n := runningIndexed(t, newer); n != run {
		t.Errorf("%d are indexed as running, want %d", n, run)
	}
	t.Logf("%d records, %d wrong", *upgradedRecords, u.wrong.Load())
}
