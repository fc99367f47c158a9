package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/changes"
	"statuscache/cache/lists"
	"statuscache/cache/stats"
	"statuscache/cache/worklist"
	"statuscache/cmd/internal/apptest"
	"statuscache/httpapi"
)

const pepper = "pepper pepper pepper"

func TestMain(m *testing.M) { apptest.Main(m, map[string]func(){"statusctl": main}) }

// ctl runs statusctl on a Redis and returns what it printed.
func ctl(t *testing.T, env []string, wantCode int, args ...string) string {
	t.Helper()
	code, out := apptest.Run(t, func(stdout, _ io.Writer) *cobra.Command { return command(stdout) }, env, args...)
	if code != wantCode {
		t.Errorf("%v: exit code %d, want %d\n%s", args, code, wantCode, out)
	}
	return out
}

func TestKeys(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	env := []string{"REDIS_URL=" + redis.URL(), "API_KEY_PEPPER=" + pepper, "API_KEYS_FILE=" + file}

	var made map[string]any
	text := ctl(t, env, 0, "keys", "create", "--owner", "ada", "--name", "CI", "--daily-limit", "5", "--json")
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	secret, _ := made["key"].(string)
	prefix, _ := made["prefix"].(string)
	if !apikeys.WellFormed(secret) || prefix != secret[:17] || made["name"] != "CI" || made["owner"] != "ada" || made["scope"] != "read" || made["createdAt"] == "" {
		t.Errorf("created: %s", text)
	}
	plain := ctl(t, env, 0, "keys", "create", "--owner", "gen", "--name", "generate", "--scope", "register",
		"--state-machine", "arn:aws:states:eu-west-1:123456789012:stateMachine:A", "--state-machine", "arn:aws:states:eu-west-1:123456789012:stateMachine:B")
	if first, _, _ := strings.Cut(plain, "\n"); !apikeys.WellFormed(first) {
		t.Errorf("the key is not on a separate line: %s", plain)
	}
	var listed []map[string]any
	text = ctl(t, env, 0, "keys", "list", "--json")
	if err := json.Unmarshal([]byte(text), &listed); err != nil || len(listed) != 2 || strings.Contains(text, secret) || listed[0]["key"] != nil {
		t.Errorf("%v: %s", err, text)
	}
	if table := ctl(t, env, 0, "keys", "list"); !strings.Contains(table, prefix) || strings.Contains(table, secret) {
		t.Errorf("table: %s", table)
	}
	ctl(t, env, 0, "keys", "export")
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("exported: %v %s", err, text)
	}
	if out := ctl(t, env, 0, "keys", "revoke", prefix); !strings.Contains(out, "revoked "+prefix) {
		t.Errorf("revoke: %s", out)
	}
	keys, err := apikeys.ReadFile(file)
	if err != nil || !keys[0].Revoked() || keys[1].Revoked() {
		t.Errorf("the file after the revocation: %+v, %v", keys, err)
	}
	if text := ctl(t, env, 1, "keys", "create", "--owner", "a", "--name", "x", "--api-key-pepper", "another pepper of ours"); !strings.Contains(text, "API_KEY_PEPPER is not the secret of") {
		t.Errorf("with another pepper: %s", text)
	}
	redis.Do("FLUSHALL")
	ctl(t, env, 0, "keys", "import")
	if table := ctl(t, env, 0, "keys", "list"); !strings.Contains(table, prefix) {
		t.Errorf("imported: %s", table)
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"keys", "revoke", "csk_live_00000000"}, "no API key has the prefix"},
		{[]string{"keys", "create", "--name", "x"}, "--owner"},
		{[]string{"keys", "create", "--owner", "a", "--name", "x", "--scope", "all"}, "--scope"},
		{[]string{"keys", "create", "--owner", "a", "--name", "x", "--state-machine", "y"}, "--state-machine"},
		{[]string{"keys", "create", "--owner", "a", "--name", "x", "--daily-limit", "-1"}, "--daily-limit"},
		{[]string{"keys", "import", "/nowhere"}, "/nowhere"},
		{[]string{"keys", "export", "/nowhere/keys.json"}, "write API keys to /nowhere/keys.json: no such file or directory; create its directory first"},
		{[]string{"keys", "export", file + "/keys.json"}, file + "/keys.json: not a directory"},
		{[]string{"keys", "export", "a", "b"}, `unexpected argument "b", at most 1 allowed`},
		{[]string{"keys", "revoke"}, "PREFIX is missing; for example: statusctl keys revoke csk_live_"},
		{[]string{"keys", "list", "ada"}, `takes no arguments, but got "ada"`},
		{[]string{"keys", "list", "--redis-url", "redis://127.0.0.1:1"}, "REDIS_URL"},
		{[]string{"keys", "list", "--redis-url", "x:hunter2@h"}, "for example redis://user:password@redis.internal:6379"},
		{[]string{"nothing"}, "unknown command"},
	} {
		out := ctl(t, env, 1, wrong.args...)
		if !strings.HasPrefix(out, "statusctl: ") || !strings.Contains(out, wrong.want) || strings.Contains(out, "goroutine") || strings.Contains(out, ".keys-") || strings.Contains(out, "hunter2") {
			t.Errorf("%v: %s", wrong.args, out)
		}
	}
}

// TestAKeyIsRevokedAlthoughNoReplicaConfirmsIt: the command fails, because a failover would
// restore the key, but until then the key is not valid.
func TestAKeyIsRevokedAlthoughNoReplicaConfirmsIt(t *testing.T) {
	t.Parallel()
	primary := cachetest.Redis(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := cachetest.Redis(t, "--replicaof", host, port)
	cachetest.Eventually(t, "the replica follows", func() bool { return replica.Info("master_link_status") == "up" })
	file := filepath.Join(t.TempDir(), "keys.json")
	env := []string{"REDIS_URL=" + primary.URL(), "API_KEY_PEPPER=" + pepper, "API_KEYS_FILE=" + file}
	secret, _, _ := strings.Cut(ctl(t, env, 0, "keys", "create", "--owner", "ada", "--name", "CI"), "\n")
	prefix := secret[:17]
	ctl(t, env, 0, "keys", "export")
	primary.Do("ACL SETUSER default -psync -sync")
	primary.Do("CLIENT KILL TYPE replica")
	cachetest.Eventually(t, "the replica is gone", func() bool { return primary.Info("connected_slaves") == "0" })

	if text := ctl(t, env, 1, "keys", "revoke", prefix); !strings.Contains(text, "stored, but not confirmed") || !strings.Contains(text, "run the command again") || strings.Contains(text, "not in Redis") {
		t.Errorf("revoke: %s", text)
	}
	var listed []apikeys.Key
	if text := ctl(t, env, 0, "keys", "list", "--json"); json.Unmarshal([]byte(text), &listed) != nil || len(listed) != 1 || !listed[0].Revoked() {
		t.Errorf("listed: %s", text)
	}

	// SYNC stays forbidden: a replica whose PSYNC has just been refused would use it, and then
	// report wrong offsets, so that none of its confirmations would count.
	primary.Do("ACL SETUSER default +psync")
	cachetest.Eventually(t, "the replica confirms the revocation", func() bool { // a busy one may be too late at first
		code, _ := apptest.Run(t, func(stdout, _ io.Writer) *cobra.Command { return command(stdout) }, env, "keys", "revoke", prefix)
		return code == 0
	})
}

// TestWrongArgumentsHaveClearErrors that show a correct call.
func TestWrongArgumentsHaveClearErrors(t *testing.T) {
	t.Parallel()
	env := []string{"STATUS_TOKEN=x", "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"get"}, "ARN is missing; for example: statusctl get --wait 2m arn:aws:"},
		{[]string{"watch"}, "ARN is missing; for example: statusctl watch --timeout 10m arn:aws:"},
		{[]string{"doctor", "now"}, `takes no arguments, but got "now"; statusctl doctor --help`},
		{[]string{"get", "abc-123"}, "--state-machine ARN, or export STATUS_STATE_MACHINE=arn:aws:states:"},
		{[]string{"watch", "abc-123"}, "--state-machine ARN, or export STATUS_STATE_MACHINE=arn:aws:states:"},
		{[]string{"list", "--status", "TIMED_OUT"}, "give --status FAILED"},
		{[]string{"list", "--status", "ABORTED"}, "give --status FAILED"},
		{[]string{"replay", "--archive", "x", "--from", "5m", "--now"}, "--from 5m is not before --to 10m (default 10m); for events up to now, give --to 0s"},
	} {
		text := ctl(t, env, exitCouldNotAsk, wrong.args...)
		if strings.Count(strings.TrimSpace(text), "\n") > 0 || !strings.Contains(text, wrong.want) {
			t.Errorf("%v: %s", wrong.args, text)
		}
	}
	for _, help := range [][]string{{"get", "--help"}, {"keys", "create", "--help"}, {"--help"}} {
		if text := ctl(t, env, 0, help...); strings.Contains(text, "true|false") || !strings.Contains(text, "--help ") {
			t.Errorf("%v: %s", help, text)
		}
	}
}

// service serves a cache, and returns the cache and the environment with which statusctl calls
// the service.
func service(t *testing.T) (c *cache.Cache, env []string) {
	t.Helper()
	c, err := cache.Open(cache.Options{
		URL: storeURL(t), Prefix: "sc", Retention: 360 * time.Hour, Log: slog.New(slog.DiscardHandler),
		ReadLimit: time.Minute, WriteLimit: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apikeys.Open(c.DB(), apikeys.Options{Pepper: []byte(pepper), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	hub := changes.Open(c)
	server := httpapi.New(httpapi.Options{Cache: c, Lists: lists.NewReader(c), Changes: hub, Trails: c, Outputs: worklist.New(c.DB(), nil), Statistics: stats.Open(c, nil), Keys: keys, Links: keys, MaxWait: 25 * time.Second, Retention: 360 * time.Hour})
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(ctx, l, nil, 10*time.Second) })
	running.Go(func() { _ = c.Run(ctx) })
	running.Go(func() { _ = hub.Run(ctx) })
	running.Go(func() { _ = keys.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = c.Close()
	})
	secret, _, err := keys.Create(t.Context(), apikeys.Key{Owner: "ada", Name: "test", Scope: apikeys.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	return c, []string{"STATUS_URL=http://" + l.Addr().String() + "/", "STATUS_TOKEN=" + secret}
}

// storeURL returns the URL of a real Redis, or with -short of an embedded one.
func storeURL(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		return "redis://" + miniredis.RunT(t).Addr()
	}
	return cachetest.Redis(t).URL()
}

func apply(t *testing.T, c *cache.Cache, executions ...cache.Execution) {
	t.Helper()
	for _, o := range c.Apply(t.Context(), executions) {
		if !o.Final() {
			t.Fatal(o.Err)
		}
	}
}

// execution is an execution of ada in a given state.
func execution(t *testing.T, name string, status cache.Status) cache.Execution {
	t.Helper()
	arn, err := cache.ParseARN(executions + name)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Minute).Truncate(time.Minute)
	e := cache.Execution{ARN: arn, Status: status, StartDate: start, Completeness: cache.Complete, Owner: "ada", Source: cache.FromEvent}
	if e.Terminal() {
		e.StopDate = start.Add(5 * time.Second)
	}
	if status == cache.Succeeded {
		e.Output = []byte(`{"metadata":{"n":9007199254740993}}`)
	}
	return e
}

const executions = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:"

// TestWatch lets executions end while they are watched.
func TestWatch(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	for status, code := range map[cache.Status]int{
		cache.Succeeded: 0, cache.Failed: exitFailed, cache.TimedOut: exitTimedOut, cache.Aborted: exitAborted,
	} {
		for _, args := range [][]string{{}, {"--json"}, {"other"}} {
			name := fmt.Sprint("watch-", status, len(args), strings.Join(args, ""))
			apply(t, c, execution(t, name, cache.Running), execution(t, "other", cache.Succeeded))
			if len(args) == 1 && args[0] == "other" {
				args = []string{executions + "other"}
			}
			p := apptest.Start(t, "statusctl", env, append([]string{"watch", executions + name}, args...)...)
			if len(args) == 0 || args[0] == "--json" {
				cachetest.Eventually(t, "it is shown as running", func() bool { return strings.Contains(p.Output(), "RUNNING") })
			} else {
				cachetest.Eventually(t, "the other execution is shown", func() bool { return strings.Contains(p.Output(), "SUCCEEDED") })
			}
			apply(t, c, execution(t, name, status))
			if got := p.Wait(); got != code {
				t.Errorf("%s %v: exit code %d, want %d\n%s", status, args, got, code, p.Output())
			}
			if len(args) == 1 && args[0] == "--json" {
				for line := range strings.Lines(p.Output()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("%s: %s", status, line)
					}
				}
			}
		}
	}
	apply(t, c, execution(t, "runs", cache.Running))
	ctl(t, env, exitStillRuns, "watch", "--timeout", "300ms", executions+"runs")
	ctl(t, env, exitStillRuns, "get", "--wait", "300ms", executions+"runs")
	ctl(t, env, exitCouldNotAsk, "watch", executions+"runs", "--token", "csk_live_00000000000000000000000000000000")
	p := apptest.Start(t, "statusctl", env, "get", "--wait", "5m", "--state-machine", "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", "runs")
	apply(t, c, execution(t, "runs", cache.TimedOut))
	if got := p.Wait(); got != exitTimedOut {
		t.Errorf("get --wait of a name: %d\n%s", got, p.Output())
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	for i := range 7 {
		status := cache.Succeeded
		if i == 3 {
			status = cache.Failed
		}
		apply(t, c, execution(t, fmt.Sprint("e", i), status))
	}
	out := ctl(t, env, 0, "list")
	if strings.Count(out, "\n") != 9 || !strings.Contains(out, "0 running, 6 succeeded, 1 failed") || !strings.Contains(out, `{"n":9007199254740993}`) {
		t.Error(out)
	}
	if out := ctl(t, env, 0, "list", "--status", "FAILED", "--json"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"name":"e3"`) {
		t.Error(out)
	}
	if out := ctl(t, env, 0, "list", "--limit", "2", "--json"); strings.Count(out, "\n") != 2 {
		t.Error(out)
	}
	if out := ctl(t, env, exitCouldNotAsk, "list", "--owner", "eve"); !strings.Contains(out, "Forbidden") {
		t.Error(out)
	}
	if out := ctl(t, env, 0, "list", "--status", "failed", "--json"); strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
	p := apptest.Start(t, "statusctl", env, "list", "--follow", "--json")
	cachetest.Eventually(t, "the newest executions are shown", func() bool { return strings.Count(p.Output(), "\n") == 7 })
	apply(t, c, execution(t, "e7", cache.Running))
	cachetest.Eventually(t, "the change is shown", func() bool { return strings.Contains(p.Output(), `"name":"e7"`) })
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != exitInterrupted {
		t.Errorf("interrupted: exit code %d", got)
	}
}

// TestListShowsLabels in the form of --label.
func TestListShowsLabels(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	e := execution(t, "labeled", cache.Running)
	e.Labels = cache.Labels{"type": "url", "customer": "acme"}
	apply(t, c, e, execution(t, "plain", cache.Running))
	if out := ctl(t, env, 0, "list"); !strings.Contains(out, "labeled  customer:acme type:url") {
		t.Error(out)
	}
	if out := ctl(t, env, 0, "list", "--label", "customer:acme"); !strings.Contains(out, "labeled") || strings.Contains(out, "plain") {
		t.Error(out)
	}
}

// TestLink creates links that read the execution without another token.
func TestLink(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	apply(t, c, execution(t, "shared", cache.Failed))
	address := strings.TrimSpace(ctl(t, env, 0, "link", executions+"shared", "--expires", "10m"))
	read, err := http.Get(address)
	if err != nil {
		t.Fatalf("%q: %v", address, err)
	}
	_ = read.Body.Close()
	var made struct {
		Token     string
		ExpiresAt time.Time
	}
	out := ctl(t, env, 0, "link", executions+"shared", "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || read.StatusCode != http.StatusOK || made.ExpiresAt.IsZero() {
		t.Errorf("%d %v %s", read.StatusCode, err, out)
	}
	ctl(t, env, exitFailed, "get", executions+"shared", "--token", made.Token)
	if out := ctl(t, env, exitCouldNotAsk, "list", "--token", made.Token); !strings.Contains(out, "a link reads and follows one execution") {
		t.Error(out)
	}
	for _, wrong := range []string{"0s", "25h", "1500ms", "-1m"} {
		if out := ctl(t, env, exitCouldNotAsk, "link", executions+"shared", "--expires", wrong); !strings.Contains(out, "--expires") {
			t.Errorf("%s: %s", wrong, out)
		}
	}
}

// TestReports prints failures by their cause and how long executions take.
func TestReports(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	for i := range 3 {
		e := execution(t, fmt.Sprint("bad", i), cache.Failed)
		e.Error, e.ErrorMessage = "States.Timeout", fmt.Sprintf("States.Timeout: task %d \x1b[31m", i)
		apply(t, c, e, execution(t, fmt.Sprint("good", i), cache.Succeeded))
	}
	cachetest.Eventually(t, "everything is counted", func() bool { return strings.Contains(ctl(t, env, 0, "failures"), "3 failures in 24h") })
	if out := ctl(t, env, 0, "failures", "--window", "1h"); !strings.Contains(out, "3      100 %") || !strings.Contains(out, "States.Timeout") || !strings.Contains(out, "bad") || strings.Contains(out, "\x1b") {
		t.Error(out)
	}
	if out := ctl(t, env, 0, "durations", "--state-machine", "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"); !strings.Contains(out, "Pipeline       3     5s") {
		t.Error(out)
	}
	for _, name := range []string{"failures", "durations"} {
		if out := ctl(t, env, 0, name, "--json"); !json.Valid([]byte(out)) || !strings.Contains(out, `"count":3`) {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out := ctl(t, env, exitCouldNotAsk, "failures", "--window", "2h"); !strings.Contains(out, "window: must be 1h, 24h or 7d") {
		t.Error(out)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	c, env := service(t)

	const machine = "arn:aws:states:eu-west-1:123456789012:execution:Pipeline/Map:"
	start := time.Now().Add(-time.Minute).Truncate(time.Second)
	for status, code := range map[cache.Status]int{
		cache.Running: exitStillRuns, cache.Succeeded: 0, cache.Failed: exitFailed, cache.TimedOut: exitTimedOut, cache.Aborted: exitAborted,
	} {
		arn, err := cache.ParseARN(machine + "é-" + string(status))
		if err != nil {
			t.Fatal(err)
		}
		e := cache.Execution{ARN: arn, Status: status, StartDate: start, Completeness: cache.Complete, Owner: "ada", Source: cache.FromEvent}
		if e.Terminal() {
			e.StopDate = start.Add(5 * time.Second)
		}
		if status == cache.Succeeded {
			e.Output = []byte(`{"n":9007199254740993}`)
		}
		if o := c.Apply(t.Context(), []cache.Execution{e}); !o[0].Final() {
			t.Fatal(o[0].Err)
		}
		if out := ctl(t, env, code, "get", string(arn)); !strings.Contains(out, string(status)) || !strings.Contains(out, string(arn)) {
			t.Errorf("%s: %s", status, out)
		}
		if out := ctl(t, env, code, "get", "--json", string(arn)); !json.Valid([]byte(out)) || status == cache.Succeeded && !strings.Contains(out, `"output":{"n":9007199254740993}`) {
			t.Errorf("%s: %s", status, out)
		}
	}
	pasted := machine + "é-" + string(cache.Succeeded)
	for _, text := range []string{url.PathEscape(pasted), url.QueryEscape(pasted), " " + pasted + "\n", `"` + pasted + `"`, "https://eu-west-1.console.aws.amazon.com/states/home#/v2/executions/details/" + url.QueryEscape(pasted)} {
		if out := ctl(t, append(slices.Clone(env), "STATE_MACHINES=arn:aws:states:eu-west-1:123456789012:stateMachine:Other"), 0, "get", text); !strings.Contains(out, pasted) {
			t.Errorf("%q: %s", text, out)
		}
	}
	for name, wrong := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"unknown":      {env, []string{"get", machine + "nobody"}, "NotFound"},
		"no ARN":       {env, []string{"get", "x"}, "not the ARN"},
		"no token":     {env[:1], []string{"get", machine + "x"}, "STATUS_TOKEN"},
		"bad token":    {env[:1], []string{"get", "--token", "x", machine + "x"}, "Unauthorized"},
		"no service":   {env, []string{"get", "--server", "http://127.0.0.1:1", machine + "x"}, "refused"},
		"no ARN given": {env, []string{"get"}, "ARN is missing"},
		"no such flag": {env, []string{"get", "--nope", machine + "x"}, "--nope"},
		"no URL":       {env, []string{"get", "--server", "here", machine + "x"}, "not the URL"},
	} {
		if out := ctl(t, wrong.env, exitCouldNotAsk, wrong.args...); !strings.Contains(out, wrong.want) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

func TestCompletionAndVersion(t *testing.T) {
	t.Parallel()
	if out := ctl(t, nil, 0, "version"); strings.TrimSpace(out) != version {
		t.Errorf("version: %s", out)
	}
	if out := ctl(t, nil, 0, "completion", "bash"); !strings.Contains(out, "statusctl") {
		t.Error("no completion for bash")
	}
}

// TestCompletionOffersValues, and files only for arguments that are files.
func TestCompletionOffersValues(t *testing.T) {
	t.Parallel()
	const noFiles = ":4\n"
	env := []string{"STATE_MACHINES=arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"}
	for words, want := range map[string]string{
		"get ": noFiles, "link ": noFiles, "failures --window ": "1h\n24h\n7d\n" + noFiles, "durations ": noFiles, "link --expires ": "30m\n1h\n24h\n" + noFiles, "watch --timeout ": noFiles, "doctor --sqs-queue-url ": noFiles, "keys revoke ": noFiles, "erase --owner ": noFiles,
		"watch --for ": "firstFailure\n" + noFiles, "list --status ": "RUNNING\nSUCCEEDED\nFAILED\n" + noFiles, "dlq purge ": "consumer\nrule\n" + noFiles,
		"keys create --scope ": "register\n" + noFiles, "backfill --state-machine ": ":stateMachine:Pipeline\n" + noFiles,
		"keys export ": ":0\n", "keys create --api-keys-file ": ":0\n",
	} {
		out := ctl(t, env, 0, append([]string{"__complete"}, strings.Split(words, " ")...)...)
		if !strings.Contains(out, want) {
			t.Errorf("%q: %s", words, out)
		}
	}
}

// TestLongOutputsAreShortened only on a terminal.
func TestLongOutputsAreShortened(t *testing.T) {
	t.Parallel()
	long := []byte(`"` + strings.Repeat("é", 125_000) + `"`)
	if got := shortened(long, false); got != string(long) {
		t.Errorf("a pipe gets %d bytes", len(got))
	}
	if got := shortened(long, true); len(got) > 2*shownOutput || !strings.Contains(got, "250 kB in total") || !utf8.ValidString(got) {
		t.Errorf("a terminal gets %d bytes", len(got))
	}
	if got := shortened([]byte("{}"), true); got != "{}" {
		t.Error(got)
	}
}

// TestSeveralExecutionsPrintEachOutcome: the status is that of Step Functions, as for a single
// execution.
func TestSeveralExecutionsPrintEachOutcome(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	args := []string{"watch"}
	for _, status := range []cache.Status{cache.Succeeded, cache.Failed, cache.TimedOut, cache.Aborted} {
		e := execution(t, "s-"+string(status), status)
		apply(t, c, e)
		args = append(args, string(e.ARN))
	}
	out := ctl(t, env, exitFailed, args...)
	for _, line := range []string{"SUCCEEDED  ", "FAILED     ", "TIMED_OUT  ", "ABORTED    "} {
		if strings.Count("\n"+out, "\n"+line) != 1 {
			t.Errorf("%q is missing or comes twice in:\n%s", line, out)
		}
	}
}
