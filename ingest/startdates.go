package ingest

import (
	"context"
	"errors"
	"time"

	"statuscache/cache"
)

// noStartDateRetry is the delay before a message about an unknown execution is received
// again: most likely the event with its start date arrives in the meantime.
const noStartDateRetry = 5 * time.Second

var errNoStartDate = errors.New("startDate is missing, and the execution is not known")

// date gives events without a start date the start date of the known run. Observations can
// only be ordered by their start dates, and the merge must not depend on the order of events.
//
// A message about an unknown run is received again a little later, and in the meantime the
// execution is described. If the run is still unknown then, its start date is set to its stop
// date, because its end is more important than its start. This is later than all other times
// of this run, so no late RUNNING can replace it.
func (c *Consumer) date(ctx context.Context, held *inFlight, b *batch) error {
	var arns []cache.ARN
	for _, r := range b.pending {
		for _, e := range r.events {
			if e.StartDate.IsZero() {
				arns = append(arns, e.ARN)
			}
		}
	}
	if len(arns) == 0 {
		return nil
	}
	versions, err := c.options.Known.Versions(ctx, arns)
	if err != nil {
		return err
	}
	known := map[cache.ARN]time.Time{}
	for i, v := range versions {
		if v != "" && v != cache.Unobserved {
			known[arns[i]] = v.StartDate()
		}
	}
	var pending []received
	var later []Message
	for _, r := range b.pending {
		if dated(&r, known) {
			pending = append(pending, r)
		} else {
			later = append(later, r.message)
			r.span.End(string(resultRetried), errNoStartDate)
		}
	}
	b.pending = pending
	c.postpone(ctx, held, later, arns)
	return nil
}

// dated reports whether all events of a message now have a start date.
func dated(r *received, known map[cache.ARN]time.Time) bool {
	all := true
	for i := range r.events {
		e := &r.events[i]
		if !e.StartDate.IsZero() {
			continue
		}
		start, ok := known[e.ARN]
		switch {
		case ok && (e.StopDate.IsZero() || !e.StopDate.Before(start)):
			e.StartDate = start
		case e.Terminal() && (ok || r.message.Receives > 1): // an event of an earlier run of the same name, or of an unknown run
			e.StartDate = e.StopDate
		default:
			all = false
		}
	}
	return all
}

// postpone returns messages to the queue if their events have no start date yet.
func (c *Consumer) postpone(ctx context.Context, held *inFlight, later []Message, arns []cache.ARN) {
	if len(later) == 0 {
		return
	}
	held.drop(later)
	c.metrics.count(resultRetried, len(later))
	var soon []Message
	for _, m := range later {
		if m.Receives <= 1 {
			soon = append(soon, m)
		} else if c.logged.first("no start date " + m.ID) {
			c.options.Log.ErrorContext(ctx, "a message has no start date; it will be received again", "message", m.ID, "error", errNoStartDate)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, queueCallLimit)
	defer cancel()
	if err := errors.Join(c.options.Mismatches.AddMismatches(ctx, arns), c.options.Queue.ExtendVisibility(ctx, soon, noStartDateRetry)); err != nil {
		c.options.Log.Info("messages without a start date will be received again after their visibility timeout", "count", len(later), "error", err)
	}
}
