package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/go-json-experiment/json"

	"statuscache/ingest/internal/awscall"
)

var allAttributes = []types.QueueAttributeName{types.QueueAttributeNameAll}

const (
	maxBacklog = 1000 // messages; with more, the newest event is already seconds old
	awsOwnKey  = "alias/aws/sqs"
)

func (d *doctor) encryption() {
	const check = "queue encryption"
	switch key := d.queue.attributes[attrKey]; key {
	case "":
		d.fine(check, "by SQS itself, or none")
	case awsOwnKey:
		d.wrong(check, "it is encrypted with "+awsOwnKey+", which EventBridge may not use",
			"aws sqs set-queue-attributes --queue-url "+d.queue.url+" --attributes KmsMasterKeyId=,SqsManagedSseEnabled=true")
	default:
		d.fine(check, "with "+key+"; its key policy must grant kms:Decrypt and kms:GenerateDataKey to "+eventsService)
	}
}

// backlog checks the number of messages. Only CloudWatch knows their age, and receiving
// them would increase their receive counts.
func (d *doctor) backlog() {
	const check = "queue backlog"
	waiting, hidden := d.queue.number(attrVisible), d.queue.number(attrHidden)
	seen := fmt.Sprintf("%d messages wait, %d are in flight", waiting, hidden)
	if waiting <= maxBacklog {
		d.fine(check, seen)
		return
	}
	d.wrong(check, seen, "check that statusd runs with ROLE=all or ingest, and read its log; run more processes if it is busy")
}

func (d *doctor) consumerDeadLetters(ctx context.Context) {
	const check = "dead-letter queue"
	arn := d.queue.deadLetterARN()
	if arn == "" {
		d.wrong(check, "the queue has no redrive policy, so a message that cannot be decoded is received again until it expires", d.provision())
		return
	}
	d.deadLetters(ctx, check, arn)
}

// deadLetters checks a dead-letter queue, and returns it if it can be read.
func (d *doctor) deadLetters(ctx context.Context, check, arn string) *queue {
	q, err := d.queueNamed(ctx, lastPart(arn))
	switch {
	case awscall.NotFound(err):
		d.wrong(check, lastPart(arn)+" does not exist", d.provision())
		return nil
	case err != nil:
		d.unchecked(err.Error(), check)
		return nil
	}
	source := d.queue.number(attrRetention)
	switch retention := q.number(attrRetention); {
	case keepsTooShort(retention, source):
		d.wrong(check, fmt.Sprintf("%s keeps messages for %d h, and the queue keeps them for %d h; the age of a message counts from its first send, so it may expire before you can read it in the dead-letter queue",
			q.name(), retention/3600, source/3600), d.provision())
	case q.messages() > 0:
		d.wrong(check, fmt.Sprintf("%s contains %d messages", q.name(), q.messages()), "statusctl dlq list")
	default:
		d.fine(check, q.name()+" is empty")
	}
	return q
}

// sendPolicy checks who may send to a queue, and whether the rules may.
func (d *doctor) sendPolicy(check string, q *queue, rules []*route) {
	_, statements, err := parsePolicy(q.attributes[attrPolicy])
	if err != nil {
		d.wrong(check, err.Error(), "correct the policy of "+q.name()+", or remove it and run "+d.provision())
		return
	}
	for _, r := range rules {
		if r.via != "" {
			continue // the topic sends
		}
		v := evaluate(statements, sending{q.arn(), r.arn()})
		switch {
		case v.deny == yes:
			d.wrong(check, "the policy of "+q.name()+" denies rule "+r.shown()+" the permission to send, in its statement "+v.denies,
				"change that statement so that it does not deny "+eventsService+", for example with the condition "+onlyPeople)
			return
		case v.allow == no:
			d.wrong(check, "the policy of "+q.name()+" does not allow rule "+r.shown()+" to send", d.provision())
			return
		case v.deny == unknown:
			d.unchecked("statement "+v.denies+" in the policy of "+q.name()+" may deny rule "+r.shown()+" the permission to send, which depends on "+strings.Join(v.depends, ", ")+
				"; change that statement so that it does not deny "+eventsService+", for example with the condition "+onlyPeople, check)
			return
		case v.allow == unknown:
			d.unchecked("the policy of "+q.name()+"  lets rule "+r.shown()+" send only in some cases, which depends on "+strings.Join(v.depends, ", ")+
				"; add a separate statement that allows the rule, so that this can be checked", check)
			return
		}
	}
	if open, others := openTo(statements, q.arn()); len(open) > 0 {
		d.wrong(check, "statement "+strings.Join(open, ", ")+" in the policy of "+q.name()+"  does not limit who may send: anybody, or any rule of any account",
			closing(others, q.arn(), rules))
		return
	}
	d.fine(check, "lets the rule send to "+q.name())
}

// onlyPeople is the condition under which a statement does not apply to services.
const onlyPeople = `"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}`

// closing says how to close a queue that a statement opens to everybody. Without this
// statement, events would be lost if the other statements do not let the rules send.
func closing(others []statement, queue string, rules []*route) string {
	missing, arns := false, make([]string, 0, len(rules))
	for _, r := range rules {
		if r.via != "" {
			arns = append(arns, r.via) // the topic sends
			continue
		}
		arns = append(arns, r.arn())
		missing = missing || evaluate(others, sending{queue, r.arn()}).may() != yes
	}
	if !missing {
		return "remove that statement; the others let the rule send"
	}
	slices.Sort(arns)
	text, _ := json.Marshal(map[string]any{arnEqualsInIAM: map[string]any{sourceARN: slices.Compact(arns)}}) // strings can always be marshaled
	return "do not remove that statement, because the rule needs it; give it the condition " + string(text)
}
