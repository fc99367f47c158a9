package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// lived starts a Step Functions whose executions have ended, and returns the settings with
// which statusctl reaches it and a Redis.
func lived(t *testing.T, executions int) (aws *localaws.Server, machine string, env []string) {
	t.Helper()
	endpoint, aws := sqstest.Local(t)
	machine = aws.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending {
		return localaws.Ending{After: time.Millisecond, Status: "FAILED", Error: "Boom", Cause: "it broke"}
	})
	for i := range executions {
		if _, err := aws.StartExecution(machine, fmt.Sprint("lived-", i), `{"tenantId":"ada"}`); err != nil {
			t.Fatal(err)
		}
	}
	return aws, machine, []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y",
		"REDIS_URL=" + storeURL(t), "STATE_MACHINES=" + machine, "OWNER_PATH=tenantId", "STATUS_STATE_MACHINE=" + machine,
	}
}

// progressOf returns the last line of progress that a backfill printed.
func progressOf(t *testing.T, output string) (last struct {
	Progress struct {
		Resumed                          bool
		Listed, Known, Learnt, Described int
	}
}) {
	t.Helper()
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
		}
	}
	return last
}

func TestBackfillExplainErase(t *testing.T) {
	t.Parallel()
	const executions = 40
	_, machine, env := lived(t, executions)
	first := progressOf(t, ctl(t, env, 0, "backfill", "--since", "1h", "--rate", "100")).Progress
	again := progressOf(t, ctl(t, env, 0, "backfill", "--state-machine", machine, "--since", "1h", "--rate", "100", "--json")).Progress
	if first.Listed != executions || first.Learnt != executions || first.Described != executions || again.Known != executions || again.Described != 0 {
		t.Errorf("first %+v, again %+v", first, again)
	}

	text := ctl(t, env, 0, "explain", "lived-7")
	for _, want := range []string{"FAILED", "owner      ada", "from describe", "applied", "VERDICT"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	var explained explanation
	text = ctl(t, env, 0, "explain", string(cache.MachineARN(machine).Execution("lived-7")), "--json")
	if err := json.Unmarshal([]byte(text), &explained); err != nil || len(explained.Observations) != 1 || explained.Observations[0].Source != cache.FromDescribe {
		t.Errorf("%v: %s", err, text)
	}
	if text := ctl(t, env, 1, "explain", "never"); !strings.Contains(text, "not known") {
		t.Errorf("an execution that never existed: %s", text)
	}

	if text := ctl(t, env, 2, "erase", "--owner", "ada"); !strings.Contains(text, "--yes") {
		t.Errorf("without a terminal: %s", text)
	}
	if text := ctl(t, env, 0, "erase", "--owner", "ada", "--yes"); !strings.Contains(text, fmt.Sprintf("erased %d executions; searched %d records", executions, executions)) {
		t.Errorf("erase: %s", text)
	}
	ctl(t, env, 1, "explain", "lived-7")
}

// TestBackfillContinues: after an interruption, completed pages are not listed again.
func TestBackfillContinues(t *testing.T) {
	t.Parallel()
	const executions = 1100 // two pages
	aws, _, env := lived(t, executions)
	since, until := time.Now().Add(-time.Hour).Format(time.RFC3339), time.Now().Format(time.RFC3339)
	args := []string{"backfill", "--since", since, "--until", until, "--rate", "1000"}
	second, answer := make(chan struct{}), make(chan struct{})
	var lists atomic.Int32
	aws.SetFaults(localaws.Faults{Refuse: func(action string) error {
		if action == "ListExecutions" && lists.Add(1) == 2 {
			close(second)
			<-answer
		}
		return nil
	}})
	p := apptest.Start(t, "statusctl", env, args...)
	p.Until(second) // page is requested, so the first is complete
	p.Signal(syscall.SIGINT)
	if code := p.Wait(); code != exitInterrupted || !strings.Contains(p.Output(), "to continue, run it again within a day") {
		t.Errorf("exit code %d\n%s", code, p.Output())
	}
	close(answer)
	aws.SetFaults(localaws.Faults{})
	runs := 1
	cachetest.Eventually(t, "it completes", func() bool { // a backfill that failed because Redis was slow continues in the same way
		runs++
		again := apptest.Start(t, "statusctl", env, args...)
		code := again.Wait()
		if rest := progressOf(t, again.Output()).Progress; !rest.Resumed || rest.Listed > executions-1000 {
			t.Errorf("exit code %d, it continued as %+v", code, rest)
		}
		return code == 0
	})
	if n := aws.Calls()["DescribeExecution"]; n > executions+runs*8 {
		t.Errorf("%d calls for %d executions in %d runs", n, executions, runs)
	}
}

func TestBackfillErrors(t *testing.T) {
	t.Parallel()
	aws, machine, env := lived(t, 1)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no range":             {[]string{"backfill"}, "--since: not set"},
		"not a time":           {[]string{"backfill", "--since", "yesterday"}, "--since: \"yesterday\" is neither"},
		"backwards":            {[]string{"backfill", "--since", "1h", "--until", "2h"}, "--since must be before"},
		"not a state machine":  {[]string{"backfill", "--since", "1h", "--state-machine", "x"}, "--state-machine:"},
		"no such machine":      {[]string{"backfill", "--since", "1h", "--state-machine", machine + "x"}, "check --state-machine and AWS_REGION"},
		"a rate of nothing":    {[]string{"backfill", "--since", "1h", "--describe-rate", "0"}, "--rate: not set"},
		"not an execution":     {[]string{"explain", "a b"}, "not the ARN"},
		"no owner":             {[]string{"erase"}, "--owner: not set"},
		"no Redis":             {[]string{"explain", "x", "--redis-url", "redis://127.0.0.1:1"}, "REDIS_URL"},
		"an unknown flag":      {[]string{"backfill", "--begin", "1h"}, "unknown flag"},
		"an argument too many": {[]string{"explain", "x", "y"}, `unexpected argument "y", at most 1 allowed`},
		"no argument":          {[]string{"explain"}, "ARN is missing; for example: statusctl explain"},
	} {
		text := ctl(t, env, exitCouldNotAsk, test.args...)
		if lines := strings.Count(strings.TrimSpace(text), "\n"); lines > 0 || !strings.Contains(text, test.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
	aws.SetFaults(localaws.Faults{Refuse: func(action string) error {
		if action == "DescribeExecution" {
			return &localaws.Error{Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	}})
	if text := ctl(t, env, exitCouldNotAsk, "backfill", "--since", "1h"); !strings.Contains(text, "grant states:DescribeExecution") {
		t.Errorf("denied: %s", text)
	}
}
