package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/httpapi/client"
)

const exitInterrupted = 130

func watchCommand() *cobra.Command {
	var c connection
	var asJSON bool
	var timeout time.Duration
	until := ""
	cmd := &cobra.Command{
		Use:   "watch ARN...",
		Short: "Follow executions to their end",
		Long: "Follow one or several executions to their end. Give the ARN of each, or the name alone\n" +
			"if --state-machine or STATUS_STATE_MACHINE is set. The exit codes are those of get; for several\n" +
			"executions, it is that of the worst result.",
		Example: "  statusctl watch --timeout 10m arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123\n" +
			"  statusctl watch --for firstFailure abc-1 abc-2 abc-3",
		Args: func(cmd *cobra.Command, args []string) error {
			return couldNotAsk(app.Arguments(1, -1)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			service, err := c.client()
			if err != nil {
				return couldNotAsk(err)
			}
			arns := make([]string, len(args))
			for i, arg := range args {
				if arns[i], err = c.executionARN(arg); err != nil {
					return couldNotAsk(err)
				}
			}
			ctx := cmd.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			w := &watcher{out: cmd.OutOrStdout(), json: asJSON, spin: newSpinner(cmd.ErrOrStderr())}
			defer w.spin.stop()
			if len(arns) == 1 {
				err = w.one(ctx, service, arns[0])
			} else {
				err = w.several(ctx, service, arns, client.Until(until))
			}
			return whyEnded(cmd.Context(), ctx, err)
		},
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the JSON of the service, one state per line")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait, such as 10m; after that time the exit code is 124")
	cmd.Flags().StringVar(&until, "for", string(client.All), "what to wait for with several executions: all, any or firstFailure")
	return cmd
}

// whyEnded turns the end of a context, by a signal or a timeout, into an exit code.
func whyEnded(program, watch context.Context, err error) error {
	_, decided := errors.AsType[*app.ExitError](err)
	switch {
	case err == nil || decided:
		return err
	case program.Err() != nil:
		return &app.ExitError{Code: exitInterrupted}
	case errors.Is(watch.Err(), context.DeadlineExceeded):
		return &app.ExitError{Code: exitStillRuns}
	}
	return couldNotAsk(err)
}

// watcher shows the states of executions as they arrive.
type watcher struct {
	out  io.Writer
	json bool
	spin *spinner
	last string                       // line
	full map[string]*client.Execution // how failed executions of a set ended
}

func (w *watcher) one(ctx context.Context, service *client.Client, arn string) error {
	w.spin.say("asking")
	for e, err := range service.Watch(ctx, arn) {
		if err != nil {
			return err
		}
		if err := w.show(e); err != nil {
			return err
		}
		if e.Ended() {
			return exitCode(e)
		}
	}
	return fmt.Errorf("the stream ended before %s did", arn)
}

func (w *watcher) show(e *client.Execution) error {
	w.spin.hide()
	defer w.spin.show(e)
	if w.json {
		_, err := fmt.Fprintf(w.out, "%s\n", e.Raw)
		return err
	}
	if e.Ended() {
		return show(w.out, e, false)
	}
	if w.spin.on { // the spinner shows it
		return nil
	}
	line := e.Status + "  " + e.ExecutionARN
	if line == w.last { // the change is not visible in this line
		return nil
	}
	w.last = line
	_, err := fmt.Fprintln(w.out, line)
	return err
}

// several waits for several executions, and prints each of them when it ends.
func (w *watcher) several(ctx context.Context, service *client.Client, arns []string, until client.Until) error {
	w.spin.say(fmt.Sprintf("0 of %d have ended", len(arns)))
	reported := make([]string, len(arns))
	var failed error
	set, err := service.WaitAll(ctx, arns, until, func(s *client.Set) {
		w.spin.hide()
		ended := 0
		for i, r := range s.Results {
			if r.Err == nil && r.Ended() {
				ended++
				r.Execution = w.inFull(ctx, service, r.Execution)
			}
			line := summary(arns[i], r)
			if line == reported[i] || !w.json && r.Err == nil && !r.Ended() {
				continue
			}
			reported[i] = line
			if w.json && r.Err == nil {
				line = string(r.Raw)
			}
			if _, err := fmt.Fprintln(w.out, line); err != nil {
				failed = err
			}
		}
		w.spin.say(fmt.Sprintf("%d of %d have ended", ended, len(arns)))
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return worst(ctx, service, set)
}

// inFull requests how an execution failed: a set reports FAILED for aborted executions, too.
func (w *watcher) inFull(ctx context.Context, service *client.Client, e *client.Execution) *client.Execution {
	if w.json || e.Status != "FAILED" {
		return e
	}
	if w.full[e.ExecutionARN] == nil {
		full, err := service.Get(ctx, e.ExecutionARN)
		if err != nil || !full.Ended() {
			return e
		}
		if w.full == nil {
			w.full = map[string]*client.Execution{}
		}
		w.full[e.ExecutionARN] = full
	}
	return w.full[e.ExecutionARN]
}

func summary(arn string, r client.Result) string {
	if r.Err != nil {
		return fmt.Sprintf("%-9s  %s  %s", "?", arn, r.Err)
	}
	line := fmt.Sprintf("%-9s  %s", first(r.ExecutionStatus, r.Status), arn)
	if r.ErrorMessage != "" {
		line += "  " + r.ErrorMessage
	}
	return line
}

// worst is the exit code of a set. From worst to best: could not ask, failed, not ended,
// succeeded.
func worst(ctx context.Context, service *client.Client, set *client.Set) error {
	var failed, still error
	for _, r := range set.Results {
		switch {
		case r.Err != nil:
			return couldNotAsk(r.Err)
		case !r.Ended():
			still = &app.ExitError{Code: exitStillRuns}
		case r.Status == "FAILED" && failed == nil:
			full, err := service.Get(ctx, r.ExecutionARN) // says how it failed
			if err != nil {
				full = r.Execution
			}
			failed = exitCode(full)
		}
	}
	if failed != nil || !set.Done {
		return failed
	}
	return still
}

// spinner is a line that shows progress, on terminals only.
type spinner struct {
	w       io.Writer
	on      bool
	text    chan string
	stopped chan struct{}
}

const spinEvery = 120 * time.Millisecond

func newSpinner(w io.Writer) *spinner {
	s := &spinner{w: w, on: terminal.Is(w), text: make(chan string), stopped: make(chan struct{})}
	if s.on {
		go s.run()
	}
	return s
}

func (s *spinner) run() {
	defer close(s.stopped)
	tick := time.NewTicker(spinEvery)
	defer tick.Stop()
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	text, begun := "", time.Now()
	for i := 0; ; i++ {
		select {
		case next, more := <-s.text:
			_, _ = fmt.Fprint(s.w, "\r\033[K") // to an empty line
			if !more {
				return
			}
			text = next
		case <-tick.C:
		}
		if text != "" {
			line := fmt.Sprintf("%c %v  %s", frames[i%len(frames)], time.Since(begun).Truncate(time.Second), text)
			_, _ = fmt.Fprint(s.w, "\r\033[K"+terminal.Fit(s.w, line))
		}
	}
}

// say replaces the shown text.
func (s *spinner) say(text string) {
	if s.on {
		s.text <- text
	}
}

// hide removes the line to make room for other output.
func (s *spinner) hide() { s.say("") }

func (s *spinner) show(e *client.Execution) {
	switch {
	case e.Ended():
	case e.Attempt > 1:
		s.say(fmt.Sprintf("%s  attempt %d  %s", e.Status, e.Attempt, e.ExecutionARN))
	default:
		s.say(e.Status + "  " + e.ExecutionARN)
	}
}

func (s *spinner) stop() {
	if s.on {
		close(s.text)
		<-s.stopped
	}
}
