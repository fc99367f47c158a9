package localaws

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxTargets     = 5 // of a rule
	defaultRetries = 185
)

// target is the queue or bus to which a rule sends events, with the names of the protocol.
type target struct {
	Id, Arn          string
	RoleArn          string            `json:",omitzero"`
	DeadLetterConfig *deadLetterConfig `json:",omitzero"`
	RetryPolicy      *retryPolicy      `json:",omitzero"`
	// Parameters that change the event on its way.
	Input            string         `json:",omitzero"`
	InputPath        string         `json:",omitzero"`
	InputTransformer jsontext.Value `json:",omitzero"`
}

type deadLetterConfig struct{ Arn string }

type retryPolicy struct {
	MaximumRetryAttempts     *int `json:",omitzero"`
	MaximumEventAgeInSeconds *int `json:",omitzero"`
}

type (
	ruleOf            struct{ Rule, EventBusName string }
	putTargetsRequest struct {
		ruleOf
		Targets []target
	}
	removeTargetsRequest struct {
		ruleOf
		Ids []string
	}
	targetsRequest struct{ ruleOf }
	targetsResult  struct{ Targets []target }

	failedTargets struct {
		FailedEntryCount int
		FailedEntries    []failedTarget
	}
	failedTarget struct{ TargetId, ErrorCode, ErrorMessage string }
)

func (in ruleOf) rule() (name, bus string) { return in.Rule, in.EventBusName }

func (t target) retries() int {
	if t.RetryPolicy == nil || t.RetryPolicy.MaximumRetryAttempts == nil {
		return defaultRetries
	}
	return *t.RetryPolicy.MaximumRetryAttempts
}

// putTargets adds targets to a rule, or replaces those of the same Id.
func (s *Server) putTargets(r *rule, in putTargetsRequest) (any, error) {
	targets := slices.Clone(r.targets)
	failed := failedTargets{FailedEntries: []failedTarget{}}
	if len(in.Targets) == 0 {
		return nil, validation("Targets: there is none")
	}
	for _, t := range in.Targets {
		if err := t.check(); err != nil {
			return nil, err
		}
		if t.Input != "" || t.InputPath != "" || len(t.InputTransformer) > 0 {
			failed.add(t.Id, "UnsupportedOperation", "the stand-in delivers events as they are: no Input, InputPath or InputTransformer")
			continue
		}
		targets = append(slices.DeleteFunc(targets, func(old target) bool { return old.Id == t.Id }), t)
	}
	if len(targets) > maxTargets {
		return nil, limitExceeded("targets of a rule", maxTargets)
	}
	r.targets = targets
	return failed, nil
}

func (f *failedTargets) add(id, code, message string) {
	f.FailedEntries = append(f.FailedEntries, failedTarget{id, code, message})
	f.FailedEntryCount++
}

func (t target) check() error {
	if err := checkName(t.Id, maxRuleName); err != nil {
		return err
	}
	if !isQueueARN(t.Arn) && !strings.HasPrefix(t.Arn, busesARN) {
		return validation("Parameter " + t.Arn + " is not valid. Reason: the stand-in delivers to the ARN of a queue or of its own buses only.")
	}
	if t.DeadLetterConfig != nil && !isQueueARN(t.DeadLetterConfig.Arn) {
		return validation("DeadLetterConfig: " + t.DeadLetterConfig.Arn + " is not the ARN of a queue")
	}
	p := t.RetryPolicy
	switch {
	case p == nil:
		return nil
	case p.MaximumRetryAttempts != nil && (bounds{0, 0, defaultRetries}).check("", *p.MaximumRetryAttempts) != nil:
		return validation("MaximumRetryAttempts must be between 0 and 185")
	case p.MaximumEventAgeInSeconds != nil && (bounds{0, 60, 86400}).check("", *p.MaximumEventAgeInSeconds) != nil:
		return validation("MaximumEventAgeInSeconds must be between 60 and 86400")
	}
	return nil
}

func isQueueARN(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) == 6 && strings.HasPrefix(arn, "arn:aws:sqs:") && validID(parts[5])
}

// removeTargets removes the targets that exist.
func (s *Server) removeTargets(r *rule, in removeTargetsRequest) (any, error) {
	r.targets = slices.DeleteFunc(slices.Clone(r.targets), func(t target) bool { return slices.Contains(in.Ids, t.Id) })
	return failedTargets{FailedEntries: []failedTarget{}}, nil
}

func (s *Server) listTargetsByRule(r *rule, _ targetsRequest) (any, error) {
	return targetsResult{append([]target{}, r.targets...)}, nil
}
