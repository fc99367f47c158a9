package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func outputCommand() *cobra.Command {
	var c connection
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "output ARN",
		Short: "Print the output of an execution; fetch it again if it has expired",
		Long: "Print the output of a succeeded execution, as JSON. An output that has expired\n" +
			"(RETENTION_OUTPUT) is fetched from Step Functions again, which keeps executions for 90\n" +
			"days. Only the owner and operators can request this.",
		Example: "  statusctl output arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123 | jq .rules",
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
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			e, err := service.FetchOutput(ctx, arn)
			switch {
			case errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil:
				return couldNotAsk(fmt.Errorf("the output has not arrived after %v; it is still being fetched, and %s/v1/health reports if no process fetches it", wait, c.url()))
			case err != nil:
				return couldNotAsk(err)
			case e.OutputTruncated:
				return couldNotAsk(errors.New("the output was too large for its event, and could not be fetched"))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", e.Output)
			return couldNotAsk(err)
		},
	}
	c.addFlags(cmd)
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for the output, such as 2m")
	return cmd
}
