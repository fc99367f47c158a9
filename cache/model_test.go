package cache

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"statuscache/cache/internal/record"
)

// joined is what the merge rule (doc.go) makes of all observations: the greatest
// version with its body, and the registers of its incarnation.
type joined struct {
	identity  string // version and hash of the body
	epoch     int64  // start date in ms by which incarnations are distinguished
	ownerRank int
	owner     string
	inputType string
	labels    string // as a record has them
}

// joinLabels is what labels.lua does: of each name the value of the greater rank, and of
// these the greater one.
func joinLabels(a, b string) string {
	best := map[string]string{} // rank and value by name
	for _, text := range []record.Labels{record.Labels(a), record.Labels(b)} {
		for text != "" {
			name, value, rest, _ := text.Cut()
			best[name] = max(best[name], string(text[0])+value)
			text = rest
		}
	}
	names := slices.SortedFunc(maps.Keys(best), func(x, y string) int {
		return cmp.Or(cmp.Compare(best[y][0], best[x][0]), cmp.Compare(x, y))
	})
	names = names[:min(len(names), maxLabelsKept)]
	slices.Sort(names)
	var joined strings.Builder
	for _, name := range names {
		joined.WriteString(Labels{name: best[name][1:]}.encode(best[name][0]))
	}
	return joined.String()
}

// join is the merge rule on whole states; one observation is a state too. What
// apply.lua does step by step must come to the same.
func join(a, b joined) joined {
	const day = 24 * 60 * 60 * 1000
	identity := max(a.identity, b.identity)
	if a.epoch < b.epoch {
		a, b = b, a
	}
	if a.epoch-b.epoch <= day { // else the older incarnation has no say
		if b.ownerRank > a.ownerRank {
			a.ownerRank, a.owner = b.ownerRank, b.owner
		}
		a.inputType = cmp.Or(a.inputType, b.inputType)
		a.labels = joinLabels(a.labels, b.labels)
	}
	a.identity = identity
	return a
}

// lastWriteWins is the rule that the proofs must refute.
func lastWriteWins(_, b joined) joined { return b }

func observed(e Execution) joined {
	enc := encode(&e, false)
	s := joined{
		identity: string(enc.version) + enc.hash, epoch: e.StartDate.UnixMilli(),
		owner: e.Owner, inputType: e.InputType, labels: e.Labels.encode(ownerFromInput),
	}
	if e.Owner != "" {
		s.ownerRank = ownerFromInput
	}
	return s
}

// observation is one step of a random history: an Execution or, where owner is
// set, a Registration.
type observation struct {
	execution Execution
	owner     string
	start     time.Time
	labels    Labels
}

func (o observation) state() joined {
	if o.owner == "" {
		return observed(o.execution)
	}
	return joined{
		identity: string(Unobserved) + "0000000000000000", epoch: o.start.UnixMilli(),
		ownerRank: ownerRegistered, owner: o.owner, labels: o.labels.encode(ownerRegistered),
	}
}

func (o observation) write(c *Cache) *write {
	if o.owner == "" {
		return c.observation(&o.execution, target{o.execution.ARN.StateMachine(), false})
	}
	return c.registration(Registration{ARN: o.execution.ARN, Owner: o.owner, StartDate: o.start, Labels: o.labels}, target{o.execution.ARN.StateMachine(), false})
}

// observations returns everything that a random history of arn draws from: two
// incarnations three days apart, three attempts each, every status, two bodies
// for each version, with and without the registers. The last is a registration
// of the second incarnation.
func observations(arn ARN, start time.Time) []observation {
	var all []observation
	for incarnation, begun := range []time.Time{start.Add(-72 * time.Hour), start} {
		for attempt := range 3 {
			for _, e := range attemptOf(arn, begun, attempt) {
				all = append(all, observation{execution: e})
				e.Owner = fmt.Sprintf("owner of incarnation %d", incarnation)
				e.InputType = fmt.Sprint("type", incarnation)
				e.Labels = Labels{"customer": "acme", fmt.Sprint("attempt", attempt): "é"}
				all = append(all, observation{execution: e})
			}
		}
	}
	return append(all, observation{
		execution: Execution{ARN: arn}, owner: "who registered", start: start.Add(-time.Minute), labels: Labels{"customer": "a", "run": "1"},
	})
}

// attemptOf returns every observation of one attempt, each with two bodies where
// the body can differ.
func attemptOf(arn ARN, start time.Time, attempt int) []Execution {
	e := Execution{ARN: arn, StartDate: start, RedriveCount: attempt, Completeness: Complete, Source: FromEvent}
	var all []Execution
	add := func(status Status, stopped bool, change func(*Execution)) {
		e := e
		if e.Status = status; stopped {
			e.StopDate = start.Add(time.Duration(attempt+1) * time.Second)
		}
		change(&e)
		all = append(all, e)
	}
	as := func(*Execution) {}
	add(Running, false, as)
	add(PendingRedrive, false, as)
	add("A_NEW_WORD", false, as)
	add("A_NEW_END", true, as)
	for _, text := range []string{"one", "two"} {
		add(Failed, true, func(e *Execution) { e.ErrorMessage, e.Error = text, "Boom" })
		add(TimedOut, true, func(e *Execution) { e.ErrorMessage = text })
		add(Aborted, true, func(e *Execution) { e.ErrorMessage = text })
		add(Succeeded, true, func(e *Execution) { e.Output = []byte(`"` + text + `"`) })
	}
	add(Succeeded, true, func(e *Execution) { e.Completeness = OutputAwaited })
	add(Succeeded, true, func(e *Execution) { e.Completeness = OutputGivenUp })
	return all
}

// randomHistory returns 2 to 14 places in a list that observations made and that
// has n entries, duplicates among them. It draws from both incarnations, or from
// the second and its registration: a client registers what it is about to start.
func randomHistory(r *rand.Rand, n int) []int {
	first, end := 0, n-1
	if r.IntN(2) == 0 {
		first, end = n/2, n
	}
	history := make([]int, 2+r.IntN(9), 14)
	for i := range history {
		history[i] = first + r.IntN(end-first)
	}
	for range r.IntN(5) {
		history = append(history, history[r.IntN(len(history))])
	}
	r.Shuffle(len(history), func(i, j int) { history[i], history[j] = history[j], history[i] })
	return history
}

// orders calls f with every order of n things. f must not keep its argument.
func orders(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var rest func(int)
	rest = func(from int) {
		if from == n {
			f(order)
			return
		}
		for i := from; i < n; i++ {
			order[from], order[i] = order[i], order[from]
			rest(from + 1)
			order[from], order[i] = order[i], order[from]
		}
	}
	rest(0)
}

// fold joins states from left to right.
func fold(rule func(a, b joined) joined, states []joined) joined {
	s := states[0]
	for _, next := range states[1:] {
		s = rule(s, next)
	}
	return s
}

// brokenLaw names the first law of a join that a rule breaks for a history, or
// returns "" if it keeps all.
func brokenLaw(rule func(a, b joined) joined, history []joined, r *rand.Rand) string {
	a, b, c := history[0], history[len(history)/2], history[len(history)-1]
	complete := fold(rule, history)
	shuffled := slices.Clone(history)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	switch {
	case rule(a, b) != rule(b, a):
		return "commutative"
	case rule(rule(a, b), c) != rule(a, rule(b, c)):
		return "associative"
	case rule(a, a) != a || rule(complete, b) != complete:
		return "idempotent"
	case rule(a, b).identity < a.identity:
		return "monotone"
	case fold(rule, shuffled) != complete:
		return "the same in every order"
	}
	return ""
}
