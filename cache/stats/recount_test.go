package stats

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/internal/tally"
)

// history is everything that may be observed of some executions.
type history []cache.Execution

// drawHistory draws executions of two state machines with up to three attempts each, as
// Step Functions runs them: each attempt begins and ends once.
func drawHistory(t *rapid.T, until time.Time) (h history) {
	for i := range rapid.IntRange(1, 6).Draw(t, "executions") {
		machine := rapid.SampledFrom([]string{machineA, machineB}).Draw(t, "machine")
		arn := execution(machine, fmt.Sprint("e", i))
		start := until.Add(-time.Duration(rapid.IntRange(0, 5*3600).Draw(t, "age")) * time.Second)
		for attempt := range rapid.IntRange(1, 4).Draw(t, "attempts") {
			h = append(h, begun(arn, start, attempt))
			took := min(time.Duration((attempt+1)*rapid.IntRange(1, 1000).Draw(t, "took"))*time.Second, until.Sub(start))
			switch rapid.SampledFrom([]string{"runs", "fails", "fails", "succeeds"}).Draw(t, "end") {
			case "fails":
				pending := begun(arn, start, attempt)
				pending.Status = cache.PendingRedrive
				h = append(h, failed(arn, start, took, attempt, rapid.SampledFrom([]string{"no 1", "no 2", "never"}).Draw(t, "why")), pending)
				continue
			case "succeeds":
				complete := succeeded(arn, start, took, attempt)
				awaited := complete
				awaited.Completeness, awaited.Output = cache.OutputAwaited, nil
				h = append(h, awaited, complete)
			}
			break
		}
	}
	return h
}

// answers is everything that is said of many executions.
type answers struct {
	Durations []MachineDurations
	Failures  Failures
	Minutes   []Minute
	Machines  []Machine
}

func ask(t *rapid.T, s *Stats) (a answers) {
	t.Helper()
	ctx, all := t.Context(), Scope{All: true}
	for {
		var errs [6]error
		errs[0] = s.refresh(ctx)
		a.Failures, errs[1] = s.Failures(ctx, all, 24*time.Hour, "")
		a.Durations, errs[2] = s.Durations(ctx, all, "")
		a.Minutes, errs[3] = s.Minutes(ctx, all)
		a.Machines, errs[4] = s.Machines(ctx, all)
		last, err := s.Failures(ctx, all, 24*time.Hour, "")
		errs[5] = err
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		if last.Until.Equal(a.Failures.Until) { // else a slow machine has them of two times
			return a
		}
	}
}

// recount counts what was observed without the counters: each start, each end of an
// attempt once, and what runs by its latest state. It takes the times from was: they are
// those of the question.
func recount(observed history, was answers) answers {
	c := newCounters()
	c.now = was.Failures.Until
	counted, latest := map[string]bool{}, map[cache.ARN]cache.Execution{}
	once := func(e cache.Execution, what string) bool {
		key := string(e.ARN) + what
		defer func() { counted[key] = true }()
		return !counted[key]
	}
	for _, e := range observed {
		name := e.ARN.StateMachine()
		id := tally.MachineOf(name)
		c.machine(id).name = name
		add := func(value uint16, at time.Time) {
			c.add(tally.Hour(at), tally.Entry{Machine: id, Value: value, Minute: at.Minute(), Count: 1})
		}
		if once(e, "started") {
			add(tally.Started, e.StartDate)
		}
		switch {
		case e.Status == cache.Succeeded && e.Completeness == cache.Complete && once(e, "succeeded"):
			add(tally.Bucket(e.StopDate.Sub(e.StartDate)), e.StopDate)
		case e.Status == cache.Failed && once(e, fmt.Sprint("failed", e.RedriveCount)):
			add(tally.Failed, e.StopDate)
			c.causes.count(cache.Outline{ARN: e.ARN, StopDate: e.StopDate, Error: e.Error, ErrorMessage: e.ErrorMessage}, id)
		}
		if known, ok := latest[e.ARN]; !ok || e.Version() > known.Version() {
			latest[e.ARN] = e
		}
	}
	for _, e := range latest {
		if !e.Terminal() || e.Completeness == cache.OutputAwaited {
			c.machine(tally.MachineOf(e.ARN.StateMachine())).running++
		}
	}
	c.drop(tally.Hour(c.now) - tally.KeptHours)
	a := answers{Failures: c.lastFailures(24*time.Hour, "")}
	for _, m := range c.named() {
		if m.durations.total > 0 {
			a.Durations = append(a.Durations, m.machineDurations())
		}
	}
	a.Minutes, a.Machines = c.lastMinutes(), c.lastDay()
	return a
}

// TestCountersEqualARecount: in any order of events, how often, in which
// batches and through which process, each start and each end of an attempt is counted once.
func TestCountersEqualARecount(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	tries := 0
	rapid.Check(t, func(r *rapid.T) {
		tries++
		c, s := openTest(t, server.URL(), func(o *cache.Options) { o.Prefix = fmt.Sprint("try", tries) })
		t := r
		h := drawHistory(t, now())
		sent := rapid.Permutation(append(slices.Clone(h), h...)).Draw(t, "order")
		sent = sent[:rapid.IntRange(1, len(sent)).Draw(t, "until")]
		size := rapid.IntRange(1, 7).Draw(t, "batch")
		looks := rapid.IntRange(1, 5).Draw(t, "looks")
		for batch := range slices.Chunk(sent, size) {
			for _, o := range c.Apply(t.Context(), batch) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
			if looks--; looks == 0 {
				ask(t, s) // what was read already is not counted again
			}
		}
		for what, stats := range map[string]*Stats{"that read on": s, "that read all at once": Open(c, nil)} {
			got := ask(t, stats)
			if diff := gocmp.Diff(recount(sent, got), got); diff != "" {
				t.Fatalf("counters %s (-recount +got):\n%s", what, diff)
			}
		}
	})
}

// TestErasedExecutionsAreNotCountedAgain: what is erased stays counted and is no example
// any more; when its events come again, it is an example again and counted no more than
// before.
func TestErasedExecutionsAreNotCountedAgain(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	tries := 0
	rapid.Check(t, func(r *rapid.T) {
		tries++
		c, s := openTest(t, server.URL(), func(o *cache.Options) { o.Prefix = fmt.Sprint("try", tries) })
		t := r
		h := drawHistory(t, now())
		for i := range h {
			h[i].Owner = "ada"
		}
		sent := rapid.Permutation(slices.Clone(h)).Draw(t, "order")
		again := rapid.Permutation(slices.Clone(h)).Draw(t, "again")
		c.Apply(t.Context(), sent)
		before := ask(t, s)
		if err := c.Erase(t.Context(), "ada", func(int64, int64) {}); err != nil {
			t.Fatal(err)
		}
		erased := ask(t, s)
		for i, g := range erased.Failures.Groups {
			if len(g.Examples) > 0 {
				t.Fatalf("examples %v are left", g.Examples)
			}
			erased.Failures.Groups[i].Examples = before.Failures.Groups[i].Examples
		}
		for i, m := range erased.Machines {
			if m.Running != 0 {
				t.Fatalf("%+v runs, and all are erased", m)
			}
			erased.Machines[i].Running = before.Machines[i].Running
		}
		sameCounts(t, before, erased)
		c.Apply(t.Context(), again)
		learnt := ask(t, s)
		for i := range learnt.Failures.Groups { // an attempt that was counted is no new example
			learnt.Failures.Groups[i].Examples = before.Failures.Groups[i].Examples
		}
		sameCounts(t, before, learnt)
	})
}

// TestExpiredExecutionsAreNotCountedAgain: what has expired stays counted, and when its events
// come again, in any order, nothing is counted twice.
func TestExpiredExecutionsAreNotCountedAgain(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	tries := 0
	rapid.Check(t, func(r *rapid.T) {
		tries++
		prefix := func(o *cache.Options) { o.Prefix = fmt.Sprint("try", tries) }
		c, s := openTest(t, server.URL(), prefix)
		const kept = time.Hour
		hasty, _ := openTest(t, server.URL(), prefix, func(o *cache.Options) { o.Retention = kept })
		t := r
		h := drawHistory(t, now())
		c.Apply(t.Context(), rapid.Permutation(slices.Clone(h)).Draw(t, "order"))
		before := ask(t, s)
		expire(t, c, h, kept)
		again := rapid.Permutation(append(slices.Clone(h), h...)).Draw(t, "again")
		for batch := range slices.Chunk(again, rapid.IntRange(1, 7).Draw(t, "batch")) {
			for _, o := range hasty.Apply(t.Context(), batch) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
		}
		for what, stats := range map[string]*Stats{"that read on": s, "that read all at once": Open(c, nil)} {
			after := ask(t, stats)
			for i, m := range before.Machines { // what runs is not counted, but looked up
				if m.StateMachine == after.Machines[i].StateMachine {
					after.Machines[i].Running = m.Running
				}
			}
			t.Log(what)
			sameCounts(t, before, after)
		}
	})
}

// expire removes the records that have expired if they are kept for so long after the end,
// as Redis does: without a word.
func expire(t *rapid.T, c *cache.Cache, h history, kept time.Duration) {
	t.Helper()
	latest := map[cache.ARN]cache.Execution{}
	for _, e := range h {
		if known, ok := latest[e.ARN]; !ok || e.Version() > known.Version() {
			latest[e.ARN] = e
		}
	}
	for arn, e := range latest {
		if e.Terminal() && time.Since(e.StopDate) > kept {
			if err := c.DB().Writers.Del(t.Context(), c.DB().Names.Execution(string(arn))).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func sameCounts(t *rapid.T, before, after answers) {
	t.Helper()
	after.Failures.Since, after.Failures.Until = before.Failures.Since, before.Failures.Until
	addTrends(before.Failures.Groups)
	addTrends(after.Failures.Groups)
	if diff := gocmp.Diff(before.Failures, after.Failures); diff != "" {
		t.Fatalf("failures (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(before.Durations, after.Durations); diff != "" {
		t.Fatalf("durations (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(before.Machines, after.Machines); diff != "" {
		t.Fatalf("state machines (-before +after):\n%s", diff)
	}
}

// addTrends replaces each trend by its sum, because its buckets move on with the time of the
// question.
func addTrends(groups []Group) {
	for i := range groups {
		sum := int64(0)
		for _, n := range groups[i].Trend {
			sum += n
		}
		groups[i].Trend = []int64{sum}
	}
}
