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
)

// Query asks for executions, the newest start date first. Its conditions must all be met;
// an empty one is.
type Query struct {
	Owner string // whose; ignored with All
	All   bool   // everybody's

	Status        cache.Status // Running, Succeeded or Failed as the public API has them
	StateMachine  string       // ARN; children of its Distributed Maps count as its own
	Name          string       // how the name of the execution begins
	Error         string       // name of the error
	Label         Label        // that it has
	StartedAfter  time.Time    // at that time or later
	StartedBefore time.Time
	Text          string    // how the name of the execution begins, or the value of a label
	Execution     cache.ARN // this one only, which need not be in an index

	// Overdue reports whether an execution that runs takes longer than it should; nil: it
	// does not matter. It is called often and must answer from memory.
	Overdue func(arn cache.ARN, start time.Time) bool

	After Position // where the page before ended; zero: begin with the newest
	Limit int
}

// Label is one label.
type Label struct{ Name, Value string }

// Position is a place in the order of a list: by start date, then by ARN, both
// descending. It stays what it is whatever is inserted elsewhere.
type Position struct {
	Start int64 // ms
	ARN   cache.ARN
}

// behind reports whether p comes after q. Everything is behind the zero Position.
func (p Position) behind(q Position) bool {
	if q == (Position{}) || p.Start != q.Start {
		return q == (Position{}) || p.Start < q.Start
	}
	return p.ARN < q.ARN
}

// Matches reports whether an execution meets the conditions, whosever it is.
func (q *Query) Matches(r *cache.Record) bool {
	return q.MatchesAlways(r) && q.mayHave(position(r)) && q.matchesRow(r.ARN, r.Row())
}

// MatchesAlways reports whether an execution meets those conditions that no change of it can
// alter.
func (q *Query) MatchesAlways(r *cache.Record) bool {
	return (q.Execution == "" || r.ARN == q.Execution) && q.mayEverHave(position(r))
}

// mayHave reports whether what is at a place in an index can meet the conditions.
func (q *Query) mayHave(p Position) bool {
	return q.mayEverHave(p) && (q.Overdue == nil || q.Overdue(p.ARN, time.UnixMilli(p.Start)))
}

// mayEverHave is mayHave without the conditions that time can alter.
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

// onlyRunning reports whether only what runs can meet the conditions.
func (q *Query) onlyRunning() bool { return q.Status == cache.Running || q.Overdue != nil }

func (q *Query) needsDetails() bool { return q.Error != "" || q.Label.Name != "" || q.Text != "" }

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

// after is where the list begins: behind the page before, and not before StartedBefore.
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

// lowest is the least start date of what can meet the conditions, in ms.
func (q *Query) lowest() string {
	if q.StartedAfter.IsZero() {
		return "-inf"
	}
	return strconv.FormatInt(q.StartedAfter.UnixMilli(), 10)
}

// position returns where the indexes have an execution.
func position(r *cache.Record) Position { return Position{Start: r.IndexedStart(), ARN: r.ARN} }

// maxMachines is for how many state machines an execution is looked up by its name.
const maxMachines = 256

// find looks up what a query names exactly, which indexes need not have: an execution, or
// the executions of that name in the state machines that are known.
func (r *Reader) find(ctx context.Context, q *Query) (found []Position, err error) {
	var arns []cache.ARN
	switch name := cmp.Or(q.Name, q.Text); {
	case q.Execution != "":
		arns = []cache.ARN{q.Execution}
	case !arn.ValidName(name):
		return nil, nil
	default:
		machines, err := r.machinesOf(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, m := range machines {
			arns = append(arns, cache.MachineARN(m).Execution(name))
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
func (r *Reader) machinesOf(ctx context.Context, q *Query) (machines []string, err error) {
	if q.StateMachine != "" {
		return []string{q.StateMachine}, nil
	}
	known, err := r.db.Readers.HVals(ctx, r.db.Names.Counted).Result()
	if err != nil {
		return nil, err
	}
	for _, m := range known {
		if _, err := cache.ParseMachineARN(m); err == nil && len(machines) < maxMachines {
			machines = append(machines, m)
		}
	}
	return machines, nil
}
