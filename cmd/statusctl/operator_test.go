package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// TestOperatorsVerbs creates, checks and operates a setup, as a user would who only has the
// help texts.
func TestOperatorsVerbs(t *testing.T) {
	t.Parallel()
	endpoint, server := sqstest.Local(t)
	machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
	redis := cachetest.Redis(t, "--appendonly", "yes")
	env := []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "REDIS_URL=" + redis.URL(),
	}
	has := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
	}
	has(ctl(t, env, 0, "provision", "--dry-run", "--state-machine", machine), "would create  queue status-events")
	has(ctl(t, env, 2, "dlq", "list"), "SQS_QUEUE_URL: not set")
	out := ctl(t, env, 0, "provision", "--state-machine", machine)
	url := endpoint + "/000000000000/status-events"
	has(out, "export AWS_REGION=eu-west-1\n", "export SQS_QUEUE_URL="+url+"\n", "export STATE_MACHINES='"+machine+"'\nexport EVENT_BUS='default'\n")
	env = append(env, "SQS_QUEUE_URL="+url, "STATE_MACHINES="+machine)
	has(ctl(t, env, 0, "doctor"), "ok     rule pattern: the rules send every status of 1 state machines", "ok     Redis")

	dead := server.CreateQueue("status-events-dlq", nil)
	dead.Send(`{"secret":"hunter2"}`, 0)
	has(ctl(t, env, 1, "doctor"), "wrong  dead-letter queue: status-events-dlq contains 1 messages\n       fix: statusctl dlq list")
	listed := ctl(t, env, 0, "dlq", "list")
	has(listed, "status-events-dlq (of the consumer): 1 messages", "source, detail-type or detail is missing")
	if strings.Contains(listed, "hunter2") {
		t.Errorf("a payload is shown: %s", listed)
	}
	has(ctl(t, env, 2, "dlq", "purge", "consumer"), "nothing was deleted", "1 messages of status-events-dlq")
	has(ctl(t, env, 0, "dlq", "redrive"), `"done":1`)
	dead.Send("x", 0)
	has(ctl(t, env, 0, "dlq", "purge", "consumer", "--yes"), "deleted 1 messages of status-events-dlq")
	has(ctl(t, env, 2, "dlq", "purge", "neither"), "want consumer, rule")

	replay := ctl(t, env, 0, "replay", "--archive", "status-events", "--from", "6h", "--to", "1m", "--now", "--every", "10ms")
	has(replay, "may not be in the archive yet", `"state":"COMPLETED"`, "has sent all archived events from")
	if strings.Contains(replay, "terminal") {
		t.Errorf("the output says that an archive of all events lacks some: %s", replay)
	}
	has(ctl(t, env, 2, "replay", "--from", "6h"), "--archive")
	has(ctl(t, env, 2, "replay", "--archive", "a", "--from", "yesterday"), "--from")
	has(ctl(t, env, 2, "replay", "--follow", "gone"), "there is no replay gone")
	has(ctl(t, append(env, "STATE_MACHINES=x"), 2, "doctor"), "STATE_MACHINES")

	has(ctl(t, env, 0, "provision", "--archive", "terminal"), "changed       archive status-events  (event pattern)")
	has(ctl(t, env, 0, "doctor"), "the terminal states of 1 state machines")
	has(ctl(t, env, 0, "replay", "--archive", "status-events", "--from", "6h", "--to", "1h", "--every", "10ms"), "contains terminal states only", "does not restore running executions")
	has(ctl(t, env, 0, "provision"), "changed       archive status-events  (event pattern)")
}

// TestReplayRangeIsByTheClockOfAWS: a machine with a wrong clock requests the range by the
// clock of AWS, and reports the difference. A correct clock is the control.
func TestReplayRangeIsByTheClockOfAWS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead time.Duration // of the local clock
		says  string
	}{
		"ahead":  {4 * time.Hour, "ahead of that of AWS"},
		"behind": {-4 * time.Hour, "behind that of AWS"},
		"right":  {0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := localaws.New()
			listening := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(-test.ahead).UTC().Format(http.TimeFormat))
				server.ServeHTTP(w, r)
			}))
			t.Cleanup(func() { server.Shutdown(); listening.Close() })
			env := []string{
				"AWS_ENDPOINT_URL=" + listening.URL, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
				"SQS_QUEUE_URL=" + listening.URL + "/000000000000/status-events",
			}
			machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
			ctl(t, env, 0, "provision", "--state-machine", machine)
			begun := time.Now()
			out := ctl(t, env, 0, "replay", "--archive", "status-events", "--from", "6h", "--to", "5h", "--every", "10ms")
			if !strings.Contains(out, test.says) || strings.Contains(out, "that of AWS") != (test.says != "") {
				t.Errorf("it says %s", out)
			}
			from := regexp.MustCompile(`archived events from (\S+) to`).FindStringSubmatch(out)
			if from == nil {
				t.Fatalf("no range in %s", out)
			}
			got, err := time.Parse(time.RFC3339, from[1])
			local := got.Add(test.ahead + 6*time.Hour)
			if err != nil || local.Before(begun.Add(-time.Minute)) || local.After(time.Now().Add(time.Minute)) { // otherwise it differs by hours
				t.Errorf("the range begins %v, %v, not six hours before the time of AWS", got, err)
			}
		})
	}
}

func TestReplayRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ from, to, want string }{
		"durations":  {"6h", "10m", ""},
		"dates":      {"2026-02-10T06:00:00Z", "2026-02-10T13:00:00+02:00", ""},
		"no start":   {"", "10m", "--from"},
		"no end":     {"6h", "x", "--to"},
		"backwards":  {"10m", "6h", "before"},
		"too late":   {"5m", "10m", "give --to 0s"},
		"the future": {"6h", "2026-02-10T12:00:01Z", "future"},
	} {
		f := replayFlags{from: c.from, to: c.to, every: time.Second}
		f.order.Archive = strings.Repeat("a", 48)
		err := f.parse(now)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && len(f.order.Name) > 64 {
			t.Errorf("name of %d characters", len(f.order.Name))
		}
	}
}

// TestReplayIsLeftRunning when the command that follows it is stopped without a terminal.
func TestReplayIsLeftRunning(t *testing.T) {
	t.Parallel()
	endpoint, server := sqstest.Local(t)
	machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
	env := []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"SQS_QUEUE_URL=" + endpoint + "/000000000000/status-events"}
	ctl(t, env, 0, "provision", "--state-machine", machine)
	if _, err := server.StartExecution(machine, "one", "{}"); err != nil {
		t.Fatal(err)
	}
	server.SetDelays(localaws.Delays{ReplayedMinute: time.Hour})
	p := apptest.Start(t, "statusctl", env, "replay", "--archive", "status-events", "--from", "1h", "--to", "0s", "--now", "--every", "10ms")
	cachetest.Eventually(t, "the replay runs", func() bool { return strings.Contains(p.Output(), `"state":"STARTING"`) })
	p.Signal(syscall.SIGINT)
	if code := p.Wait(); code != exitInterrupted || !strings.Contains(p.Output(), "statusctl replay --follow status-events-") {
		t.Errorf("exit code %d: %s", code, p.Output())
	}
}
