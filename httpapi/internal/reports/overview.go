package reports

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache/intake"
	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// Statistics computes statistics about many executions.
type Statistics interface {
	Failures(ctx context.Context, scope stats.Scope, window time.Duration, stateMachine string) (stats.Failures, error)
	Durations(ctx context.Context, scope stats.Scope, stateMachine string) ([]stats.MachineDurations, error)
	Minutes(ctx context.Context, scope stats.Scope) ([]stats.Minute, error)
	Machines(ctx context.Context, scope stats.Scope) ([]stats.Machine, error)
}

// Late finds executions that run for longer than usual.
type Late interface {
	Overdue(ctx context.Context, scope stats.Scope) (stats.Overdue, error)
}

// Overview is the data of a landing page.
type Overview struct {
	observedAt string
	executions executions
	failures   Failures
	condition  condition
}

// executions is the first part of an overview, and most of it.
type executions struct {
	Counts    counts    `json:"counts"`
	Overdue   int64     `json:"overdue"`
	Machines  []machine `json:"machines"`
	PerMinute []minute  `json:"perMinute"`
}

// condition is the last part of an overview.
type condition struct {
	EventAge *EventAge `json:"eventAge"`
	Queue    *Queue    `json:"queue,omitempty"` // for operators only
	Service  Service   `json:"service"`
}

// counts has the number of executions that run now, and of those that ended in the last 24 hours.
type counts struct {
	Running   int64 `json:"RUNNING"`
	Succeeded int64 `json:"SUCCEEDED"`
	Failed    int64 `json:"FAILED"`
}

type machine struct {
	StateMachineARN string `json:"stateMachineArn"`
	Counts          counts `json:"counts"`
	Overdue         int64  `json:"overdue"`
	figures
	ConfirmedUntil *string `json:"confirmedUntil"`
	Repairs        int64   `json:"repairs"`
}

type minute struct {
	Minute    string `json:"minute"`
	Started   int64  `json:"started"`
	Succeeded int64  `json:"succeeded"`
	Failed    int64  `json:"failed"`
}

// EventAge is the age of events when they were applied, in seconds.
type EventAge struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// NewEventAge returns the age of events, nil if it is not known.
func NewEventAge(a *intake.Ages) *EventAge {
	if a == nil {
		return nil
	}
	return &EventAge{P50: a.P50.Seconds(), P99: a.P99.Seconds(), Max: a.Max.Seconds()}
}

// Queue describes the waiting messages. A nil value is not known.
type Queue struct {
	ObservedAt    *string  `json:"observedAt"`
	Depth         *int64   `json:"depth"`
	OldestSeconds *float64 `json:"oldestSeconds"`
	DeadLetters   *int64   `json:"deadLetters"`
}

// NewQueue returns a description of the waiting messages; q is nil if that is not known.
func NewQueue(q *intake.Queue) Queue {
	if q == nil {
		return Queue{}
	}
	at := timeText(q.At, milliseconds)
	report := Queue{ObservedAt: &at, Depth: &q.Depth, DeadLetters: q.DeadLetters}
	if q.Oldest != nil {
		seconds := q.Oldest.Seconds()
		report.OldestSeconds = &seconds
	}
	return report
}

// Service is the public health of the service.
type Service struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"`
}

// Audit is the result of the audit of a state machine.
type Audit struct {
	ConfirmedUntil time.Time // zero: nothing is confirmed
	Repairs        int64
}

// Surroundings are the parts of an overview that are not counters.
type Surroundings struct {
	Audits   map[string]Audit // by the ARN of a state machine
	EventAge *EventAge        // nil: not known
	Queue    Queue
	Service  Service
}

const (
	overviewGroups = 10
	overviewWindow = DefaultWindow
)

// NewOverview returns the data of a landing page for the executions in a scope.
func NewOverview(ctx context.Context, s Statistics, late Late, scope stats.Scope, around Surroundings, now time.Time) (*Overview, error) {
	machines, err := s.Machines(ctx, scope)
	if err != nil {
		return nil, err
	}
	durations, err := s.Durations(ctx, scope, "")
	if err != nil {
		return nil, err
	}
	overdue, err := late.Overdue(ctx, scope)
	if err != nil {
		return nil, err
	}
	minutes, err := s.Minutes(ctx, scope)
	if err != nil {
		return nil, err
	}
	failures, err := s.Failures(ctx, scope, Windows[overviewWindow], "")
	if err != nil {
		return nil, err
	}
	o := &Overview{
		observedAt: timeText(now, milliseconds),
		executions: executions{Machines: []machine{}, PerMinute: []minute{}},
		failures:   NewFailures(overviewWindow, failures, overviewGroups),
		condition:  condition{EventAge: around.EventAge, Service: around.Service},
	}
	o.condition.Service.Reasons = listed(o.condition.Service.Reasons)
	if scope.All {
		o.condition.Queue = &around.Queue
	}
	o.executions.addMachines(machines, durations, overdue.ByMachine, around.Audits)
	for _, m := range minutes {
		o.executions.PerMinute = append(o.executions.PerMinute, minute{timeText(m.Start, time.RFC3339), m.Started, m.Succeeded, m.Failed})
	}
	return o, nil
}

func (o *executions) addMachines(machines []stats.Machine, durations []stats.MachineDurations, overdue map[string]int64, audits map[string]Audit) {
	took := map[string]stats.Duration{}
	for _, d := range durations {
		took[d.StateMachine] = d.All
	}
	for _, m := range machines {
		one := machine{
			StateMachineARN: m.StateMachine, Counts: counts{m.Running, m.Succeeded, m.Failed}, Overdue: overdue[m.StateMachine],
			figures: figuresOf(took[m.StateMachine]), Repairs: audits[m.StateMachine].Repairs,
		}
		if until := timeText(audits[m.StateMachine].ConfirmedUntil, time.RFC3339); until != "" {
			one.ConfirmedUntil = &until
		}
		o.Machines = append(o.Machines, one)
		o.Counts.Running += m.Running
		o.Overdue += one.Overdue
		o.Counts.Succeeded += m.Succeeded
		o.Counts.Failed += m.Failed
	}
}

// Encode returns the overview in JSON. The long parts are encoded only once.
func (o *Overview) Encode() (Encoded, error) {
	failures, err := o.failures.Encode()
	if err != nil {
		return Encoded{}, err
	}
	most, err := json.Marshal(o.executions)
	if err != nil {
		return Encoded{}, err
	}
	rest, err := json.Marshal(o.condition)
	if err != nil {
		return Encoded{}, err
	}
	timeless, err := json.Marshal(o.condition.timeless())
	if err != nil {
		return Encoded{}, err
	}
	b := append(make([]byte, 0, len(most)+len(failures.Body)+256), envelope.SuccessBegin+`{"observedAt":`...)
	b = append(envelope.AppendString(b, o.observedAt), ',')
	b = append(append(b, most[1:len(most)-1]...), `,"failures":`...)
	b = append(append(append(b, failures.data()...), ','), rest[1:]...)
	return Encoded{Body: append(b, envelope.SuccessEnd...), Timeless: append(failures.Timeless, most, timeless)}, nil
}

// timeless returns the condition without the time at which the queue was read.
func (c condition) timeless() condition {
	if c.Queue != nil {
		queue := *c.Queue
		queue.ObservedAt = nil
		c.Queue = &queue
	}
	return c
}
