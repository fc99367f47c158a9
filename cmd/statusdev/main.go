// Command statusdev runs the whole system on a laptop in one process: the service, a Redis, a
// queue, and a simulated pipeline behind POST /v1/generate. It needs no account and no
// installed software. It is for trying out and developing, never for production: when it ends,
// everything is lost except the data in a Redis of your own.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
)

var version = "dev" // set by the build

// If defaultAddr is in use, a free port is used instead, but not if the user gave an address.
const defaultAddr = "127.0.0.1:8080"

func main() { app.Main("statusdev", command(os.Stdout, os.Stderr)) }

func command(stdout, stderr io.Writer) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "statusdev",
		Short:         "Run the whole status service on this machine, with a simulated pipeline",
		Version:       version,
		Args:          app.Arguments(0, 0),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(o.loss >= 0 && o.loss <= 1) {
				return fmt.Errorf("--loss: %v is not between 0 and 1", o.loss)
			}
			o.fallback = !cmd.Flags().Changed("listen-addr")
			return run(cmd.Context(), o, stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.Flags().StringVar(&o.listenAddr, "listen-addr", defaultAddr, "address of the API; if you do not set it and the port is in use, a free port is used")
	cmd.Flags().StringVar(&o.redisURL, "redis-url", "", "a Redis to use instead of the embedded one, such as redis://localhost:6379")
	cmd.Flags().IntVar(&o.awsPort, "aws-port", 0, "port of the simulated AWS on loopback; set it if another process must connect there; 0: a free port")
	cmd.Flags().BoolVar(&o.quiet, "no-demo", false, "do not start executions automatically")
	cmd.Flags().Float64Var(&o.loss, "loss", 0, "share of the events that the simulated AWS loses, such as 0.1; the audit repairs this")
	cmd.Flags().StringVar(&o.dashboardDir, "dashboard-dir", "", "folder with the files of the dashboard, such as httpapi/dashboard; they are read for each request, so you can edit them")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "log every request")
	cmd.AddCommand(app.ManCommand())
	cmd.CompletionOptions.DisableDefaultCmd = true
	app.PlainHelp(cmd)
	return cmd
}
