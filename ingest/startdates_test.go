package ingest

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// eventWithoutStartDate is an event of the execution x without its start date.
func eventWithoutStartDate(status string) string {
	return strings.Replace(statusEvent("x", status), `"startDate":1769414400123`, `"startDate":null`, 1)
}

// TestEventsWithoutAStartDate joins them to the run that is known, in any order
// and however often they come.
func TestEventsWithoutAStartDate(t *testing.T) {
	t.Parallel()
	begins, ends, complete := statusEvent("x", "RUNNING"), eventWithoutStartDate("SUCCEEDED"), []string{statusEvent("x", "RUNNING"), statusEvent("x", "SUCCEEDED")}
	for name, order := range map[string][]string{
		"in order":          {begins, ends},
		"the end first":     {ends, begins},
		"the end twice":     {ends, begins, ends},
		"all twice":         {begins, ends, begins, ends},
		"all twice, turned": {ends, ends, begins, begins},
		"the begin without": {begins, eventWithoutStartDate("RUNNING"), ends},
		"the end with":      {eventWithoutStartDate("RUNNING"), statusEvent("x", "SUCCEEDED"), begins},
		"absent":            {strings.Replace(ends, `"startDate":null,`, "", 1), begins},
	} {
		for pause := range 2 {
			t.Run(fmt.Sprintf("%s, %d s apart", name, pause), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					q, known := newFakeQueue(), newFakeCache()
					p := startProcess(t, q, known)
					pass(time.Second)
					if pause == 0 {
						q.send(order...)
					} else {
						for _, body := range order {
							q.send(body)
							pass(time.Second)
						}
					}
					pass(time.Minute)
					p.stop()
					checkState(t, known, complete)
					checkDrained(t, q, 2)
					checkAccounts(t, q, p)
				})
			})
		}
	}
}

// TestAnEndWithoutAStartEvent is learnt all the same, Step Functions is asked, and
// what comes late does not undo it.
func TestAnEndWithoutAStartEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(eventWithoutStartDate("FAILED"))
		p := startProcess(t, q, known)
		pass(time.Second)
		if len(known.state()) != 0 || len(known.mismatched) != 1 {
			t.Errorf("at first known %v, to describe %v", known.state(), known.mismatched)
		}
		pass(2 * noStartDateRetry)
		q.send(statusEvent("x", "RUNNING"))
		pass(time.Second)
		p.stop()
		checkDrained(t, q, 2)
		checkAccounts(t, q, p)
		for arn, state := range known.state() {
			if !strings.HasSuffix(state, "FAILED") || !strings.HasPrefix(state, "01769414442000") {
				t.Errorf("%s: %s", arn, state)
			}
		}
		if len(known.state()) != 1 {
			t.Errorf("known %v", known.state())
		}
	})
}

// TestAStartWithoutADateIsNotGuessed: a guess could be later than the dated end.
func TestAStartWithoutADateIsNotGuessed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(eventWithoutStartDate("RUNNING"))
		p := startProcess(t, q, known)
		pass(2 * time.Minute)
		p.stop()
		if len(known.state()) != 0 || len(q.deadLetters()) != 1 || p.logs.Lines("has no start date") != 1 {
			t.Errorf("known %v, dead letters %q\n%s", known.state(), q.deadLetters(), p.logs)
		}
		checkAccounts(t, q, p)
	})
}
