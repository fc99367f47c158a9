package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cache/worklist"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/ingest"
)

// backfillFlags are the flags of backfill.
type backfillFlags struct {
	machines     []string
	since, until string
	rate         float64
	restart      bool
	asJSON       bool
}

func backfillCommand() *cobra.Command {
	var f backfillFlags
	cmd := &cobra.Command{
		Use:   "backfill --since TIME",
		Short: "Fetch executions from Step Functions",
		Long: "List the executions that started within a time range, and describe those whose state or\n" +
			"output is not in Redis yet. You can run it at any time, even while statusd runs, and more\n" +
			"than once. A time is RFC 3339, or a duration before now. The calls share DESCRIBE_RATE with\n" +
			"the audit, unless --rate sets a separate budget. To continue after an interruption, run it\n" +
			"again within a day with the times that it printed. The exit code is 0 if no fetch failed, 1\n" +
			"if some could not be fetched, 2 if it could not continue.",
		Example: "  statusctl backfill --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline --since 24h\n" +
			"  statusctl backfill --since 2026-02-01T00:00:00Z --until 2026-02-10T00:00:00Z --rate 10",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return interrupted(cmd.Context(), f.run(cmd))
		},
	}
	storeFlags(cmd, "STATE_MACHINES", "OWNER_PATH", "LABEL_PATHS", "DESCRIBE_RATE", "RETENTION", "RETENTION_FAILED", "RETENTION_OUTPUT")
	flags := cmd.Flags()
	flags.StringArrayVar(&f.machines, "state-machine", nil, "ARN of a state machine; may be repeated (default STATE_MACHINES)")
	flags.StringVar(&f.since, "since", "", "the earliest start, such as 2026-02-10T12:00:00Z or 24h")
	flags.StringVar(&f.until, "until", "0s", "the latest start")
	flags.Float64Var(&f.rate, "rate", 0, "DescribeExecution calls per second, in addition to those of the audit (default: share DESCRIBE_RATE with the audit)")
	flags.BoolVar(&f.restart, "restart", false, "start from the beginning, even if an earlier run was interrupted")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON lines; the default if stdout is not a terminal")
	return cmd
}

func (f *backfillFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if f.rate < 0 {
		return errors.New("--rate: must not be negative")
	}
	if _, _, err := f.period(time.Now()); err != nil { // before the first call to Redis
		return err
	}
	return withStore(cmd, func(c *cache.Cache, config app.Config) error {
		now, err := c.DB().Now(ctx)
		if err != nil {
			return err
		}
		since, until, err := f.period(now)
		if err != nil {
			return err
		}
		if len(f.machines) == 0 {
			f.machines = config.StateMachines
		}
		if len(f.machines) == 0 {
			return errors.New("--state-machine, STATE_MACHINES: set one of them")
		}
		if err := app.CheckStateMachines(f.machines); err != nil {
			return fmt.Errorf("--state-machine: %w", err)
		}
		failed := 0
		for _, machine := range f.machines {
			b, err := f.prepare(ctx, c, config)
			if err != nil {
				return err
			}
			b.Machine, b.Since, b.Until = machine, since, until
			done, err := f.fill(cmd, b)
			if err != nil {
				return err
			}
			failed += done.Failed
		}
		if failed > 0 {
			return &app.ExitError{Code: exitFailed, Err: fmt.Errorf("%d executions could not be fetched; run it again", failed)}
		}
		return losses(c).Backfilled(ctx, since, until)
	})
}

// period returns the earliest and the latest start.
func (f *backfillFlags) period(now time.Time) (since, until time.Time, err error) {
	if f.since == "" {
		return since, until, errors.New("--since: not set; give the earliest start, such as 2026-02-10T12:00:00Z or 24h")
	}
	if since, err = parseTime(f.since, now); err != nil {
		return since, until, fmt.Errorf("--since: %w", err)
	}
	if until, err = parseTime(f.until, now); err != nil {
		return since, until, fmt.Errorf("--until: %w", err)
	}
	until = until.Add(time.Second - time.Millisecond) // to the end of that second
	if !since.Before(until) {
		return since, until, errors.New("--since, --until: --since must be before --until")
	}
	return since, until, nil
}

// prepare builds a backfill, without its state machine and its range.
func (f *backfillFlags) prepare(ctx context.Context, c *cache.Cache, config app.Config) (*ingest.Backfill, error) {
	settings, err := ingest.LoadAWS(ctx)
	if err != nil {
		return nil, err
	}
	inputs, err := config.Inputs()
	if err != nil {
		return nil, err
	}
	describes := app.Budget(c, app.DescribeBudget, config.DescribeRate)
	if f.rate > 0 {
		describes = app.Budget(c, "backfill", f.rate)
	}
	if describes == nil {
		return nil, errors.New("--rate: not set, and DESCRIBE_RATE is 0; set --rate, or DESCRIBE_RATE to more than 0")
	}
	states := ingest.NewStepFunctions(settings, inputs, nil)
	b := &ingest.Backfill{
		Cache: c, Known: c, Clock: c.DB(), States: states, Lister: states, Describes: describes, Retention: config.Retention, RetentionFailed: config.RetentionFailed,
		Listings: app.Budget(c, app.ListBudget, app.ListRate), Owners: len(inputs.Owner) > 0, Labels: len(inputs.Labels) > 0,
	}
	if !f.restart {
		b.Checkpoints = worklist.NewCheckpoints(c.DB())
	}
	return b, nil
}

// fill shows the progress through the time range, because the number of its executions is not
// known.
func (f *backfillFlags) fill(cmd *cobra.Command, b *ingest.Backfill) (ingest.BackfillProgress, error) {
	bar := newProgress(cmd.OutOrStdout(), f.asJSON || !terminal.Is(cmd.OutOrStdout()))
	bar.unit = "minutes of the time range"
	name := cache.MachineARN(b.Machine).Name()
	begun := time.Now()
	done, err := b.Run(cmd.Context(), func(p ingest.BackfillProgress) {
		bar.note = backfillNote(p, time.Since(begun), b.Until.Sub(p.At), b.Until.Sub(b.Since))
		bar.update(b.Until.Sub(p.At).Minutes(), b.Until.Sub(b.Since).Minutes(), map[string]any{"stateMachine": name, "progress": p})
	})
	bar.end()
	if errors.Is(err, ingest.ErrUnknown) {
		err = fmt.Errorf("%w; check --state-machine and AWS_REGION", err)
	}
	if err != nil && cmd.Context().Err() != nil {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "interrupted; to continue, run it again within a day with --since %s --until %s\n",
			b.Since.Format(time.RFC3339), b.Until.Format(time.RFC3339))
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d executions, %d known before, %d added, %d past RETENTION, %d not fetched; %d calls of DescribeExecution\n",
			name, done.Listed, done.Known, done.Added, done.Expired, done.Failed, done.Described)
	}
	return done, err
}

// backfillNote describes what a backfill has done, and how long the rest takes if
// executions started at an even rate.
func backfillNote(p ingest.BackfillProgress, spent, done, all time.Duration) string {
	note := fmt.Sprintf("%d listed, %d added, %d not fetched  %.3g/s", p.Listed, p.Added, p.Failed, float64(p.Listed)/max(spent.Seconds(), 0.001))
	if done > all/100 {
		note += fmt.Sprintf("  ≤ %v left", (time.Duration(float64(spent) * float64(all-done) / float64(done))).Round(time.Second))
	}
	return note
}

// storeFlags adds the settings of the store, and others.
func storeFlags(cmd *cobra.Command, others ...string) {
	operatorFlags(cmd, slices.Concat(app.RedisSettings, []string{"REDIS_REPLICA_ACKS"}, others)...)
}

// withStore runs f on the store that the settings name, without a time limit.
func withStore(cmd *cobra.Command, f func(*cache.Cache, app.Config) error) error {
	config, err := app.LoadStore(cmd.Flags(), os.Getenv)
	if err != nil {
		return err
	}
	return openStore(cmd.Context(), config, func(c *cache.Cache) error { return f(c, config) })
}
