package operate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/awstest"
)

// stackOf is a world created from the resources of events.yaml.
func stackOf(t *testing.T, plan Plan) *world {
	t.Helper()
	w := worldFor(t, plan)
	c := readTemplate(t, "events.yaml", map[string]string{
		"Name": plan.Name, "EventBusName": busName(plan.EventBus), "StateMachineArns": strings.Join(plan.StateMachines, ","),
		"ArchiveEvents": archiveOf(plan),
	})
	for _, name := range []string{"DeadLetterQueue", "RuleDeadLetterQueue", "Queue"} {
		w.createQueue(t, c.resource(name), c.resource(name+"Policy"))
	}
	rule, archive := c.resource("Rule"), c.resource("Archive")
	_, err := w.events.PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: textOf(rule["Name"]), EventBusName: textOf(rule["EventBusName"]), EventPattern: jsonOf(t, rule["EventPattern"]),
		State: eventtypes.RuleState(rule["State"].(string)), Description: textOf(rule["Description"]),
	})
	must(t, err)
	target := rule["Targets"].([]any)[0].(map[string]any)
	retry := target["RetryPolicy"].(map[string]any)
	_, err = w.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
		Rule: textOf(rule["Name"]), EventBusName: textOf(rule["EventBusName"]),
		Targets: []eventtypes.Target{{
			Id: textOf(target["Id"]), Arn: textOf(target["Arn"]),
			RetryPolicy:      &eventtypes.RetryPolicy{MaximumEventAgeInSeconds: numberOf(t, retry["MaximumEventAgeInSeconds"]), MaximumRetryAttempts: numberOf(t, retry["MaximumRetryAttempts"])},
			DeadLetterConfig: &eventtypes.DeadLetterConfig{Arn: textOf(target["DeadLetterConfig"].(map[string]any)["Arn"])},
		}},
	})
	must(t, err)
	_, err = w.events.CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: textOf(archive["ArchiveName"]), EventSourceArn: textOf(archive["SourceArn"]), EventPattern: textOf(archive["EventPattern"]),
		RetentionDays: numberOf(t, archive["RetentionDays"]), Description: textOf(archive["Description"]),
	})
	must(t, err)
	return w
}

func archiveOf(plan Plan) string {
	if plan.Archive == "" {
		return string(ArchiveAll)
	}
	return string(plan.Archive)
}

// createQueue creates a queue from the properties of a template.
func (w *world) createQueue(t *testing.T, queue, policy map[string]any) {
	t.Helper()
	attributes := map[string]string{attrPolicy: *jsonOf(t, policy["PolicyDocument"])}
	for name, value := range queue {
		text, is := value.(string)
		switch {
		case name == "QueueName":
		case is:
			attributes[name] = text
		default:
			attributes[name] = *jsonOf(t, value)
		}
	}
	_, err := w.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: textOf(queue["QueueName"]), Attributes: attributes})
	must(t, err)
}

func textOf(v any) *string { return aws.String(v.(string)) }

func numberOf(t *testing.T, v any) *int32 {
	t.Helper()
	n, err := strconv.Atoi(fmt.Sprint(v))
	must(t, err)
	return aws.Int32(int32(n))
}

func jsonOf(t *testing.T, v any) *string {
	t.Helper()
	text, err := json.Marshal(v, json.Deterministic(true))
	must(t, err)
	return aws.String(string(text))
}

// worldFor has the state machines and the bus of a plan.
func worldFor(t *testing.T, plan Plan) *world {
	t.Helper()
	w := newWorld(t)
	for _, machine := range plan.StateMachines {
		if machine != w.machine {
			w.server.CreateStateMachine(lastPart(machine), nil)
		}
	}
	if bus := busName(plan.EventBus); bus != DefaultBus {
		_, err := w.events.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus})
		must(t, err)
	}
	return w
}

// eventPath is everything between the bus and the queue, for comparison.
type eventPath struct {
	Queues  map[string]map[string]any // attributes by name
	Rule    map[string]any
	Target  eventtypes.Target
	Archive map[string]any
}

// eventPathOf reads the resources of a plan.
func eventPathOf(t *testing.T, o *Operator, plan Plan) (p eventPath) {
	t.Helper()
	p.Queues = map[string]map[string]any{}
	for _, name := range []string{plan.Name, plan.Name + "-dlq", plan.Name + "-rule-dlq"} {
		q, err := o.queueNamed(t.Context(), name)
		must(t, err)
		p.Queues[name] = map[string]any{
			attrPolicy: statementsOf(t, q.attributes[attrPolicy]), attrRedrive: parsed(t, q.attributes[attrRedrive]), attrRetention: q.attributes[attrRetention],
			"VisibilityTimeout": q.attributes["VisibilityTimeout"], "ReceiveMessageWaitTimeSeconds": q.attributes["ReceiveMessageWaitTimeSeconds"],
		}
	}
	q, err := o.queueNamed(t.Context(), plan.Name)
	must(t, err)
	r, err := o.routeOf(t.Context(), busName(plan.EventBus), plan.Name, q.arn())
	must(t, err)
	p.Rule = map[string]any{"pattern": parsed(t, r.pattern()), "state": r.rule.State, "description": aws.ToString(r.rule.Description), "targets": len(r.all)}
	if r.target != nil {
		p.Target = *r.target
	}
	a, err := o.archiveNamed(t.Context(), plan.Name)
	must(t, err)
	if a != nil {
		p.Archive = map[string]any{"pattern": parsed(t, aws.ToString(a.EventPattern)), "days": aws.ToInt32(a.RetentionDays), "bus": aws.ToString(a.EventSourceArn), "description": aws.ToString(a.Description)}
	}
	return p
}

// statementsOf returns the statements of a policy, except the one that denies plain HTTP.
// provision does not add that statement, because it is the decision of the operator.
func statementsOf(t *testing.T, policy string) (all []any) {
	t.Helper()
	if policy == "" {
		return nil
	}
	for _, s := range parsed(t, policy).(map[string]any)["Statement"].([]any) {
		if s.(map[string]any)["Sid"] != "DenyPlainHTTP" {
			all = append(all, s)
		}
	}
	return all
}

func parsed(t *testing.T, text string) (v any) {
	t.Helper()
	if text != "" {
		must(t, json.Unmarshal([]byte(text), &v))
	}
	return v
}

func examplePlans() map[string]Plan {
	machine := func(name string) string {
		return "arn:aws:states:eu-west-1:000000000000:stateMachine:" + name
	}
	var ten []string
	for i := range 10 {
		ten = append(ten, machine("Pipeline"+strconv.Itoa(i)))
	}
	return map[string]Plan{
		"one state machine":  {Name: planned, StateMachines: []string{machine("Pipeline")}},
		"two state machines": {Name: "other_Name-1", StateMachines: []string{machine("Pipeline"), machine("Second")}},
		"ten state machines": {Name: planned, StateMachines: ten},
		"terminal archive":   {Name: planned, StateMachines: ten[:2], Archive: ArchiveTerminal},
		"another bus":        {Name: planned, EventBus: "hub", StateMachines: []string{machine("Pipeline")}},
	}
}

// TestTheEventsTemplateMakesWhatProvisionMakes: queues, policies, rule, target and archive,
// so that provision changes nothing and doctor finds nothing.
func TestTheEventsTemplateMakesWhatProvisionMakes(t *testing.T) {
	t.Parallel()
	for name, plan := range examplePlans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provisioned, stack := worldFor(t, plan), stackOf(t, plan)
			steps(t, provisioned.Operator, plan)
			want, got := eventPathOf(t, provisioned.Operator, plan), eventPathOf(t, stack.Operator, plan)
			if diff := cmp.Diff(want, got, sdkFields); diff != "" {
				t.Errorf("(-provision +template):\n%s", diff)
			}
			for _, step := range steps(t, stack.Operator, plan) {
				if !strings.HasPrefix(step, "ok ") {
					t.Errorf("provision changes the stack: %s", step)
				}
			}
			set := SetUp{EventPath: EventPath{QueueURL: stack.url(plan.Name), EventBus: plan.EventBus}, StateMachines: plan.StateMachines}
			for _, f := range stack.Diagnose(t.Context(), set) {
				if !f.OK() {
					t.Errorf("doctor: %+v", f)
				}
			}
		})
	}
}

// sdkFields ignores the fields of the SDK that no service sends.
var sdkFields = cmpopts.IgnoreUnexported(eventtypes.Target{}, eventtypes.RetryPolicy{}, eventtypes.DeadLetterConfig{})

// TestTheQueuesOfTheTemplateAreEncryptedAndTakeNoPlainHTTP checks each queue.
func TestTheQueuesOfTheTemplateAreEncryptedAndTakeNoPlainHTTP(t *testing.T) {
	t.Parallel()
	c := readTemplate(t, "events.yaml", map[string]string{"StateMachineArns": "arn:aws:states:eu-west-1:000000000000:stateMachine:Pipeline"})
	queues := c.resourcesOf("AWS::SQS::Queue")
	for _, name := range queues {
		if c.resource(name)["SqsManagedSseEnabled"] != "true" {
			t.Errorf("%s is not encrypted", name)
		}
		deny := map[string]any{
			"Sid": "DenyPlainHTTP", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": c.attribute(name + ".Arn"),
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}
		statements := c.resource(name + "Policy")["PolicyDocument"].(map[string]any)["Statement"].([]any)
		if !slices.ContainsFunc(statements, func(s any) bool { return cmp.Equal(s, any(deny)) }) {
			t.Errorf("%s accepts plain HTTP: %v", name, statements)
		}
	}
	if len(queues) != 3 {
		t.Errorf("queues %v, want 3", queues)
	}
}

// TestTheEventsStackDelivers creates events.yaml in an independent AWS emulator, where an event
// must arrive. The emulator ignores queue policies in templates, so provision adds them.
func TestTheEventsStackDelivers(t *testing.T) {
	t.Parallel()
	endpoint := awstest.Moto(t)
	o := operatorAt(t, endpoint)
	machine := createMachine(t, o)
	awstest.EventsStack(t, endpoint, "../../deploy/cloudformation/events.yaml", machine)
	plan := Plan{Name: planned, StateMachines: []string{machine}}
	want := []string{"ok dead-letter queue", "ok dead-letter queue of the rule", "ok queue", "ok rule", "changed policy of queue", "changed policy of queue", "ok target", "ok archive"}
	got := steps(t, o, plan)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("provision after the stack (-want +got):\n%s", diff)
	}
	checkArrives(t, o, machine)
}

// checkArrives puts an event of a state machine and an event of another one on the default bus.
// Only the first must arrive in the queue, unchanged.
func checkArrives(t *testing.T, o *Operator, machine string) {
	t.Helper()
	for _, of := range []string{machine + "Not", strings.Replace(machine, "Pipeline", "Other", 1), machine} {
		var event map[string]any
		must(t, json.Unmarshal([]byte(sampleKind{status: "RUNNING"}.eventOf(cache.MachineARN(of))), &event))
		answer, err := o.events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
			Source: textOf(event["source"]), DetailType: textOf(event["detail-type"]), Detail: jsonOf(t, event["detail"]),
		}}})
		must(t, err)
		if answer.FailedEntryCount > 0 {
			t.Fatalf("PutEvents: %s", aws.ToString(answer.Entries[0].ErrorMessage))
		}
	}
	q, err := o.queueNamed(t.Context(), planned)
	must(t, err)
	var bodies []string
	cachetest.Eventually(t, "the event is in the queue", func() bool {
		answer, err := o.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameSentTimestamp}})
		must(t, err)
		for _, m := range answer.Messages {
			bodies = append(bodies, aws.ToString(m.Body))
		}
		return len(bodies) > 0
	})
	for _, body := range bodies {
		if !strings.Contains(body, `"`+machine) {
			t.Errorf("an event of another state machine arrived: %s", body)
		}
	}
}
