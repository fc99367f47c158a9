package ingest

import (
	"context"
	"log/slog"
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

// TestLabelsAreLearntFromTheInputThatAnEventLeftOut asks Step Functions once, and not at all
// where labels are known or nobody reads any.
func TestLabelsAreLearntFromTheInputThatAnEventLeftOut(t *testing.T) {
	t.Parallel()
	endpoint, server := sqstest.Local(t)
	machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending {
		return localaws.Ending{After: time.Hour, Status: "SUCCEEDED", Output: `{}`}
	})
	c, err := cache.Open(cache.Options{
		URL: cachetest.Redis(t).URL(), Prefix: "sc", Retention: 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		ReadLimit: time.Minute, WriteLimit: time.Minute, // these tests are not about how fast Redis is
	})
	must(t, err)
	defer func() { must(t, c.Close()) }()
	start := func(name string, labels cache.Labels) cache.ARN {
		started, err := server.StartExecution(machine, name, `{"customer":"acme"}`)
		must(t, err)
		arn, err := cache.ParseARN(started.ARN)
		must(t, err)
		must(t, c.Apply(t.Context(), []cache.Execution{{
			ARN: arn, Status: cache.Running, StartDate: started.StartDate.Truncate(time.Millisecond), Completeness: cache.Complete, Source: cache.FromEvent,
			Labels: labels, LabelsLeftOut: true,
		}})[0].Err)
		return arn
	}
	unknown, known := start("unknown", nil), start("known", cache.Labels{"customer": "other"})
	lists := worklist.New(c.DB(), nil)
	paths, err := event.ParseLabelPaths("customer=customer")
	must(t, err)
	inputs := event.Decoder{Labels: paths}
	metrics := prometheus.NewRegistry()
	h := NewHydrator(HydratorOptions{
		Cache: c, Worklists: lists, States: NewStepFunctions(awstest.Config(t, endpoint), inputs, metrics), Budget: worklist.NewBudget(c.DB(), "hydrate", 20),
		Deadline: time.Minute, Labels: true, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	cachetest.Eventually(t, "the label is learnt", func() bool {
		r, err := c.Get(t.Context(), unknown)
		return err == nil && r.Labels()["customer"] == "acme"
	})
	cancel()
	must(t, <-ended)
	if r, err := c.Get(t.Context(), known); err != nil || r.Labels()["customer"] != "other" {
		t.Errorf("%+v, %v", r, err)
	}
	families, err := metrics.Gather()
	must(t, err)
	calls := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			calls += m.GetCounter().GetValue()
		}
	}
	if calls != 1 {
		t.Errorf("%v calls", calls)
	}
}
