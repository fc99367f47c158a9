package app

import (
	"context"

	"statuscache/cache"
	"statuscache/cache/intake"
	"statuscache/cache/outputs"
	"statuscache/cache/worklist"
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

// source returns what this process reports about the queue, nil if it receives nothing.
func (s *service) source() intake.Source {
	if s.consumer == nil {
		return nil // a nil interface, not one that holds a nil pointer, so that callers can compare it with nil
	}
	return &ingest.Intake{Queue: s.queue, Consumer: s.consumer, Auditor: s.auditor}
}

// openWorkers builds the workers that call Step Functions, for outputs that events left
// out and for changes that no event reported.
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
		Cache: s.cache, Worklists: s.worklist, Mismatches: s.worklist, Known: s.cache, Sweeps: s.sweeps, Running: s.sweeps.Running, Incomplete: s.sweeps.Incomplete,
		States: states, Lister: states,
		Describes: Budget(s.cache, DescribeBudget, c.DescribeRate), Listings: Budget(s.cache, ListBudget, ListRate),
		Machines: c.StateMachines, Every: c.AuditEvery, Retention: c.Retention, RetentionFailed: c.RetentionFailed, Owners: owners, Labels: labels, Log: s.log, Metrics: s.metrics, Traces: s.traces.Provider(),
	})
	if !owners {
		s.log.Info("OWNER_PATH is not set, so only registered executions have an owner; only operators can read the others")
	}
	if len(c.StateMachines) == 0 {
		s.log.Warn("STATE_MACHINES is not set, so no audit finds lost events; set it to the ARNs of the state machines")
	}
}

// Budgets of calls to Step Functions, by the names that all processes share.
const (
	HydrateBudget  = "hydrate"
	DescribeBudget = "describe"
	ListBudget     = "list"

	// ListRate is how often executions are listed, per second. AWS allows the whole
	// account 2 to 5 calls.
	ListRate = 2
)

// Budget returns a budget, nil for the rate 0.
func Budget(c *cache.Cache, name string, rate float64) ingest.Budget {
	if rate <= 0 {
		return nil // a nil interface, not one that holds a nil pointer, so that callers can compare it with nil
	}
	return worklist.NewBudget(c.DB(), name, rate)
}
