package localaws

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	defaultPage = 100 // executions
	maxPage     = 1000
	tokenValid  = 24 * time.Hour
)

func (s *Server) listExecutions(_ *http.Request, in listExecutionsRequest) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.states.lock.Lock()
	defer s.states.lock.Unlock()
	m, err := s.states.machine(in.StateMachineARN)
	if err != nil {
		return nil, err
	}
	at := now()
	s.states.forget(at)
	before, err := in.position(at)
	if err != nil {
		return nil, err
	}
	return s.states.page(m, &in, before, at), nil
}

// page returns the executions that were started before the one with this number, as many as fit
// on a page.
func (s *states) page(m *machine, in *listExecutionsRequest, before int64, at time.Time) executionsResult {
	result := executionsResult{Executions: []listedExecution{}}
	last := before
	for link := m.executions.Front(); link != nil; link = link.Next() {
		e := link.Value.(*execution)
		seen := e.seen(time.Now(), s.lag)
		if e.number >= before || seen == nil || !in.wants(seen) {
			continue
		}
		if len(result.Executions) == in.MaxResults {
			result.NextToken = in.token(at, last)
			break
		}
		result.Executions = append(result.Executions, seen.listed())
		last = e.number
	}
	return result
}

// check refuses requests that Step Functions would refuse, and fills in the defaults.
func (in *listExecutionsRequest) check() error {
	if in.MaxResults == 0 {
		in.MaxResults = defaultPage
	}
	if in.MaxResults < 0 || in.MaxResults > maxPage {
		return validationError(fmt.Sprintf("maxResults must be between 0 and %d", maxPage))
	}
	switch in.StatusFilter {
	case "", running, succeeded, failed, timedOut, aborted, "PENDING_REDRIVE":
	default:
		return validationError("statusFilter is not a status")
	}
	switch in.RedriveFilter {
	case "", "REDRIVEN", "NOT_REDRIVEN":
	default:
		return validationError("redriveFilter must be REDRIVEN or NOT_REDRIVEN")
	}
	return nil
}

func (in *listExecutionsRequest) wants(e *ExecutionState) bool {
	return (in.StatusFilter == "" || in.StatusFilter == e.Status) &&
		(in.RedriveFilter == "" || (in.RedriveFilter == "REDRIVEN") == (e.RedriveCount > 0))
}

// query is the query to which a token belongs.
func (in *listExecutionsRequest) query() string {
	return in.StateMachineARN + " " + in.StatusFilter + " " + in.RedriveFilter
}

// token says where the next call of the same query continues.
func (in *listExecutionsRequest) token(at time.Time, before int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", at.UnixMilli(), before, in.query()))
}

// position returns the number before which a page begins.
func (in *listExecutionsRequest) position(at time.Time) (int64, error) {
	if in.NextToken == "" {
		return math.MaxInt64, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil {
		return 0, errToken
	}
	var issued, before int64
	parts := strings.SplitN(string(text), " ", 3)
	if len(parts) != 3 || parts[2] != in.query() {
		return 0, errToken
	}
	if _, err := fmt.Sscan(parts[0]+" "+parts[1], &issued, &before); err != nil ||
		at.Sub(time.UnixMilli(issued)) > tokenValid {
		return 0, errToken
	}
	return before, nil
}
