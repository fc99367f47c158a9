package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/awstest"
)

// TestOperatorElsewhere provisions, diagnoses and replays at an AWS that is not
// ours. It knows no state machine, and cannot test patterns: it matches nothing.
func TestOperatorElsewhere(t *testing.T) {
	t.Parallel()
	o := operatorAt(t, awstest.Moto(t))
	plan := Plan{Name: planned, StateMachines: []string{"arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"}}
	did := []string{"created", "created", "created", "created", "changed", "changed", "created"}
	if diff := cmp.Diff(each(did...), steps(t, o, plan)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(each("ok"), steps(t, o, plan)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	q, err := o.queueNamed(t.Context(), planned)
	must(t, err)
	for _, f := range o.Diagnose(t.Context(), SetUp{QueueURL: q.url, StateMachines: plan.StateMachines}) {
		lacking := strings.Contains(f.Check, "pattern") || f.Check == "state machine Pipeline"
		if !f.OK() && !lacking {
			t.Errorf("%+v", f)
		}
	}
	now := time.Now()
	order := ReplayOrder{Name: "again", Archive: planned, QueueURL: q.url, From: now.Add(-time.Hour), To: now}
	must(t, o.StartReplay(t.Context(), order))
	r, err := o.FollowReplay(t.Context(), order.Name, time.Millisecond, func(Replay) {})
	if err != nil || !r.Completed() {
		t.Errorf("%+v, %v", r, err)
	}
}
