package reports

import (
	"math"
	"time"

	"statuscache/cache/stats"
)

// Durations has the durations of executions, by state machine.
type Durations struct {
	Machines []machineDurations `json:"machines"`
}

type machineDurations struct {
	StateMachineARN string `json:"stateMachineArn"`
	figures
	Hours []hourDurations `json:"hours"`
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

// NewDurations returns the durations of executions, by state machine.
func NewDurations(all []stats.MachineDurations) Durations {
	r := Durations{Machines: []machineDurations{}}
	for _, m := range all {
		one := machineDurations{StateMachineARN: m.StateMachine, figures: figuresOf(m.All), Hours: []hourDurations{}}
		for _, h := range m.Hours {
			one.Hours = append(one.Hours, hourDurations{timeText(h.Start, time.RFC3339), figuresOf(h.Duration)})
		}
		r.Machines = append(r.Machines, one)
	}
	return r
}
