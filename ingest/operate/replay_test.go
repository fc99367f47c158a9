package operate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"statuscache/ingest/localaws"
)

// TestReplay: archived events arrive again, but only at our rule.
func TestReplay(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	w.server.CreateQueue("theirs", nil)
	theirs := "everything"
	_, err := w.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &theirs, EventPattern: aws.String(`{"source":["aws.states"]}`)})
	must(t, err)
	w.checkDelivers(t, w.machine, 1)
	_, err = w.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: &theirs, Targets: []eventtypes.Target{targetOf("x", "theirs")}})
	must(t, err)
	now := time.Now()
	order := ReplayOrder{
		Name: "again", Archive: planned, QueueURL: made.QueueURL,
		From: now.Add(-time.Hour), To: now.Add(time.Hour),
	}
	must(t, w.StartReplay(t.Context(), order))
	reports := 0
	r, err := w.FollowReplay(t.Context(), order.Name, time.Millisecond, func(Replay) { reports++ })
	if err != nil || !r.Completed() || reports == 0 || r.Done() != 2*time.Hour {
		t.Errorf("%+v, reported %d times, %v", r, reports, err)
	}
	for name, want := range map[string]int{planned: 2, "theirs": 0} {
		q, err := w.queueNamed(t.Context(), name)
		must(t, err)
		if q.messages() != want {
			t.Errorf("%s: %d messages, want %d", name, q.messages(), want)
		}
	}
}

func TestReplayIsCancelled(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	w.checkDelivers(t, w.machine, 1)
	w.server.SetDelays(localaws.Delays{ReplayedMinute: time.Hour})
	now := time.Now()
	order := ReplayOrder{
		Name: "again", Archive: planned, QueueURL: made.QueueURL, Rule: planned,
		From: now.Add(-time.Hour), To: now.Add(time.Hour),
	}
	must(t, w.StartReplay(t.Context(), order))
	var once sync.Once
	r, err := w.FollowReplay(t.Context(), order.Name, time.Millisecond, func(r Replay) {
		if r.Ended() {
			return
		}
		once.Do(func() { must(t, w.CancelReplay(t.Context(), order.Name)) })
	})
	if err != nil || r.Completed() || !r.Ended() || r.Done() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	for want, change := range map[string]func(*ReplayOrder){
		"there is no rule gone":    func(r *ReplayOrder) { r.Rule = "gone" },
		"there is no archive gone": func(r *ReplayOrder) { r.Archive = "gone" },
		"SQS_QUEUE_URL: not set":   func(r *ReplayOrder) { r.QueueURL = "" },
		"there is no such queue":   func(r *ReplayOrder) { r.QueueURL = w.url("gone") },
		"events:StartReplay: ":     func(r *ReplayOrder) { r.To = r.From.Add(-time.Hour) },
	} {
		order := ReplayOrder{Name: "again", Archive: planned, QueueURL: made.QueueURL, From: time.Unix(1767225600, 0), To: time.Unix(1767229200, 0)}
		change(&order)
		if err := w.StartReplay(t.Context(), order); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := w.FollowReplay(t.Context(), "gone", time.Hour, func(Replay) {}); err == nil || !strings.Contains(err.Error(), "there is no replay gone") {
		t.Error(err)
	}
}

// TestFollowSurvivesFailures, but not unlimited ones.
func TestFollowSurvivesFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		for _, c := range []struct {
			failures int
			want     error
		}{{maxFailures, nil}, {maxFailures + 1, broken}} {
			asked := 0
			got, err := follow(t.Context(), time.Minute, func() (int, bool, error) {
				if asked++; asked <= c.failures {
					return 0, false, broken
				}
				return asked, true, nil
			})
			if !errors.Is(err, c.want) || err == nil && got != c.failures+1 {
				t.Errorf("%d failures: %d, %v", c.failures, got, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := follow(ctx, time.Minute, func() (int, bool, error) { return 0, false, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
