package reports

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"statuscache/cache/stats"
	"statuscache/httpapi/internal/envelope"
)

// completeDurations is the report as one structure.
type completeDurations struct {
	Machines []completeMachine `json:"machines"`
}

type completeMachine struct {
	StateMachineARN string `json:"stateMachineArn"`
	figures
	Hours []hourDurations `json:"hours"`
}

func complete(all []stats.MachineDurations) completeDurations {
	r := completeDurations{Machines: []completeMachine{}}
	for _, m := range all {
		one := completeMachine{m.StateMachine, figuresOf(m.All), []hourDurations{}}
		for _, h := range m.Hours {
			one.Hours = append(one.Hours, hourDurations{timeText(h.Start, time.RFC3339), figuresOf(h.Duration)})
		}
		r.Machines = append(r.Machines, one)
	}
	return r
}

// encoded returns a report with its envelope.
func encoded(t interface{ Fatal(args ...any) }, report any) []byte {
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Success(text)
}

// TestRememberedTextsAreThoseOfTheWholeReport: whichever hours and state machines come, change
// and go, the report is the same as if all of it were encoded again.
func TestRememberedTextsAreThoseOfTheWholeReport(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var texts DurationTexts
		for range rapid.IntRange(1, 6).Draw(t, "reports") {
			var all []stats.MachineDurations
			for i := range 3 {
				if !rapid.Bool().Draw(t, "has durations") {
					continue
				}
				m := stats.MachineDurations{StateMachine: fmt.Sprint("machine ", i)}
				for hour := range 4 {
					if n := rapid.Int64Range(0, 2).Draw(t, "runs"); n > 0 {
						d := stats.Duration{Count: n, P50: 1.23456 * float64(n), P95: 1e6, P99: 1e-7, Max: 1e21}
						m.Hours, m.All.Count = append(m.Hours, stats.HourDurations{Start: start.Add(time.Duration(hour) * time.Hour), Duration: d}), m.All.Count+n
					}
				}
				all = append(all, m)
			}
			got, err := texts.Encode(all)
			if want := encoded(t, complete(all)); err != nil || !bytes.Equal(got.Body, want) {
				t.Fatalf("%s, %v, want %s", got.Body, err, want)
			}
			if len(texts.of) != len(all) {
				t.Fatalf("the texts of %d state machines are kept, %d have durations", len(texts.of), len(all))
			}
		}
	})
}

// TestFailuresAreEncodedOnce: the parts make the whole report, and those without its times are
// the same later.
func TestFailuresAreEncodedOnce(t *testing.T) {
	t.Parallel()
	f := stats.Failures{Since: time.Unix(1, 0), Until: time.Unix(2, 0), Bucket: time.Hour, Total: 3, Groups: []stats.Group{{Error: "Boom", Count: 3, Share: 1}}}
	first, err := NewFailures("24h", f, 1).Encode()
	if want := encoded(t, NewFailures("24h", f, 1)); err != nil || !bytes.Equal(first.Body, want) {
		t.Fatalf("%s, %v, want %s", first.Body, err, want)
	}
	f.Since, f.Until = time.Unix(3, 0), time.Unix(4, 0)
	later, err := NewFailures("24h", f, 1).Encode()
	if err != nil || bytes.Equal(first.Body, later.Body) || !bytes.Equal(bytes.Join(first.Timeless, nil), bytes.Join(later.Timeless, nil)) {
		t.Errorf("%s and %s, %v", first.Timeless, later.Timeless, err)
	}
	f.Groups[0].Count = 4
	changed, err := NewFailures("24h", f, 1).Encode()
	if err != nil || bytes.Equal(bytes.Join(changed.Timeless, nil), bytes.Join(later.Timeless, nil)) {
		t.Errorf("a count has changed: %s, %v", changed.Timeless, err)
	}
}

// BenchmarkDurations encodes the durations of many state machines, of which some have changed.
func BenchmarkDurations(b *testing.B) {
	const machines, hours = 200, 168
	all := make([]stats.MachineDurations, machines)
	for i := range all {
		d := stats.Duration{Count: 30, P50: 20.123, P95: 55.1, P99: 88.88, Max: 120.5}
		all[i] = stats.MachineDurations{StateMachine: fmt.Sprintf("arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline-%03d", i), All: d}
		for hour := range hours {
			all[i].Hours = append(all[i].Hours, stats.HourDurations{Start: time.Unix(int64(hour)*3600, 0), Duration: d})
		}
	}
	var texts DurationTexts
	for n := range b.N {
		b.StopTimer()
		for i := n % 3; i < machines; i += 3 {
			all[i].Hours = append([]stats.HourDurations(nil), all[i].Hours...)
			all[i].Hours[hours-1].Count++
		}
		b.StartTimer()
		if _, err := texts.Encode(all); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAnOverviewIsEncodedOnce: its parts make one object with the members in their order, and
// what is left without times is the same until something else changes.
func TestAnOverviewIsEncodedOnce(t *testing.T) {
	t.Parallel()
	at, depth := "2026-11-26T12:00:00.000Z", int64(7)
	o := &Overview{
		observedAt: at, failures: NewFailures("24h", stats.Failures{Since: time.Unix(1, 0), Until: time.Unix(2, 0)}, 1),
		executions: executions{Counts: counts{Running: 1}, Machines: []machine{{StateMachineARN: "a"}}, PerMinute: []minute{}},
		condition:  condition{Queue: &Queue{ObservedAt: &at, Depth: &depth}, Service: Service{Status: "ok", Reasons: []string{}}},
	}
	type complete struct {
		ObservedAt string `json:"observedAt"`
		executions
		Failures Failures `json:"failures"`
		condition
	}
	encode := func() (Encoded, string) {
		e, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return e, string(bytes.Join(e.Timeless, nil))
	}
	first, state := encode()
	if want := encoded(t, complete{o.observedAt, o.executions, o.failures, o.condition}); !bytes.Equal(first.Body, want) {
		t.Errorf("%s, want %s", first.Body, want)
	}
	later := "2026-11-26T12:00:02.000Z"
	o.observedAt, o.condition.Queue.ObservedAt, o.failures.Until = later, &later, later
	if next, same := encode(); same != state || bytes.Equal(next.Body, first.Body) {
		t.Errorf("only times have changed: %s, then %s", state, same)
	}
	for what, change := range map[string]func(){
		"running":       func() { o.executions.Counts.Running++ },
		"failures":      func() { o.failures.Total++ },
		"waiting":       func() { depth++ },
		"health":        func() { o.condition.Service.Status = "degraded" },
		"age of events": func() { o.condition.EventAge = &EventAge{Max: 1} },
	} {
		change()
		if _, now := encode(); now == state {
			t.Errorf("%s: the state is the same", what)
		} else {
			state = now
		}
	}
}
