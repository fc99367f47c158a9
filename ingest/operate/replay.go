package operate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/ingest/internal/awscall"
)

// ArchiveDelay is how long an event may take to reach the archive.
const ArchiveDelay = 10 * time.Minute

// ReplayOrder describes a replay.
type ReplayOrder struct {
	Name     string    // of the replay; must be new
	Archive  string    // name
	QueueURL string    // its rules get the events
	Rule     string    // name, on the bus of the archive; empty: all rules that send to the queue
	From, To time.Time // of the events
}

// Replay is the progress of a replay.
type Replay struct {
	Name     string
	State    string // of EventBridge, such as RUNNING
	Reason   string // of the state, may be empty
	From, To time.Time
	Last     time.Time // time up to which events were replayed; zero: none yet
}

// Ended reports whether the replay has ended.
func (r Replay) Ended() bool {
	switch types.ReplayState(r.State) {
	case types.ReplayStateCompleted, types.ReplayStateFailed, types.ReplayStateCancelled:
		return true
	}
	return false
}

// Completed reports whether everything was replayed.
func (r Replay) Completed() bool { return r.State == string(types.ReplayStateCompleted) }

// Done returns how much of the range was replayed.
func (r Replay) Done() time.Duration {
	if r.Completed() {
		return r.To.Sub(r.From)
	}
	if r.Last.IsZero() {
		return 0
	}
	return min(max(r.Last.Sub(r.From), 0), r.To.Sub(r.From))
}

// Archive has the properties of an archive that matter for a replay.
type Archive struct {
	Scope ArchiveScope
	// ClockAhead is by how much the clock of this machine is ahead of that of AWS, which
	// returns whole seconds; 0 if AWS returned no time.
	ClockAhead time.Duration
}

// LookUpArchive reads an archive in the same way as StartReplay.
func (o *Operator) LookUpArchive(ctx context.Context, name string) (Archive, error) {
	found, err := o.archive(ctx, name)
	if err != nil {
		return Archive{}, err
	}
	ahead, _ := clockAhead(found.ResultMetadata)
	return Archive{namedScope(aws.ToString(found.EventPattern)), ahead}, nil
}

// namedScope returns the scope of an archive from the statuses in its pattern, for any
// state machines.
func namedScope(pattern string) ArchiveScope {
	var p struct {
		Detail struct {
			Status []jsontext.Value `json:"status"`
		} `json:"detail"`
	}
	isNoStatus := func(v jsontext.Value) bool { return v.Kind() != '"' || string(v) == `"`+running+`"` }
	if json.Unmarshal([]byte(pattern), &p) != nil || len(p.Detail.Status) == 0 || slices.ContainsFunc(p.Detail.Status, isNoStatus) {
		return ArchiveAll
	}
	return ArchiveTerminal
}

func (o *Operator) archive(ctx context.Context, name string) (*eventbridge.DescribeArchiveOutput, error) {
	archive, err := o.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	if awscall.NotFound(err) {
		return nil, fmt.Errorf("there is no archive %s in this region; statusctl provision creates one", name)
	}
	return archive, awscall.WithPermission("events:DescribeArchive", err)
}

// StartReplay replays the events of an archive, only to the rules of our queue.
func (o *Operator) StartReplay(ctx context.Context, r ReplayOrder) error {
	archive, err := o.archive(ctx, r.Archive)
	if err != nil {
		return err
	}
	rules, err := o.replayRules(ctx, r, busName(aws.ToString(archive.EventSourceArn)))
	if err != nil {
		return err
	}
	_, err = o.events.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &r.Name, EventSourceArn: archive.ArchiveArn, EventStartTime: &r.From, EventEndTime: &r.To,
		Destination: &types.ReplayDestination{
			Arn:        archive.EventSourceArn,
			FilterArns: rules, // otherwise every rule of the bus gets the events again
		},
	})
	return awscall.WithPermission("events:StartReplay", err)
}

// replayRules returns the ARNs of the rules that get a replay. A replay stays on the bus
// of its archive.
func (o *Operator) replayRules(ctx context.Context, r ReplayOrder, bus string) (arns []string, err error) {
	if r.Rule != "" {
		found, err := o.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &r.Rule, EventBusName: &bus})
		if awscall.NotFound(err) {
			return nil, fmt.Errorf("there is no rule %s on event bus %s; without --rule all rules that send to the queue get the replay", r.Rule, bus)
		} else if err != nil {
			return nil, awscall.WithPermission("events:DescribeRule", err)
		}
		return []string{aws.ToString(found.Arn)}, nil
	}
	q, err := o.ours(ctx, r.QueueURL)
	if err != nil {
		return nil, err
	}
	routes, err := o.routesOn(ctx, q, bus)
	if err != nil {
		return nil, err
	}
	for _, route := range routes {
		arns = append(arns, route.arn())
	}
	if len(arns) == 0 {
		return nil, fmt.Errorf("no rule on event bus %s, which has the archive %s, sends to the queue; statusctl doctor reports what is wrong", bus, r.Archive)
	}
	return arns, nil
}

// Replay returns the progress of a replay.
func (o *Operator) Replay(ctx context.Context, name string) (Replay, error) {
	r, err := o.events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
	if awscall.NotFound(err) {
		return Replay{}, awscall.WithText("there is no replay "+name+" in this region", err)
	} else if err != nil {
		return Replay{}, awscall.WithPermission("events:DescribeReplay", err)
	}
	return Replay{
		Name: name, State: string(r.State), Reason: awscall.OneLine(aws.ToString(r.StateReason)),
		From: aws.ToTime(r.EventStartTime), To: aws.ToTime(r.EventEndTime), Last: aws.ToTime(r.EventLastReplayedTime),
	}, nil
}

// CancelReplay stops a replay. Events already sent stay sent.
func (o *Operator) CancelReplay(ctx context.Context, name string) error {
	_, err := o.events.CancelReplay(ctx, &eventbridge.CancelReplayInput{ReplayName: &name})
	return awscall.WithPermission("events:CancelReplay", err)
}

// FollowReplay polls and reports a replay until it has ended. It tolerates a few failures
// in a row, because the replay does not depend on the polls.
func (o *Operator) FollowReplay(ctx context.Context, name string, every time.Duration, report func(Replay)) (Replay, error) {
	return follow(ctx, every, func() (Replay, bool, error) {
		r, err := o.Replay(ctx, name)
		if err == nil {
			report(r)
		}
		return r, r.Ended(), err
	})
}

const maxFailures = 5 // of polls in a row

// follow calls ask until ask reports the end.
func follow[T any](ctx context.Context, every time.Duration, ask func() (T, bool, error)) (T, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for failures := 0; ; {
		got, done, err := ask()
		switch {
		case ctx.Err() != nil:
			return got, ctx.Err()
		case err == nil && done:
			return got, nil
		case err == nil:
			failures = 0
		case failures == maxFailures || awscall.NotFound(err) || awscall.Denied(err):
			return got, err
		default:
			failures++
		}
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-tick.C:
		}
	}
}
