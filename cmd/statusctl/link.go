package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const maxLinkLife = 24 * time.Hour

func linkCommand() *cobra.Command {
	var c connection
	var asJSON bool
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "link ARN",
		Short: "Create a link that lets anyone read one execution",
		Long: "Print a URL that lets anyone read and follow only this execution, without another token. The\n" +
			"link expires after the time --expires, or with the token of this command if the token expires\n" +
			"earlier.",
		Example: "  statusctl link --expires 30m arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if expires < time.Second || expires > maxLinkLife || expires%time.Second != 0 {
				return couldNotAsk(fmt.Errorf("--expires: %v must be whole seconds, at most 24h", expires))
			}
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			arn, err := c.executionARN(args[0])
			if err != nil {
				return couldNotAsk(err)
			}
			l, err := service.NewLink(cmd.Context(), arn, expires)
			if err != nil {
				return couldNotAsk(err)
			}
			if asJSON {
				return couldNotAsk(printJSON(cmd.OutOrStdout(), l))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), l.URL)
			return couldNotAsk(err)
		},
	}
	c.addFlags(cmd)
	cmd.Flags().DurationVar(&expires, "expires", time.Hour, "how long the link is valid, such as 30m; at most 24h")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service")
	return cmd
}
