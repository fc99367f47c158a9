package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/ingest/event"
	"statuscache/ingest/internal/awscall"
)

// Errors of StepFunctions that callers check for.
var (
	// ErrThrottled means that AWS throttles calls, perhaps because of other callers.
	ErrThrottled = errors.New("AWS throttles the calls")
	// ErrUnknown means that Step Functions does not know the execution or the state
	// machine: it never existed, was deleted, or is older than 90 days.
	ErrUnknown = errors.New("not known to Step Functions")
	// ErrDenied means that access is denied.
	ErrDenied = errors.New("access denied")
)

// Reason is why Step Functions is called. It is a label of a metric.
type Reason string

// The reasons.
const (
	ToHydrate  Reason = "hydrate"
	ToAudit    Reason = "audit"
	ToBackfill Reason = "backfill"
	ToRefetch  Reason = "refetch"
)

// askLimit is the time limit of a call to Step Functions.
const askLimit = 10 * time.Second

// StepFunctions calls Step Functions, which has the correct state if the cache is wrong.
// Its answers lag behind: a change may take about a second to be visible.
type StepFunctions struct {
	client  *sfn.Client
	decoder event.Decoder
	calls   *prometheus.CounterVec
}

// NewStepFunctions returns a StepFunctions that reads inputs with a decoder. Each call is
// counted by action, reason and result.
func NewStepFunctions(c aws.Config, inputs event.Decoder, metrics prometheus.Registerer) *StepFunctions {
	s := &StepFunctions{
		// The budget would not count a retry inside the SDK.
		client:  sfn.NewFromConfig(awscall.WithReadOnlyBody(c), func(o *sfn.Options) { o.Retryer = aws.NopRetryer{} }),
		decoder: inputs,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "statuscache", Name: "aws_calls_total", Help: "Calls to Step Functions. Polls cause none.",
		}, []string{"action", "reason", "result"}),
	}
	if metrics != nil {
		metrics.MustRegister(s.calls)
	}
	return s
}

// Describe returns the state of an execution. Errors wrap ErrThrottled, ErrUnknown or
// ErrDenied where they apply.
func (s *StepFunctions) Describe(ctx context.Context, arn cache.ARN, why Reason) (cache.Execution, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	out, err := s.client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(string(arn))})
	if err = s.counted("DescribeExecution", why, err); err != nil {
		return cache.Execution{}, fmt.Errorf("describe %s: %w", arn, err)
	}
	e, err := observed(string(arn), out.Status, out.StartDate, out.StopDate, out.RedriveCount)
	if err != nil {
		return e, fmt.Errorf("describe %s: %w", arn, err)
	}
	switch {
	case e.Status == cache.Succeeded:
		e.Output, e.Completeness = describedOutput(out)
	case e.Terminal():
		e.Error = event.ErrorName(e.Status, aws.ToString(out.Error))
		e.ErrorMessage = event.ErrorMessage(e.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	s.decoder.ReadInput(&e, jsontext.Value(aws.ToString(out.Input)))
	return e, nil
}

// describedOutput returns the output in the form of the API's answers. An output that
// DescribeExecution leaves out cannot be fetched at all.
func describedOutput(out *sfn.DescribeExecutionOutput) ([]byte, cache.Completeness) {
	if out.Output == nil || out.OutputDetails != nil && !out.OutputDetails.Included || !event.ValidOutput(*out.Output) {
		return nil, cache.OutputGivenUp
	}
	return []byte(*out.Output), cache.Complete
}

// ListQuery selects executions of a state machine, latest start first.
type ListQuery struct {
	Machine  string       // ARN
	Status   cache.Status // empty: all
	Redriven bool         // only redriven executions
	After    string       // token of the previous page; empty: the first page
}

// ListPage is one page. The executions have no output, error or owner.
type ListPage struct {
	Executions []cache.Execution
	Next       string // token of the next page, valid for 24 hours; empty on the last page
}

// List returns a page of up to 1,000 executions.
func (s *StepFunctions) List(ctx context.Context, q ListQuery, why Reason) (ListPage, error) {
	const most = 1000
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	in := &sfn.ListExecutionsInput{StateMachineArn: &q.Machine, MaxResults: most, StatusFilter: types.ExecutionStatus(q.Status)}
	if q.Redriven {
		in.RedriveFilter = types.ExecutionRedriveFilterRedriven
	}
	if q.After != "" {
		in.NextToken = &q.After
	}
	out, err := s.client.ListExecutions(ctx, in)
	if err = s.counted("ListExecutions", why, err); err != nil {
		return ListPage{}, fmt.Errorf("list executions of %s: %w", q.Machine, err)
	}
	page := ListPage{Next: aws.ToString(out.NextToken)}
	for _, item := range out.Executions {
		e, err := observed(aws.ToString(item.ExecutionArn), item.Status, item.StartDate, item.StopDate, item.RedriveCount)
		if err == nil { // otherwise it is a state that no event could report either
			page.Executions = append(page.Executions, e)
		}
	}
	return page, nil
}

// observed makes an observation from the fields that every answer has.
func observed(arn string, status types.ExecutionStatus, start, stop *time.Time, redrives *int32) (e cache.Execution, err error) {
	if e.ARN, err = cache.ParseARN(arn); err != nil {
		return e, fmt.Errorf("executionArn: %w", err)
	}
	var ok bool
	if e.StartDate, ok = event.InRange(float64(aws.ToTime(start).UnixMilli())); !ok {
		return e, errors.New("startDate is missing or not a date")
	}
	e.StopDate, _ = event.InRange(float64(aws.ToTime(stop).UnixMilli()))
	e.Status, e.Completeness, e.Source = cache.Status(status), cache.Complete, cache.FromDescribe
	e.RedriveCount = min(max(int(aws.ToInt32(redrives)), 0), cache.MaxRedriveCount)
	if e.Terminal() && e.StopDate.IsZero() {
		e.StopDate = e.StartDate
	}
	return e, nil
}

// counted classifies the error of a call and counts it.
func (s *StepFunctions) counted(action string, why Reason, err error) error {
	err = classified(err)
	result := "error"
	switch {
	case err == nil:
		result = "ok"
	case errors.Is(err, ErrThrottled):
		result = "throttled"
	case errors.Is(err, ErrUnknown):
		result = "unknown"
	case errors.Is(err, ErrDenied):
		result = "denied"
	}
	s.calls.WithLabelValues(action, string(why), result).Inc()
	return err
}

// classified turns errors of the SDK into the errors that callers check for.
func classified(err error) error {
	if err == nil {
		return nil
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	text := awscall.ExplainError("states:DescribeExecution and states:ListExecutions, and kms:Decrypt if the state machine is encrypted", err)
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || awscall.Unidentified(err) { // temporary: the error says nothing about the execution
		return errors.New(text)
	}
	code := api.ErrorCode()
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	switch {
	case throttled || code == "KmsThrottlingException":
		return fmt.Errorf("%w (%s)", ErrThrottled, code)
	case code == "ExecutionDoesNotExist" || code == "StateMachineDoesNotExist" || code == "StateMachineDeleting":
		return fmt.Errorf("%w (%s)", ErrUnknown, code)
	case strings.Contains(code, "AccessDenied"):
		return awscall.WithText(text, ErrDenied)
	}
	return errors.New(text)
}
