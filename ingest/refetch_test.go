package ingest

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
	"statuscache/ingest/awstest"
	"statuscache/ingest/event"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// refetching is a Refetcher on a stand-in for Step Functions.
type refetching struct {
	cache   *cache.Cache
	list    *worklist.Worklist
	server  *localaws.Server
	machine string
	metrics *prometheus.Registry
	states  *StepFunctions
}

func newRefetching(t *testing.T) *refetching {
	t.Helper()
	endpoint, server := sqstest.Local(t)
	r := &refetching{server: server, metrics: prometheus.NewRegistry()}
	r.machine = server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending {
		return localaws.Ending{Status: "SUCCEEDED", Output: `{ "n" : 9007199254740993 , "n":1.0e10}`}
	})
	var err error
	r.cache, err = cache.Open(cache.Options{
		URL: cachetest.Redis(t).URL(), Prefix: "sc", Retention: 24 * time.Hour, RetentionOutput: time.Hour, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		ReadLimit: time.Minute, WriteLimit: time.Minute, // these tests are not about how fast Redis is
	})
	must(t, err)
	t.Cleanup(func() { must(t, r.cache.Close()) })
	r.list = worklist.New(r.cache.DB(), nil)
	r.states = NewStepFunctions(awstest.Config(t, endpoint), event.Decoder{}, r.metrics)
	return r
}

// run fetches until the function that it returns is called.
func (r *refetching) run(t *testing.T, states Describer) (stop func()) {
	t.Helper()
	f := NewRefetcher(RefetcherOptions{
		Cache: r.cache, Worklists: r.list, States: states, Budget: worklist.NewBudget(r.cache.DB(), "hydrate", 20),
		Life: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	return func() {
		cancel()
		must(t, <-ended)
	}
}

// expired returns an execution whose output has expired, as Step Functions ended it or, if it
// does not know it, an hour ago.
func (r *refetching) expired(t *testing.T, name string, known bool) cache.ARN {
	t.Helper()
	e := cache.Execution{
		ARN: cache.ARN(strings.Replace(r.machine, ":stateMachine:", ":execution:", 1) + ":" + name), Status: cache.Succeeded,
		StartDate: time.Now().Add(-time.Hour), StopDate: time.Now().Add(-time.Hour), Completeness: cache.Complete, Output: []byte(`{}`), Source: cache.FromEvent,
	}
	if known {
		started, err := r.server.StartExecution(r.machine, name, `{}`)
		must(t, err)
		cachetest.Eventually(t, "it has ended", func() bool {
			e, err = r.states.Describe(t.Context(), cache.ARN(started.ARN), ToAudit)
			return err == nil && e.Terminal()
		})
	}
	e.Owner = "ada"
	must(t, r.cache.Apply(t.Context(), []cache.Execution{e})[0].Err)
	e.Completeness, e.OutputFrom = cache.OutputExpired, e.StopDate.Add(-time.Hour) // as if it had ended then
	must(t, r.cache.Apply(t.Context(), []cache.Execution{e})[0].Err)
	if got := r.get(t, e.ARN); !got.OutputExpired() || got.OutputGone() {
		t.Fatalf("it has not expired: %s", got.Plain.Body)
	}
	return e.ARN
}

func (r *refetching) get(t *testing.T, arn cache.ARN) *cache.Record {
	t.Helper()
	record, err := r.cache.Get(t.Context(), arn)
	must(t, err)
	return record
}

func (r *refetching) calls(t *testing.T, reason Reason) (calls float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	must(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetValue() == string(reason) {
					calls += m.GetCounter().GetValue()
				}
			}
		}
	}
	return calls
}

// TestAnExpiredOutputIsFetchedOnRequest: it comes back byte for byte, with one call however
// often it is requested, and with none if nobody requests it.
func TestAnExpiredOutputIsFetchedOnRequest(t *testing.T) {
	t.Parallel()
	r := newRefetching(t)
	wanted, unwanted := r.expired(t, "wanted", true), r.expired(t, "unwanted", true)
	for range 3 {
		must(t, r.list.Request(t.Context(), wanted, "ada"))
	}
	defer r.run(t, r.states)()
	cachetest.Eventually(t, "the output is back", func() bool { return !r.get(t, wanted).OutputExpired() })
	got := r.get(t, wanted)
	if !strings.Contains(string(got.Plain.Body), `"output":{ "n" : 9007199254740993 , "n":1.0e10}}`) || got.Owner != "ada" || got.Source != cache.FromDescribe {
		t.Errorf("of %s, by %s: %s", got.Owner, got.Source, got.Plain.Body)
	}
	must(t, r.list.Request(t.Context(), wanted, "ada")) // by somebody who has not heard
	cachetest.Eventually(t, "the list is empty", func() bool {
		n, err := r.list.Pending(t.Context(), worklist.Requested)
		return err == nil && n == 0
	})
	if n := r.calls(t, ToRefetch); n != 1 || !r.get(t, unwanted).OutputExpired() {
		t.Errorf("%v calls; not requested: %s", n, r.get(t, unwanted).Plain.Body)
	}
}

// TestAnOutputThatStepFunctionsLacksIsGone: that is a state, which ends the request.
func TestAnOutputThatStepFunctionsLacksIsGone(t *testing.T) {
	t.Parallel()
	r := newRefetching(t)
	arn := r.expired(t, "old", false)
	must(t, r.list.Request(t.Context(), arn, "ada"))
	defer r.run(t, r.states)()
	cachetest.Eventually(t, "the output is gone", func() bool { return r.get(t, arn).OutputGone() })
	must(t, r.list.Request(t.Context(), arn, "ada"))
	cachetest.Eventually(t, "the list is empty", func() bool {
		n, err := r.list.Pending(t.Context(), worklist.Requested)
		return err == nil && n == 0
	})
	if n := r.calls(t, ToRefetch); n != 1 {
		t.Errorf("%v calls", n)
	}
}

// fixedAnswer answers what it is given.
type fixedAnswer struct {
	e   cache.Execution
	err error
}

func (d fixedAnswer) Describe(context.Context, cache.ARN, Reason) (cache.Execution, error) {
	return d.e, d.err
}

// TestTheAnswerOfStepFunctionsDecides: a new execution of the same name is a newer state, an
// output that is left out even here is gone, and denied access changes nothing.
func TestTheAnswerOfStepFunctionsDecides(t *testing.T) {
	t.Parallel()
	r := newRefetching(t)
	for name, test := range map[string]struct {
		change func(*cache.Execution) error
		met    func(*cache.Record) bool
	}{
		"runs again": {
			func(e *cache.Execution) error {
				e.Status, e.StartDate, e.StopDate = cache.Running, time.Now(), time.Time{}
				return nil
			},
			func(r *cache.Record) bool { return r.PublicStatus() == cache.Running },
		},
		"left out": {
			func(e *cache.Execution) error { e.Completeness = cache.OutputGivenUp; return nil },
			func(r *cache.Record) bool { return r.OutputGone() },
		},
		"denied": {
			func(*cache.Execution) error { return ErrDenied },
			func(r *cache.Record) bool { return r.OutputExpired() && !r.OutputGone() },
		},
	} {
		arn := r.expired(t, strings.ReplaceAll(name, " ", "-"), false)
		e := cache.Execution{ARN: arn, Status: cache.Succeeded, StartDate: r.get(t, arn).StartDate, StopDate: time.Now(), Completeness: cache.Complete, Source: cache.FromDescribe}
		answer := fixedAnswer{err: test.change(&e)}
		answer.e = e
		must(t, r.list.Request(t.Context(), arn, "ada"))
		stop := r.run(t, answer)
		cachetest.Eventually(t, name+": the request is handled", func() bool {
			n, err := r.list.Pending(t.Context(), worklist.Requested)
			return err == nil && n == 0
		})
		stop()
		if got := r.get(t, arn); !test.met(got) {
			t.Errorf("%s: %s", name, got.Plain.Body)
		}
	}
}
