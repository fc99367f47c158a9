package diagnose

import (
	"context"
	"fmt"
	"time"

	"statuscache/cache"
)

// mostEventAge is how old events may be when they are received: the time that they wait
// in the queue, and about a second before that.
const mostEventAge = time.Minute

// diagnoseEvents checks how old the latest events were when they were received. SQS does
// not report the age of its messages, but the trails of the newest executions have the
// age of received ones.
func diagnoseEvents(ctx context.Context, c *cache.Cache, reached bool) Finding {
	const name = "age of events"
	if !reached {
		return NotChecked(name, "Redis does not answer")
	}
	latest, err := cache.LatestEvent(ctx, c)
	switch {
	case err != nil:
		return NotChecked(name, err.Error())
	case latest.AppliedAt.IsZero():
		return Undecided(name, "none of the newest executions is known from an event")
	}
	age, ago := latest.ReceivedAt.Sub(latest.EmittedAt).Round(time.Second), time.Since(latest.AppliedAt).Round(time.Second)
	f := Finding{Check: name, Detail: fmt.Sprintf("the latest event was %v old when it was received, %v ago", max(age, 0), max(ago, 0))}
	if age > mostEventAge {
		f.Problem = fmt.Sprintf("events wait in the queue: the latest event was %v old when it was received", age)
		f.Fix = "check statuscache_ingest_paused and statuscache_receive_errors_total, or run more processes with ROLE=ingest"
	}
	return f
}
