package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/httpapi/client"
)

func failuresCommand() *cobra.Command {
	var c connection
	var window string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "failures",
		Short:   "List failures by cause",
		Long:    "List the failures of the last hours by state machine, error and message, the most recent first.\nIn messages, # replaces the parts that vary. Operators see the failures of all owners.",
		Example: "  statusctl failures --window 7d",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			f, err := service.Failures(cmd.Context(), window, c.machine)
			if err != nil {
				return couldNotAsk(err)
			}
			return couldNotAsk(showFailures(cmd.OutOrStdout(), f, asJSON))
		},
	}
	c.addFlags(cmd)
	cmd.Flags().StringVar(&window, "window", "24h", "how far to look back: 1h, 24h or 7d")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service")
	return cmd
}

func showFailures(w io.Writer, f *client.Failures, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", f.Raw)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "COUNT\tSHARE\tLAST SEEN\tSTATE MACHINE\tERROR\tMESSAGE\tEXAMPLE") // Flush returns the error
	for _, g := range f.Groups {
		example := ""
		if len(g.Examples) > 0 {
			example = cache.ARN(g.Examples[0]).Name()
		}
		_, _ = fmt.Fprintf(t, "%d\t%.0f %%\t%s\t%s\t%s\t%s\t%s\n", g.Count, 100*g.Share, g.LastSeen.UTC().Format(time.RFC3339),
			cache.MachineARN(g.StateMachineARN).Name(), printable(g.Error), printable(g.Message), example)
	}
	_, _ = fmt.Fprintf(t, "%d failures in %s, %d of them in no group\n", f.Total, f.Window, f.Other)
	return t.Flush()
}

func durationsCommand() *cobra.Command {
	var c connection
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "durations",
		Short:   "Show how long executions take",
		Long:    "Show the durations of the executions that succeeded in the last 7 days, by state machine.\nOperators see those of all owners.",
		Example: "  statusctl durations --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			all, err := service.Durations(cmd.Context(), c.machine)
			if err != nil {
				return couldNotAsk(err)
			}
			return couldNotAsk(showDurations(cmd.OutOrStdout(), all, asJSON))
		},
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service, one state machine per line")
	return cmd
}

func showDurations(w io.Writer, all []client.Durations, asJSON bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if !asJSON {
		_, _ = fmt.Fprintln(t, "STATE MACHINE\tRUNS\tP50\tP95\tP99\tMAX") // Flush returns the error
	}
	for _, d := range all {
		if asJSON {
			_, _ = fmt.Fprintf(t, "%s\n", d.Raw)
			continue
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", cache.MachineARN(d.StateMachineARN).Name(), d.Count,
			shownSeconds(d.P50), shownSeconds(d.P95), shownSeconds(d.P99), shownSeconds(d.Max))
	}
	return t.Flush()
}

// shownSeconds is a duration for people: 850ms, 12.3s, 4m10s.
func shownSeconds(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// printable replaces characters that a terminal would interpret or hide.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
