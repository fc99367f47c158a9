package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/httpapi/client"
)

// connection has the flags of commands that call the service.
type connection struct{ server, token, machine string }

func (c *connection) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.server, "server", "", `URL of the service (STATUS_URL) (default "http://127.0.0.1:8080")`)
	cmd.Flags().StringVar(&c.token, "token", "", "API key or access token (STATUS_TOKEN)")
	cmd.Flags().StringVar(&c.machine, "state-machine", "", "ARN of the state machine (STATUS_STATE_MACHINE)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return couldNotAsk(err) })
}

func (c *connection) client() (*client.Client, error) {
	server := c.url()
	token := first(c.token, os.Getenv("STATUS_TOKEN"))
	if token == "" {
		return nil, fmt.Errorf("no token: give --token or set STATUS_TOKEN; to create an API key, run statusctl keys create")
	}
	return client.New(server, token)
}

func (c *connection) url() string {
	return first(c.server, os.Getenv("STATUS_URL"), "http://127.0.0.1:8080")
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func getCommand() *cobra.Command {
	var c connection
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "get ARN",
		Short: "Print the status of an execution",
		Long: "Print the status of an execution; with --wait, wait for its end first. Give the ARN, or the\n" +
			"name alone if --state-machine or STATUS_STATE_MACHINE is set. The exit code is the\n" +
			"outcome: 0 SUCCEEDED, 1 FAILED, 2 no answer from the service, 3 TIMED_OUT, 4 ABORTED,\n" +
			"124 still running, 130 after Ctrl-C.",
		Example: "  statusctl get --wait 2m arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			arn, err := c.executionARN(args[0])
			if err != nil {
				return couldNotAsk(err)
			}
			e, err := get(cmd.Context(), service, arn, wait)
			if err != nil {
				return whyEnded(cmd.Context(), cmd.Context(), err)
			}
			if err := show(cmd.OutOrStdout(), e, asJSON); err != nil {
				return couldNotAsk(err)
			}
			return exitCode(e)
		},
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service")
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the end, such as 2m")
	return cmd
}

// get requests an execution once or, with a wait, until it ends or the wait is over.
func get(ctx context.Context, service *client.Client, arn string, wait time.Duration) (*client.Execution, error) {
	if wait <= 0 {
		return service.Get(ctx, arn)
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e, err := service.Wait(limited, arn)
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		return service.Get(ctx, arn)
	}
	return e, err
}

// exactly requires exactly n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return couldNotAsk(app.Arguments(n, n)(cmd, args)) }
}

// executionARN returns the ARN that an argument names. The argument is an ARN, a text
// that contains one, such as a URL of the AWS console, or the name of an execution of
// --state-machine.
func (c *connection) executionARN(arg string) (string, error) {
	arg = strings.TrimSpace(arg)
	if found := cache.FindARN(arg); found != "" {
		return found, nil
	}
	if strings.HasPrefix(arg, "arn:") {
		return arg, nil // the answer of the service says what is wrong with the ARN
	}
	machine := first(c.machine, os.Getenv("STATUS_STATE_MACHINE"), onlyMachine(os.Getenv("STATE_MACHINES")))
	if machine == "" || strings.ContainsAny(arg, ":/") {
		return "", fmt.Errorf("%q is not the ARN of an execution; to give only its name, say which state machine it belongs to: --state-machine ARN, or export STATUS_STATE_MACHINE=arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", arg)
	}
	return string(cache.MachineARN(machine).Execution(arg)), nil
}

// onlyMachine returns the ARN in STATE_MACHINES if there is only one.
func onlyMachine(setting string) string {
	if strings.Contains(setting, ",") {
		return ""
	}
	return strings.TrimSpace(setting)
}

// shownOutput is the largest part of an output that is shown on a terminal, in bytes.
const shownOutput = 4096

// shortened returns the text that is shown for an output: on a terminal, only its beginning.
func shortened(output []byte, onTerminal bool) string {
	if len(output) <= shownOutput || !onTerminal {
		return string(output)
	}
	return fmt.Sprintf("%s … (%d kB in total; --json or a pipe shows all of it)", strings.ToValidUTF8(string(output[:shownOutput]), ""), len(output)/1000)
}

func show(w io.Writer, e *client.Execution, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", e.Raw)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(t, "%s\t%s\n", name, value) // Flush returns the error
		}
	}
	row("status", e.ExecutionStatus)
	row("execution", e.ExecutionARN)
	row("started", e.StartDate.Format(time.RFC3339))
	if !e.StopDate.IsZero() {
		row("stopped", fmt.Sprintf("%s, after %v", e.StopDate.Format(time.RFC3339), e.StopDate.Sub(e.StartDate)))
	}
	if e.Attempt > 1 {
		row("attempt", fmt.Sprint(e.Attempt))
	}
	row("error", e.ErrorMessage)
	switch {
	case e.OutputTruncated:
		row("output", "(too large for its event)")
	case e.OutputGone:
		row("output", "(expired, and Step Functions no longer has it)")
	case e.OutputExpired:
		row("output", "(expired; statusctl output "+e.ExecutionARN+" fetches it again)")
	default:
		row("output", shortened(e.Output, terminal.Is(w)))
	}
	row("known since", e.ObservedAt.Format(time.RFC3339Nano))
	return t.Flush()
}
