package localaws

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
)

const maxBuses = 100

type (
	busRequest       struct{ Name string }
	busResult        struct{ Name, Arn string }
	createBusResult  struct{ EventBusArn string }
	listBusesRequest struct{ NamePrefix string }
	busesResult      struct{ EventBuses []busResult }

	byTargetRequest struct{ TargetArn, EventBusName string }
	ruleNamesResult struct{ RuleNames []string }
)

func busARN(name string) string { return busesARN + name }

// find returns the name of the bus that a call names by its name or its ARN; without either, it
// is the default bus. The caller holds the lock.
func (b *bus) find(nameOrARN string) (string, error) {
	name := cmp.Or(strings.TrimPrefix(nameOrARN, busesARN), defaultBus)
	if !b.names[name] {
		return "", notFound("Event bus " + name)
	}
	return name, nil
}

// lookUp is find for callers that do not hold the lock.
func (b *bus) lookUp(nameOrARN string) (string, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.find(nameOrARN)
}

func (b *bus) has(name string) bool {
	_, err := b.lookUp(name)
	return err == nil
}

// rulesOn returns the rules of a bus by their names. The caller holds the lock.
func (b *bus) rulesOn(nameOrARN string) ([]*rule, error) {
	name, err := b.find(nameOrARN)
	if err != nil {
		return nil, err
	}
	var on []*rule
	for _, r := range b.rules {
		if r.bus == name {
			on = append(on, r)
		}
	}
	slices.SortFunc(on, func(r, other *rule) int { return strings.Compare(r.name, other.name) })
	return on, nil
}

// hasRule reports whether a bus has a rule of this ARN. The caller holds the lock.
func (b *bus) hasRule(bus, arn string) bool {
	for _, r := range b.rules {
		if r.bus == bus && r.arn() == arn {
			return true
		}
	}
	return false
}

func (s *Server) createEventBus(_ *http.Request, in busRequest) (any, error) {
	if err := checkName(in.Name, 256); err != nil {
		return nil, err
	}
	b := &s.bus
	b.lock.Lock()
	defer b.lock.Unlock()
	switch {
	case b.names[in.Name]:
		return nil, alreadyExists("Event bus " + in.Name)
	case len(b.names) == maxBuses:
		return nil, limitExceeded("event buses", maxBuses)
	}
	b.names[in.Name] = true
	return createBusResult{busARN(in.Name)}, nil
}

func (s *Server) describeEventBus(_ *http.Request, in busRequest) (any, error) {
	name, err := s.bus.lookUp(in.Name)
	return busResult{name, busARN(name)}, err
}

func (s *Server) listEventBuses(_ *http.Request, in listBusesRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	buses := []busResult{}
	for _, name := range slices.Sorted(maps.Keys(s.bus.names)) {
		if strings.HasPrefix(name, in.NamePrefix) {
			buses = append(buses, busResult{name, busARN(name)})
		}
	}
	return busesResult{buses}, nil
}

// deleteEventBus succeeds if there is no such bus.
func (s *Server) deleteEventBus(_ *http.Request, in busRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	rules, err := s.bus.rulesOn(in.Name)
	switch {
	case err != nil:
		return emptyResult{}, nil
	case in.Name == defaultBus:
		return nil, validation("Cannot delete event bus default.")
	case len(rules) > 0:
		return nil, validation("Event bus can't be deleted since it has rules.")
	}
	delete(s.bus.names, in.Name)
	return emptyResult{}, nil
}

// listRuleNamesByTarget returns the names of the rules of a bus that send to a
// target.
func (s *Server) listRuleNamesByTarget(_ *http.Request, in byTargetRequest) (any, error) {
	s.bus.lock.Lock()
	defer s.bus.lock.Unlock()
	rules, err := s.bus.rulesOn(in.EventBusName)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, r := range rules {
		if slices.ContainsFunc(r.targets, func(t target) bool { return t.Arn == in.TargetArn }) {
			names = append(names, r.name)
		}
	}
	return ruleNamesResult{names}, nil
}
