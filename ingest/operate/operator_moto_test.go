package operate

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/awstest"
)

// createMachine creates a state machine in an independent AWS emulator, and returns its ARN.
func createMachine(t *testing.T, o *Operator) string {
	t.Helper()
	made, err := o.states.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
		Name: aws.String("Pipeline"), Definition: aws.String(`{"StartAt":"a","States":{"a":{"Type":"Succeed"}}}`), RoleArn: aws.String("arn:aws:iam::123456789012:role/x"),
	})
	must(t, err)
	return aws.ToString(made.StateMachineArn)
}

// TestOperatorElsewhere provisions, diagnoses and replays in an independent AWS emulator.
func TestOperatorElsewhere(t *testing.T) {
	t.Parallel()
	o := operatorAt(t, awstest.Moto(t))
	machine := createMachine(t, o)
	plan := Plan{Name: planned, StateMachines: []string{machine}}
	did := []string{"created", "created", "created", "created", "changed", "changed", "created"}
	if diff := cmp.Diff(each(did...), steps(t, o, plan)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(each("ok"), steps(t, o, plan)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	q, err := o.queueNamed(t.Context(), planned)
	must(t, err)
	for _, f := range o.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: q.url}, StateMachines: plan.StateMachines}) {
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

// TestRulesThatSendThroughATopic are found by the topic in the policy of the queue, and no
// other rule is created.
func TestRulesThatSendThroughATopic(t *testing.T) {
	t.Parallel()
	o := operatorAt(t, awstest.Moto(t))
	const topic, queue = "arn:aws:sns:eu-west-1:123456789012:status", "arn:aws:sqs:eu-west-1:123456789012:" + planned
	machine := createMachine(t, o)
	plan := Plan{Name: planned, StateMachines: []string{machine}}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queue + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + topic + `"}}}]}`
	_, err := o.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("lost"), Attributes: map[string]string{attrRetention: "1209600"}})
	must(t, err)
	made, err := o.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(planned), Attributes: map[string]string{
		attrPolicy: policy, attrRedrive: `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:lost","maxReceiveCount":5}`,
	}})
	must(t, err)
	_, err = o.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("to-topic"), EventPattern: aws.String(patternFor(plan.StateMachines))})
	must(t, err)
	_, err = o.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("to-topic"), Targets: []eventtypes.Target{{Id: aws.String("t"), Arn: aws.String(topic)}}})
	must(t, err)
	want := []string{"ok dead-letter queue", "ok queue", "ok rule", "ok policy of queue", "ok target", "created archive"}
	if diff := cmp.Diff(want, steps(t, o, plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, f := range o.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: aws.ToString(made.QueueUrl)}, StateMachines: plan.StateMachines}) {
		if !f.OK() {
			t.Errorf("%+v", f)
		}
	}
}
