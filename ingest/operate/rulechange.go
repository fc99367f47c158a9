package operate

import (
	"fmt"
	"slices"
)

// ruleChange is what must change in the rules that lead to a queue, so that every event
// matches one of them.
type ruleChange struct {
	route   *route   // the rule to change; nil: none, or a new rule is needed
	enable  bool     // the rule is disabled; enable it
	missing []sample // samples that no rule sends, even if it is enabled
	pattern string   // with this pattern the rule sends what is missing; empty: none is known
	why     error    // why no pattern is known
}

// needed reports whether there is anything to do.
func (m *ruleChange) needed() bool { return m.enable || len(m.missing) > 0 }

// planRuleChange finds the smallest change that makes the rules send all samples. It
// prefers rules that Provision has created. A rule of others that also sends to other
// targets is not changed, because these would get unwanted events.
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

// enabledPatterns returns the patterns of the enabled rules, and why one of them cannot
// be parsed. A schedule has no pattern.
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

// disabledRule returns a disabled rule that would send some of the missing events.
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

// enabledRule returns an enabled rule that may be widened.
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
