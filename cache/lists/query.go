package lists

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/internal/arn"
	"statuscache/cache/internal/monotonic"
)

// Query selects executions, the newest start date first. All conditions must be met; an
// empty condition is always met.
type Query struct {
	Owner string // whose; ignored with All
	All   bool   // everybody's

	Status        cache.Status // Running, Succeeded or Failed, as in the public API
	StateMachine  string       // ARN; children of its Distributed Maps count as its own
	Name          string       // how the name of the execution begins
	Error         string       // name of the error
	Label         Label        // that it has
	StartedAfter  time.Time    // at that time or later
	StartedBefore time.Time
	Text          string    // how the name of the execution begins, or the value of a label
	Execution     cache.ARN // only this execution, which need not be in an index

	// Overdue reports whether a running execution takes longer than it should; nil: no
	// condition. It is called often and must answer from memory.
	Overdue func(arn cache.ARN, start time.Time) bool

	After Position // the end of the previous page; zero: begin with the newest
	Limit int
}

// Label is one label.
type Label struct{ Name, Value string }

// Position is a place in the order of a list: by start date, then by ARN, both
// descending. It stays valid when other executions are inserted.
type Position struct {
	Start int64 // ms
	ARN   cache.ARN
}

// behind reports whether p comes after q. Every position comes after the zero Position.
func (p Position) behind(q Position) bool {
	if q == (Position{}) || p.Start != q.Start {
		return q == (Position{}) || p.Start < q.Start
	}
	return p.ARN < q.ARN
}

// Matches reports whether an execution meets the conditions. It does not check the owner.
func (q *Query) Matches(r *cache.Record) bool {
	return q.MatchesAlways(r) && q.mayHave(position(r)) && q.matchesRow(r.ARN, r.Row())
}

// MatchesAlways reports whether an execution meets the conditions that never change their
// result for an execution.
func (q *Query) MatchesAlways(r *cache.Record) bool {
	return (q.Execution == "" || r.ARN == q.Execution) && q.mayEverHave(position(r))
}

// mayHave reports whether an execution at a position of an index can meet the conditions.
func (q *Query) mayHave(p Position) bool {
	return q.mayEverHave(p) && (q.Overdue == nil || q.Overdue(p.ARN, time.UnixMilli(p.Start)))
}

// mayEverHave is mayHave without the conditions that depend on the time.
func (q *Query) mayEverHave(p Position) bool {
	start := time.UnixMilli(p.Start)
	switch {
	case q.StateMachine != "" && !p.ARN.BelongsTo(q.StateMachine),
		q.Name != "" && !strings.HasPrefix(p.ARN.Name(), q.Name),
		!q.StartedAfter.IsZero() && start.Before(q.StartedAfter),
		!q.StartedBefore.IsZero() && !start.Before(q.StartedBefore):
		return false
	}
	return true
}

// onlyRunning reports whether only running executions can meet the conditions.
func (q *Query) onlyRunning() bool { return q.Status == cache.Running || q.Overdue != nil }

func (q *Query) needsDetails() bool { return q.Error != "" || q.Label.Name != "" || q.Text != "" }

// selects reports whether there are conditions that entries of the index may not meet.
func (q *Query) selects() bool {
	status := q.Status != "" && (q.Status != cache.Running || !q.All)
	return status || q.Overdue != nil || q.needsDetails() || q.StateMachine != "" || q.Name != ""
}

func (q *Query) needsRows() bool { return q.Status != "" || q.Overdue != nil || q.needsDetails() }

func (q *Query) matchesRow(arn cache.ARN, r *cache.Row) bool {
	switch {
	case r.Status == "",
		q.Status != "" && r.Status != q.Status,
		q.Overdue != nil && r.Status != cache.Running,
		q.Error != "" && r.Error != q.Error,
		q.Label.Name != "" && !r.HasLabel(q.Label.Name, q.Label.Value),
		q.Text != "" && !strings.HasPrefix(arn.Name(), q.Text) && !r.HasLabel("", q.Text):
		return false
	}
	return true
}

// after is the position after which the list begins: the end of the previous page, or
// StartedBefore.
func (q *Query) after() Position {
	if q.StartedBefore.IsZero() {
		return q.After
	}
	newest := Position{Start: max(q.StartedBefore.UnixMilli(), 1)} // before every cache.ARN of that instant
	if q.After == (Position{}) || newest.behind(q.After) {
		return newest
	}
	return q.After
}

// lowest is the earliest start date that can meet the conditions, in ms.
func (q *Query) lowest() string {
	if q.StartedAfter.IsZero() {
		return "-inf"
	}
	return strconv.FormatInt(q.StartedAfter.UnixMilli(), 10)
}

// position returns the position of an execution in the indexes.
func position(r *cache.Record) Position { return Position{Start: r.IndexedStart(), ARN: r.ARN} }

const (
	maxMachines = 256 // in which an execution is looked up by its name
	// machinesLife is how long the known state machines are used. The first execution of a new
	// one is the newest entry of an index, so it is found anyway.
	machinesLife = time.Second
)

// machines has the known state machines.
type machines struct {
	all []cache.MachineARN
	at  int64 // by the monotonic clock, when they were read
}

// find looks up executions that a query names exactly: one execution, or the executions with
// that name in the known state machines. They need not be in an index.
func (r *Reader) find(ctx context.Context, q *Query) (found []Position, err error) {
	var arns []cache.ARN
	switch name := cmp.Or(q.Name, q.Text); {
	case q.Execution != "":
		arns = []cache.ARN{q.Execution}
	case !arn.ValidName(name):
		return nil, nil
	default:
		all, err := r.machinesOf(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			arns = append(arns, m.Execution(name))
		}
	}
	for _, each := range r.cache.GetMany(ctx, arns) {
		switch {
		case errors.Is(each.Err, cache.ErrNotFound):
		case each.Err != nil:
			return nil, each.Err
		default:
			found = append(found, position(each.Record))
		}
	}
	slices.SortFunc(found, func(a, b Position) int { return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(b.ARN, a.ARN)) })
	return found, nil
}

// machinesOf returns the state machines in which a query looks for a name.
func (r *Reader) machinesOf(ctx context.Context, q *Query) ([]cache.MachineARN, error) {
	if q.StateMachine != "" {
		return []cache.MachineARN{cache.MachineARN(q.StateMachine)}, nil
	}
	if known := r.machines.Load(); known != nil && monotonic.Now()-known.at < int64(machinesLife) {
		return known.all, nil
	}
	known := &machines{at: monotonic.Now()}
	names, err := r.db.Readers.HVals(ctx, r.db.Names.Counted).Result()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if m, err := cache.ParseMachineARN(name); err == nil && len(known.all) < maxMachines {
			known.all = append(known.all, m)
		}
	}
	r.machines.Store(known)
	return known.all, nil
}
