package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"statuscache/cmd/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(app.Exit(os.Stderr, "bench", err))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && children[args[0]] != nil {
		return children[args[0]](ctx)
	}
	b := bench{progress: stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&b.quick, "quick", false, "run two short rounds, only to check that the benchmark works")
	flags.IntVar(&b.rounds, "rounds", 7, "rounds of each comparison")
	only := flags.String("only", "", "measure one figure: "+strings.Join(names(), ", "))
	flags.DurationVar(&b.simulate, "for", 10*time.Minute, "for how long each run of truth starts executions")
	flags.IntVar(&b.records, "records", 1_000_000, "number of executions in Redis for questions")
	flags.BoolVar(&b.cluster, "cluster", false, "for questions, use a Redis Cluster of three primaries with a replica each")
	flags.StringVar(&b.scenario, "scenario", "", "run only the scenario of truth whose name contains this text")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return &app.ExitError{Code: 1} // flag has printed it
	}
	if flags.NArg() > 0 || b.rounds < 1 || b.records < 1000 {
		return errors.New("give no arguments, at least one round and at least 1000 records; see --help")
	}
	b.turn = 1500 * time.Millisecond
	if b.quick {
		b.rounds, b.turn = 2, 400*time.Millisecond
	}
	return b.all(ctx, *only, stdout)
}

// bench is one run.
type bench struct {
	dir      string // for the files of the peers
	rounds   int
	turn     time.Duration // of a contender under load
	quick    bool
	progress io.Writer
	simulate time.Duration // of truth
	scenario string        // of truth; empty: all
	records  int           // of questions
	cluster  bool          // likewise
}

// figure is a part of a run.
type figure struct {
	name    string
	measure func(*bench, context.Context) ([]line, error)
	slow    bool // left out of a run of everything
}

// figures are in the order of the table.
var figures = []figure{
	{"hot", (*bench).hotReads, false},
	{"tls", (*bench).hotOverTLS, false},
	{"proxied", (*bench).proxied, false},
	{"miss", (*bench).misses, false},
	{"growth", (*bench).growth, false},
	{"formats", (*bench).formats, false},
	{"ingest", (*bench).ingestion, false},
	{"memory", (*bench).memory, false},
	{"polls", (*bench).polls, false},
	{"arrival", (*bench).arrival, false},
	{"lateness", (*bench).lateness, false},
	{"waiting", (*bench).waiting, false},
	{"withWaiters", (*bench).withWaiters, false},
	{"dictionaries", (*bench).dictionaries, true},
	{"questions", (*bench).questions, true},
	{"truth", (*bench).truth, true},
}

func names() []string {
	var all []string
	for _, f := range figures {
		all = append(all, f.name)
	}
	return all
}

func (b *bench) all(ctx context.Context, only string, stdout io.Writer) error {
	begun := time.Now()
	var err error
	if b.dir, err = os.MkdirTemp("", "statuscache-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	lines, failed := b.measure(ctx, figures, only)
	if len(lines) == 0 {
		return failed
	}
	if err := printTable(stdout, lines); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "\n%s\n%d rounds of %v, taken in turn; median (least–most). %s; took %v.\n",
		notes, b.rounds, b.turn, machine(ctx), time.Since(begun).Round(time.Second))
	return errors.Join(failed, err)
}

// measure returns the lines of all figures, or of the named one. If a figure fails, the lines of
// the others are still returned.
func (b *bench) measure(ctx context.Context, all []figure, only string) ([]line, error) {
	var lines []line
	var failed []error
	known := only == ""
	for _, f := range all {
		if only != f.name && (only != "" || f.slow) {
			continue
		}
		known = true
		_, _ = fmt.Fprintf(b.progress, "measuring %s\n", f.name)
		more, err := f.measure(b, ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", f.name, err))
		}
		if ctx.Err() != nil {
			break
		}
		lines = append(lines, more...)
	}
	if !known {
		return nil, fmt.Errorf("there is no figure %q; there are %s", only, strings.Join(names(), ", "))
	}
	return lines, errors.Join(failed...)
}

const notes = `A cost is the user and system time of the processes, and of Redis if they use it. Hot reads use 16 connections.
statusd checks an API key, the rate and the owner, and writes its access log to /dev/null. nginx and webdis have one
worker each, check nothing and write no log. Ingest is in batches of 10, 8 at a time, on both sides.`

// machine describes the machine of the measurement.
func machine(ctx context.Context) string {
	printed, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	redis := "unknown"
	if fields := strings.Fields(string(printed)); err == nil && len(fields) > 2 {
		redis = strings.TrimPrefix(fields[2], "v=")
	}
	return fmt.Sprintf("%d cores, %s, Redis %s", runtime.NumCPU(), runtime.Version(), redis)
}
