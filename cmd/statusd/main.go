// Command statusd serves the status of Step Functions executions from Redis, and
// keeps it up to date from the events in an SQS queue.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
)

var version = "dev" // set by the build

// balancerDelay is how long a stopping process keeps serving: a load balancer
// needs a few seconds to notice.
const balancerDelay = 4 * time.Second

func main() { app.Main("statusd", command(os.Stdout, os.Stderr, app.Program{})) }

// command returns the command statusd. Zero fields of program have the values for production.
func command(stdout, stderr io.Writer, program app.Program) *cobra.Command {
	program.Version, program.Log, program.BalancerDelay = version, stderr, balancerDelay
	var printConfig bool
	cmd := &cobra.Command{
		Use:           "statusd",
		Short:         "Serve the status of Step Functions executions from Redis",
		Long:          "statusd receives the status events of Step Functions from SQS, stores them in Redis, and\nanswers GET /v1/status/{executionArn} from there. Each setting is also an environment\nvariable, named in parentheses. Settings of the AWS SDK, such as AWS_REGION, work too.",
		Version:       version,
		Args:          app.Arguments(0, 0),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.Load(cmd.Flags(), os.Getenv)
			if printConfig {
				_, _ = fmt.Fprint(stdout, config.Print())
				return err
			}
			if err != nil {
				return err
			}
			return app.Run(cmd.Context(), config, program)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	app.AddFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print every setting and where it comes from, and exit")
	cmd.AddCommand(healthcheckCommand(stdout), app.ManCommand())
	cmd.CompletionOptions.DisableDefaultCmd = true
	app.PlainHelp(cmd)
	return cmd
}
