package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// mostEventAge is how old events may be when they are received, which is the time that
// they wait in the queue and a second or so before it.
const mostEventAge = time.Minute

// diagnoseEvents says how old the latest events were when they were received. SQS does
// not tell how old its messages are; the trails of the newest executions do, of those
// that were taken.
func (c *Cache) diagnoseEvents(ctx context.Context, reached bool) Finding {
	const name = "age of events"
	if !reached {
		return NotChecked(name, "Redis cannot be asked")
	}
	latest, err := c.latestEvent(ctx)
	switch {
	case err != nil:
		return NotChecked(name, err.Error())
	case latest.AppliedAt.IsZero():
		return Undecided(name, "none of the newest executions was learnt from an event")
	}
	age, ago := latest.ReceivedAt.Sub(latest.EmittedAt).Round(time.Second), time.Since(latest.AppliedAt).Round(time.Second)
	f := Finding{Check: name, Detail: fmt.Sprintf("the latest was %v old when it was received, %v ago", max(age, 0), max(ago, 0))}
	if age > mostEventAge {
		f.Problem = fmt.Sprintf("events wait in the queue: the latest was %v old when it was received", age)
		f.Cure = "see statuscache_ingest_paused and statuscache_receive_errors_total, or run more statusd with ROLE=ingest"
	}
	return f
}

// latestEvent returns the observation that was applied last among the newest executions
// and came as an event, not as a replay; a zero one if there is none.
func (c *Cache) latestEvent(ctx context.Context) (latest Observation, err error) {
	pipe := c.writers.Pipeline()
	newest := make([]*redis.StringSliceCmd, partitionCount)
	for i := range c.names.partitions {
		newest[i] = pipe.ZRevRange(ctx, c.names.partitions[i].recent, 0, 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return latest, fmt.Errorf("read indexes: %w", err)
	}
	pipe = c.writers.Pipeline()
	var records []*redis.StringCmd
	for _, cmd := range newest {
		for _, arn := range cmd.Val() {
			records = append(records, pipe.Get(ctx, c.names.execution(ARN(arn))))
		}
	}
	if len(records) == 0 {
		return latest, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return latest, fmt.Errorf("read records: %w", err)
	}
	for _, record := range records {
		b, err := record.Bytes()
		if err != nil {
			continue // it has expired
		}
		p, err := takeApart(b)
		if err != nil {
			continue // of another release
		}
		trail, _ := readTrail(p.trail) // as far as it can be read
		for _, o := range trail {
			if o.Source == FromEvent && !o.EmittedAt.IsZero() && !o.ReceivedAt.IsZero() && o.AppliedAt.After(latest.AppliedAt) {
				latest = o
			}
		}
	}
	return latest, nil
}
