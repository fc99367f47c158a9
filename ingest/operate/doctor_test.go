package operate

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/cache/diagnose"
	"statuscache/ingest/event"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	w, made := provisioned(t)
	for _, f := range w.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: made.QueueURL}, StateMachines: made.StateMachines}) {
		if !f.OK() {
			t.Errorf("the control, without a fault: %+v", f)
		}
	}
	for name, c := range doctorCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, made := provisioned(t)
			s := SetUp{EventPath: EventPath{QueueURL: made.QueueURL}, StateMachines: made.StateMachines}
			c.harm(t, w, &s)
			var wrong []diagnose.Finding
			for _, f := range w.Diagnose(t.Context(), s) {
				if !f.OK() && !f.Unchecked() {
					wrong = append(wrong, f)
				}
			}
			if len(wrong) != 1 || wrong[0].Check != c.check || !strings.Contains(wrong[0].Fix, c.fix) || strings.Contains(wrong[0].Fix, "\n") {
				t.Errorf("found %+v, want %s with the fix %q", wrong, c.check, c.fix)
			}
		})
	}
}

var doctorCases = map[string]struct {
	harm       func(*testing.T, *world, *SetUp)
	check, fix string
}{
	"no queue":     {func(_ *testing.T, w *world, s *SetUp) { s.QueueURL, s.Archive = w.url("gone"), planned }, "queue", "statusctl provision --name gone"},
	"no queue URL": {func(_ *testing.T, _ *world, s *SetUp) { s.QueueURL = "" }, "queue", "SQS_QUEUE_URL"},
	"no policy":    {func(t *testing.T, w *world, s *SetUp) { w.set(t, s.QueueURL, attrPolicy, "") }, checkPolicy, "statusctl provision"},
	"open policy":  {func(t *testing.T, w *world, s *SetUp) { w.openPolicy(t, s.QueueURL) }, checkPolicy, "remove that statement; the others let the rule send"},
	"open to every rule": {func(t *testing.T, w *world, s *SetUp) {
		w.setPolicy(t, s.QueueURL, `{"Sid":"Any","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}`)
	}, checkPolicy, `give it the condition {"ArnEquals":{"aws:SourceArn":["arn:aws:events:`},
	"denied outside the organization": {func(t *testing.T, w *world, s *SetUp) {
		w.setPolicy(t, s.QueueURL, `{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"},{"Sid":"Home","Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}`)
	}, checkPolicy, `"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}`},
	"no redrive":    {func(t *testing.T, w *world, s *SetUp) { w.set(t, s.QueueURL, attrRedrive, "") }, "dead-letter queue", "statusctl provision"},
	"short memory":  {func(t *testing.T, w *world, _ *SetUp) { w.set(t, w.url(planned+"-dlq"), attrRetention, "3600") }, "dead-letter queue", "statusctl provision"},
	"dead letters":  {func(t *testing.T, w *world, _ *SetUp) { w.send(t, planned+"-dlq", "x", 1) }, "dead-letter queue", "statusctl dlq list"},
	"unsent events": {func(t *testing.T, w *world, _ *SetUp) { w.send(t, planned+"-rule-dlq", "x", 1) }, checkRuleDead, "statusctl dlq list"},
	"wrong key":     {func(t *testing.T, w *world, s *SetUp) { w.set(t, s.QueueURL, attrKey, awsOwnKey) }, "queue encryption", "SqsManagedSseEnabled"},
	"backlog":       {func(t *testing.T, w *world, _ *SetUp) { w.send(t, planned, "x", maxBacklog+1) }, "queue backlog", "statusd"},
	"no rule":       {func(_ *testing.T, _ *world, s *SetUp) { s.Rule, s.Archive = "gone", planned }, checkRule, "omit --rule: status-events leads to the queue"},
	"rule disabled": {func(t *testing.T, w *world, _ *SetUp) {
		_, err := w.events.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String(planned)})
		must(t, err)
	}, checkRule, "aws events enable-rule --name " + planned},
	"exact pattern": {func(t *testing.T, w *world, _ *SetUp) {
		w.putPattern(t, `{"source":["aws.states"],"detail-type":["`+event.DetailType+`"],"detail":{"stateMachineArn":["`+w.machine+`"]}}`)
	}, checkPattern, "statusctl provision"},
	"no target": {func(t *testing.T, w *world, _ *SetUp) {
		_, err := w.events.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String(planned), Ids: []string{planned}})
		must(t, err)
	}, checkTarget, "statusctl provision"},
	"target drops": {func(t *testing.T, w *world, _ *SetUp) {
		w.putTarget(t, func(in *eventbridge.PutTargetsInput) { in.Targets[0].DeadLetterConfig = nil })
	}, checkRuleDead, "statusctl provision"},
	"dead letters refused": {func(t *testing.T, w *world, _ *SetUp) { w.set(t, w.url(planned+"-rule-dlq"), attrPolicy, "") }, checkRulePolicy, "statusctl provision"},
	"no archive":           {func(_ *testing.T, _ *world, s *SetUp) { s.Archive = "gone" }, checkArchive, "statusctl provision"},
	"no state machine":     {func(_ *testing.T, w *world, s *SetUp) { s.StateMachines = append(s.StateMachines, w.machine+"2") }, "state machine Pipeline2", "STATE_MACHINES"},
	"not listed":           {func(_ *testing.T, w *world, _ *SetUp) { w.deny("ListExecutions") }, "state machine Pipeline", "grant states:ListExecutions on "},
	"not described":        {func(_ *testing.T, w *world, _ *SetUp) { w.deny("DescribeExecution") }, "state machine Pipeline", "grant states:DescribeExecution on "},
}

// setPolicy gives a queue a policy with only these statements.
func (w *world) setPolicy(t *testing.T, url, statements string) {
	t.Helper()
	w.set(t, url, attrPolicy, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
}

// openPolicy also lets anybody send, not only the rule.
func (w *world) openPolicy(t *testing.T, url string) {
	t.Helper()
	q, err := w.queueAt(t.Context(), url)
	must(t, err)
	const anybody = `{"Effect":"Allow","Principal":"*","Action":"SQS:*","Resource":"*"},`
	w.set(t, url, attrPolicy, strings.Replace(q.attributes[attrPolicy], `"Statement":[`, `"Statement":[`+anybody, 1))
}

func (w *world) send(t *testing.T, queue, body string, times int) {
	t.Helper()
	url := w.url(queue)
	for range times {
		_, err := w.queues.SendMessage(context.WithoutCancel(t.Context()), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
		must(t, err)
	}
}

// TestDoctorReportsWhatItCouldNotCheck: a part that could not be checked is never reported as
// ok.
func TestDoctorReportsWhatItCouldNotCheck(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"GetQueueAttributes", "ListRuleNamesByTarget", "DescribeRule", "ListTargetsByRule", "DescribeArchive", "GetQueueUrl"} {
		w, made := provisioned(t)
		w.deny(action)
		unchecked := 0
		for _, f := range w.Diagnose(t.Context(), SetUp{EventPath: EventPath{QueueURL: made.QueueURL}, StateMachines: made.StateMachines}) {
			if f.Unchecked() {
				unchecked++
			} else if !f.OK() {
				t.Errorf("%s: %+v", action, f)
			}
		}
		if unchecked == 0 {
			t.Errorf("%s is denied, but everything was checked", action)
		}
	}
}
