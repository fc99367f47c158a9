package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statuscache/httpapi/client"
	"statuscache/ingest/operate"
)

// completed has the possible values of flags, if they are known.
var completed = map[string][]string{
	"status":             {"RUNNING", "SUCCEEDED", "FAILED"},
	"error":              {"States.Timeout", "States.TaskFailed", "States.Runtime", "States.Permissions"},
	"started-after":      {"1h", "24h", "168h"},
	"started-before":     {"1h", "24h", "168h"},
	"window":             {"1h", "24h", "7d"},
	"expires":            {"30m", "1h", "24h"},
	"scope":              {"read", "read:all", "register"},
	"for":                {string(client.All), string(client.Any), string(client.FirstFailure)},
	"redis-replica-acks": {"auto", "0", "1", "2"},
	"redis-url":          {"redis://localhost:6379", "redis+cluster://", "redis+sentinel://"},
	"event-bus":          {operate.DefaultBus},
}

// completeValues makes a shell offer the known values of arguments and flags, and files only if
// the value is a file.
func completeValues(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && cmd.ValidArgs == nil && !strings.Contains(cmd.Use, "FILE") {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if strings.HasSuffix(f.Name, "-file") {
			return
		}
		offer := cobra.FixedCompletions(completed[f.Name], cobra.ShellCompDirectiveNoFileComp)
		if f.Name == "state-machine" || f.Name == "state-machines" {
			offer = stateMachines
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, offer) // keep the completion that was set together with the flag
	})
	for _, sub := range cmd.Commands() {
		completeValues(sub)
	}
}

// stateMachines offers the state machines in STATE_MACHINES.
func stateMachines(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return strings.FieldsFunc(os.Getenv("STATE_MACHINES"), func(r rune) bool { return r == ',' || r == ' ' }), cobra.ShellCompDirectiveNoFileComp
}
