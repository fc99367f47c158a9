package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cmd/internal/app"
)

const milliseconds = "2006-01-02T15:04:05.000Z"

func explainCommand() *cobra.Command {
	var c connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain ARN",
		Short: "Show why an execution has its status",
		Long: "Show the record of an execution, and the result of each of its latest observations:\n" +
			"events, replays, answers of DescribeExecution, the registration. The highest version wins.\n" +
			"A version consists of start date in ms, redrives, rank (0 registered, 1 running, 2\n" +
			"pending redrive, 3 failed, 4 timed out, 5 aborted, 6 succeeded) and completeness (0 output\n" +
			"awaited, 1 given up, 2 complete, 3 expired or fetched again). The exit code is 1 if nothing is\n" +
			"known.",
		Example: "  statusctl explain arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.executionARN(args[0])
			if err != nil {
				return couldNotAsk(err)
			}
			arn, err := cache.ParseARN(text)
			if err != nil {
				return couldNotAsk(err)
			}
			var x cache.Explanation
			err = withStore(cmd, func(c *cache.Cache, _ app.Config) error {
				x, err = c.Explain(cmd.Context(), arn)
				return err
			})
			if err != nil {
				return couldNotAsk(err)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), explained(arn, x))
			} else {
				err = explain(cmd.OutOrStdout(), arn, x)
			}
			if err == nil && x.Record == nil {
				return &app.ExitError{Code: exitFailed}
			}
			return couldNotAsk(err)
		},
	}
	storeFlags(cmd)
	cmd.Flags().StringVar(&c.machine, "state-machine", "", "ARN of the state machine, needed if only the name is given (STATUS_STATE_MACHINE)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func explain(w io.Writer, arn cache.ARN, x cache.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) } // Flush returns the error
	row("execution\t%s", arn)
	if r := x.Record; r == nil {
		row("status\tnot known")
	} else {
		row("status\t%s", r.Status)
		row("version\t%s", x.Exact)
		if x.Exact.AwaitsOutput() {
			row("\tsucceeded; its output was left out of the event and is being fetched")
		}
		row("owner\t%s", first(r.Owner, "not known: only operators may read it"))
		row("observed\t%s, from %s", r.ObservedAt.UTC().Format(milliseconds), r.Source)
		row("kept for\t%v", x.Expiry.Round(time.Second))
	}
	if err := t.Flush(); err != nil || len(x.Trail) == 0 {
		return err
	}
	row("\nVERDICT\tVERSION\tSOURCE\tEMITTED\tRECEIVED\tAPPLIED\tEVENT")
	for _, o := range x.Trail {
		row("%s\t%s\t%s\t%s\t%s\t%s\t%s", o.Verdict, o.Version, o.Source, shownTime(o.EmittedAt, time.RFC3339), shownTime(o.ReceivedAt, milliseconds),
			shownTime(o.AppliedAt, milliseconds), first(o.EventID, "-"))
	}
	return t.Flush()
}

func shownTime(at time.Time, form string) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(form)
}

// explanation is what --json prints.
type explanation struct {
	ExecutionARN cache.ARN       `json:"executionArn"`
	Known        bool            `json:"known"`
	Status       cache.Status    `json:"status,omitempty"`
	Version      cache.Version   `json:"version,omitempty"`
	Owner        string          `json:"owner,omitempty"`
	ObservedAt   time.Time       `json:"observedAt,omitzero"`
	Source       cache.Source    `json:"source,omitempty"`
	KeptSeconds  int             `json:"keptSeconds,omitempty"`
	Observations []observationOf `json:"observations"`
}

type observationOf struct {
	Verdict    cache.Verdict `json:"verdict"`
	Version    cache.Version `json:"version"`
	Source     cache.Source  `json:"source"`
	EventID    string        `json:"eventId,omitempty"`
	EmittedAt  time.Time     `json:"emittedAt,omitzero"`
	ReceivedAt time.Time     `json:"receivedAt,omitzero"`
	AppliedAt  time.Time     `json:"appliedAt"`
}

func explained(arn cache.ARN, x cache.Explanation) explanation {
	e := explanation{ExecutionARN: arn, Observations: []observationOf{}}
	if r := x.Record; r != nil {
		e.Known, e.Status, e.Version, e.Owner = true, r.Status, x.Exact, r.Owner
		e.ObservedAt, e.Source, e.KeptSeconds = r.ObservedAt.UTC(), r.Source, int(x.Expiry.Seconds())
	}
	for _, o := range x.Trail {
		e.Observations = append(e.Observations, observationOf{
			o.Verdict, o.Version, o.Source, o.EventID, o.EmittedAt.UTC(), o.ReceivedAt.UTC(), o.AppliedAt.UTC(),
		})
	}
	return e
}
