package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
	"statuscache/httpapi/client"
)

func listExecutionsCommand() *cobra.Command {
	var c connection
	var q client.Query
	var asJSON, follow bool
	limit := 0
	cmd := &cobra.Command{
		Use:     "list [TEXT]",
		Short:   "List executions, the newest first",
		Long:    "List your executions, the newest first. Operators see the executions of all owners. All\nfilters must match. TEXT is an ARN, the URL of its page in the AWS console, a name or its\nbeginning, or the value of a label. With --follow, print each change as well.",
		Example: "  statusctl list --status FAILED --limit 200\n  statusctl list --label customer:acme --started-after 24h\n  statusctl list --error States.Timeout",
		Args:    func(cmd *cobra.Command, args []string) error { return couldNotAsk(app.Arguments(0, 1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Text = args[0]
			}
			q.Status = strings.ToUpper(q.Status)
			if q.Status == "TIMED_OUT" || q.Status == "ABORTED" {
				return couldNotAsk(fmt.Errorf("--status: executions that are %s are listed as FAILED; give --status FAILED", q.Status))
			}
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			q.StateMachineARN = c.machine
			l := &lister{out: cmd.OutOrStdout(), json: asJSON}
			if follow {
				q.Limit = min(limit, pageLimit)
				return whyEnded(cmd.Context(), cmd.Context(), l.follow(cmd.Context(), service, q))
			}
			return couldNotAsk(l.list(cmd.Context(), service, q, limit))
		},
	}
	c.addFlags(cmd)
	cmd.Flags().StringVar(&q.Status, "status", "", "RUNNING, SUCCEEDED or FAILED; TIMED_OUT and ABORTED count as FAILED")
	cmd.Flags().StringVar(&q.Owner, "owner", "", "owner of the executions; only for operators")
	cmd.Flags().StringVar(&q.Name, "name", "", "beginning of the name")
	cmd.Flags().StringVar(&q.Error, "error", "", "name of the error, such as States.Timeout")
	cmd.Flags().StringVar(&q.Label, "label", "", "label, as NAME:VALUE")
	cmd.Flags().StringVar(&q.StartedAfter, "started-after", "", "started at this time or later: a date such as 2026-02-10T12:00:00Z, or how long ago, such as 1h")
	cmd.Flags().StringVar(&q.StartedBefore, "started-before", "", "started before this time: a date, or how long ago")
	cmd.Flags().BoolVar(&q.Overdue, "overdue", false, "only running executions that have already taken longer than 99 percent of the successful ones")
	cmd.Flags().IntVar(&limit, "limit", 50, "maximum number of executions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service, one execution per line")
	cmd.Flags().BoolVar(&follow, "follow", false, "print each change as well")
	return cmd
}

const pageLimit = 100

type lister struct {
	out  io.Writer
	json bool
}

func (l *lister) list(ctx context.Context, service *client.Client, q client.Query, limit int) error {
	t := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	if !l.json {
		_, _ = fmt.Fprintln(t, "STATUS\tSTARTED\tTOOK\tNAME\tLABELS\tABOUT") // Flush returns the error
	}
	var counts string
	for left := limit; left > 0; {
		q.Limit = min(left, pageLimit)
		page, err := service.List(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range page.Executions {
			l.row(t, e)
		}
		counts = fmt.Sprintf("%d running, %d succeeded, %d failed", page.Counts.RUNNING, page.Counts.SUCCEEDED, page.Counts.FAILED)
		left -= len(page.Executions)
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	if !l.json {
		_, _ = fmt.Fprintln(t, counts)
	}
	return t.Flush()
}

func (l *lister) follow(ctx context.Context, service *client.Client, q client.Query) error {
	for e, err := range service.Feed(ctx, q) {
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(l.out, 11, 0, 2, ' ', 0)
		l.row(t, e)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) row(w io.Writer, e *client.Execution) {
	if l.json {
		_, _ = fmt.Fprintf(w, "%s\n", e.Raw)
		return
	}
	took := ""
	if !e.StopDate.IsZero() {
		took = e.StopDate.Sub(e.StartDate).String()
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Status, e.StartDate.Format(time.RFC3339), took, e.Name, labels(e), about(e))
}

// labels returns the labels of an execution, in the form of --label.
func labels(e *client.Execution) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(e.Labels)) {
		all = append(all, name+":"+e.Labels[name])
	}
	return cell(strings.Join(all, " "))
}

// about returns a text that helps people to distinguish executions.
func about(e *client.Execution) string {
	return cell(first(e.ErrorMessage, string(e.Metadata), e.InputType))
}

const cellLength = 60 // characters

func cell(text string) string {
	if runes := []rune(text); len(runes) > cellLength {
		return string(runes[:cellLength-1]) + "…"
	}
	return text
}
