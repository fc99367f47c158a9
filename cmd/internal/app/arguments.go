package app

import (
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Arguments accepts least to most arguments; most < 0 means no upper bound. Its errors
// say which argument is missing or unexpected, with an example.
func Arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		path := cmd.CommandPath()
		switch {
		case len(args) < least:
			_, wanted, _ := strings.Cut(cmd.Use, " ")
			return fmt.Errorf("%s: %s is missing; for example: %s", path, strings.Trim(wanted, "[]."), exampleOf(cmd))
		case most == 0 && len(args) > 0:
			return fmt.Errorf("%s takes no arguments, but got %q; %s --help lists its flags", path, args[0], path)
		case most > 0 && len(args) > most:
			return fmt.Errorf("%s: unexpected argument %q, at most %d allowed; for example: %s", path, args[most], most, exampleOf(cmd))
		}
		return nil
	}
}

// exampleOf returns the first example of a command, or its usage line if it has none.
func exampleOf(cmd *cobra.Command) string {
	first, _, _ := strings.Cut(strings.TrimSpace(cmd.Example), "\n")
	if first == "" {
		return cmd.UseLine()
	}
	return first
}

const (
	boolNoise      = "[=true|false]"
	plainFlagsFunc = "plainFlags"
)

var addPlainFlags = sync.OnceFunc(func() {
	cobra.AddTemplateFunc(plainFlagsFunc, func(f *pflag.FlagSet) string {
		return strings.ReplaceAll(f.FlagUsages(), boolNoise, strings.Repeat(" ", len(boolNoise)))
	})
})

// PlainHelp changes the help of a command and its subcommands: boolean flags are listed
// without a value.
func PlainHelp(cmd *cobra.Command) {
	addPlainFlags()
	template := cmd.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		template = strings.ReplaceAll(template, flags+".FlagUsages", plainFlagsFunc+" "+flags)
	}
	cmd.SetUsageTemplate(template)
}
