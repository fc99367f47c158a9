package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/ingest/operate"
)

const (
	replayEvery = 2 * time.Second // how often the progress is read
	cancelLimit = 10 * time.Second
	replayTo    = "10m"       // before now: later events may not be in the archive yet
	replaySkew  = time.Minute // a larger difference between the local clock and that of AWS is reported
)

// replayFlags are the flags of replay.
type replayFlags struct {
	order            operate.ReplayOrder
	from, to, follow string
	now, asJSON      bool
	every            time.Duration
}

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay --archive NAME --from TIME",
		Short: "Send archived events to the queue again",
		Long: "Make EventBridge send the events of an archive again, only to the rules of the queue, and\n" +
			"follow the replay to its end. Events that are already known change nothing. A time is\n" +
			"RFC 3339, or a duration before now. Events reach the archive after about ten minutes; if\n" +
			"--to is more recent, the command waits for them. An archive of terminal states (provision\n" +
			"--archive terminal) does not restore running executions; the audit does. The exit code is 0\n" +
			"if all events were sent, 1 if the replay failed or was cancelled, 2 if it could not be\n" +
			"started. After Ctrl-C the replay continues unless you cancel it.",
		Example: "  statusctl replay --archive status-events --from 2026-02-10T12:00:00Z --to 2026-02-10T18:00:00Z\n" +
			"  statusctl replay --archive status-events --from 6h --to 15m\n" +
			"  statusctl replay --follow status-events-20260210T181500Z",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, o, err := openOperator(cmd.Context(), cmd)
			if err != nil {
				return couldNotAsk(err)
			}
			f.order.QueueURL, f.order.Name = config.SQSQueueURL, f.follow
			if f.follow == "" {
				if err := f.start(cmd, o); err != nil {
					return interrupted(cmd.Context(), err)
				}
			}
			return followReplay(cmd, config, o, &f)
		},
	}
	operatorFlags(cmd, "SQS_QUEUE_URL")
	flags := cmd.Flags()
	flags.StringVar(&f.order.Archive, "archive", "", "name of the archive")
	flags.StringVar(&f.from, "from", "", "time of the first event, such as 2026-02-10T12:00:00Z or 6h")
	flags.StringVar(&f.to, "to", replayTo, "time of the last event; 0s is now")
	flags.StringVar(&f.order.Rule, "rule", "", "name of the rule that gets the events (default: all rules that send to SQS_QUEUE_URL)")
	flags.StringVar(&f.follow, "follow", "", "follow a replay that already runs")
	flags.BoolVar(&f.now, "now", false, "start immediately, even if the last events are not archived yet")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON lines; the default if stdout is not a terminal")
	flags.DurationVar(&f.every, "every", replayEvery, "how often to read the progress")
	return cmd
}

// start starts a replay once its events are in the archive.
func (f *replayFlags) start(cmd *cobra.Command, o *operate.Operator) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	now, err := f.resolve(cmd.Context(), o, say)
	if err != nil {
		return err
	}
	if ready := f.order.To.Add(operate.ArchiveDelay); ready.After(now) {
		if f.now {
			say("warning: events of the last %v may not be in the archive yet; the replay does not send those", operate.ArchiveDelay)
		} else {
			say("waiting until %s: events take about %v to reach the archive (--now starts immediately)", ready.Format(time.TimeOnly), operate.ArchiveDelay)
			select {
			case <-cmd.Context().Done():
				say("nothing was started")
				return cmd.Context().Err()
			case <-time.After(ready.Sub(now)):
			}
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), operatorLimit)
	defer cancel()
	return o.StartReplay(ctx, f.order)
}

// resolve turns the flags into times of the AWS clock, because events are archived by
// that clock, and returns its time. It reports a local clock that differs by more than a
// minute.
func (f *replayFlags) resolve(ctx context.Context, o *operate.Operator, say func(string, ...any)) (now time.Time, err error) {
	now = time.Now()
	if err := f.parse(now); err != nil {
		return now, err
	}
	ctx, cancel := context.WithTimeout(ctx, operatorLimit)
	defer cancel()
	archive, err := o.LookUpArchive(ctx, f.order.Archive)
	if archive.Scope == operate.ArchiveTerminal {
		say("note: the archive contains terminal states only. The replay does not restore running executions; the audit\n" +
			"restores those of STATE_MACHINES. Until then, an execution that was redriven and runs again shows the end of its previous attempt")
	}
	ahead := archive.ClockAhead
	if err != nil || ahead.Abs() <= replaySkew {
		return now, err
	}
	now = now.Add(-ahead)
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	say("warning: the clock of this machine is %v %s that of AWS; times such as 6h are relative to the clock of AWS, now %s",
		ahead.Abs().Round(time.Second), word, now.UTC().Format(time.RFC3339))
	return now, f.parse(now)
}

// parse reads the range. Dates are whole seconds, as in EventBridge.
func (f *replayFlags) parse(now time.Time) error {
	if f.order.Archive == "" {
		return errors.New("--archive: not set; provision names the archive like the rule, by default status-events")
	}
	var err error
	if f.order.From, err = parseTime(f.from, now); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if f.order.To, err = parseTime(f.to, now); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if f.order.To.After(now) {
		return fmt.Errorf("--to: %s is in the future; for events up to now, give --to 0s", f.to)
	}
	if !f.order.From.Before(f.order.To) {
		return fmt.Errorf("--from, --to: --from %s is not before --to %s (default %s); for events up to now, give --to 0s", f.from, f.to, replayTo)
	}
	if f.every <= 0 {
		return errors.New("--every: must be positive")
	}
	const longest = 64 // characters of a name
	suffix := now.UTC().Format("-20060102T150405.000Z")
	f.order.Name = f.order.Archive[:min(len(f.order.Archive), longest-len(suffix))] + suffix
	return nil
}

func parseTime(s string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC().Truncate(time.Second), nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago).UTC().Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a time, such as 2026-02-10T12:00:00Z, nor how long ago, such as 6h", s)
}

// followReplay shows the progress of a replay until it ends.
func followReplay(cmd *cobra.Command, config app.Config, o *operate.Operator, f *replayFlags) error {
	ctx, name := cmd.Context(), f.order.Name
	bar := newProgress(cmd.OutOrStdout(), f.asJSON || !terminal.Is(cmd.OutOrStdout()))
	bar.unit = "minutes of the time range"
	r, err := o.FollowReplay(ctx, name, f.every, func(r operate.Replay) {
		bar.update(r.Done().Minutes(), r.To.Sub(r.From).Minutes(), map[string]any{"replay": name, "state": r.State})
	})
	bar.end()
	switch {
	case ctx.Err() != nil && !r.Ended():
		return leaveOrCancel(cmd, o, name)
	case err != nil && r.Name == "": // no answer has ever arrived
		return couldNotAsk(err)
	case err != nil:
		return couldNotAsk(fmt.Errorf("%w; the replay may continue: statusctl replay --follow %s", err, name))
	case r.Completed():
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "replay %s has sent all archived events from %s to %s\n", name, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339))
		noteReplayed(ctx, config, r.From, r.To, cmd.ErrOrStderr())
		return err
	}
	return &app.ExitError{Code: exitFailed, Err: fmt.Errorf("replay %s ended as %s %s", name, r.State, r.Reason)}
}

// leaveOrCancel asks whether to cancel a replay when the command is interrupted. A second
// Ctrl-C at the question ends the program, and the replay continues.
func leaveOrCancel(cmd *cobra.Command, o *operate.Operator, name string) error {
	out := cmd.ErrOrStderr()
	if terminal.Interactive() && terminal.Confirm(cmd.Context(), os.Stdin, out, "\ncancel the replay too?") {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), cancelLimit)
		defer cancel()
		if err := o.CancelReplay(ctx, name); err != nil {
			return couldNotAsk(err)
		}
		return &app.ExitError{Code: exitFailed, Err: fmt.Errorf("replay %s is being cancelled", name)}
	}
	_, _ = fmt.Fprintf(out, "the replay continues; follow it again with: statusctl replay --follow %s\n", name)
	return &app.ExitError{Code: exitInterrupted}
}
