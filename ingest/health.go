package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Part is a part of ingest. While it fails, events are not applied.
type Part string

// The parts.
const (
	PartReceive Part = "receive" // messages are received
	PartStore   Part = "store"   // Redis stores their events
	PartDecode  Part = "decode"  // messages can be decoded
	PartDelete  Part = "delete"  // messages can be kept hidden, and deleted
	PartLag     Part = "lag"     // the queue delivers the messages that it has
)

// Parts returns all parts.
func Parts() []Part { return []Part{PartReceive, PartStore, PartDecode, PartDelete, PartLag} }

// effect describes what happens to events while a part fails.
var effect = map[Part]string{
	PartReceive: "no events are received from the queue",
	PartStore:   "events are not stored, and stay in the queue",
	PartDecode:  "most messages cannot be decoded, and SQS will move them to the dead-letter queue",
	PartDelete:  "processed messages cannot be deleted, so SQS delivers them again",
	PartLag:     "the queue has messages, but statusd receives none",
}

const (
	reportAfter = 30 * time.Second // how long a part fails before health reports it
	seenAgain   = 5 * time.Second  // how long after its first failure a part must fail again to be reported
	logAfter    = 2 * time.Second  // how long a part fails before the log reports it
	logEvery    = time.Minute      // between two log lines of a part, even if it fails only sometimes
	checkEvery  = time.Second      // between two checks
)

// outages tracks which parts of ingest fail, since when and why. A part can have several
// causes, each with its own begin and end. One line is logged when a part begins to fail,
// one a minute while it fails, and one when it works again.
type outages struct {
	now    func() time.Time
	log    *slog.Logger
	failed *prometheus.GaugeVec // by part

	mu    sync.Mutex
	parts map[Part]*partState
}

// partState is the state of a part.
type partState struct {
	causes map[string]*failure // empty: it works
	since  time.Time           // when the first cause began; zero: it works
	logged time.Time           // time of the last log line about the failure
	open   bool                // the log has not yet reported that it works again
}

// failure is one cause.
type failure struct {
	latest time.Time     // when it was last seen
	forget time.Duration // the failure ends when it has not been seen for this time; 0: never
	why    reason
}

// reason is why a part fails.
type reason struct {
	brief string // for the public
	text  string // for the operator; it names the fix
	err   error
}

func newOutages(now func() time.Time, log *slog.Logger, failed *prometheus.GaugeVec) *outages {
	o := &outages{now: now, log: log, failed: failed, parts: map[Part]*partState{}}
	for _, part := range Parts() {
		o.parts[part] = &partState{causes: map[string]*failure{}}
		failed.WithLabelValues(string(part)).Set(0)
	}
	return o
}

// run checks all parts until ctx ends.
func (o *outages) run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.check()
		}
	}
}

// fails records that a part has failed for a cause, at least since the given time.
func (o *outages) fails(part Part, cause string, since time.Time, forget time.Duration, why reason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.parts[part]
	if p.since.IsZero() {
		p.since = since
	}
	p.causes[cause] = &failure{latest: o.now(), forget: forget, why: why}
}

// works records that a cause has ended.
func (o *outages) works(part Part, cause string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts[part].gone(cause)
}

// failing reports whether a part fails now.
func (o *outages) failing(part Part) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.parts[part].since.IsZero()
}

func (p *partState) gone(cause string) {
	delete(p.causes, cause)
	if len(p.causes) == 0 {
		p.since = time.Time{}
	}
}

// latest returns the failure seen last, nil if the part works.
func (p *partState) latest() (last *failure) {
	for _, f := range p.causes {
		if last == nil || f.latest.After(last.latest) {
			last = f
		}
	}
	return last
}

// lasts returns the latest failure of a part, if the part has failed for d, and the failure
// came at least the duration again after the first one. Otherwise it returns nil.
func (p *partState) lasts(now time.Time, d, again time.Duration) *failure {
	if f := p.latest(); f != nil && now.Sub(p.since) >= d && f.latest.Sub(p.since) >= again {
		return f
	}
	return nil
}

// PartFailure is the error of a part that has failed for half a minute or more, so that events are
// not applied. Its text is for operators.
type PartFailure struct {
	part Part
	took time.Duration
	why  reason
}

// Error implements error.
func (t *PartFailure) Error() string { return t.sentence(t.why.text) }

// Public returns the text for the public: it names no account and no resource.
func (t *PartFailure) Public() string { return t.sentence(t.why.brief) }

// Unwrap returns the error of the part.
func (t *PartFailure) Unwrap() error { return t.why.err }

func (t *PartFailure) sentence(why string) string {
	return fmt.Sprintf("%s (for the last %v): %s", effect[t.part], t.took.Round(time.Second), why)
}

// failure returns a *PartFailure if a part has failed for reportAfter, otherwise nil.
func (o *outages) failure(part Part) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, now := o.parts[part], o.now()
	if f := p.lasts(now, reportAfter, seenAgain); f != nil {
		return &PartFailure{part, now.Sub(p.since), f.why}
	}
	return nil
}

// check ends failures that are no longer seen, logs failures that begin, last or end, and
// sets the metric.
func (o *outages) check() {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for _, part := range Parts() {
		p := o.parts[part]
		for cause, f := range p.causes {
			if f.forget > 0 && now.Sub(f.latest) > f.forget {
				p.gone(cause)
			}
		}
		o.report(part, p, now)
		lasts := 0.0
		if p.lasts(now, reportAfter, seenAgain) != nil {
			lasts = 1
		}
		o.failed.WithLabelValues(string(part)).Set(lasts)
	}
}

func (o *outages) report(part Part, p *partState, now time.Time) {
	f := p.lasts(now, logAfter, 0)
	switch {
	case f != nil && now.Sub(p.logged) >= logEvery:
		o.log.Warn("a part of ingest fails", "part", part, "effect", effect[part], "for", now.Sub(p.since).Round(time.Second).String(), "reason", f.why.text)
		p.logged, p.open = now, true
	case p.since.IsZero() && p.open:
		o.log.Warn("the part of ingest works again", "part", part)
		p.open = false
	}
}

// majority remembers the latest outcomes. The zero value has none.
type majority struct {
	mu     sync.Mutex
	failed []bool // the latest outcomes, newest last
	run    int    // failures since the latest success
}

const majorityOf = 20 // outcomes

// add adds n outcomes. It returns how many failures came since the latest success, and
// whether most of the latest outcomes are failures.
func (m *majority) add(failed bool, n int) (run int, most bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range min(n, majorityOf) {
		m.failed = append(m.failed, failed)
		if m.run++; !failed {
			m.run = 0
		}
	}
	m.failed = m.failed[max(0, len(m.failed)-majorityOf):]
	failures := 0
	for _, each := range m.failed {
		if each {
			failures++
		}
	}
	return m.run, 2*failures > len(m.failed)
}
