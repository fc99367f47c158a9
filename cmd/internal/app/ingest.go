package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/intake"
	"statuscache/cache/outputs"
	"statuscache/cache/worklist"
	"statuscache/httpapi"
	"statuscache/ingest"
	"statuscache/ingest/event"
)

func (s *service) openIngest(ctx context.Context) error {
	if s.config.Role == API {
		return nil
	}
	load := s.program.AWS
	if load == nil {
		load = ingest.LoadAWS
	}
	settings, err := load(ctx)
	if err != nil {
		return err
	}
	settings = ingest.WithTracing(settings, s.traces.Provider())
	if s.queue, err = ingest.NewSQS(settings, s.config.SQSQueueURL, s.metrics); err != nil {
		return err
	}
	inputs, err := s.config.Inputs()
	if err != nil {
		return err
	}
	s.openWorkers(ingest.NewStepFunctions(settings, inputs, s.metrics), inputs)
	s.consumer = ingest.NewConsumer(ingest.Options{
		Queue: s.queue, Cache: s.cache, Inputs: inputs, StateMachines: s.config.StateMachines,
		DrainLimit: min(ingest.DrainLimit, s.config.ShutdownTimeout*3/5),
		Known:      s.cache, Mismatches: s.worklist, LeftOut: s.hydrator.Wake, Log: s.log, Metrics: s.metrics, Traces: s.traces.Provider(),
	})
	return nil
}

// source is what this process reports about the queue, nil if it receives nothing.
func (s *service) source() intake.Source {
	if s.consumer == nil {
		return nil // an interface without a type, so that it can be compared
	}
	return &ingest.Intake{Queue: s.queue, Consumer: s.consumer, Auditor: s.auditor}
}

// parts are what health and readiness look at.
func (s *service) parts() []httpapi.Part {
	parts := []httpapi.Part{{Name: "redis", Ready: s.cache.DB().Ready}}
	if s.consumer == nil {
		return parts
	}
	for _, part := range ingest.Parts() {
		parts = append(parts, httpapi.Part{Name: "ingest " + string(part), Ready: func() error { return s.trouble(part) }})
	}
	return parts
}

// trouble returns why events are not applied. That Redis does not answer is
// reported once, by its own part.
func (s *service) trouble(part ingest.Part) error {
	err := s.consumer.Trouble(part)
	if err != nil && cache.Unreachable(err) && part == ingest.PartStore && s.cache.DB().Ready() != nil {
		return nil
	}
	return err
}

// openWorkers builds what asks Step Functions itself, for what events left out and
// for what they may not have reported.
func (s *service) openWorkers(states *ingest.StepFunctions, inputs event.Decoder) {
	c, owners, labels := s.config, len(inputs.Owner) > 0, len(inputs.Labels) > 0
	s.hydrator = ingest.NewHydrator(ingest.HydratorOptions{
		Cache: s.cache, Worklists: s.worklist, States: states, Budget: Budget(s.cache, HydrateBudget, c.HydrateRate),
		Deadline: c.HydrateDeadline, Owners: owners, Labels: labels, Log: s.log, Metrics: s.metrics, Traces: s.traces.Provider(),
	})
	s.refetch = ingest.NewRefetcher(ingest.RefetcherOptions{
		Cache: s.cache, Worklists: s.worklist, States: states, Budget: Budget(s.cache, HydrateBudget, c.HydrateRate),
		Life: s.cache.OutputLife(), Log: s.log, Metrics: s.metrics,
	})
	s.outputs = outputs.New(s.cache, s.log, s.metrics)
	s.auditor = ingest.NewAuditor(ingest.AuditorOptions{
		Cache: s.cache, Worklists: s.worklist, Mismatches: s.worklist, Known: s.cache, Sweeps: s.sweeps, Running: s.sweeps.Running, Learning: s.sweeps.Learning,
		States: states, Lister: states,
		Describes: Budget(s.cache, DescribeBudget, c.DescribeRate), Listings: Budget(s.cache, ListBudget, ListRate),
		Machines: c.StateMachines, Every: c.AuditEvery, Retention: c.Retention, RetentionFailed: c.RetentionFailed, Owners: owners, Labels: labels, Log: s.log, Metrics: s.metrics, Traces: s.traces.Provider(),
	})
	if !owners {
		s.log.Info("OWNER_PATH is not set: only registered executions have an owner; only operators can read the others")
	}
	if len(c.StateMachines) == 0 {
		s.log.Warn("STATE_MACHINES is not set: no audit looks for lost events")
	}
}

// Budgets of calls to Step Functions, by the names that all processes share.
const (
	HydrateBudget  = "hydrate"
	DescribeBudget = "describe"
	ListBudget     = "list"

	// ListRate is how often executions are listed, per second: AWS grants 2 to 5, to
	// the whole account.
	ListRate = 2
)

// Budget returns a budget, nil for the rate 0.
func Budget(c *cache.Cache, name string, rate float64) ingest.Budget {
	if rate <= 0 {
		return nil // an interface without a type, so that it can be compared
	}
	return worklist.NewBudget(c.DB(), name, rate)
}

// concerns report in public which settings are wrong, what was lost and is neither restored nor
// dismissed, or why Redis takes no writes, where no part of ingest reports that.
func (s *service) concerns() []string {
	all := s.settings.Wrong()
	if n := s.worklist.Unattended(); n > 0 {
		all = append(all, fmt.Sprintf("outputs: %d are requested again and none is fetched: no process of ROLE=ingest fetches them, or HYDRATE_RATE is 0 there", n))
	}
	if err := s.stats.Err(); err != nil && s.cache.DB().Ready() == nil {
		brief, _ := cache.Explain(err)
		all = append(all, "statistics: the counters cannot be read: "+brief)
	}
	lost := s.losses.Lost()
	if lost == nil {
		if err := s.cache.DB().Writable(); err != nil && s.consumer == nil && s.cache.DB().Ready() == nil {
			brief, _ := cache.Explain(err)
			all = append(all, "redis: "+brief)
		}
		return all
	}
	return append(all, fmt.Sprintf("records: lost, noticed at %s (%s): %s; statusctl doctor --dismiss-loss ends this notice",
		lost.At.UTC().Format(time.RFC3339), lost.Why, strings.Join(lost.Lines(len(s.config.StateMachines) > 0), "; ")))
}
