package operate

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"statuscache/ingest/internal/awscall"
)

// archiveDescription marks archives that Provision has created.
const archiveDescription = "Status changes to replay into the status cache"

// ArchiveScope is which events an archive contains.
type ArchiveScope string

// The scopes of archives. An archive of terminal states costs half as much. It cannot restore
// running executions; the audit restores them from the lists. After a replay, a redriven
// execution has the end of its previous attempt until the audit finds that it runs again.
const (
	ArchiveAll      ArchiveScope = "all"
	ArchiveTerminal ArchiveScope = "terminal"
)

// holds reports whether an archive of this scope contains a sample.
func (s ArchiveScope) holds(each sample) bool { return s != ArchiveTerminal || each.status != running }

// of returns the samples that an archive of this scope contains.
func (s ArchiveScope) of(samples []sample) []sample {
	return slices.DeleteFunc(slices.Clone(samples), func(each sample) bool { return !s.holds(each) })
}

// statuses returns the statuses in the pattern of an archive, none for every status.
func (s ArchiveScope) statuses() []string {
	if s == ArchiveTerminal {
		return terminalStatuses
	}
	return nil
}

// scopeOf returns the scope of an archive with a pattern, tested with samples:
// ArchiveTerminal only if it contains all terminal states and no other sample.
func scopeOf(pattern string, samples []sample) (ArchiveScope, error) {
	if pattern == "" || len(samples) == 0 {
		return ArchiveAll, nil
	}
	left, err := unmatched([]string{pattern}, samples)
	if err == nil && len(left) > 0 && len(left) == len(samples)-len(ArchiveTerminal.of(samples)) && len(ArchiveTerminal.of(left)) == 0 {
		return ArchiveTerminal, nil
	}
	return ArchiveAll, err
}

// archiveFor finds an archive of a bus that contains all samples, whatever its name. If
// there is none, it returns the archive with the given name, or nil.
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

// keeps reports whether an archive belongs to a bus and contains all samples. Without a
// pattern it contains every event.
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
	all, err := samplesOf(p.plan.StateMachines)
	if err != nil {
		return err
	}
	samples := p.plan.Archive.of(all)
	name, busARN := truncate(p.plan.Name, maxArchiveName), p.arn("events", "event-bus/"+p.plan.EventBus)
	was, err := p.archiveFor(ctx, busARN, name, samples)
	switch {
	case err != nil:
		return err
	case was == nil:
		return p.makeArchive(ctx, name, busARN)
	case keeps(was, busARN, samples):
		return p.narrowArchive(ctx, was, all)
	case aws.ToString(was.EventSourceArn) != busARN:
		return fmt.Errorf("archive %s: an archive with this name exists for another event bus; choose another name with --name", name)
	}
	return p.widenArchive(ctx, was, samples)
}

func (p *provision) makeArchive(ctx context.Context, name, busARN string) error {
	return p.do(Step{What: "archive", Name: name, Result: Created}, func() error {
		_, err := p.events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{
			ArchiveName: &name, EventSourceArn: &busARN, EventPattern: aws.String(patternFor(p.plan.StateMachines, p.plan.Archive.statuses()...)),
			RetentionDays: aws.Int32(archiveDays), Description: aws.String(archiveDescription),
		})
		return awscall.WithPermission("events:CreateArchive", err)
	})
}

// narrowArchive changes an archive that contains more than the wanted events, so that it
// contains only those. It does not change an archive that Provision has not created.
func (p *provision) narrowArchive(ctx context.Context, was *eventbridge.DescribeArchiveOutput, all []sample) error {
	name := aws.ToString(was.ArchiveName)
	scope, err := scopeOf(aws.ToString(was.EventPattern), all)
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	if aws.ToString(was.Description) != archiveDescription || scope == p.plan.Archive || p.plan.Archive != ArchiveTerminal {
		p.fine("archive", name)
		return nil
	}
	pattern, err := onlyMachines(aws.ToString(was.EventPattern), nil, terminalStatuses...)
	if err != nil {
		return fmt.Errorf("archive %s: it contains more than terminal states, and its pattern cannot be changed: %w; choose another name with --name", name, err)
	}
	return p.changeArchive(ctx, was, pattern)
}

// widenArchive makes an archive contain more events. An archive is only for replays, so
// no other target receives more events.
func (p *provision) widenArchive(ctx context.Context, was *eventbridge.DescribeArchiveOutput, samples []sample) error {
	name := aws.ToString(was.ArchiveName)
	missing, err := unmatched([]string{aws.ToString(was.EventPattern)}, samples)
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	pattern, err := p.widened(was, missing)
	if err != nil {
		return fmt.Errorf("archive %s: it does not contain %s: %w; choose another name with --name", name, nameSamples(missing), err)
	}
	return p.changeArchive(ctx, was, pattern)
}

// widened returns the pattern of an archive extended by the missing events.
func (p *provision) widened(was *eventbridge.DescribeArchiveOutput, missing []sample) (string, error) {
	if aws.ToString(was.Description) == archiveDescription {
		return onlyMachines(aws.ToString(was.EventPattern), missing, p.plan.Archive.statuses()...)
	}
	return widen(aws.ToString(was.EventPattern), missing, false)
}

// changeArchive replaces the pattern of an archive. Archived events stay.
func (p *provision) changeArchive(ctx context.Context, was *eventbridge.DescribeArchiveOutput, pattern string) error {
	name := aws.ToString(was.ArchiveName)
	return p.do(Step{What: "archive", Name: name, Result: Changed, Detail: "event pattern"}, func() error {
		_, err := p.events.UpdateArchive(ctx, &eventbridge.UpdateArchiveInput{
			ArchiveName: &name, EventPattern: &pattern, Description: was.Description, RetentionDays: was.RetentionDays,
			KmsKeyIdentifier: was.KmsKeyIdentifier,
		})
		return awscall.WithPermission("events:UpdateArchive", err)
	})
}
