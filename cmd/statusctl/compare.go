package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"statuscache/cmd/internal/app"
	"statuscache/cmd/statusctl/internal/terminal"
	"statuscache/httpapi/client"
)

// Bounds of a comparison.
const (
	defaultSample = 200
	sampleFrom    = 5000 // a sample is drawn from at least this many executions of the list
	listPage      = 100
	shownExamples = 3 // shown for one kind of difference

	compareTries = 4 // for getting an answer from a busy service
	firstBusy    = 500 * time.Millisecond
	longestBusy  = time.Minute
)

const compareHelp = `Request the same executions from this service and from another endpoint that has the same route,
and compare the answers: the names of the fields; status, startDate, stopDate and errorMessage as
text; the output byte for byte; errors by their status and code. If two answers differ, both are
requested again after --settle, because the execution may have changed between the two requests.

--sample takes random executions from the list of this service, so it does not find those that
only the other endpoint knows. --arns names a file with one ARN per line, or - for standard input.
The exit code is 0 if nothing differs, 1 if something differs, 2 if one endpoint did not answer.`

// comparison has the flags of compare.
type comparison struct {
	connection
	against, againstToken string
	sample                int
	file                  string
	rate                  float64
	settle                time.Duration
	asJSON                bool
}

func compareCommand() *cobra.Command {
	var c comparison
	cmd := &cobra.Command{
		Use:   "compare --against URL",
		Short: "Compare the answers of another endpoint and of this service",
		Long:  compareHelp,
		Example: "  statusctl compare --against https://api.example.com --sample 500 --rate 2\n" +
			"  statusctl compare --against https://api.example.com --arns executions.txt",
		Args: func(cmd *cobra.Command, args []string) error { return couldNotAsk(app.Arguments(0, 0)(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.against, "against", "", "URL of the other endpoint, without /v1/status")
	f.StringVar(&c.againstToken, "against-token", "", "token for the other endpoint (STATUS_AGAINST_TOKEN) (default: the same token)")
	f.IntVar(&c.sample, "sample", defaultSample, "number of executions to compare")
	f.StringVar(&c.file, "arns", "", "file with one ARN per line, or - for standard input")
	f.Float64Var(&c.rate, "rate", 5, "executions per second; keep it low for an endpoint that calls DescribeExecution")
	f.DurationVar(&c.settle, "settle", 2*time.Second, "pause before executions with different answers are requested again")
	f.BoolVar(&c.asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("sample", "arns")
	return cmd
}

func (c *comparison) run(cmd *cobra.Command) error {
	ours, theirs, err := c.services()
	if err != nil {
		return couldNotAsk(err)
	}
	arns, err := c.executions(cmd, ours)
	if err != nil {
		return couldNotAsk(err)
	}
	r := &report{Differences: map[string]*kind{}}
	limit := rate.NewLimiter(rate.Limit(c.rate), 1)
	shown := newProgress(cmd.ErrOrStderr(), !terminal.Is(cmd.ErrOrStderr()))
	shown.unit = "executions"
	for i, arn := range arns {
		if err := c.compare(cmd.Context(), limit, theirs, ours, arn, r); err != nil {
			shown.end()
			return couldNotAsk(err)
		}
		shown.update(float64(i+1), float64(len(arns)), map[string]any{"different": r.Different})
	}
	shown.end()
	if err := r.print(cmd.OutOrStdout(), c.asJSON); err != nil {
		return couldNotAsk(err)
	}
	return r.verdict()
}

// services returns clients of this service and of the other endpoint.
func (c *comparison) services() (ours, theirs *client.Client, err error) {
	if c.against == "" {
		return nil, nil, errors.New("--against: not set; give the URL of the other endpoint")
	}
	if !(c.rate > 0 && c.rate <= 1000) {
		return nil, nil, errors.New("--rate: must be more than 0 and at most 1000")
	}
	if c.sample < 1 {
		return nil, nil, errors.New("--sample: must be at least 1")
	}
	if c.settle < 0 {
		return nil, nil, errors.New("--settle: must not be negative")
	}
	if ours, err = c.client(); err != nil {
		return nil, nil, err
	}
	token := first(c.againstToken, os.Getenv("STATUS_AGAINST_TOKEN"), c.token, os.Getenv("STATUS_TOKEN"))
	if theirs, err = client.New(c.against, token); err != nil {
		return nil, nil, fmt.Errorf("--against: %w", err)
	}
	return ours, theirs, nil
}

// executions returns the executions to compare.
func (c *comparison) executions(cmd *cobra.Command, ours *client.Client) (arns []string, err error) {
	if c.file != "" {
		arns, err = c.named(cmd.InOrStdin())
	} else {
		arns, err = c.sampled(cmd.Context(), ours)
	}
	if err == nil && len(arns) == 0 {
		err = errors.New("there is no execution to compare")
	}
	return arns, err
}

func (c *comparison) named(stdin io.Reader) (arns []string, err error) {
	in := stdin
	if c.file != "-" {
		f, err := os.Open(c.file)
		if err != nil {
			return nil, fmt.Errorf("--arns: %w", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		arn, err := c.executionARN(text)
		if err != nil {
			return nil, fmt.Errorf("--arns: line %d: %w", number, err)
		}
		arns = append(arns, arn)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--arns: %w", err)
	}
	return arns, nil
}

// sampled draws random executions from the newest ones of the list.
func (c *comparison) sampled(ctx context.Context, ours *client.Client) (arns []string, err error) {
	machine := first(c.machine, os.Getenv("STATUS_STATE_MACHINE"))
	for q := (client.Query{Limit: listPage, StateMachineARN: machine}); len(arns) < max(sampleFrom, c.sample); {
		page, err := ours.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Executions {
			arns = append(arns, e.ExecutionARN)
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	rand.Shuffle(len(arns), func(i, j int) { arns[i], arns[j] = arns[j], arns[i] })
	return arns[:min(c.sample, len(arns))], nil
}

// compare compares one execution. Its error says that there was no answer.
func (c *comparison) compare(ctx context.Context, limit *rate.Limiter, theirs, ours *client.Client, arn string, r *report) error {
	differences, err := c.ask(ctx, limit, theirs, ours, arn)
	if len(differences) > 0 && err == nil {
		if err := pause(ctx, c.settle); err != nil {
			return err
		}
		differences, err = c.ask(ctx, limit, theirs, ours, arn)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.unanswered(arn, err)
	default:
		r.add(arn, differences)
	}
	return nil
}

func (c *comparison) ask(ctx context.Context, limit *rate.Limiter, theirs, ours *client.Client, arn string) ([]difference, error) {
	if err := limit.Wait(ctx); err != nil {
		return nil, err
	}
	before, err := answerOf(ctx, theirs, arn)
	if err != nil {
		return nil, fmt.Errorf("the other endpoint: %w", err)
	}
	after, err := answerOf(ctx, ours, arn)
	if err != nil {
		return nil, fmt.Errorf("this service: %w", err)
	}
	return before.differences(after), nil
}

// answerOf requests an execution until the service answers with its state or with an error
// about it, not with an error of its own.
func answerOf(ctx context.Context, c *client.Client, arn string) (answered, error) {
	busy := firstBusy
	for try := 1; ; try++ {
		e, err := c.GetPlain(ctx, arn)
		if err == nil {
			return readAnswer(e.Raw)
		}
		refused, ok := errors.AsType[*client.Error](err)
		if !ok {
			return answered{}, err
		}
		again, after := refused.Transient()
		if refused.StatusCode == 401 || again && try == compareTries {
			return answered{}, err
		}
		if !again {
			return answered{refused: fmt.Sprintf("%d %s", refused.StatusCode, refused.Code), unknown: refused.StatusCode == 404}, nil
		}
		if err := pause(ctx, max(busy, min(after, longestBusy))); err != nil {
			return answered{}, err
		}
		busy *= 2
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// report is the result of a comparison.
type report struct {
	Compared    int              `json:"compared"`
	Different   int              `json:"different"` // executions
	Unanswered  int              `json:"unanswered"`
	Differences map[string]*kind `json:"differences"` // by kind
	Errors      []string         `json:"errors,omitempty"`
}

// kind is one kind of difference.
type kind struct {
	Count    int       `json:"count"`
	Examples []example `json:"examples"`
}

type example struct {
	ExecutionARN string `json:"executionArn"`
	Other        string `json:"other"`
	This         string `json:"this"`
}

func (r *report) add(arn string, differences []difference) {
	r.Compared++
	if len(differences) > 0 {
		r.Different++
	}
	for _, d := range differences {
		k := r.Differences[d.kind]
		if k == nil {
			k = &kind{}
			r.Differences[d.kind] = k
		}
		if k.Count++; len(k.Examples) < shownExamples {
			k.Examples = append(k.Examples, example{arn, d.other, d.this})
		}
	}
}

func (r *report) unanswered(arn string, err error) {
	if r.Unanswered++; len(r.Errors) < shownExamples {
		r.Errors = append(r.Errors, arn+": "+err.Error())
	}
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	_, _ = fmt.Fprintf(w, "%d compared, %d different, %d not answered\n", r.Compared, r.Different, r.Unanswered)
	for _, text := range r.Errors {
		_, _ = fmt.Fprintln(w, "not answered: "+text)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range differenceKinds {
		k := r.Differences[name]
		if k == nil {
			continue
		}
		_, _ = fmt.Fprintf(t, "%s: %d\n", name, k.Count)
		for _, e := range k.Examples {
			_, _ = fmt.Fprintf(t, "  %s\n    other\t%s\n    this\t%s\n", e.ExecutionARN, e.Other, e.This)
		}
	}
	return t.Flush()
}

// verdict is an error that carries the exit code.
func (r *report) verdict() error {
	code := 0
	switch {
	case r.Unanswered > 0:
		code = exitCouldNotAsk
	case r.Different > 0:
		code = exitFailed
	}
	if code == 0 {
		return nil
	}
	return &app.ExitError{Code: code}
}

// raw returns the text of a JSON value, or a word that says that the value is missing.
func raw(value json.RawMessage) string { return cmp.Or(string(value), "(none)") }
