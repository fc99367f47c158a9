package app

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ManCommand returns the hidden command that writes the manual page of its program.
// Releases use it, so the page and --help cannot differ.
func ManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man [DATE]",
		Short:  "Write the manual page of this program, in roff",
		Hidden: true,
		Args:   Arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), manPage(cmd.Root(), strings.Join(args, "")))
			return err
		},
	}
}

// manPage returns the page of a program, with the given date: the same command and date give
// the same bytes.
func manPage(root *cobra.Command, date string) string {
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	var b strings.Builder
	name := root.Name()
	fmt.Fprintf(&b, ".TH %s 1 \"%s\" \"%s %s\" \"User Commands\"\n", strings.ToUpper(name), roff(date), name, roff(root.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", name, roff(root.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", name, roff(synopsis(root)))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", description(root))
	fmt.Fprintf(&b, ".SH OPTIONS\n%s", options(root.NonInheritedFlags()))
	if root.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".SH COMMANDS\n%s", subcommands(root))
	}
	if namesVariable.MatchString(b.String()) {
		b.WriteString(".SH ENVIRONMENT\nA name in capitals and in parentheses after an option is an environment variable with the\nsame meaning. The option takes precedence.\n")
	}
	others := slices.DeleteFunc([]string{"statusctl", "statusd", "statusdev"}, func(other string) bool { return other == name })
	fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1),\n.BR %s (1)\n", others[0], others[1])
	return b.String()
}

var namesVariable = regexp.MustCompile(`\([A-Z][A-Z_]+\)`)

func synopsis(root *cobra.Command) string {
	if root.HasAvailableSubCommands() && !root.Runnable() {
		return "command [flags]"
	}
	return "[flags]"
}

// subcommands describes the subcommands of a command, each followed by its own subcommands.
func subcommands(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		fmt.Fprintf(&b, ".SS \"%s\"\n%s%s", roff(sub.UseLine()), description(sub), options(sub.NonInheritedFlags()))
		if sub.Example != "" {
			b.WriteString(".PP\nExamples:\n" + verbatim(strings.Split(sub.Example, "\n")))
		}
		b.WriteString(subcommands(sub))
	}
	return b.String()
}

// description returns the text of a command. Indented lines stay unchanged.
func description(cmd *cobra.Command) string {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	var b strings.Builder
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \t")
		switch {
		case line == "":
			b.WriteString(".PP\n")
		case indented(line):
			end := i + 1
			for end < len(lines) && indented(lines[end]) {
				end++
			}
			b.WriteString(verbatim(lines[i:end]))
			i = end - 1
		default:
			b.WriteString(roff(line) + "\n")
		}
	}
	return b.String()
}

func indented(line string) bool { return line != "" && strings.ContainsRune(" \t", rune(line[0])) }

func verbatim(lines []string) string {
	var b strings.Builder
	b.WriteString(".nf\n.RS\n")
	for _, line := range lines {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	b.WriteString(".RE\n.fi\n")
	return b.String()
}

// zeroValues are defaults that are not shown.
var zeroValues = []string{"", "0", "0s", "false", "[]"}

func options(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(&b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if value != "" && f.Value.Type() != "bool" {
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
		}
		b.WriteString("\n" + roff(strings.ReplaceAll(usage, "\n", " ")))
		if !slices.Contains(zeroValues, f.DefValue) {
			fmt.Fprintf(&b, " (default %s)", roff(f.DefValue))
		}
		b.WriteString("\n")
	})
	return b.String()
}

// roffEscapes protect characters that roff would change: a dash would become a hyphen, a
// quote a curly quote.
var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// roff returns a line as roff text. A dot at its start would make it a request.
func roff(line string) string {
	line = roffEscapes.Replace(line)
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
