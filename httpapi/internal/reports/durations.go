package reports

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// DurationTexts encodes the durations of executions, by state machine. It remembers the text
// of each state machine, which may be long, and encodes only the hours that have changed. The
// zero value is ready for use.
type DurationTexts struct {
	mu sync.Mutex
	of map[string]*durationText // by the ARN of a state machine in the previous report
}

// durationText has the hours of a state machine in JSON.
type durationText struct {
	hours []stats.HourDurations
	ends  []int // of each hour in the text
	text  []byte
}

type machineDurations struct {
	StateMachineARN string `json:"stateMachineArn"`
	figures
}

type hourDurations struct {
	Start string `json:"start"`
	figures
}

// figures describe the durations of succeeded executions, in seconds.
type figures struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func figuresOf(d stats.Duration) figures {
	return figures{d.Count, rounded(d.P50), rounded(d.P95), rounded(d.P99), rounded(d.Max)}
}

// rounded rounds to three decimals, which is more than the accuracy of the data.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// Report makes the report about durations.
func (d *DurationTexts) Report(s Statistics, q Question) Report {
	return func(ctx context.Context) (Encoded, error) {
		all, err := s.Durations(ctx, q.Scope, q.StateMachine)
		if err != nil {
			return Encoded{}, err
		}
		return d.Encode(all)
	}
}

// Encode returns durations in JSON.
func (d *DurationTexts) Encode(all []stats.MachineDurations) (e Encoded, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := make(map[string]*durationText, len(all))
	e.Body = append(make([]byte, 0, d.length(len(all))), envelope.SuccessBegin+`{"machines":[`...)
	for i, m := range all {
		t := d.of[m.StateMachine]
		if t == nil {
			t = &durationText{}
		}
		known[m.StateMachine] = t
		if err := t.update(m.Hours); err != nil {
			return Encoded{}, err
		}
		if i > 0 {
			e.Body = append(e.Body, ',')
		}
		if e.Body, err = t.append(e.Body, m); err != nil {
			return Encoded{}, err
		}
	}
	d.of, e.Body = known, append(e.Body, `]}`+envelope.SuccessEnd...)
	return e, nil
}

// length estimates the length of a report about so many state machines.
func (d *DurationTexts) length(machines int) int {
	n := 256 * (machines + 1)
	for _, t := range d.of {
		n += len(t.text)
	}
	return n
}

// append appends the durations of a state machine, whose hours are in the text.
func (t *durationText) append(b []byte, m stats.MachineDurations) ([]byte, error) {
	head, err := json.Marshal(machineDurations{m.StateMachine, figuresOf(m.All)})
	if err != nil {
		return nil, err
	}
	b = append(append(b, head[:len(head)-1]...), `,"hours":[`...)
	return append(append(b, t.text...), `]}`...), nil
}

// update changes the text to that of the given hours. It encodes only the hours from the
// first one that has changed.
func (t *durationText) update(hours []stats.HourDurations) error {
	same := 0
	for same < len(hours) && same < len(t.hours) && hours[same] == t.hours[same] {
		same++
	}
	t.ends = t.ends[:same]
	t.text = t.text[:t.end()]
	t.hours = hours[:same]
	for _, h := range hours[same:] {
		text, err := json.Marshal(hourDurations{timeText(h.Start, time.RFC3339), figuresOf(h.Duration)})
		if err != nil {
			return err
		}
		if len(t.text) > 0 {
			t.text = append(t.text, ',')
		}
		t.text = append(t.text, text...)
		t.ends = append(t.ends, len(t.text))
	}
	t.hours = hours
	return nil
}

// end returns where the last hour ends in the text.
func (t *durationText) end() int {
	if len(t.ends) == 0 {
		return 0
	}
	return t.ends[len(t.ends)-1]
}
