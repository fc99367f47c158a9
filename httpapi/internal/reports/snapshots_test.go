package reports

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// counted reports how often it was made, after a while.
type counted struct {
	begun atomic.Int32 // calls
	made  int
	err   error
}

func (c *counted) report(context.Context) (Encoded, error) {
	c.begun.Add(1)
	<-time.After(50 * time.Millisecond) // by the clock of the bubble, as below
	c.made++
	return Encoded{Body: envelope.Success(fmt.Appendf(nil, "[%d]", c.made))}, c.err
}

// TestSnapshotsAreShared: all callers within a second get one report. If they repeat their
// question later, no caller waits for a new report, and no report is older than three seconds.
func TestSnapshotsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := NewSnapshots(), &counted{}
		want := func(what string, of func(context.Context, string, Report) (*Snapshot, error), waited bool, made int) {
			t.Helper()
			begun := time.Now()
			got, err := of(t.Context(), "a", c.report)
			if err != nil || string(got.Data()) != fmt.Sprintf("[%d]", made) || (time.Since(begun) > 0) != waited {
				t.Errorf("%s: %s after %v, %v", what, got.Data(), time.Since(begun), err)
			}
			synctest.Wait()
		}
		want("the first", s.Of, true, 1)
		want("another at once", s.Of, false, 1)
		<-time.After(snapshotFresh)
		want("after a second", s.Of, false, 1)
		if c.begun.Load() != 1 {
			t.Error("a new report is made while the old one is being sent")
		}
		<-time.After(snapshotFresh / 2)
		want("then the newer", s.Of, false, 2)
		<-time.After(snapshotFresh)
		want("a fresh one", s.Fresh, true, 3)
		<-time.After(snapshotLife)
		want("after three seconds", s.Of, true, 4)
		c.err = errors.New("no Redis")
		<-time.After(snapshotFresh)
		want("while the next cannot be made", s.Of, false, 4)
		<-time.After(snapshotLife)
		if got, err := s.Of(t.Context(), "a", c.report); !errors.Is(err, c.err) {
			t.Errorf("%v %v", got, err)
		}
		if _, err := s.Of(t.Context(), "b", (&counted{}).report); err != nil {
			t.Error(err)
		}
	})
}

// TestStateOfASnapshot: the state covers everything except the time at which the report was
// made.
func TestStateOfASnapshot(t *testing.T) {
	t.Parallel()
	of := func(report string, timeless ...string) State {
		e := Encoded{Body: []byte(report)}
		for _, part := range timeless {
			e.Timeless = append(e.Timeless, []byte(part))
		}
		got, err := NewSnapshots().Of(t.Context(), "a", func(context.Context) (Encoded, error) { return e, nil })
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	if of("1", "x", "y") != of("2", "x", "y") || of("1", "x", "y") == of("1", "x", "z") || of("1") == of("2") {
		t.Error("the state does not tell one report from another")
	}
}

// TestNoTwoQuestionsShareAKey: not those of two owners either, whatever their names are.
func TestNoTwoQuestionsShareAKey(t *testing.T) {
	t.Parallel()
	keys := map[string]Question{}
	for _, all := range []bool{false, true} {
		for _, owner := range []string{"", "a", "a b", `a" "1h`, `a" "1h b`, "b", "A", "a\x00", "failures"} {
			for _, window := range []string{"1h", "24h"} {
				for _, machine := range []string{"", "a", "b"} {
					q := Question{Scope: stats.Scope{Owner: owner, All: all}, Window: window, StateMachine: machine}
					for _, route := range []string{"failures", "durations"} {
						if other, known := keys[q.Key(route)]; known {
							t.Errorf("%s of %+v and %+v", route, q, other)
						}
						keys[q.Key(route)] = q
					}
				}
			}
		}
	}
}
