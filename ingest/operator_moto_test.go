package ingest

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/awstest"
)

// TestOperatorElsewhere provisions, diagnoses and replays at an AWS that is not
// ours.
func TestOperatorElsewhere(t *testing.T) {
	t.Parallel()
	o := operatorAt(t, awstest.Moto(t))
	machine, err := o.states.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("Pipeline"), Definition: aws.String(`{"StartAt":"a","States":{"a":{"Type":"Succeed"}}}`), RoleArn: aws.String("arn:aws:iam::123456789012:role/x"),
	})
	must(t, err)
	plan := Plan{Name: planned, StateMachines: []string{aws.ToString(machine.StateMachineArn)}}
	did := []string{"created", "created", "created", "created", "changed", "changed", "created"}
	if diff := cmp.Diff(each(did...), steps(t, o, plan)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(each("ok"), steps(t, o, plan)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	q, err := o.queueNamed(t.Context(), planned)
	must(t, err)
	for _, f := range o.Diagnose(t.Context(), SetUp{Way: Way{QueueURL: q.url}, StateMachines: plan.StateMachines}) {
		if !f.OK() {
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
