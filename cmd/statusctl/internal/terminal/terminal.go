// Package terminal has output that a person reads while it is written, and questions to that
// person.
package terminal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Fit cuts a line to the width of the terminal w. A longer line would take two rows,
// and only the last row can be redrawn.
func Fit(w io.Writer, line string) string {
	width := 80
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			width = columns
		}
	}
	if runes := []rune(line); len(runes) >= width {
		return string(runes[:width-1])
	}
	return line
}

// Confirm asks a yes-or-no question and reports whether the answer is y. Without a user,
// and after Ctrl-C, the answer is no.
func Confirm(ctx context.Context, in io.Reader, out io.Writer, question string) bool {
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt)
	defer stop()
	_, _ = fmt.Fprint(out, question+" [y/N] ")
	line := make(chan string, 1)
	go func() { // this goroutine may wait for a line until the program ends
		text, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			_, _ = fmt.Fprintln(out)
		}
		line <- text
	}()
	select {
	case text := <-line:
		answer := strings.ToLower(strings.TrimSpace(text))
		return answer == "y" || answer == "yes"
	case <-ctx.Done():
		_, _ = fmt.Fprintln(out)
		return false
	}
}

// Interactive reports whether a user can answer a question.
func Interactive() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && Is(os.Stderr)
}
