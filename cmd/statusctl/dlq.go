package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/ingest/operate"
)

const moveEvery = time.Second // how often the progress of a redrive is read

func dlqCommand() *cobra.Command {
	var rule string
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List dead letters, send them back, or delete them",
		Long: "There are two kinds of dead-letter queues. One belongs to the consumer: it has messages that\n" +
			"were received too often, such as messages that are not events. One belongs to a rule: it has\n" +
			"events that EventBridge could not send to the queue. Each command works on both kinds, or on one.",
	}
	operatorFlags(cmd, "SQS_QUEUE_URL", "EVENT_BUS")
	cmd.PersistentFlags().StringVar(&rule, "rule", "", "name of the rule (default: the rules that send to the queue)")
	cmd.AddCommand(dlqListCommand(&rule), dlqRedriveCommand(&rule), dlqPurgeCommand(&rule))
	return cmd
}

// kinds are the names of dead-letter queues.
var kinds = []string{operate.OfConsumer, operate.OfRule}

// oneOrBoth accepts the name of a dead-letter queue, or nothing for both.
func oneOrBoth(_ *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && !slices.Contains(kinds, args[0]) {
		return couldNotAsk(fmt.Errorf("want %s, %s, or nothing for both", operate.OfConsumer, operate.OfRule))
	}
	return nil
}

// withDeadLetters runs f on the dead-letter queues that the arguments select.
func withDeadLetters(cmd *cobra.Command, rule string, args []string, f func(*operate.Operator, []operate.DeadLetters) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), operatorLimit)
	defer cancel()
	config, o, err := openOperator(ctx, cmd)
	if err != nil {
		return couldNotAsk(err)
	}
	all, err := o.DeadLetterQueues(ctx, eventPath(config, rule))
	if err != nil {
		return interrupted(cmd.Context(), err)
	}
	if len(args) == 1 {
		all = slices.DeleteFunc(all, func(d operate.DeadLetters) bool { return d.Kind != args[0] })
		if len(all) == 0 {
			return couldNotAsk(fmt.Errorf("there is no dead-letter queue of the %s; statusctl provision creates one", args[0]))
		}
	}
	return interrupted(cmd.Context(), f(o, all))
}

// shownLetters is a dead-letter queue as --json prints it.
type shownLetters struct {
	Kind     string               `json:"of"`
	Name     string               `json:"queue"`
	Count    int                  `json:"messages"`
	Messages []operate.DeadLetter `json:"shown"`
}

func dlqListCommand(rule *string) *cobra.Command {
	var asJSON bool
	var most int
	cmd := &cobra.Command{
		Use:   "list [consumer|rule]",
		Short: "Count the dead letters, and show the reason for some of them",
		Long: "Count the dead letters, and show the reason for some of them, never their contents. This\n" +
			"removes no message, but increases the receive count of those that it reads.",
		Example: "  statusctl dlq list\n  statusctl dlq list consumer --max 100 --json",
		Args:    oneOrBoth, ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < 0 || most > 1000 {
				return couldNotAsk(errors.New("--max: must be 0 to 1000"))
			}
			return withDeadLetters(cmd, *rule, args, func(o *operate.Operator, all []operate.DeadLetters) error {
				shown := make([]shownLetters, len(all))
				for i, d := range all {
					letters, err := o.Peek(cmd.Context(), d, most)
					if err != nil {
						return err
					}
					shown[i] = shownLetters{d.Kind, d.Name, d.Messages, letters}
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), shown)
				}
				return printLetters(cmd.OutOrStdout(), shown)
			})
		},
	}
	cmd.Flags().IntVar(&most, "max", 10, "number of messages to show from each queue")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printLetters(w io.Writer, all []shownLetters) error {
	for _, d := range all {
		_, _ = fmt.Fprintf(w, "%s (of the %s): %d messages\n", d.Name, d.Kind, d.Count)
		if len(d.Messages) == 0 {
			continue
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "ID\tFIRST SENT\tRECEIVES\tWHY\tEXECUTION")
		for _, m := range d.Messages {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", m.ID, m.FirstSent.Format(time.DateTime), m.Receives, m.Why, first(m.Execution, "-"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(all, func(d shownLetters) bool { return d.Count > 0 }) {
		return nil
	}
	_, err := fmt.Fprintln(w, "to send them back, run statusctl dlq redrive; to delete them, run statusctl dlq purge")
	return err
}

func dlqRedriveCommand(rule *string) *cobra.Command {
	return &cobra.Command{
		Use:   "redrive [consumer|rule]",
		Short: "Put the dead letters back into the queue",
		Long: "Put the dead letters back into the queue. Fix the cause first: statusctl dlq list\n" +
			"shows which messages can be decoded now. Events that are already known change nothing.",
		Example: "  statusctl dlq redrive rule",
		Args:    oneOrBoth, ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDeadLetters(cmd, *rule, args, func(o *operate.Operator, all []operate.DeadLetters) error {
				for _, d := range all {
					if d.Messages == 0 {
						_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s is empty\n", d.Name)
						continue
					}
					if err := redrive(cmd, o, d); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func redrive(cmd *cobra.Command, o *operate.Operator, d operate.DeadLetters) error {
	bar := newProgress(cmd.OutOrStdout(), !terminal.Is(cmd.OutOrStdout()))
	bar.unit = "messages"
	err := o.Redrive(cmd.Context(), d, moveEvery, func(done, total int) {
		bar.update(float64(done), float64(total), map[string]any{"queue": d.Name})
	})
	bar.end()
	if cmd.Context().Err() != nil && d.Kind == operate.OfConsumer {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "SQS continues to move them; statusctl dlq list counts the rest")
	}
	return err
}

func dlqPurgeCommand(rule *string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "purge [consumer|rule]",
		Short:   "Delete the dead letters permanently",
		Long:    "Delete the dead letters permanently. The command asks for confirmation; without a terminal it needs --yes.",
		Example: "  statusctl dlq purge consumer",
		Args:    oneOrBoth, ValidArgs: kinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withDeadLetters(cmd, *rule, args, func(o *operate.Operator, all []operate.DeadLetters) error {
				if err := mayPurge(cmd, all, yes); err != nil {
					return err
				}
				for _, d := range all {
					if err := o.Purge(cmd.Context(), d); err != nil {
						return err
					}
					_, _ = fmt.Fprintf(cmd.OutOrStdout(), "deleted %d messages of %s\n", d.Messages, d.Name)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation")
	return cmd
}

func mayPurge(cmd *cobra.Command, all []operate.DeadLetters, yes bool) error {
	if yes {
		return nil
	}
	var what []string
	for _, d := range all {
		what = append(what, fmt.Sprintf("%d messages of %s", d.Messages, d.Name))
	}
	question := "delete " + strings.Join(what, " and ") + " permanently?"
	if terminal.Interactive() && terminal.Confirm(cmd.Context(), os.Stdin, cmd.ErrOrStderr(), question) {
		return nil
	}
	return errors.New("nothing was deleted; answer y, or give --yes to delete " + strings.Join(what, " and ") + " permanently")
}
