package operate

import (
	"context"
	"fmt"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"statuscache/cache"
	"statuscache/cache/diagnose"
	"statuscache/ingest/internal/awscall"
)

// SetUp is what Diagnose checks.
type SetUp struct {
	EventPath
	Archive       string // name; empty: any archive that contains the events
	StateMachines []string
}

const (
	diagnoseLimit = time.Minute
	maxAWSSkew    = 5 * time.Second // AWS returns whole seconds
)

// Diagnose checks everything between Step Functions and the queue. If a check is
// impossible because of another failure, its finding says so.
func (o *Operator) Diagnose(ctx context.Context, s SetUp) []diagnose.Finding {
	ctx, cancel := context.WithTimeout(ctx, diagnoseLimit)
	defer cancel()
	d := &doctor{Operator: o, setUp: s, bus: busName(s.EventBus)}
	if d.credentials(ctx) {
		d.theQueue(ctx)
		d.theRoute(ctx)
		d.theArchive(ctx)
		if len(s.StateMachines) == 0 {
			d.unchecked("STATE_MACHINES is not set", "state machines")
		}
		for _, machine := range s.StateMachines {
			d.stateMachine(ctx, machine)
		}
	}
	return d.withScope()
}

// withScope returns the findings with fixes that do not change the scope of an archive of
// terminal states.
func (d *doctor) withScope() []diagnose.Finding {
	if d.scope == ArchiveTerminal {
		for i, f := range d.findings {
			d.findings[i].Fix = strings.ReplaceAll(f.Fix, provisionCommand, provisionCommand+" --archive "+string(ArchiveTerminal))
		}
	}
	return d.findings
}

// doctor is one run of Diagnose.
type doctor struct {
	*Operator
	setUp    SetUp
	findings []diagnose.Finding
	bus      string       // name
	queue    *queue       // nil: it cannot be read
	routes   []*route     // that lead to the queue
	change   []string     // names of rules that Provision did not create and that must change
	scope    ArchiveScope // of the archive; empty: not known
}

func (d *doctor) fine(check, detail string) {
	d.findings = append(d.findings, diagnose.Finding{Check: check, Detail: detail})
}

func (d *doctor) wrong(check, problem, fix string) {
	d.findings = append(d.findings, diagnose.Finding{Check: check, Problem: problem, Fix: fix})
}

func (d *doctor) unchecked(why string, checks ...string) {
	for _, check := range checks {
		d.findings = append(d.findings, diagnose.NotChecked(check, why))
	}
}

const provisionCommand = "statusctl provision"

// provision returns the command that repairs most findings. The command finds the rules
// by the queue, but rules that it did not create must be named.
func (d *doctor) provision() string {
	words := []string{provisionCommand}
	if name := lastPart(d.setUp.QueueURL); name != "" {
		words = append(words, "--name", name)
	}
	if d.bus != DefaultBus {
		words = append(words, "--event-bus", d.bus)
	}
	for _, rule := range d.change {
		words = append(words, "--change-rule", rule)
	}
	for _, machine := range d.setUp.StateMachines {
		words = append(words, "--state-machine", machine)
	}
	return strings.Join(words, " ")
}

func (d *doctor) credentials(ctx context.Context) bool {
	const check = "AWS credentials"
	found, err := d.config.Credentials.Retrieve(ctx)
	if err != nil {
		d.wrong(check, "there are none: "+awscall.Line(err.Error()), "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role")
		d.unchecked("there are no AWS credentials", "queue", "rule", "archive", "state machines")
		return false
	}
	d.fine(check, fmt.Sprintf("from %s, region %s", found.Source, d.config.Region))
	return true
}

// theQueue checks the queue that statusd reads.
func (d *doctor) theQueue(ctx context.Context) {
	rest := []string{"queue encryption", "queue backlog", "dead-letter queue"}
	if d.setUp.QueueURL == "" {
		d.wrong("queue", "SQS_QUEUE_URL is not set", "set SQS_QUEUE_URL to the queue that statusctl provision has created")
		d.unchecked("SQS_QUEUE_URL is not set", rest...)
		return
	}
	answer, err := d.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &d.setUp.QueueURL, AttributeNames: allAttributes})
	switch {
	case awscall.NotFound(err):
		d.wrong("queue", "there is no queue "+d.setUp.QueueURL, d.provision()+", or check SQS_QUEUE_URL and AWS_REGION")
	case err != nil:
		d.unchecked(awscall.ExplainError("sqs:GetQueueAttributes", err), "queue")
	default:
		d.queue = &queue{d.setUp.QueueURL, answer.Attributes}
		d.fine("queue", d.queue.arn())
		d.clock(answer.ResultMetadata)
		d.encryption()
		d.backlog()
		d.consumerDeadLetters(ctx)
		return
	}
	d.unchecked("the queue cannot be read", rest...)
}

// clock compares the clock of this machine with that of AWS, because AWS refuses calls
// whose time is wrong by minutes.
func (d *doctor) clock(m middleware.Metadata) {
	ahead, ok := clockAhead(m)
	if !ok {
		return // a stand-in
	}
	if skew := ahead.Abs(); skew > maxAWSSkew {
		d.wrong("clock", fmt.Sprintf("the clocks of this machine and of AWS differ by %v", skew.Round(time.Second)), "timedatectl set-ntp true")
		return
	}
	d.fine("clock", "the clock of this machine agrees with that of AWS")
}

// clockAhead returns by how much the clock of this machine is ahead of that of the
// service, if the answer has a time.
func clockAhead(m middleware.Metadata) (time.Duration, bool) {
	there, said := awsmiddleware.GetServerTime(m)
	here, answered := awsmiddleware.GetResponseAt(m)
	return here.Sub(there), said && answered
}

// stateMachine checks the permissions that audit and hydration need.
func (d *doctor) stateMachine(ctx context.Context, arn string) {
	check := "state machine " + cache.MachineARN(arn).Name()
	if problem, fix := d.listable(ctx, arn); problem != "" {
		d.wrong(check, problem, fix)
		return
	}
	d.describable(ctx, check, arn)
}
