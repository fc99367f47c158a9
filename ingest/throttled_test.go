package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
	"statuscache/ingest/awstest"
	"statuscache/ingest/event"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// TestOutputsArriveThoughHalfOfTheCallsAreThrottled: on a real Redis, from the stand-in
// for Step Functions. None is given up. In the control every call is throttled.
func TestOutputsArriveThoughHalfOfTheCallsAreThrottled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outputs  int
		every    int64 // which call is throttled
		deadline time.Duration
		want     string // what becomes of each output
	}{
		"every second call":   {outputs: 30, every: 2, deadline: 10 * time.Minute, want: hydrated},
		"control: every call": {outputs: 3, every: 1, deadline: 3 * time.Second, want: gaveUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, server := sqstest.Local(t)
			var calls atomic.Int64
			server.SetFaults(localaws.Faults{Refuse: func(action string) error {
				if action == "DescribeExecution" && calls.Add(1)%test.every == 0 {
					return &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}
				}
				return nil
			}})
			machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending {
				return localaws.Ending{After: time.Millisecond, Status: "SUCCEEDED", Output: `{"rules":[]}`}
			})
			c, err := cache.Open(cache.Options{
				URL: cachetest.Redis(t).URL(), Prefix: "sc", Retention: 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
				ReadLimit: time.Minute, WriteLimit: time.Minute, // these tests are not about how fast Redis is
			})
			must(t, err)
			defer func() { must(t, c.Close()) }()
			for i := range test.outputs {
				started, err := server.StartExecution(machine, fmt.Sprint("oversize-", i), `{}`)
				must(t, err)
				arn, err := cache.ParseARN(started.ARN)
				must(t, err)
				begun := started.StartDate.Truncate(time.Millisecond)
				must(t, c.Apply(t.Context(), []cache.Execution{{
					ARN: arn, Status: cache.Succeeded, StartDate: begun, StopDate: begun.Add(time.Millisecond), Completeness: cache.OutputAwaited, Source: cache.FromEvent,
				}})[0].Err)
			}
			h := NewHydrator(HydratorOptions{
				Cache: c, Worklists: worklist.New(c.DB(), nil), States: NewStepFunctions(awstest.Config(t, endpoint), event.Decoder{}, nil), Budget: worklist.NewBudget(c.DB(), "hydrate", 20),
				Deadline: test.deadline, Log: slog.New(slog.DiscardHandler),
			})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- h.Run(ctx) }()
			cachetest.Eventually(t, "each output has come to its end", func() bool {
				return int(testutil.ToFloat64(h.results.WithLabelValues(test.want))) >= test.outputs
			})
			cancel()
			must(t, <-ended)
			for _, other := range []string{hydrated, gaveUp} {
				if n := testutil.ToFloat64(h.results.WithLabelValues(other)); other != test.want && n > 0 {
					t.Errorf("%s: %v", other, n)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAnAnswerOfStepFunctionsIsNotCutOff: each client has the fix of the SDK.
func TestAnAnswerOfStepFunctionsIsNotCutOff(t *testing.T) {
	t.Parallel()
	_, _ = NewStepFunctions(awstest.LateBodyRead(t), event.Decoder{}, nil).Describe(t.Context(), cache.ARN("arn:aws:states:eu-west-1:000000000000:execution:P:x"), ToAudit)
}
