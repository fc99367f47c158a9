package operate

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/cache"
	"statuscache/ingest/awstest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

const planned = "status-events"

// world is an account that is created for a test.
type world struct {
	*Operator
	endpoint string
	server   *localaws.Server
	machine  string // ARN
}

func newWorld(t *testing.T) *world {
	t.Helper()
	endpoint, server := sqstest.Local(t)
	machine := server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
	return &world{operatorAt(t, endpoint), endpoint, server, machine}
}

func operatorAt(t *testing.T, endpoint string) *Operator {
	t.Helper()
	o, err := NewOperator(awstest.Config(t, endpoint), "")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// provisioned is a world without faults.
func provisioned(t *testing.T) (*world, Provisioned) {
	t.Helper()
	w := newWorld(t)
	return w, w.provision(t)
}

func (w *world) provision(t *testing.T) Provisioned {
	t.Helper()
	made, err := w.Provision(t.Context(), Plan{Name: planned, StateMachines: []string{w.machine}}, func(Step) {})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// steps provisions and returns the result of each step.
func steps(t *testing.T, o *Operator, plan Plan) []string {
	t.Helper()
	var all []string
	_, err := o.Provision(t.Context(), plan, func(s Step) { all = append(all, string(s.Result)+" "+s.What) })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var parts = []string{
	"dead-letter queue", "dead-letter queue of the rule", "queue", "rule", "policy of queue", "policy of queue", "target", "archive",
}

func each(results ...string) (all []string) {
	for i, part := range parts {
		all = append(all, results[min(i, len(results)-1)]+" "+part)
	}
	return all
}

// set changes an attribute of a queue.
func (w *world) set(t *testing.T, queueURL, attribute, value string) {
	t.Helper()
	_, err := w.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &queueURL, Attributes: map[string]string{attribute: value}})
	must(t, err)
}

func (w *world) url(name string) string {
	return strings.TrimSuffix(w.endpoint, "/") + "/000000000000/" + name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deny lets AWS refuse some calls.
func (w *world) deny(actions ...string) {
	w.server.SetFaults(localaws.Faults{Refuse: func(action string) error {
		if slices.Contains(actions, action) {
			return &localaws.Error{Code: "AccessDeniedException", Message: "no"}
		}
		return nil
	}})
}

// sampleEvent is an event of a state machine or of a child of its Map.
func sampleEvent(machine string, child bool) string {
	return sampleKind{status: "RUNNING", child: child}.eventOf(cache.MachineARN(machine))
}

func targetOf(id, queue string) eventtypes.Target {
	return eventtypes.Target{Id: &id, Arn: aws.String("arn:aws:sqs:eu-west-1:000000000000:" + queue)}
}

// TestAnAnswerOfAWSIsNotCutOff: each client has the fix for truncated answers.
func TestAnAnswerOfAWSIsNotCutOff(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*Operator) error{
		"queues": func(o *Operator) error { _, err := o.queueNamed(t.Context(), "q"); return err },
		"events": func(o *Operator) error { return o.CancelReplay(t.Context(), "r") },
		"states": func(o *Operator) error {
			_, err := o.states.ListExecutions(t.Context(), &sfn.ListExecutionsInput{StateMachineArn: aws.String("arn:aws:states:eu-west-1:000000000000:stateMachine:P")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := NewOperator(awstest.LateBodyRead(t), "")
			must(t, err)
			_ = call(o) // an empty answer may be an error
		})
	}
}
