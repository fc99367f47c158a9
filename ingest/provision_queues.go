package ingest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/go-json-experiment/json"
)

// Attributes of the queues. A dead letter's age counts from when it was first sent,
// so the dead-letter queues must keep longer.
const (
	queueRetention = 4 * 24 * 60 * 60  // seconds
	mostRetention  = 14 * 24 * 60 * 60 // seconds; the most that SQS allows
	// A message is received again only when a process has died with it, since
	// nothing is received while Redis is sick.
	receivesAllowed = 5
)

// find reads a queue by its name. One that is not there yet has no URL.
func (p *provision) find(ctx context.Context, name string) (*queue, error) {
	q, err := p.queueNamed(ctx, name)
	if notThere(err) {
		return &queue{attributes: map[string]string{attrARN: p.arn("sqs", name)}}, nil
	}
	return q, err
}

// deadLetters sees to both dead-letter queues: those that are in use, or else new
// ones.
func (p *provision) deadLetters(ctx context.Context) error {
	consumers, rules := p.plan.Name+"-dlq", p.plan.Name+"-rule-dlq"
	if arn := p.queue.deadLetterARN(); arn != "" {
		consumers = lastPart(arn)
	}
	if p.route != nil && p.route.deadLetterARN() != "" {
		rules = lastPart(p.route.deadLetterARN())
	}
	var err error
	if p.dead, err = p.deadLetter(ctx, "dead-letter queue", consumers); err != nil {
		return err
	}
	p.ruleDead, err = p.deadLetter(ctx, "dead-letter queue of the rule", rules)
	return err
}

func (p *provision) deadLetter(ctx context.Context, what, name string) (*queue, error) {
	q, err := p.find(ctx, name)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{}
	if keepsTooShort(q.number(attrRetention), max(queueRetention, p.queue.number(attrRetention))) {
		wanted[attrRetention] = strconv.Itoa(mostRetention)
	}
	return q, p.set(ctx, Step{What: what, Name: name}, q, wanted)
}

// keepsTooShort reports whether a dead-letter queue forgets before its source does.
func keepsTooShort(deadLetters, source int) bool {
	return deadLetters <= source && deadLetters < mostRetention
}

func (p *provision) theQueue(ctx context.Context) error {
	wanted := map[string]string{}
	if p.queue.url == "" {
		wanted[attrRetention] = strconv.Itoa(queueRetention)
		wanted["VisibilityTimeout"] = strconv.Itoa(int(Visibility.Seconds()))
		wanted["ReceiveMessageWaitTimeSeconds"] = strconv.Itoa(int(longPoll.Seconds()))
	}
	if p.queue.deadLetterARN() == "" {
		policy, _ := json.Marshal(map[string]any{ // texts and numbers can always be marshalled
			"deadLetterTargetArn": p.dead.arn(), "maxReceiveCount": receivesAllowed,
		}, json.Deterministic(true))
		wanted[attrRedrive] = string(policy)
	}
	return p.set(ctx, Step{What: "queue", Name: p.plan.Name}, p.queue, wanted)
}

// set gives a queue attributes, and makes it first if it is not there.
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
			return failed("sqs:SetQueueAttributes", err)
		}
		answer, err := p.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &step.Name, Attributes: wanted})
		if err != nil {
			return failed("sqs:CreateQueue", err)
		}
		made, err := p.queueAt(ctx, aws.ToString(answer.QueueUrl))
		if err == nil {
			*q = *made
		}
		return err
	})
}

// policies let the rule, and nobody else, send to the queue and to its own
// dead-letter queue.
func (p *provision) policies(ctx context.Context) error {
	for _, q := range []*queue{p.queue, p.ruleDead} {
		policy, changed, err := letRuleSend(q.attributes[attrPolicy], q.arn(), p.rule)
		if err != nil {
			return err
		}
		step := Step{What: "policy of queue", Name: q.name(), Result: Changed, Detail: "lets the rule send"}
		if !changed {
			p.fine(step.What, step.Name)
			continue
		}
		if err := p.do(step, func() error {
			_, err := p.queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: map[string]string{attrPolicy: policy}})
			return failed("sqs:SetQueueAttributes", err)
		}); err != nil {
			return err
		}
	}
	return nil
}

// changes returns the names of what has changed, in order.
func changes(all map[string]bool) []string {
	maps.DeleteFunc(all, func(_ string, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(all))
}
