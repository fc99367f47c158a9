package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache"
	"statuscache/cache/worklist"
)

const truthARN = cache.ARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:truth")

// memory is what the cache knows, and the lists, as far as a worker sees them.
type memory struct {
	mu     sync.Mutex
	known  map[cache.ARN]*remembered
	due    map[cache.ARN]time.Time
	merged []cache.Execution

	applied func(cache.Execution) // of each that is merged; nil: nobody listens
	ahead   time.Duration         // how far the clock of this process is ahead of that of Redis
}

type remembered struct {
	exact  cache.Version
	record cache.Record
	stored time.Time
}

func newMemory(observations ...cache.Execution) *memory {
	m := &memory{known: map[cache.ARN]*remembered{}, due: map[cache.ARN]time.Time{}}
	for _, e := range observations {
		m.Apply(context.Background(), []cache.Execution{e})
		m.due[e.ARN] = m.clock()
	}
	return m
}

// clock is that of Redis.
func (m *memory) clock() time.Time { return time.Now().Add(-m.ahead) }

func (m *memory) Now(context.Context) (time.Time, error) { return m.clock(), nil }

func (m *memory) Ping(context.Context) error { return nil }

func (m *memory) Apply(_ context.Context, batch []cache.Execution) []cache.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	outcomes := make([]cache.Outcome, len(batch))
	for i, e := range batch {
		outcomes[i].Verdict = cache.Superseded
		old := m.known[e.ARN]
		if old == nil {
			old = &remembered{}
			m.known[e.ARN] = old
		}
		if e.Owner != "" {
			old.record.Owner = e.Owner
		}
		if v := e.Version(); v > old.exact {
			outcomes[i].Verdict = cache.Applied
			old.exact, old.stored = v, m.clock()
			old.record.Terminal, old.record.StartDate = e.Terminal(), e.StartDate
			m.merged = append(m.merged, e)
			if m.applied != nil {
				m.applied(e)
			}
		}
	}
	return outcomes
}

func (m *memory) Claim(_ context.Context, _ worklist.List, most int, lease time.Duration) (all []worklist.Entry, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for arn, at := range m.due {
		if m.clock().Before(at) || len(all) == most {
			continue
		}
		m.due[arn] = m.clock().Add(lease)
		d := worklist.Entry{ARN: arn, Waited: m.clock().Sub(at), Now: m.clock()}
		if r := m.known[arn]; r != nil {
			d.Record = &cache.Record{Owner: r.record.Owner, Terminal: r.record.Terminal, StartDate: r.record.StartDate}
			d.Exact, d.Age = r.exact, m.clock().Sub(r.stored)
		}
		all = append(all, d)
	}
	return all, nil
}

func (m *memory) Settle(_ context.Context, _ worklist.List, arn cache.ARN) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.known[arn]; r == nil || !r.exact.AwaitsOutput() {
		delete(m.due, arn)
	}
	return nil
}

func (m *memory) Postpone(_ context.Context, _ worklist.List, arn cache.ARN, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.due[arn]; there {
		m.due[arn] = m.clock().Add(d)
	}
	return nil
}

func (m *memory) Forget(_ context.Context, arn cache.ARN, v cache.Version) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.known[arn]; r == nil || r.exact != v {
		return false, nil
	}
	delete(m.known, arn)
	return true, nil
}

func (m *memory) pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.due)
}

// answers is a Step Functions with given answers.
type answers struct {
	mu       sync.Mutex
	calls    []time.Time
	describe func(call int) (cache.Execution, error)
}

func (a *answers) Describe(_ context.Context, _ cache.ARN, _ Reason) (cache.Execution, error) {
	a.mu.Lock()
	a.calls = append(a.calls, time.Now())
	n := len(a.calls)
	a.mu.Unlock()
	return a.describe(n)
}

// freely is a budget without a limit, of which a call in two seconds is left when AWS
// throttles.
type freely struct {
	mu   sync.Mutex
	next time.Time
}

func (f *freely) Take(context.Context) (time.Duration, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := time.Until(f.next)
	return max(wait, 0), wait <= 0, nil
}

func (f *freely) Throttled(context.Context) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = time.Now().Add(2 * time.Second)
	return time.Until(f.next), nil
}

func (f *freely) Passed(context.Context) error { return nil }

func awaitedSuccess(start time.Time) cache.Execution {
	return cache.Execution{
		ARN: truthARN, Status: cache.Succeeded, StartDate: start, StopDate: start.Add(time.Second),
		Completeness: cache.OutputAwaited, Source: cache.FromEvent,
	}
}

func TestHydration(t *testing.T) {
	t.Parallel()
	const deadline = time.Minute
	for name, test := range map[string]struct {
		describe func(call int) (cache.Execution, error)
		noBudget bool
		after    time.Duration // looked at then
		want     []cache.Completeness
		least    int // calls of DescribeExecution
		most     int
		left     int // on the list
	}{
		"the output is there": {describe: described(cache.Complete), after: 3 * time.Second, want: []cache.Completeness{cache.Complete}, least: 1, most: 1},
		"Step Functions is behind": {describe: func(call int) (cache.Execution, error) {
			if call == 1 {
				return cache.Execution{ARN: truthARN, Status: cache.Running, StartDate: time.Now().Truncate(time.Hour), Completeness: cache.Complete}, nil
			}
			return described(cache.Complete)(call)
		}, after: 10 * time.Second, want: []cache.Completeness{cache.Complete}, least: 2, most: 2},
		"it does not know the execution": {describe: refusing(ErrUnknown), after: 3 * time.Second, want: []cache.Completeness{cache.OutputGivenUp}, least: 1, most: 1},
		"we may not ask":                 {describe: refusing(ErrDenied), after: 30 * time.Second, want: []cache.Completeness{cache.OutputGivenUp}, least: 1, most: 1, left: 1},
		"AWS throttles": {describe: refusing(ErrThrottled), after: deadline + 3*time.Second,
			want: []cache.Completeness{cache.OutputGivenUp}, least: 14, most: 31, left: 1},
		"AWS throttles, not yet given up": {describe: refusing(ErrThrottled), after: deadline - 3*time.Second, want: nil, least: 13, most: 30, left: 1},
		"AWS throttles for an hour": {describe: func(call int) (cache.Execution, error) {
			if call < 25 { // a minute in which it is awaited, and then ever more rarely
				return cache.Execution{}, ErrThrottled
			}
			return described(cache.Complete)(call)
		}, after: 24 * time.Hour, want: []cache.Completeness{cache.OutputGivenUp, cache.Complete}, least: 25, most: 25},
		"nobody may ask": {noBudget: true, after: deadline + 3*time.Second, want: []cache.Completeness{cache.OutputGivenUp}, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(awaitedSuccess(time.Now().Truncate(time.Hour)))
				m.merged = nil
				states := &answers{describe: test.describe}
				o := HydratorOptions{Cache: m, Worklists: m, States: states, Deadline: deadline, Log: slog.New(slog.DiscardHandler)}
				if !test.noBudget {
					o.Budget = &freely{}
				}
				runFor(t, NewHydrator(o).Run, test.after)
				var got []cache.Completeness
				for _, e := range m.merged {
					got = append(got, e.Completeness)
				}
				if len(got) != len(test.want) {
					t.Fatalf("merged %v, want %v", got, test.want)
				}
				for i := range got {
					if got[i] != test.want[i] {
						t.Errorf("merged %v, want %v", got, test.want)
					}
				}
				if n := len(states.calls); n < test.least || n > test.most || m.pending() != test.left {
					t.Errorf("%d calls, and %d left on the list", n, m.pending())
				}
			})
		})
	}
}

func described(c cache.Completeness) func(int) (cache.Execution, error) {
	return func(int) (cache.Execution, error) {
		e := awaitedSuccess(time.Now().Truncate(24 * time.Hour))
		e.Completeness, e.Source, e.Output = c, cache.FromDescribe, []byte(`{}`)
		return e, nil
	}
}

func refusing(err error) func(int) (cache.Execution, error) {
	return func(int) (cache.Execution, error) { return cache.Execution{}, err }
}

// runFor runs something for a while of the bubble's time.
func runFor(t *testing.T, run func(context.Context) error, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := run(ctx); err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestOwnerIsLearnt: from the input that an event left out, once.
func TestOwnerIsLearnt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := cache.Execution{ARN: truthARN, Status: cache.Running, StartDate: time.Now(), Completeness: cache.Complete}
		m := newMemory(run)
		run.Owner = "ada"
		states := &answers{describe: func(int) (cache.Execution, error) { return run, nil }}
		h := NewHydrator(HydratorOptions{Cache: m, Worklists: m, States: states, Budget: &freely{}, Deadline: time.Minute, Owners: true, Log: slog.New(slog.DiscardHandler)})
		runFor(t, h.Run, 5*time.Second)
		if m.known[truthARN].record.Owner != "ada" || len(states.calls) != 1 || m.pending() != 0 {
			t.Errorf("owner %q after %d calls, %d left", m.known[truthARN].record.Owner, len(states.calls), m.pending())
		}
	})
}

// slowly is a budget of a call each so often, which books a second ahead.
type slowly struct {
	mu    sync.Mutex
	every time.Duration
	next  time.Time
}

func (s *slowly) Take(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	at := now
	if s.next.After(now) {
		at = s.next
	}
	if at.Sub(now) > time.Second {
		return at.Sub(now), false, nil
	}
	s.next = at.Add(s.every)
	return at.Sub(now), true, nil
}

func (s *slowly) Throttled(context.Context) (time.Duration, error) { return 0, nil }
func (s *slowly) Passed(context.Context) error                     { return nil }

// TestDeadlineIsKept: where more outputs are left out than may be asked for, those that
// are not had in time are given up in time, since that needs no call.
func TestDeadlineIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, seconds, deadline = 20, 180, time.Minute
		m := newMemory()
		reported := map[cache.ARN]time.Time{}
		states := &byName{}
		h := NewHydrator(HydratorOptions{Cache: m, Worklists: m, States: states, Budget: &slowly{every: time.Second / 5}, Deadline: deadline, Log: slog.New(slog.DiscardHandler)})
		begun := map[cache.ARN]time.Time{}
		go func() {
			for i := range perSecond * seconds {
				e := awaitedSuccess(time.Now())
				e.ARN = cache.ARN(fmt.Sprint("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:", i))
				m.Apply(t.Context(), []cache.Execution{e})
				m.mu.Lock()
				m.due[e.ARN], begun[e.ARN] = time.Now(), time.Now()
				m.mu.Unlock()
				<-time.After(time.Second / perSecond) // of the bubble's time
			}
		}()
		m.applied = func(e cache.Execution) {
			if e.Completeness != cache.OutputAwaited && reported[e.ARN].IsZero() {
				reported[e.ARN] = time.Now()
			}
		}
		runFor(t, h.Run, seconds*time.Second+2*deadline)
		late := 0
		for arn, at := range begun {
			if reported[arn].IsZero() || reported[arn].Sub(at) > deadline+5*time.Second {
				late++
			}
		}
		if late > 0 || len(begun) != perSecond*seconds {
			t.Errorf("%d of %d were reported late or never", late, len(begun))
		}
		if n := len(states.calls); n < 4*seconds { // of the budget of 5
			t.Errorf("%d calls within %d s", n, seconds)
		}
	})
}

// TestNoCallBeforeTheDeadlineIsWasted: an awaited output is requested again before its deadline,
// however long the budget or the delays are. At the deadline itself it is given up without a call.
func TestNoCallBeforeTheDeadlineIsWasted(t *testing.T) {
	t.Parallel()
	const deadline = time.Minute
	h := NewHydrator(HydratorOptions{Deadline: deadline, Log: slog.New(slog.DiscardHandler)})
	e := awaitedSuccess(time.Now())
	due := worklist.Entry{ARN: e.ARN, Exact: e.Version()}
	for what, cause := range map[string]error{
		"lag": nil, "used up": &errNoBudget{wait: deadline}, "throttled": &errNoBudget{wait: deadline, throttled: true}, "fault": errors.New("fault"),
	} {
		for due.Age = describeLag; due.Age < deadline-lastRetry; due.Age += time.Second / 4 {
			if again, err := h.later(due, cause); again <= 0 || due.Age+again >= deadline || !errors.Is(err, cause) {
				t.Fatalf("%s at the age of %v: again after %v, %v", what, due.Age, again, err)
			}
		}
	}
}

// byName is a Step Functions that has every output.
type byName struct {
	mu    sync.Mutex
	calls []cache.ARN
}

func (b *byName) Describe(_ context.Context, arn cache.ARN, _ Reason) (cache.Execution, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, arn)
	e := awaitedSuccess(time.Now().Add(time.Hour)) // later than any
	e.ARN, e.Completeness, e.Output = arn, cache.Complete, []byte(`{}`)
	return e, nil
}
