package diagnose

import (
	"context"
	"fmt"
	"time"

	"statuscache/cache"
)

// mostEventAge is how old events may be when they are received, which is the time that
// they wait in the queue and a second or so before it.
const mostEventAge = time.Minute

// diagnoseEvents says how old the latest events were when they were received. SQS does
// not report how old its messages are; the trails of the newest executions do, of those
// that were taken.
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
		return Undecided(name, "none of the newest executions comes from an event")
	}
	age, ago := latest.ReceivedAt.Sub(latest.EmittedAt).Round(time.Second), time.Since(latest.AppliedAt).Round(time.Second)
	f := Finding{Check: name, Detail: fmt.Sprintf("the latest was %v old when it was received, %v ago", max(age, 0), max(ago, 0))}
	if age > mostEventAge {
		f.Problem = fmt.Sprintf("events wait in the queue: the latest was %v old when it was received", age)
		f.Fix = "see statuscache_ingest_paused and statuscache_receive_errors_total, or run more statusd with ROLE=ingest"
	}
	return f
}
