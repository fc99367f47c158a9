package operate

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"statuscache/ingest/internal/awscall"
)

// archiveDescription marks archives that Provision made.
const archiveDescription = "Status changes to replay into the status cache"

// archiveFor finds the archive of a bus that holds all samples, whatever its name. If
// there is none, it returns the archive with this name, or nil.
func (o *Operator) archiveFor(ctx context.Context, busARN, name string, samples []sample) (*eventbridge.DescribeArchiveOutput, error) {
	named, err := o.archiveNamed(ctx, name)
	if err != nil {
		return nil, err
	}
	if named != nil && keeps(named, busARN, samples) {
		return named, nil
	}
	in := &eventbridge.ListArchivesInput{EventSourceArn: &busARN}
	for {
		page, err := o.events.ListArchives(ctx, in)
		if err != nil {
			return nil, awscall.WithPermission("events:ListArchives", err)
		}
		for _, listed := range page.Archives {
			other, err := o.archiveNamed(ctx, aws.ToString(listed.ArchiveName))
			if err != nil {
				return nil, err
			}
			if other != nil && keeps(other, busARN, samples) {
				return other, nil
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return named, nil
		}
	}
}

// archiveNamed reads an archive; nil if it does not exist.
func (o *Operator) archiveNamed(ctx context.Context, name string) (*eventbridge.DescribeArchiveOutput, error) {
	a, err := o.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	if awscall.NotFound(err) {
		return nil, nil
	}
	return a, awscall.WithPermission("events:DescribeArchive", err)
}

// keeps reports whether an archive belongs to a bus and holds all samples. Without a
// pattern it holds every event.
func keeps(a *eventbridge.DescribeArchiveOutput, busARN string, samples []sample) bool {
	if aws.ToString(a.EventSourceArn) != busARN {
		return false
	}
	if aws.ToString(a.EventPattern) == "" {
		return true
	}
	left, err := unmatched([]string{aws.ToString(a.EventPattern)}, samples)
	return err == nil && len(left) == 0
}

func (p *provision) archive(ctx context.Context) error {
	samples, err := samplesOf(p.plan.StateMachines)
	if err != nil {
		return err
	}
	name, busARN := truncate(p.plan.Name, maxArchiveName), p.arn("events", "event-bus/"+p.plan.EventBus)
	was, err := p.archiveFor(ctx, busARN, name, samples)
	switch {
	case err != nil:
		return err
	case was == nil:
		return p.makeArchive(ctx, name, busARN)
	case keeps(was, busARN, samples):
		p.fine("archive", aws.ToString(was.ArchiveName))
		return nil
	case aws.ToString(was.EventSourceArn) != busARN:
		return fmt.Errorf("archive %s: an archive with this name exists for another event bus; choose another name with --name", name)
	}
	return p.widenArchive(ctx, was, samples)
}

func (p *provision) makeArchive(ctx context.Context, name, busARN string) error {
	return p.do(Step{What: "archive", Name: name, Result: Created}, func() error {
		_, err := p.events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{
			ArchiveName: &name, EventSourceArn: &busARN, EventPattern: aws.String(patternFor(p.plan.StateMachines)),
			RetentionDays: aws.Int32(archiveDays), Description: aws.String(archiveDescription),
		})
		return awscall.WithPermission("events:CreateArchive", err)
	})
}

// widenArchive makes an archive hold more events. Its only use is to replay them, so
// nobody else gets more events.
func (p *provision) widenArchive(ctx context.Context, was *eventbridge.DescribeArchiveOutput, samples []sample) error {
	name := aws.ToString(was.ArchiveName)
	missing, err := unmatched([]string{aws.ToString(was.EventPattern)}, samples)
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	pattern, err := widen(aws.ToString(was.EventPattern), missing, aws.ToString(was.Description) == archiveDescription)
	if err != nil {
		return fmt.Errorf("archive %s: it does not hold %s: %w; choose another name with --name", name, nameSamples(missing), err)
	}
	return p.do(Step{What: "archive", Name: name, Result: Changed, Detail: "event pattern"}, func() error {
		_, err := p.events.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{
			ArchiveName: &name, EventPattern: &pattern, Description: was.Description, RetentionDays: was.RetentionDays,
			KmsKeyIdentifier: was.KmsKeyIdentifier,
		})
		return awscall.WithPermission("events:UpdateArchive", err)
	})
}
