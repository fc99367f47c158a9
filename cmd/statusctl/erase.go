package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
)

func eraseCommand() *cobra.Command {
	var owner string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase --owner ID",
		Short: "Remove all executions of an owner",
		Long: "Remove every record of an owner's executions: status, output, trail and lists. The command\n" +
			"reads every record in Redis, so it takes a while. An execution reappears if it still runs, if\n" +
			"it started in the last minutes, if the queue still has its events, or after a replay or a\n" +
			"backfill. API keys stay valid (see statusctl keys revoke). Without a terminal the command needs --yes.",
		Example: "  statusctl erase --owner ada",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if owner == "" {
				return couldNotAsk(errors.New("--owner: not set"))
			}
			if !yes && (!terminal.Interactive() || !terminal.Confirm(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), fmt.Sprintf("remove all executions of %q?", owner))) {
				return interrupted(cmd.Context(), errors.Join(cmd.Context().Err(), errors.New("nothing was erased; answer y, or give --yes")))
			}
			var looked, erased int64
			err := withStore(cmd, func(c *cache.Cache, _ app.Config) error {
				return c.Erase(cmd.Context(), owner, func(l, e int64) { looked, erased = max(looked, l), max(erased, e) })
			})
			if err != nil {
				return interrupted(cmd.Context(), err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "erased %d executions; searched %d records\n", erased, looked)
			return err
		},
	}
	storeFlags(cmd)
	cmd.Flags().StringVar(&owner, "owner", "", "owner whose executions are removed")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation")
	return cmd
}
