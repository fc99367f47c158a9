package operate

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

const hub = "arn:aws:events:eu-west-1:000000000000:event-bus/hub"

// onHub is a world whose rule is on a bus that collects the events of other accounts.
func onHub(t *testing.T) (*world, Plan, Provisioned) {
	t.Helper()
	w := newWorld(t)
	_, err := w.events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("hub")})
	must(t, err)
	_, err = w.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("forward"), EventPattern: aws.String(`{"source":["aws.states"]}`)})
	must(t, err)
	_, err = w.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("forward"), Targets: []eventtypes.Target{{Id: aws.String("hub"), Arn: aws.String(hub)}}})
	must(t, err)
	plan := Plan{Name: planned, EventBus: hub, StateMachines: []string{w.machine}}
	made, err := w.Provision(t.Context(), plan, func(Step) {})
	must(t, err)
	return w, plan, made
}

// TestTheVerbsFindARuleOnAnotherBus: events arrive, doctor finds no fault, a replay reaches the
// queue, and the dead letters of the rule are found, whether the bus is named or not.
func TestTheVerbsFindARuleOnAnotherBus(t *testing.T) {
	t.Parallel()
	w, plan, made := onHub(t)
	if made.EventBus != "hub" {
		t.Errorf("%+v", made)
	}
	w.checkDelivers(t, w.machine, 1)
	for _, bus := range []string{"hub", hub} {
		way := EventPath{QueueURL: made.QueueURL, EventBus: bus}
		for _, f := range w.Diagnose(t.Context(), SetUp{EventPath: way, StateMachines: plan.StateMachines}) {
			if !f.OK() {
				t.Errorf("%s: %+v", bus, f)
			}
		}
	}
	all, err := w.DeadLetterQueues(t.Context(), EventPath{QueueURL: made.QueueURL})
	if err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	now := time.Now()
	order := ReplayOrder{Name: "again", Archive: planned, QueueURL: made.QueueURL, From: now.Add(-time.Hour), To: now.Add(time.Hour)}
	must(t, w.StartReplay(t.Context(), order))
	if r, err := w.FollowReplay(t.Context(), order.Name, time.Millisecond, func(Replay) {}); err != nil || !r.Completed() {
		t.Errorf("%+v, %v", r, err)
	}
	q, err := w.queueNamed(t.Context(), planned)
	must(t, err)
	if q.messages() != 2 {
		t.Errorf("%d messages after the replay, want 2", q.messages())
	}
}

// TestNothingIsMadeOnAnotherBus: provision creates nothing on a bus other than the bus of the
// rule, and nothing twice.
func TestNothingIsMadeOnAnotherBus(t *testing.T) {
	t.Parallel()
	w, plan, _ := onHub(t)
	for _, step := range steps(t, w.Operator, plan) {
		if !strings.HasPrefix(step, "ok ") {
			t.Errorf("a second time: %s", step)
		}
	}
	plan.EventBus = ""
	if _, err := w.Provision(t.Context(), plan, func(Step) {}); err == nil || !strings.Contains(err.Error(), "set EVENT_BUS=hub") {
		t.Errorf("on the default bus: %v", err)
	}
	plan.EventBus = "nowhere"
	if _, err := w.Provision(t.Context(), plan, func(Step) {}); err == nil || !strings.Contains(err.Error(), "there is no event bus nowhere") {
		t.Errorf("on a bus that does not exist: %v", err)
	}
	elsewhere := Plan{Name: "others", EventBus: "hub", StateMachines: []string{
		"arn:aws:states:us-east-1:111111111111:stateMachine:A", "arn:aws:states:eu-west-1:222222222222:stateMachine:B",
	}}
	w.deny("DescribeStateMachine") // as for rules of other accounts
	if _, err := w.Provision(t.Context(), elsewhere, func(Step) {}); err != nil {
		t.Errorf("of other accounts: %v", err)
	}
}
