package main

import (
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/cache/worklist"
)

// TestOutput prints an output, fetches an expired output again, and reports if that is not
// possible.
func TestOutput(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	complete, old, gone := execution(t, "whole", cache.Succeeded), execution(t, "old", cache.Succeeded), execution(t, "gone", cache.Succeeded)
	apply(t, c, complete, old, gone, execution(t, "fails", cache.Failed))
	expired, lost := old, gone
	expired.Completeness, expired.OutputFrom = cache.OutputExpired, old.StopDate
	lost.Completeness, lost.OutputFrom = cache.OutputGone, gone.StopDate
	apply(t, c, expired, lost)
	cachetest.Eventually(t, "the service knows the execution", func() bool {
		return strings.Contains(ctl(t, env, 0, "get", executions+"old"), "statusctl output "+executions+"old fetches it again")
	})
	if out := ctl(t, env, 0, "output", executions+"whole"); out != string(complete.Output)+"\n" {
		t.Errorf("whole: %q", out)
	}
	for name, says := range map[string]string{"fails": "it has no output", "gone": "Step Functions"} {
		if out := ctl(t, env, exitCouldNotAsk, "output", executions+name); !strings.Contains(out, says) {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out := ctl(t, env, exitCouldNotAsk, "output", executions+"old", "--wait", "100ms"); !strings.Contains(out, "/v1/health") {
		t.Errorf("no process fetches it: %s", out)
	}
	ended := make(chan string)
	go func() { ended <- ctl(t, env, 0, "output", executions+"old", "--wait", "5m") }()
	cachetest.Eventually(t, "it is requested", func() bool {
		n, err := worklist.New(c.DB(), nil).Pending(t.Context(), worklist.Requested)
		return err == nil && n == 1
	})
	old.Completeness, old.OutputFrom = cache.OutputRefetched, time.Now()
	apply(t, c, old)
	if out := <-ended; out != string(old.Output)+"\n" {
		t.Errorf("fetched again: %q", out)
	}
}
