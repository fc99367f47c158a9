package operate

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"statuscache/ingest/event"
)

func TestProvision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plan := Plan{Name: planned, StateMachines: []string{w.machine}}
	dry := plan
	dry.DryRun = true
	would := []string{"would create", "would create", "would create", "would create", "would change", "would change", "would create"}
	for range 2 { // the first has changed nothing
		if diff := cmp.Diff(each(would...), steps(t, w.Operator, dry)); diff != "" {
			t.Fatalf("dry run (-want +got):\n%s", diff)
		}
	}
	did := []string{"created", "created", "created", "created", "changed", "changed", "created"}
	if diff := cmp.Diff(each(did...), steps(t, w.Operator, plan)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(each("ok"), steps(t, w.Operator, plan)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	w.checkDelivers(t, w.machine, 1)
	w.checkDelivers(t, w.machine+"/Map", 2)
	w.checkDelivers(t, strings.Replace(w.machine, "Pipeline", "Other", 1), 2)
}

// checkDelivers publishes an event of a machine and counts what is in the queue.
func (w *world) checkDelivers(t *testing.T, machine string, want int) {
	t.Helper()
	now := time.Now().UTC().Format(time.RFC3339) // or the archive has released it
	w.server.Publish([]byte(strings.Replace(sampleEvent(machine, false), "2026-01-01T00:00:00Z", now, 1)))
	q, err := w.queueNamed(t.Context(), planned)
	must(t, err)
	if got := q.messages(); got != want {
		t.Errorf("%d messages after an event of %s, want %d", got, machine, want)
	}
}

// TestProvisionCorrects breaks one part at a time.
func TestProvisionCorrects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(*testing.T, *world)
		want string
	}{
		"no redrive policy":  {func(t *testing.T, w *world) { w.set(t, w.url(planned), attrRedrive, "") }, "changed queue"},
		"short dead letters": {func(t *testing.T, w *world) { w.set(t, w.url(planned+"-dlq"), attrRetention, "3600") }, "changed dead-letter queue"},
		"no policy":          {func(t *testing.T, w *world) { w.set(t, w.url(planned), attrPolicy, "") }, "changed policy of queue"},
		"rule disabled": {func(t *testing.T, w *world) {
			_, err := w.events.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String(planned)})
			must(t, err)
		}, "changed rule"},
		"rule for another machine": {func(t *testing.T, w *world) {
			w.putPattern(t, `{"source":["aws.states"],"detail-type":["`+event.DetailType+`"],"detail":{"stateMachineArn":["x"]}}`)
		}, "changed rule"},
		"rule for one status": {func(t *testing.T, w *world) {
			w.putPattern(t, `{"source":["aws.states"],"detail-type":["`+event.DetailType+`"],"detail":{"status":["FAILED"]}}`)
		}, "changed rule"},
		"target without dead letters": {func(t *testing.T, w *world) {
			w.putTarget(t, func(in *eventbridge.PutTargetsInput) { in.Targets[0].DeadLetterConfig = nil })
		}, "changed target"},
		"no target": {func(t *testing.T, w *world) {
			_, err := w.events.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String(planned), Ids: []string{planned}})
			must(t, err)
		}, "created target"},
		"no archive": {func(t *testing.T, w *world) {
			_, err := w.events.DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String(planned)})
			must(t, err)
		}, "created archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := provisioned(t)
			c.harm(t, w)
			var notFine []string
			plan := Plan{Name: planned, StateMachines: []string{w.machine}}
			for _, step := range steps(t, w.Operator, plan) {
				if !strings.HasPrefix(step, "ok ") {
					notFine = append(notFine, step)
				}
			}
			if diff := cmp.Diff([]string{c.want}, notFine); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(each("ok"), steps(t, w.Operator, plan)); diff != "" {
				t.Errorf("afterwards (-want +got):\n%s", diff)
			}
			w.checkDelivers(t, w.machine, 1)
		})
	}
}

func (w *world) putPattern(t *testing.T, pattern string) {
	t.Helper()
	_, err := w.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String(planned), EventPattern: &pattern, Description: aws.String(ruleDescription)})
	must(t, err)
}

// putTarget changes the target of the rule.
func (w *world) putTarget(t *testing.T, change func(*eventbridge.PutTargetsInput)) {
	t.Helper()
	r, err := w.routeOf(t.Context(), DefaultBus, planned, "")
	must(t, err)
	in := &eventbridge.PutTargetsInput{Rule: aws.String(planned), Targets: r.all}
	change(in)
	answer, err := w.events.PutTargets(t.Context(), in)
	must(t, err)
	if answer.FailedEntryCount > 0 {
		t.Fatalf("%s", putFailure(answer.FailedEntries))
	}
}

// TestProvisionKeepsWhatOthersMade: a policy statement, a target, a machine in the pattern, a
// description and a dead-letter queue with another name.
func TestProvisionKeepsWhatOthersMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"theirs", "their-dlq"} {
		w.server.CreateQueue(name, nil)
	}
	const redriveToTheirs = `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:their-dlq","maxReceiveCount":3}`
	w.server.CreateQueue(planned, map[string]string{attrRedrive: redriveToTheirs})
	const statement = `{"Sid":"LetTheRuleSend","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sqs:*","Resource":"*"}`
	w.set(t, w.url(planned), attrPolicy, `{"Version":"2012-10-17","Statement":`+statement+`}`)
	other := strings.Replace(w.machine, "Pipeline", "Other", 1)
	_, err := w.events.PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: aws.String(planned), Description: aws.String("ours since 2020"),
		EventPattern: aws.String(`{"source":["aws.states"],"detail-type":["` + event.DetailType + `"],"detail":{"stateMachineArn":["` + other + `"]}}`),
	})
	must(t, err)
	w.putTarget(t, func(in *eventbridge.PutTargetsInput) { in.Targets = append(in.Targets, targetOf(planned, "theirs")) })

	plan := Plan{Name: planned, StateMachines: []string{w.machine}}
	if _, err := w.Provision(t.Context(), plan, func(Step) {}); err == nil || !strings.Contains(err.Error(), "--change-rule "+planned) {
		t.Errorf("a rule of others is changed: %v", err)
	}
	plan.ChangeRules = []string{planned}
	_, err = w.Provision(t.Context(), plan, func(Step) {})
	must(t, err)
	r, err := w.routeOf(t.Context(), DefaultBus, planned, "arn:aws:sqs:eu-west-1:000000000000:"+planned)
	must(t, err)
	if len(r.all) != 2 || r.target == nil || aws.ToString(r.target.Id) == planned {
		t.Errorf("targets %+v", r.all)
	}
	if aws.ToString(r.rule.Description) != "ours since 2020" || !strings.Contains(aws.ToString(r.rule.EventPattern), `"`+other+`"`) {
		t.Errorf("rule %+v", r.rule)
	}
	q, err := w.queueNamed(t.Context(), planned)
	must(t, err)
	if policy := q.attributes[attrPolicy]; !strings.Contains(policy, statement) || !strings.Contains(policy, "LetTheRuleSend2") {
		t.Errorf("policy %s", policy)
	}
	if q.attributes[attrRedrive] != redriveToTheirs {
		t.Errorf("redrive policy %s", q.attributes[attrRedrive])
	}
	w.checkDelivers(t, w.machine, 1)
	w.checkDelivers(t, other, 2)
}

func TestProvisionRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		plan   Plan
		refuse string // action
		want   string
	}{
		"a long name":     {Plan{Name: strings.Repeat("a", 81), StateMachines: []string{w.machine}}, "", "--name"},
		"a name":          {Plan{Name: "a b", StateMachines: []string{w.machine}}, "", "--name"},
		"no machine":      {Plan{Name: planned}, "", "--state-machine: not set"},
		"no ARN":          {Plan{Name: planned, StateMachines: []string{"Pipeline"}}, "", "not the ARN of a state machine"},
		"no account":      {Plan{Name: planned, StateMachines: []string{"arn:aws:states:eu-west-1:1:stateMachine:P"}}, "", "not the ARN of a state machine"},
		"another region":  {Plan{Name: planned, StateMachines: []string{"arn:aws:states:us-east-1:111111111111:stateMachine:P"}}, "", "set AWS_REGION=us-east-1"},
		"several account": {Plan{Name: planned, StateMachines: []string{w.machine, "arn:aws:states:eu-west-1:111111111111:stateMachine:P"}}, "", "several accounts"},
		"queue denied":    {Plan{Name: planned, StateMachines: []string{w.machine}}, "CreateQueue", "grant sqs:CreateQueue"},
		"not there":       {Plan{Name: planned, StateMachines: []string{w.machine + "2"}}, "", "there is no state machine "},
		"rule denied":     {Plan{Name: planned, StateMachines: []string{w.machine}}, "PutRule", "rule status-events: events:PutRule: access denied; grant events:PutRule"},
	} {
		w := newWorld(t)
		w.deny(c.refuse)
		_, err := w.Provision(t.Context(), c.plan, func(Step) {})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
