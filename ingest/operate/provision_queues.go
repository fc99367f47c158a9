package operate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-json-experiment/json"

	"statuscache/ingest"
	"statuscache/ingest/internal/awscall"
)

// Attributes of the queues. The age of a dead letter counts from when it was first sent,
// so dead-letter queues must keep messages longer.
const (
	defaultRetention = 4 * 24 * 60 * 60  // seconds
	maxRetention     = 14 * 24 * 60 * 60 // seconds; the SQS maximum
	maxPoll          = 20                // seconds; the SQS maximum
	// A message is received again only if a process has died while it had the message,
	// because nothing is received while Redis fails.
	maxReceives = 5
)

// find reads a queue by its name. A queue that does not exist yet has no URL.
func (p *provision) find(ctx context.Context, name string) (*queue, error) {
	q, err := p.queueNamed(ctx, name)
	if awscall.NotFound(err) {
		return &queue{attributes: map[string]string{attrARN: p.arn("sqs", name)}}, nil
	}
	return q, err
}

// deadLetters checks the dead-letter queues in use, and creates missing ones.
func (p *provision) deadLetters(ctx context.Context) error {
	consumers := truncate(p.plan.Name, maxQueueName-len("-dlq")) + "-dlq"
	if arn := p.queue.deadLetterARN(); arn != "" {
		consumers = lastPart(arn)
	}
	var err error
	if p.dead, err = p.deadLetter(ctx, "dead-letter queue", consumers); err != nil {
		return err
	}
	const what = "dead-letter queue of the rule"
	needed, seen := p.creates(), map[string]bool{}
	for _, r := range p.routes {
		switch arn := r.deadLetterARN(); {
		case r.via != "":
		case arn == "":
			needed = needed || p.may(r)
		case !seen[arn]:
			seen[arn] = true
			q, err := p.deadLetter(ctx, what, lastPart(arn))
			if err != nil {
				return err
			}
			p.ruleDeads = append(p.ruleDeads, q)
		}
	}
	if needed {
		p.ruleDead, err = p.deadLetter(ctx, what, truncate(p.plan.Name, maxQueueName-len("-rule-dlq"))+"-rule-dlq")
	}
	return err
}

func (p *provision) deadLetter(ctx context.Context, what, name string) (*queue, error) {
	q, err := p.find(ctx, name)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{}
	if keepsTooShort(q.number(attrRetention), max(defaultRetention, p.queue.number(attrRetention))) {
		wanted[attrRetention] = strconv.Itoa(maxRetention)
	}
	return q, p.set(ctx, Step{What: what, Name: name}, q, wanted)
}

// keepsTooShort reports whether a dead-letter queue deletes messages earlier than its
// source. Both values are seconds.
func keepsTooShort(deadLetters, source int) bool {
	return deadLetters <= source && deadLetters < maxRetention
}

func (p *provision) theQueue(ctx context.Context) error {
	wanted := map[string]string{}
	if p.queue.url == "" {
		wanted[attrRetention] = strconv.Itoa(defaultRetention)
		wanted["VisibilityTimeout"] = strconv.Itoa(int(ingest.Visibility.Seconds()))
		wanted["ReceiveMessageWaitTimeSeconds"] = strconv.Itoa(maxPoll)
	}
	if p.queue.deadLetterARN() == "" {
		policy, _ := json.Marshal(map[string]any{ // strings and numbers can always be marshaled
			"deadLetterTargetArn": p.dead.arn(), "maxReceiveCount": maxReceives,
		}, json.Deterministic(true))
		wanted[attrRedrive] = string(policy)
	}
	return p.set(ctx, Step{What: "queue", Name: p.plan.Name}, p.queue, wanted)
}

// set sets attributes of a queue. It creates the queue if it does not exist.
func (p *provision) set(ctx context.Context, step Step, q *queue, wanted map[string]string) error {
	if q.url != "" && len(wanted) == 0 {
		p.fine(step.What, step.Name)
		return nil
	}
	step.Result = Created
	if q.url != "" {
		step.Result, step.Detail = Changed, strings.Join(slices.Sorted(maps.Keys(wanted)), ", ")
	}
	return p.do(step, func() error {
		if q.url != "" {
			_, err := p.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: wanted})
			return awscall.WithPermission("sqs:SetQueueAttributes", err)
		}
		answer, err := p.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &step.Name, Attributes: wanted})
		if err != nil {
			return awscall.WithPermission("sqs:CreateQueue", err)
		}
		made, err := p.queueAt(ctx, aws.ToString(answer.QueueUrl))
		if err == nil {
			*q = *made
		}
		return err
	})
}

// policies allows only the rules to send to the queue and to their dead-letter queues.
func (p *provision) policies(ctx context.Context) error {
	queues := []*queue{p.queue}
	rules := map[*queue][]string{}
	for _, r := range p.routes {
		if r.via != "" {
			continue
		}
		rules[p.queue] = append(rules[p.queue], r.arn())
		dead := p.deadOf(r)
		if dead == nil {
			continue
		}
		if rules[dead] = append(rules[dead], r.arn()); len(rules[dead]) == 1 {
			queues = append(queues, dead)
		}
	}
	for _, q := range queues {
		if err := p.policy(ctx, q, rules[q]); err != nil {
			return err
		}
	}
	return nil
}

// deadOf returns the dead-letter queue that a rule has or will have; nil: none.
func (p *provision) deadOf(r *route) *queue {
	arn := r.deadLetterARN()
	for _, dead := range p.ruleDeads {
		if dead.arn() == arn {
			return dead
		}
	}
	if !p.may(r) {
		return nil
	}
	return p.ruleDead
}

func (p *provision) policy(ctx context.Context, q *queue, rules []string) error {
	policy, changed := q.attributes[attrPolicy], false
	for _, rule := range rules {
		text, more, err := letRuleSend(policy, q.arn(), rule)
		if err != nil {
			return err
		}
		policy, changed = text, changed || more
	}
	_, statements, err := parsePolicy(policy)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if v := evaluate(statements, sending{q.arn(), rule}); v.deny == yes {
			p.left = append(p.left, fmt.Sprintf("the policy of queue %s denies rule %s the permission to send, in its statement %s; change that statement", q.name(), lastPart(rule), v.denies))
		}
	}
	step := Step{What: "policy of queue", Name: q.name(), Result: Changed, Detail: "lets the rule send"}
	if !changed {
		p.fine(step.What, step.Name)
		return nil
	}
	return p.do(step, func() error {
		_, err := p.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: map[string]string{attrPolicy: policy}})
		return awscall.WithPermission("sqs:SetQueueAttributes", err)
	})
}

// changes returns the names of the changed attributes, sorted.
func changes(all map[string]bool) []string {
	maps.DeleteFunc(all, func(_ string, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(all))
}
