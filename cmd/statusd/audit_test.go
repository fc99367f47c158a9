package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
	"statuscache/ingest"
	"statuscache/ingest/awstest"
	"statuscache/ingest/event"
	"statuscache/ingest/localaws"
	"statuscache/ingest/operate"
	"statuscache/ingest/sqstest"
)

// world is a Redis, and a Step Functions whose events arrive through what provision has
// created.
type world struct {
	*testing.T
	endpoint string
	aws      *localaws.Server
	queue    *localaws.Queue
	queueURL string
	machine  string
	redis    *cachetest.Server
	operator *operate.Operator
	late     string // the execution whose answer was the last wrong one
}

func newWorld(t *testing.T, plot localaws.Plot) *world {
	t.Helper()
	w := &world{T: t, redis: cachetest.Redis(t)}
	w.endpoint, w.aws = sqstest.Local(t)
	w.machine = w.aws.CreateStateMachine("Pipeline", plot)
	var err error
	if w.operator, err = operate.NewOperator(awstest.Config(t, w.endpoint), ""); err != nil {
		t.Fatal(err)
	}
	made, err := w.operator.Provision(t.Context(), operate.Plan{Name: "events", StateMachines: []string{w.machine}}, func(operate.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	w.queue, w.queueURL = w.aws.CreateQueue("events", nil), made.QueueURL
	return w
}

// daemon starts a statusd that audits as often as allowed. It gives Redis more time, because
// these tests check only what statusd knows in the end.
func (w *world) daemon(more ...string) *daemon {
	w.Helper()
	return startPatient(w.T, w.redis, w.queueURL, append([]string{
		"AWS_ENDPOINT_URL=" + w.endpoint, "STATE_MACHINES=" + w.machine, "AUDIT_EVERY=1s", "DESCRIBE_RATE=100", "HYDRATE_RATE=100", "LOG_LEVEL=warn",
		"HYDRATE_DEADLINE=1h", // no output is given up, however slow the machine is
	}, more...)...)
}

// start starts executions whose ends depend on their names.
func (w *world) start(name string, n int) {
	w.Helper()
	for i := range n {
		if _, err := w.aws.StartExecution(w.machine, fmt.Sprint(name, "-", i), `{"tenantId":"ada","inputType":"url"}`); err != nil {
			w.Fatal(err)
		}
	}
}

// shortLives end within two seconds. Most succeed, some of them with an output that is too
// large for an event. Some fail, and some of these are redriven.
func shortLives(a localaws.Attempt) localaws.Ending {
	h := fnv.New32a()
	_, _ = h.Write([]byte(a.Name)) // never fails
	lot := h.Sum32()
	e := localaws.Ending{After: time.Duration(200+lot%1800) * time.Millisecond, Status: "SUCCEEDED", Output: `{"of":"` + a.Name + `"}`}
	switch {
	case lot%10 == 0:
		e.Output = `{"of":"` + a.Name + `","large":"` + strings.Repeat(`\"`, 100_000) + `"}`
	case lot%10 < 4 && a.RedriveCount == 0:
		e.Status, e.Output, e.Error, e.Cause = "FAILED", "", "Boom", "of "+a.Name
		if lot%10 < 2 {
			e.RedriveAfter = time.Second
		}
	case lot%10 == 4:
		e = localaws.Ending{After: e.After, Status: "TIMED_OUT"}
	}
	return e
}

// check returns how the answer of an execution differs from the truth, or nothing.
func (w *world) check(d *daemon, truth localaws.ExecutionState) (wrong string) {
	w.Helper()
	status, body := get("http://"+d.api+"/v1/status/"+truth.ARN+"?view=full&wait=0", d.key)
	var answer struct {
		Data struct {
			ExecutionStatus string
			Attempt         int
			Output          json.RawMessage
			ErrorMessage    string
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		w.Fatalf("%s: %v", body, err)
	}
	reported := answer.Data
	if status != 200 || reported.ExecutionStatus != truth.Status || reported.Attempt != truth.RedriveCount+1 || string(reported.Output) != truth.Output ||
		truth.Error != "" && reported.ErrorMessage != truth.Error+": "+truth.Cause {
		return fmt.Sprintf("%s: the API reports %d %s, attempt %d; the truth is %s, attempt %d", truth.Name, status, reported.ExecutionStatus, reported.Attempt, truth.Status, truth.RedriveCount+1)
	}
	return ""
}

// wrong returns the executions whose answers differ from the truth.
func (w *world) wrong(d *daemon) (all []string) {
	w.Helper()
	for truth := range w.aws.Executions() {
		if wrong := w.check(d, truth); wrong != "" {
			all = append(all, wrong)
		}
	}
	return all
}

// right reports whether the answers of all executions that of selects are right. It stops at
// the first wrong answer, and begins with the execution that was wrong last. So a test that
// waits for it does not read all executions again and again.
func (w *world) right(d *daemon, of func(localaws.ExecutionState) bool) bool {
	w.Helper()
	truths := slices.Collect(w.aws.Executions())
	first := max(0, slices.IndexFunc(truths, func(e localaws.ExecutionState) bool { return e.ARN == w.late }))
	for _, truth := range slices.Concat(truths[first:], truths[:first]) {
		if of(truth) && w.check(d, truth) != "" {
			w.late = truth.ARN
			return false
		}
	}
	return true
}

func all(localaws.ExecutionState) bool    { return true }
func long(e localaws.ExecutionState) bool { return strings.HasPrefix(e.Name, "long") }

// ended reports whether all executions except the long ones have ended.
func (w *world) ended() bool {
	for e := range w.aws.Executions() {
		if e.Status == "RUNNING" && !long(e) {
			return false
		}
	}
	return true
}

// untilRight waits until all executions except the long ones have ended, and their answers are
// right.
func (w *world) untilRight(d *daemon) {
	w.Helper()
	w.Cleanup(func() {
		if w.Failed() {
			w.Logf("wrong at the end: %.1000q", w.wrong(d))
		}
	})
	cachetest.Eventually(w, "all have ended", w.ended)
	cachetest.Eventually(w, "all answers are right", func() bool { return w.right(d, all) })
}

// counters returns the sum of a counter over all matching labels.
func (d *daemon) counter(name, label string) (sum int) {
	_, text := get("http://"+d.admin+"/metrics", "")
	for line := range strings.Lines(text) {
		var n int
		if head, value, _ := strings.Cut(line, " "); strings.HasPrefix(head, name) && strings.Contains(head, label) {
			if _, err := fmt.Sscan(value, &n); err == nil {
				sum += n
			}
		}
	}
	return sum
}

// lossy loses, duplicates and delays events.
var lossy = localaws.Emission{
	Seed: 7, Loss: 0.1, LossOfExecution: 0.05, LossOfRedrive: 0.2, Duplicates: 0.3, Late: 0.2,
	MinDelay: 20 * time.Millisecond, MaxDelay: 300 * time.Millisecond, MaxLate: 2 * time.Second,
}

// TestEveryExecutionEndsRight: although events are lost, late and duplicated, the API reports
// each execution correctly in the end, no poll calls AWS, and the counters add up to the
// deliveries. A statusd that does not audit is the control.
func TestEveryExecutionEndsRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shortLives)
	w.aws.SetEmission(lossy)
	w.aws.SetLag(200 * time.Millisecond)
	control := newWorld(t, shortLives)
	control.aws.SetEmission(lossy)
	d, blind := w.daemon(), control.daemon("STATE_MACHINES=", "DESCRIBE_RATE=0")
	executions := cachetest.Rounds(120, 300)
	w.start("run", executions)
	control.start("run", executions)
	w.untilRight(d)

	cachetest.Eventually(t, "every call of DescribeExecution is counted", func() bool { // one may be in progress
		return d.counter("statuscache_aws_calls_total", "DescribeExecution") == w.aws.Calls()["DescribeExecution"]
	})
	if n := w.aws.Calls()["DescribeExecution"]; n > 3*executions { // an attempt and its redrive, and an output
		t.Errorf("%d calls of DescribeExecution for %d executions", n, executions)
	}
	if d.counter("statuscache_audit_repairs_total", "") == 0 {
		t.Error("nothing was repaired")
	}
	cachetest.Eventually(t, "the deliveries add up", func() bool {
		return d.counter("statuscache_events_total", "") == w.queue.Deliveries() && w.queue.Depth().Total() == 0
	})
	cachetest.Eventually(t, "the control has received all events that arrive", func() bool { return control.ended() && control.queue.Depth().Total() == 0 })
	if control.right(blind, all) {
		t.Error("without an audit nothing is wrong, so the test proves nothing")
	}
	cachetest.Eventually(t, "health is ok", func() bool { return strings.Contains(health(d), `"status":"ok"`) })
	cachetest.Eventually(t, "the audit has confirmed everything", func() bool {
		return strings.Contains(health(d), `"doubts":0`) && !strings.Contains(health(d), `"confirmedUntil":null`)
	})
}

func health(d *daemon) string {
	_, body := get("http://"+d.api+"/v1/health", "")
	return body
}

// TestRedisIsEmptied: statusd notices and reports the loss. It restores running executions
// without help; backfill or replay restore the rest, and can be repeated safely. A statusd that
// does not audit is the control: it also reports the loss, but running executions stay unknown.
func TestRedisIsEmptied(t *testing.T) {
	t.Parallel()
	plot := func(a localaws.Attempt) localaws.Ending {
		if strings.HasPrefix(a.Name, "long") {
			return localaws.Ending{}
		}
		return shortLives(a)
	}
	w, control := newWorld(t, plot), newWorld(t, plot)
	d, blind := w.daemon("DESCRIBE_RATE=1"), control.daemon("STATE_MACHINES=", "DESCRIBE_RATE=0")
	control.start("long", 50)
	w.start("ended", cachetest.Rounds(80, 200))
	w.start("long", 50)
	known := func() bool { return w.right(d, all) }
	cachetest.Eventually(t, "all executions except the long ones have ended", w.ended)
	cachetest.Eventually(t, "all executions are known", known)
	cachetest.Eventually(t, "the control knows the running executions", func() bool { return control.right(blind, all) })
	w.redis.Do("FLUSHALL")
	control.redis.Do("FLUSHALL")
	d.key, blind.key = w.newKey(d), control.newKey(blind) // the keys were lost, too
	cachetest.Eventually(t, "health reports the loss", func() bool {
		return strings.Contains(health(d), "degraded") && strings.Contains(health(d), "records: lost")
	})
	cachetest.Eventually(t, "running executions are known again", func() bool { return w.right(d, long) })
	cachetest.Eventually(t, "without an audit all executions are unknown, and health reports this", func() bool {
		return strings.Contains(health(blind), "records: lost") && len(control.wrong(blind)) == 50
	})
	cachetest.Eventually(t, "health names the lost results", func() bool {
		return strings.Contains(health(d), "degraded") && strings.Contains(health(d), "results from before")
	})
	for range 2 { // the audit would need minutes
		w.backfill(d)
		cachetest.Eventually(t, "all executions are known after a backfill", known)
	}
	if done := control.backfill(blind); done.Added == 0 {
		t.Error("a backfill restores nothing if nothing else does")
	}
	cachetest.Eventually(t, "all executions are known if only a backfill was run", func() bool { return control.right(blind, all) })
	cachetest.Eventually(t, "health is ok when all executions are known", func() bool { return strings.Contains(health(d), `"status":"ok"`) })

	w.redis.Do("FLUSHALL")
	d.key = w.newKey(d)
	for n := range 2 {
		w.replay(fmt.Sprint("replay-", n))
		cachetest.Eventually(t, "replayed executions are known", func() bool {
			return known() && w.queue.Depth().Total() == 0
		})
	}
}

func (w *world) newKey(d *daemon) string {
	w.Helper()
	key, _, err := d.keys.Create(w.Context(), apikeys.Key{Owner: "ops", Name: "test", Scope: apikeys.ScopeReadAll})
	if err != nil {
		w.Fatal(err)
	}
	return key
}

// backfill fetches all executions of the last hour.
func (w *world) backfill(d *daemon) ingest.BackfillProgress {
	w.Helper()
	states := ingest.NewStepFunctions(awstest.Config(w, w.endpoint), event.Decoder{Owner: event.OwnerPath{"tenantId"}}, nil)
	b := &ingest.Backfill{
		Cache: d.cache, Known: d.cache, Clock: d.cache.DB(), Checkpoints: worklist.NewCheckpoints(d.cache.DB()), States: states, Lister: states, Owners: true,
		Describes: worklist.NewBudget(d.cache.DB(), "backfill", 200), Listings: worklist.NewBudget(d.cache.DB(), "list", 10),
		Machine: w.machine, Since: time.Now().Add(-time.Hour), Until: time.Now(), Retention: 360 * time.Hour,
	}
	done, err := b.Run(w.Context(), func(ingest.BackfillProgress) {})
	if err != nil || done.Failed > 0 {
		w.Fatalf("backfill: %+v, %v", done, err)
	}
	if err := worklist.NewLossDetector(d.cache.DB(), worklist.LossOptions{}).Backfilled(w.Context(), b.Since, b.Until); err != nil { // as statusctl backfill does
		w.Fatal(err)
	}
	return done
}

// replay sends the archived events of the last hour again.
func (w *world) replay(name string) {
	w.Helper()
	order := operate.ReplayOrder{Name: name, Archive: "events", QueueURL: w.queueURL, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Second)}
	if err := w.operator.StartReplay(w.Context(), order); err != nil {
		w.Fatal(err)
	}
	r, err := w.operator.FollowReplay(w.Context(), name, 50*time.Millisecond, func(operate.Replay) {})
	if err != nil || !r.Completed() {
		w.Fatalf("replay: %+v, %v", r, err)
	}
}

// TestAnOutputIsFetchedOnce, although its event arrives several times at several processes, and
// the first process is killed before it can call Step Functions.
func TestAnOutputIsFetchedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a localaws.Attempt) localaws.Ending {
		return localaws.Ending{After: 100 * time.Millisecond, Status: "SUCCEEDED", Output: `{"large":"` + strings.Repeat(`\"`, 100_000) + `"}`}
	})
	w.aws.SetEmission(localaws.Emission{Seed: 1, Duplicates: 1, MaxDelay: time.Second})
	w.aws.SetThrottling(localaws.Throttling{Buckets: map[string]localaws.Bucket{"DescribeExecution": {}}})
	killed := w.daemon("HYDRATE_RATE=20", "AUDIT_EVERY=1h", "HYDRATE_DEADLINE=1h")
	executions := cachetest.Rounds(10, 30)
	w.start("large", executions)
	pending := worklist.New(killed.cache.DB(), nil)
	cachetest.Eventually(t, "statusd waits for all outputs", func() bool {
		n, err := pending.Pending(t.Context(), worklist.Awaited)
		return err == nil && n == executions && w.queue.Depth().Total() == 0
	})
	status, body := killed.status(cache.MachineARN(w.machine).Execution("large-0"), killed.key)
	if status != 200 || !strings.Contains(body, `"status":"RUNNING"`) {
		t.Errorf("while its output is awaited: %d %s", status, body)
	}
	killed.Kill()
	w.aws.SetThrottling(localaws.Throttling{})
	first, second := w.daemon("HYDRATE_RATE=20", "AUDIT_EVERY=1h"), w.daemon("HYDRATE_RATE=20", "AUDIT_EVERY=1h")
	w.untilRight(first)
	if wrong := w.wrong(second); len(wrong) > 0 {
		t.Errorf("the other process gives another answer: %s", wrong[0])
	}
	// On a busy machine, a call may get no answer, and is then repeated.
	const calls, fetched = "statuscache_aws_calls_total", `action="DescribeExecution",reason="hydrate",result="ok"`
	if one, other := first.counter(calls, fetched), second.counter(calls, fetched); one+other != executions {
		t.Errorf("%d and %d answers for %d outputs", one, other, executions)
	}
}

// TestAnOutputThatCannotBeFetched: it is given up at once, and the execution is reported
// without it.
func TestAnOutputThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(localaws.Attempt) localaws.Ending {
		return localaws.Ending{After: 100 * time.Millisecond, Status: "SUCCEEDED", Output: `{"large":"` + strings.Repeat(`\"`, 100_000) + `"}`}
	})
	w.aws.SetFaults(localaws.Faults{Refuse: func(action string) error {
		if action == "DescribeExecution" {
			return &localaws.Error{Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	}})
	d := w.daemon()
	w.start("denied", 1)
	arn := cache.MachineARN(w.machine).Execution("denied-0")
	cachetest.Eventually(t, "the output is given up", func() bool {
		_, body := d.status(arn, d.key)
		return strings.Contains(body, `"status":"SUCCEEDED"`) && strings.HasSuffix(body, `"output":null,"outputTruncated":true}}`)
	})
	w.aws.SetFaults(localaws.Faults{})
	states := ingest.NewStepFunctions(awstest.Config(t, w.endpoint), event.Decoder{}, nil)
	e, err := states.Describe(context.Background(), arn, ingest.ToHydrate)
	if err != nil {
		t.Fatal(err)
	}
	d.cache.Apply(t.Context(), []cache.Execution{e}) // as a backfill does
	cachetest.Eventually(t, "the output has arrived after all", func() bool {
		_, body := d.status(arn, d.key)
		return strings.Contains(body, `"large"`)
	})
}
