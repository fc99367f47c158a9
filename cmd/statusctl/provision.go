package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
	"statuscache/ingest/operate"
)

func provisionCommand() *cobra.Command {
	var plan operate.Plan
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "provision --state-machine ARN...",
		Short: "Create or correct the event path: rule, queues, policies and archive",
		Long: "Create or correct everything between Step Functions and statusd: the queue and its\n" +
			"dead-letter queue, the EventBridge rule with its target and dead-letter queue, the policies\n" +
			"of the queues, and an archive. The command removes nothing, and you can run it again at any\n" +
			"time. It finds rules by the queue that they send to. A rule that it did not create is changed\n" +
			"only if --change-rule names the rule. It prints the settings for statusd and statusctl.",
		Example: "  statusctl provision --dry-run --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline\n" +
			"  eval \"$(statusctl provision --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline)\"",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), operatorLimit)
			defer cancel()
			config, o, err := openOperator(ctx, cmd)
			if err != nil {
				return couldNotAsk(err)
			}
			plan.EventBus = config.EventBus
			if len(plan.StateMachines) == 0 {
				plan.StateMachines = config.StateMachines
			}
			if err := app.CheckStateMachines(plan.StateMachines); err != nil {
				return couldNotAsk(fmt.Errorf("--state-machine: %w", err))
			}
			return interrupted(cmd.Context(), provision(ctx, cmd, o, plan, asJSON))
		},
	}
	// Not SQS_QUEUE_URL: the queue is found by its name.
	operatorFlags(cmd, "EVENT_BUS", "STATE_MACHINES")
	f := cmd.Flags()
	f.StringArrayVar(&plan.StateMachines, "state-machine", nil, "ARN of a state machine; may be repeated (default STATE_MACHINES)")
	f.StringVar(&plan.Name, "name", "status-events", "name of the queue, the rule and the archive, and prefix of the other names")
	f.StringArrayVar(&plan.ChangeRules, "change-rule", nil, "name of a rule that provision did not create but may change; may be repeated")
	f.StringVar((*string)(&plan.Archive), "archive", string(operate.ArchiveAll), "events to archive: all, or terminal for the ends of executions only, which halves the cost of the archive")
	f.BoolVar(&plan.DryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// provision prints each step when it is done. It prints the steps to stderr, because a
// shell evaluates the settings on stdout; a dry run has no settings, and prints the steps
// to stdout.
func provision(ctx context.Context, cmd *cobra.Command, o *operate.Operator, plan operate.Plan, asJSON bool) error {
	var steps []operate.Step
	out := cmd.ErrOrStderr()
	if plan.DryRun {
		out = cmd.OutOrStdout()
	}
	made, err := o.Provision(ctx, plan, func(s operate.Step) {
		steps = append(steps, s)
		if !asJSON {
			printStep(out, s)
		}
	})
	if err != nil && made.Region == "" {
		return err
	}
	if asJSON {
		return errors.Join(err, printJSON(cmd.OutOrStdout(), struct {
			Steps []operate.Step      `json:"steps"`
			Made  operate.Provisioned `json:"settings"`
		}{steps, made}))
	}
	if plan.DryRun {
		return err
	}
	_, failed := fmt.Fprintf(cmd.OutOrStdout(), "export AWS_REGION=%s\nexport SQS_QUEUE_URL=%s\nexport STATE_MACHINES=%s\nexport EVENT_BUS=%s\n",
		made.Region, made.QueueURL, shellQuote(strings.Join(made.StateMachines, ",")), shellQuote(made.EventBus))
	return errors.Join(err, failed)
}

func printStep(w io.Writer, s operate.Step) {
	if s.Detail != "" {
		s.Detail = "  (" + s.Detail + ")"
	}
	_, _ = fmt.Fprintf(w, "%-12s  %s %s%s\n", s.Result, s.What, s.Name, s.Detail)
}

// shellQuote quotes a text as one word for a shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
