// Command statusctl is the command line tool: it queries a status service, manages its
// API keys, and sets up and checks the event path.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
)

var version = "dev" // set by the build

func main() { app.Main("statusctl", command(os.Stdout)) }

func command(stdout io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "statusctl",
		Short:         "Query a status service, manage its API keys, check its setup",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.AddCommand(getCommand(), watchCommand(), listExecutionsCommand(), linkCommand(), outputCommand(), failuresCommand(), durationsCommand(), keysCommand(), provisionCommand(), doctorCommand(), replayCommand(), dlqCommand(), backfillCommand(), explainCommand(), eraseCommand(), compareCommand(), app.ManCommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: app.Arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	})
	completeValues(root)
	app.PlainHelp(root)
	return root
}
