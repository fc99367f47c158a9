package questions

import (
	"context"
	"fmt"
	"time"
)

// idleFor is how long the processor time without any question is measured.
const idleFor = 5 * time.Second

// Work asks the questions of each kind again, one kind at a time at the same rate, and notes
// how much processor time an answer takes. spent returns what the servers have used so far.
// What they use anyway, for the events that come in, is subtracted. Unlike the time of an
// answer it hardly depends on what else runs on the machine.
func (a *Asking) Work(ctx context.Context, all []*Answers, rounds int, spent func() (time.Duration, error)) error {
	anyway, err := rate(spent, func() error { return wait(ctx, idleFor) })
	if err != nil {
		return err
	}
	for _, answers := range all {
		kinds, callers := a.like(answers)
		if len(kinds) == 0 {
			continue // it was asked for with another, or is not a question
		}
		begun := time.Now()
		busy, err := rate(spent, func() error {
			_, err := a.ask(ctx, kinds, callers, rounds)
			return err
		})
		if err != nil {
			return err
		}
		answers.Work = (busy - anyway) * time.Since(begun).Seconds() / float64(rounds)
	}
	return nil
}

// rate returns how much processor time is used while f runs, in seconds for a second.
func rate(spent func() (time.Duration, error), f func() error) (float64, error) {
	begun := time.Now()
	before, err := spent()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := spent()
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return (after - before).Seconds() / time.Since(begun).Seconds(), nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// like returns the kind and the caller of some answers.
func (a *Asking) like(answers *Answers) (kinds []question, callers []Caller) {
	for _, q := range questions {
		if q.what == answers.What {
			kinds = append(kinds, q)
		}
	}
	for _, c := range a.Callers {
		if c.Name == answers.Caller {
			callers = append(callers, c)
		}
	}
	return kinds, callers
}
