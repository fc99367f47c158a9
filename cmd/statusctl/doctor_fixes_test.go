package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"statuscache/cache/cachetest"
	"statuscache/ingest/awstest"
	"statuscache/ingest/localaws"
	"statuscache/ingest/sqstest"
)

const (
	account = "arn:aws:%s:eu-west-1:000000000000:"
	jobs    = "jobs" // a queue whose rules have other names
)

func arnOf(service, resource string) string { return fmt.Sprintf(account, service) + resource }

// byHand is a setup that was created without statusctl provision: a queue with its dead-letter
// queues, and rules and an archive with other names.
type byHand struct {
	*testing.T
	events  *eventbridge.Client
	queues  *sqs.Client
	server  *localaws.Server
	machine string
	bus     string
	url     string
	env     []string
}

func newByHand(t *testing.T, redis string) *byHand {
	endpoint, server := sqstest.Local(t)
	config := awstest.Config(t, endpoint)
	b := &byHand{T: t, server: server, bus: "default", events: eventbridge.NewFromConfig(config), queues: sqs.NewFromConfig(config), url: endpoint + "/000000000000/" + jobs}
	b.machine = server.CreateStateMachine("Pipeline", func(localaws.Attempt) localaws.Ending { return localaws.Ending{} })
	b.env = []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "REDIS_URL=" + redis,
		"SQS_QUEUE_URL=" + b.url, "STATE_MACHINES=" + b.machine, "OWNER_PATH=tenantId",
	}
	return b
}

func (b *byHand) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// makeQueues creates the queues, and lets the account's rules send to them.
func (b *byHand) makeQueues() {
	const long = "1209600"
	policy := func(queue string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["sqs:SendMessage","sqs:GetQueueUrl"],"Resource":"` +
			arnOf("sqs", queue) + `","Condition":{"StringEquals":{"aws:SourceAccount":"000000000000"}}}}`
	}
	for _, name := range []string{"lost", "unsent"} {
		b.server.CreateQueue(name, map[string]string{"MessageRetentionPeriod": long, "Policy": policy(name)})
	}
	b.server.CreateQueue(jobs, map[string]string{
		"Policy": policy(jobs), "RedrivePolicy": `{"deadLetterTargetArn":"` + arnOf("sqs", "lost") + `","maxReceiveCount":5}`,
	})
}

func (b *byHand) rule(name, pattern string, others ...string) {
	b.Helper()
	_, err := b.events.PutRule(b.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: &b.bus, EventPattern: &pattern})
	b.ok(err)
	targets := []eventtypes.Target{{Id: aws.String("Target0"), Arn: aws.String(arnOf("sqs", jobs)), DeadLetterConfig: &eventtypes.DeadLetterConfig{Arn: aws.String(arnOf("sqs", "unsent"))}}}
	for _, other := range others {
		b.server.CreateQueue(other, nil)
		targets = append(targets, eventtypes.Target{Id: &other, Arn: aws.String(arnOf("sqs", other))})
	}
	_, err = b.events.PutTargets(b.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &b.bus, Targets: targets})
	b.ok(err)
}

func (b *byHand) archive() {
	b.Helper()
	_, err := b.events.CreateArchive(b.Context(), &eventbridge.CreateArchiveInput{
		ArchiveName: aws.String("kept"), EventSourceArn: aws.String(arnOf("events", "event-bus/"+b.bus)), EventPattern: aws.String(ofStatuses()),
	})
	b.ok(err)
}

// ofStatuses is a pattern for some statuses, or for all.
func ofStatuses(statuses ...string) string {
	detail := ""
	if len(statuses) > 0 {
		detail = `,"detail":{"status":["` + strings.Join(statuses, `","`) + `"]}`
	}
	return `{"source":["aws.states"],"detail-type":["Step Functions Execution Status Change"]` + detail + `}`
}

func (b *byHand) set(attribute, value string) {
	b.Helper()
	_, err := b.queues.SetQueueAttributes(b.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &b.url, Attributes: map[string]string{attribute: value}})
	b.ok(err)
}

// inventory names the queues, the rules with their targets and the archives.
func (b *byHand) inventory() (all []string) {
	b.Helper()
	queues, err := b.queues.ListQueues(b.Context(), &sqs.ListQueuesInput{})
	b.ok(err)
	all = append(all, queues.QueueUrls...)
	rules, err := b.events.ListRules(b.Context(), &eventbridge.ListRulesInput{EventBusName: &b.bus})
	b.ok(err)
	for _, r := range rules.Rules {
		targets, err := b.events.ListTargetsByRule(b.Context(), &eventbridge.ListTargetsByRuleInput{Rule: r.Name, EventBusName: &b.bus})
		b.ok(err)
		for _, target := range targets.Targets {
			all = append(all, *r.Name+" to "+*target.Arn)
		}
	}
	archives, err := b.events.ListArchives(b.Context(), &eventbridge.ListArchivesInput{})
	b.ok(err)
	for _, a := range archives.Archives {
		all = append(all, "archive "+*a.ArchiveName)
	}
	return all
}

var mendIt = regexp.MustCompile(`wrong  ([^:]+): .*\n +fix: (.*)\n`)

// follow runs the commands of a fix.
func (b *byHand) follow(fix string) {
	b.Helper()
	words := strings.Fields(fix)
	switch {
	case strings.HasPrefix(fix, "statusctl "):
		ctl(b.T, b.env, 0, words[1:]...)
	case strings.HasPrefix(fix, "set EVENT_BUS="):
		b.env = append(b.env, words[1])
	case strings.HasPrefix(fix, "aws events enable-rule --name "):
		_, err := b.events.EnableRule(b.Context(), &eventbridge.EnableRuleInput{Name: &words[4], EventBusName: &b.bus})
		b.ok(err)
	default:
		b.Fatalf("the test cannot follow the fix %q", fix)
	}
}

// TestAFixChangesOnlyWhatIsWrong: for each fault of a setup that was created by hand, doctor
// finds this fault and no other. After its fix, doctor finds no fault, and the fix has created
// nothing except what was missing.
func TestAFixChangesOnlyWhatIsWrong(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t, "--appendonly", "yes").URL()
	five := func(b *byHand, but string, others ...string) {
		for _, status := range []string{"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"} {
			if status != but {
				b.rule("Pipeline-"+status, ofStatuses(status), others...)
			}
		}
	}
	one := func(b *byHand) { b.rule("MyStack-Rule", ofStatuses()) }
	for name, c := range map[string]struct {
		make func(*byHand)
		want string   // the check that fails; empty: none
		more []string // what the fix creates
	}{
		"all is well":       {one, "", nil},
		"one rule a status": {func(b *byHand) { five(b, "") }, "", nil},
		"others listen too": {func(b *byHand) { five(b, "", "theirs") }, "", nil},
		"a rule is off in vain": {func(b *byHand) {
			one(b)
			b.rule("old", ofStatuses("FAILED"))
			_, err := b.events.DisableRule(b.Context(), &eventbridge.DisableRuleInput{Name: aws.String("old")})
			b.ok(err)
		}, "", nil},
		"a rule is off": {func(b *byHand) {
			five(b, "")
			_, err := b.events.DisableRule(b.Context(), &eventbridge.DisableRuleInput{Name: aws.String("Pipeline-FAILED")})
			b.ok(err)
		}, "rule", nil},
		"three statuses":                 {func(b *byHand) { b.rule("MyStack-Rule", ofStatuses("RUNNING", "SUCCEEDED", "FAILED")) }, "rule pattern", nil},
		"no rule for one":                {func(b *byHand) { five(b, "TIMED_OUT") }, "rule pattern", nil},
		"no rule for one, others listen": {func(b *byHand) { five(b, "TIMED_OUT", "theirs") }, "rule pattern", []string{"jobs to " + arnOf("sqs", jobs), "queue jobs-rule-dlq"}},
		"no policy":                      {func(b *byHand) { one(b); b.set("Policy", "") }, "queue policy", nil},
		"no redrive policy":              {func(b *byHand) { one(b); b.set("RedrivePolicy", "") }, "dead-letter queue", []string{"queue jobs-dlq"}},
		"no dead letters of the rule": {func(b *byHand) {
			one(b)
			_, err := b.events.PutTargets(b.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("MyStack-Rule"), Targets: []eventtypes.Target{{Id: aws.String("Target0"), Arn: aws.String(arnOf("sqs", jobs))}}})
			b.ok(err)
		}, "dead-letter queue of the rule", []string{"queue jobs-rule-dlq"}},
		"no rule": {func(*byHand) {}, "rule", []string{"jobs to " + arnOf("sqs", jobs), "queue jobs-rule-dlq"}},
		"on another bus": {func(b *byHand) {
			b.bus = "hub"
			_, err := b.events.CreateEventBus(b.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("hub")})
			b.ok(err)
			one(b)
		}, "event bus", nil},
		"on another bus, three statuses": {func(b *byHand) {
			b.bus = "hub"
			_, err := b.events.CreateEventBus(b.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("hub")})
			b.ok(err)
			b.env = append(b.env, "EVENT_BUS=hub")
			b.rule("MyStack-Rule", ofStatuses("RUNNING", "SUCCEEDED", "FAILED"))
		}, "rule pattern", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newByHand(t, redis)
			b.makeQueues()
			c.make(b)
			b.archive()
			before := b.inventory()
			code := 0
			if c.want != "" {
				code = exitWrong
			}
			found := mendIt.FindAllStringSubmatch(ctl(t, b.env, code, "doctor"), -1)
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || found[0][1] != c.want) {
				t.Fatalf("found %q, want %s", found, c.want)
			}
			for _, f := range found {
				b.follow(f[2])
			}
			ctl(t, b.env, 0, "doctor")
			var more []string
			for _, item := range b.inventory() {
				if !slices.Contains(before, item) {
					more = append(more, strings.Replace(item, strings.TrimSuffix(b.url, jobs), "queue ", 1))
				}
			}
			slices.Sort(more)
			if !slices.Equal(more, c.more) {
				t.Errorf("created %q, want %q", more, c.more)
			}
			b.comesOnce()
		})
	}
}

// comesOnce sends an event of each status, and checks that each arrives once.
func (b *byHand) comesOnce() {
	b.Helper()
	q := b.server.CreateQueue(jobs, nil)
	before := q.Depth().Total()
	if b.bus != "default" {
		return // no service of AWS sends there
	}
	for _, status := range []string{"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"} {
		b.server.Publish([]byte(`{"source":"aws.states","detail-type":"Step Functions Execution Status Change","time":"2026-01-01T00:00:00Z","detail":{"status":"` + status + `","stateMachineArn":"` + b.machine + `"}}`))
	}
	if got := q.Depth().Total() - before; got != 5 {
		b.Errorf("%d messages of 5 events", got)
	}
}

// TestOthersRulesAreNotTouched: provision changes rules of others only if --change-rule names
// them.
func TestOthersRulesAreNotTouched(t *testing.T) {
	t.Parallel()
	b := newByHand(t, "redis://127.0.0.1:1")
	b.makeQueues()
	b.rule("theirs", ofStatuses("FAILED"))
	b.archive()
	out := ctl(t, b.env, exitCouldNotAsk, "provision", "--name", jobs)
	if !strings.Contains(out, "add --change-rule theirs") {
		t.Error(out)
	}
	r, err := b.events.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("theirs")})
	b.ok(err)
	if *r.EventPattern != ofStatuses("FAILED") {
		t.Errorf("pattern %s", *r.EventPattern)
	}
	ctl(t, b.env, 0, "provision", "--name", jobs, "--change-rule", "theirs")
	if r, err = b.events.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("theirs")}); err != nil || *r.EventPattern == ofStatuses("FAILED") {
		t.Errorf("pattern %s, %v", *r.EventPattern, err)
	}
}
