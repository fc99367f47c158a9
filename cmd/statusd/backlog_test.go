package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/localaws"
)

// oldEvent is an event that is hours old, in an envelope that the bus accepts.
func oldEvent(name, status string, start time.Time, output string) string {
	stop, more := "null", `"outputDetails":null`
	if status != "RUNNING" {
		stop = fmt.Sprint(start.Add(time.Minute).UnixMilli())
		more = fmt.Sprintf(`"output":%q,"outputDetails":{"included":true}`, output)
		if output == "" {
			more = `"output":null,"outputDetails":{"included":false}`
		}
	}
	arn := "arn:aws:states:eu-west-1:000000000000:execution:Pipeline:" + name
	return fmt.Sprintf(`{"version":"0","id":"%08x-0000-0000-0000-000000000000","detail-type":"Step Functions Execution Status Change","source":"aws.states",`+
		`"account":"000000000000","time":%q,"region":"eu-west-1","resources":[%q],"detail":{"executionArn":%q,"stateMachineArn":"arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline","status":%q,"startDate":%d,"stopDate":%s,"redriveCount":0,`+
		`"input":"{\"tenantId\":\"ada\"}","inputDetails":{"included":true},%s}}`,
		rand.Uint32(), start.UTC().Format(time.RFC3339), arn, arn, status, start.UnixMilli(), stop, more)
}

// TestBacklog tests what needs no clock: a backlog that is hours old drains, leads to the right
// answers, does not block readers, and causes no more calls to Step Functions than the budgets
// allow. Larger budgets are the control.
func TestBacklog(t *testing.T) {
	t.Parallel()
	// One in this many has no output, 100 in total, which is far more than the small budgets
	// allow.
	executions, withoutOutput := cachetest.Rounds(300, 1000), cachetest.Rounds(3, 10)
	for _, test := range []struct {
		rate string
		most func(took time.Duration) int
	}{
		{"2", func(took time.Duration) int { return 2 * (2*int(took.Seconds()+1) + 1) }}, // two budgets
		{"1000", nil},
	} {
		t.Run("rate "+test.rate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shortLives)
			start := time.Now().Add(-5 * time.Hour).Truncate(time.Millisecond)
			var bodies []string
			for i := range executions {
				output := `{"n":1}`
				if i%withoutOutput == 0 {
					output = ""
				}
				name := fmt.Sprint("old-", i)
				bodies = append(bodies, oldEvent(name, "RUNNING", start, ""), oldEvent(name, "SUCCEEDED", start, output))
			}
			rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
			for _, body := range bodies {
				w.queue.Send(body, 0)
			}
			begun := time.Now()
			d := w.daemon("DESCRIBE_RATE="+test.rate, "HYDRATE_RATE="+test.rate, "AUDIT_EVERY=1h")
			refused := 0
			cachetest.Eventually(t, "the backlog is processed", func() bool {
				status, _ := get("http://"+d.api+"/v1/status/"+string(cache.MachineARN(w.machine).Execution("old-1"))+"?wait=0", d.key)
				if status != 200 && status != 404 {
					refused++
				}
				return w.queue.Depth().Total() == 0
			})
			calls, took := w.aws.Calls()["DescribeExecution"], time.Since(begun)
			if refused > 0 {
				t.Errorf("%d reads were refused", refused)
			}
			if test.most != nil && calls > test.most(took) {
				t.Errorf("%d calls within %v", calls, took)
			}
			wrong := 0
			for i := range executions {
				if i%withoutOutput == 0 {
					continue
				}
				arn := cache.MachineARN(w.machine).Execution(fmt.Sprint("old-", i))
				if _, body := d.status(arn, d.key); !strings.Contains(body, `"output":{"n":1}`) {
					wrong++
				}
			}
			if wrong > 0 {
				t.Errorf("%d are wrong", wrong)
			}
			if test.most == nil {
				cachetest.Eventually(t, "each missing output is fetched", func() bool {
					return w.aws.Calls()["DescribeExecution"] >= executions/withoutOutput
				})
			}
		})
	}
}

// TestLateRunning: if a RUNNING event arrives long after the record of its execution has
// expired, a call to Step Functions corrects it, so the execution does not run for ever. A
// statusd that may not call is the control.
func TestLateRunning(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rate string
		gone bool
	}{"asks": {"10", true}, "may not call": {"0", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
			d := w.daemon("DESCRIBE_RATE="+test.rate, "STATE_MACHINES=")
			w.aws.Publish([]byte(oldEvent("forgotten", "RUNNING", time.Now().AddDate(0, 0, -30), "")))
			arn := cache.MachineARN(w.machine).Execution("forgotten")
			known := func() bool {
				versions, err := d.cache.Versions(t.Context(), []cache.ARN{arn})
				return err == nil && versions[0] != ""
			}
			cachetest.Eventually(t, "the event is applied", func() bool {
				return d.counter("statuscache_events_total", "applied") == 1
			})
			if test.gone {
				cachetest.Eventually(t, "the mistake is found", func() bool { return !known() })
				cachetest.Eventually(t, "the repair is counted", func() bool { return d.counter("statuscache_audit_repairs_total", "ghost") == 1 })
			} else if !known() {
				t.Error("the execution is removed, although nothing called Step Functions")
			}
		})
	}
}
