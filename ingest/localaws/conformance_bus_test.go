package localaws_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"

	"statuscache/cache/cachetest"
	"statuscache/ingest/awstest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

// busCalls are calls of queues and of the bus that sends to them.
type busCalls struct {
	*calls
	events *eventbridge.Client

	// newIDs: a replayed event gets a new id, unlike at AWS.
	newIDs bool
}

func newBusCalls(t *testing.T, endpoint string, server *localaws.Server) *busCalls {
	t.Helper()
	return &busCalls{
		calls:  &calls{T: t, client: sqstest.Client(t, endpoint), implementation: implementation{endpoint: endpoint, server: server}},
		events: awstest.EventBridge(t, endpoint),
	}
}

// TestConformanceOfBus runs the SDK against the stand-in and against an independent
// EventBridge.
func TestConformanceOfBus(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, endpoint string) {
		for name, behaviour := range map[string]func(*busCalls){
			"a rule's life":             ruleLife,
			"targets":                   targetsLife,
			"several buses":             severalBuses,
			"an event reaches a queue":  eventArrives,
			"entries fail alone":        entriesFailAlone,
			"archives and their replay": archiveLife,
			"errors of the bus":         busErrors,
		} {
			t.Run(name, func(t *testing.T) { // one after the other: moto answers 500 to some calls at once
				c := newBusCalls(t, endpoint, nil)
				c.newIDs = strings.Contains(t.Name(), "/moto/")
				behaviour(c)
			})
		}
	})
}

// rule creates a rule for events of a source.
func (c *busCalls) rule(name, source string) (arn string) {
	c.Helper()
	out, err := c.events.PutRule(c.Context(), &eventbridge.PutRuleInput{
		Name: &name, EventPattern: aws.String(`{"source":["` + source + `"]}`),
	})
	c.ok(err)
	return *out.RuleArn
}

// target makes a rule send to a queue that lets it, with or without a dead-letter queue.
func (c *busCalls) target(rule, ruleARN string, queue, deadLetters *string) {
	c.Helper()
	t := types.Target{Id: aws.String("queue"), Arn: c.arn(queue)}
	if deadLetters != nil {
		t.DeadLetterConfig = &types.DeadLetterConfig{Arn: c.arn(deadLetters)}
		c.permit(deadLetters, ruleARN)
	}
	out, err := c.events.PutTargets(c.Context(), &eventbridge.PutTargetsInput{Rule: &rule, Targets: []types.Target{t}})
	c.ok(err)
	if out.FailedEntryCount != 0 {
		c.Fatalf("failed: %+v", out.FailedEntries)
	}
}

// permit lets a rule send to a queue.
func (c *busCalls) permit(queue *string, ruleARN string) {
	c.Helper()
	_, err := c.client.SetQueueAttributes(c.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},` +
			`"Action":"sqs:SendMessage","Resource":"` + *c.arn(queue) + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"}}}]}`,
	}})
	c.ok(err)
}

func (c *busCalls) put(source, detail string) *eventbridge.PutEventsOutput {
	c.Helper()
	out, err := c.events.PutEvents(c.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: &source, DetailType: aws.String("test"), Detail: &detail},
	}})
	c.ok(err)
	return out
}

func codeOf(err error) string {
	if typed, ok := errors.AsType[smithy.APIError](err); ok {
		return typed.ErrorCode()
	}
	return ""
}

func ruleLife(c *busCalls) {
	arn := c.rule("life", "life.1")
	_, err := c.events.DisableRule(c.Context(), &eventbridge.DisableRuleInput{Name: aws.String("life")})
	c.ok(err)
	got, err := c.events.DescribeRule(c.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("life")})
	c.ok(err)
	if *got.Arn != arn || got.State != types.RuleStateDisabled || *got.EventPattern != `{"source":["life.1"]}` || *got.EventBusName != "default" {
		c.Errorf("rule: %+v", got)
	}
	_, err = c.events.EnableRule(c.Context(), &eventbridge.EnableRuleInput{Name: aws.String("life")})
	c.ok(err)
	listed, err := c.events.ListRules(c.Context(), &eventbridge.ListRulesInput{NamePrefix: aws.String("lif")})
	c.ok(err)
	if len(listed.Rules) != 1 || *listed.Rules[0].Arn != arn || listed.Rules[0].State != types.RuleStateEnabled {
		c.Errorf("rules: %+v", listed.Rules)
	}
	_, err = c.events.DeleteRule(c.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("life")})
	c.ok(err)
	_, err = c.events.DescribeRule(c.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("life")})
	if !is[*types.ResourceNotFoundException](err) {
		c.Errorf("deleted: %v", err)
	}
}

func targetsLife(c *busCalls) {
	arn := c.rule("targets", "targets")
	queue := c.queue(nil)
	c.target("targets", arn, queue, c.queue(nil))
	c.target("targets", arn, queue, nil) // replaces it
	listed, err := c.events.ListTargetsByRule(c.Context(), &eventbridge.ListTargetsByRuleInput{Rule: aws.String("targets")})
	c.ok(err)
	if len(listed.Targets) != 1 || *listed.Targets[0].Arn != *c.arn(queue) || listed.Targets[0].DeadLetterConfig != nil {
		c.Errorf("targets: %+v", listed.Targets)
	}
	if _, err = c.events.DeleteRule(c.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("targets")}); codeOf(err) != "ValidationException" {
		c.Errorf("deleted with a target: %v", err)
	}
	_, err = c.events.RemoveTargets(c.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("targets"), Ids: []string{"queue"}})
	c.ok(err)
	_, err = c.events.DeleteRule(c.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("targets")})
	c.ok(err)
}

// severalBuses: a rule belongs to one bus, and is found there by its target.
func severalBuses(c *busCalls) {
	hub := aws.String("hub")
	_, err := c.events.CreateEventBus(c.Context(), &eventbridge.CreateEventBusInput{Name: hub})
	c.ok(err)
	queue := c.queue(nil)
	made, err := c.events.PutRule(c.Context(), &eventbridge.PutRuleInput{Name: aws.String("on-hub"), EventBusName: hub, EventPattern: aws.String(`{"source":["a"]}`)})
	c.ok(err)
	if !strings.HasSuffix(*made.RuleArn, ":rule/"+*hub+"/on-hub") {
		c.Errorf("ARN %s", *made.RuleArn)
	}
	_, err = c.events.PutTargets(c.Context(), &eventbridge.PutTargetsInput{
		Rule: aws.String("on-hub"), EventBusName: hub, Targets: []types.Target{{Id: aws.String("q"), Arn: c.arn(queue)}},
	})
	c.ok(err)
	for bus, want := range map[string][]string{"default": nil, *hub: {"on-hub"}} {
		found, err := c.events.ListRuleNamesByTarget(c.Context(), &eventbridge.ListRuleNamesByTargetInput{TargetArn: c.arn(queue), EventBusName: &bus})
		c.ok(err)
		if !slices.Equal(found.RuleNames, want) && len(found.RuleNames)+len(want) > 0 {
			c.Errorf("rules of %s: %q, want %q", bus, found.RuleNames, want)
		}
	}
	listed, err := c.events.ListEventBuses(c.Context(), &eventbridge.ListEventBusesInput{NamePrefix: hub})
	c.ok(err)
	if len(listed.EventBuses) != 1 || *listed.EventBuses[0].Name != *hub {
		c.Errorf("buses: %+v", listed.EventBuses)
	}
	if _, err = c.events.DescribeRule(c.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("on-hub")}); codeOf(err) != "ResourceNotFoundException" {
		c.Errorf("the rule is on the default bus too: %v", err)
	}
}

func eventArrives(c *busCalls) {
	arn := c.rule("arrives", "arrives")
	queue := c.queue(nil)
	c.permit(queue, arn)
	c.target("arrives", arn, queue, nil)
	c.put("elsewhere", `{"a":0}`)
	id := c.put("arrives", `{"a":1}`).Entries[0].EventId
	var event struct {
		ID         string         `json:"id"`
		DetailType string         `json:"detail-type"`
		Source     string         `json:"source"`
		Detail     map[string]int `json:"detail"`
	}
	c.ok(json.Unmarshal([]byte(*c.one(queue, 10).Body), &event))
	if event.ID != *id || event.DetailType != "test" || event.Source != "arrives" || event.Detail["a"] != 1 {
		c.Errorf("event: %+v", event)
	}
}

func entriesFailAlone(c *busCalls) {
	out, err := c.events.PutEvents(c.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("a"), DetailType: aws.String("t"), Detail: aws.String(`{`)},
		{Source: aws.String("a"), DetailType: aws.String("t"), Detail: aws.String(`{}`)},
		{DetailType: aws.String("t"), Detail: aws.String(`{}`)},
	}})
	c.ok(err)
	codes := []string{}
	for _, e := range out.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
	}
	if out.FailedEntryCount != 2 || !slices.Equal(codes, []string{"MalformedDetail", "", "InvalidArgument"}) {
		c.Errorf("%d failed: %q", out.FailedEntryCount, codes)
	}
}

// Only the stand-in is tested, because moto answers false to everything.
func TestPatternsAreTestedForCallers(t *testing.T) {
	t.Parallel()
	endpoint, server := sqstest.Local(t)
	c := newBusCalls(t, endpoint, server)
	const event = `{"id":"1","account":"0","source":"s","time":"2026-01-26T08:00:42Z","region":"r","resources":[],"detail-type":"t","detail":{"n":7}}`
	for pattern, want := range map[string]bool{
		`{"source":["s"]}`:                            true,
		`{"source":["x"]}`:                            false,
		`{"source":[{"prefix":"s"}]}`:                 true,
		`{"source":[{"anything-but":["s"]}]}`:         false,
		`{"detail":{"n":[{"numeric":[">",6]}]}}`:      true,
		`{"detail":{"m":[{"exists":false}]}}`:         true,
		`{"$or":[{"source":["x"]},{"id":["1"]}]}`:     true,
		`{"detail":{"n":[7]},"detail-type":["none"]}`: false,
	} {
		out, err := c.events.TestEventPattern(c.Context(), &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: aws.String(event)})
		c.ok(err)
		if out.Result != want {
			c.Errorf("%s: %v", pattern, out.Result)
		}
	}
}

func archiveLife(c *busCalls) {
	rule := c.rule("archived", "archived")
	queue := c.queue(nil)
	c.permit(queue, rule)
	c.target("archived", rule, queue, nil)
	bus := c.bus()
	made, err := c.events.CreateArchive(c.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: aws.String("life"), EventSourceArn: bus, EventPattern: aws.String(`{"source":["archived"]}`), RetentionDays: aws.Int32(7),
	})
	c.ok(err)
	id := c.put("archived", `{"a":1}`).Entries[0].EventId
	c.one(queue, 10)
	got, err := c.events.DescribeArchive(c.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("life")})
	c.ok(err)
	if *got.ArchiveArn != *made.ArchiveArn || got.EventCount != 1 || aws.ToInt32(got.RetentionDays) != 7 || got.State != types.ArchiveStateEnabled {
		c.Errorf("archive: %+v", got)
	}
	_, err = c.events.StartReplay(c.Context(), &eventbridge.StartReplayInput{
		ReplayName: aws.String("again"), EventSourceArn: made.ArchiveArn,
		EventStartTime: aws.Time(time.Now().Add(-time.Hour)), EventEndTime: aws.Time(time.Now().Add(time.Minute)),
		Destination: &types.ReplayDestination{Arn: bus, FilterArns: []string{rule}},
	})
	c.ok(err)
	var event map[string]any
	c.ok(json.Unmarshal([]byte(*c.one(queue, 10).Body), &event))
	if (event["id"] != *id && !c.newIDs) || event["replay-name"] != "again" {
		c.Errorf("replayed: %v", event)
	}
	cachetest.Eventually(c, "the replay is complete", func() bool {
		r, err := c.events.DescribeReplay(c.Context(), &eventbridge.DescribeReplayInput{ReplayName: aws.String("again")})
		c.ok(err)
		return r.State == types.ReplayStateCompleted
	})
}

// bus is the ARN of the default bus.
func (c *busCalls) bus() *string {
	c.Helper()
	out, err := c.events.DescribeEventBus(c.Context(), &eventbridge.DescribeEventBusInput{})
	c.ok(err)
	return out.Arn
}

func busErrors(c *busCalls) {
	bus := c.bus()
	archive := &eventbridge.CreateArchiveInput{ArchiveName: aws.String("twice"), EventSourceArn: bus}
	_, err := c.events.CreateArchive(c.Context(), archive)
	c.ok(err)
	_, twice := c.events.CreateArchive(c.Context(), archive)
	_, pattern := c.events.PutRule(c.Context(), &eventbridge.PutRuleInput{Name: aws.String("wrong"), EventPattern: aws.String(`{`)})
	_, rule := c.events.PutTargets(c.Context(), &eventbridge.PutTargetsInput{
		Rule: aws.String("none"), Targets: []types.Target{{Id: aws.String("a"), Arn: aws.String("arn:aws:sqs:eu-west-1:000000000000:q")}},
	})
	_, replay := c.events.DescribeReplay(c.Context(), &eventbridge.DescribeReplayInput{ReplayName: aws.String("none")})
	for name, ok := range map[string]bool{
		"an archive twice": is[*types.ResourceAlreadyExistsException](twice),
		"a wrong pattern":  is[*types.InvalidEventPatternException](pattern),
		"no rule":          is[*types.ResourceNotFoundException](rule),
		"no replay":        is[*types.ResourceNotFoundException](replay),
	} {
		if !ok {
			c.Errorf("%s: not of the SDK's type", name)
		}
	}
}
