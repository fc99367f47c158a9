package operate

import (
	"fmt"
	"slices"
)

// mending is what has to be done about the rules that lead to a queue so that every
// event comes, by whichever of them.
type ruleChange struct {
	route   *route   // whose rule is to be changed; nil: none, or a new one is to be made
	enable  bool     // it is disabled
	missing []sample // what no rule sends, once that is mended
	pattern string   // with it the rule sends what is missing; empty: none is known
	why     error    // of a pattern that is not known
}

// needed reports whether there is anything to do.
func (m *ruleChange) needed() bool { return m.enable || len(m.missing) > 0 }

// mend finds the least that makes rules send all samples. Rules that Provision has made
// come first. One that others have made and that sends to others as well is left as it
// is: they would get events that they never asked for.
func planRuleChange(routes []*route, samples []sample) (ruleChange, error) {
	var m ruleChange
	on, unclear := enabledPatterns(routes)
	var err error
	if m.missing, err = unmatched(on, samples); err != nil || len(m.missing) == 0 {
		return m, err
	}
	if unclear != nil {
		return m, unclear
	}
	if m.route, err = disabledRule(routes, m.missing); err != nil {
		return m, err
	}
	if m.route != nil {
		m.enable = true
		if m.missing, err = unmatched(append(on, m.route.pattern()), samples); err != nil || len(m.missing) == 0 {
			return m, err
		}
	} else {
		m.route = enabledRule(routes)
	}
	if m.route == nil {
		m.pattern = patternOf(m.missing)
	} else {
		m.pattern, m.why = widen(m.route.pattern(), m.missing, m.route.ours())
	}
	return m, nil
}

// understood returns the patterns of the rules that are enabled, and why one is not
// among them. A schedule has none.
func enabledPatterns(routes []*route) (on []string, unclear error) {
	for _, r := range routes {
		if !r.enabled() || r.pattern() == "" {
			continue
		}
		if _, err := unmatched([]string{r.pattern()}, nil); err != nil {
			unclear = fmt.Errorf("rule %s: %w", r.shown(), err)
			continue
		}
		on = append(on, r.pattern())
	}
	return on, unclear
}

// sleeping returns a disabled rule that would send some of what is missing.
func disabledRule(routes []*route, missing []sample) (*route, error) {
	for _, r := range oursFirst(routes) {
		if r.enabled() || r.pattern() == "" || !r.mayBeWidened() {
			continue
		}
		left, err := unmatched([]string{r.pattern()}, missing)
		if err != nil || len(left) < len(missing) {
			return r, err
		}
	}
	return nil, nil
}

// changeable returns a rule that may ask for more.
func enabledRule(routes []*route) *route {
	for _, r := range oursFirst(routes) {
		if r.enabled() && r.pattern() != "" && r.mayBeWidened() {
			return r
		}
	}
	return nil
}

func oursFirst(routes []*route) []*route {
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b *route) int {
		switch {
		case a.ours() == b.ours():
			return 0
		case a.ours():
			return -1
		}
		return 1
	})
	return sorted
}
