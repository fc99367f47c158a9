package httpapi

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"statuscache/cache/worklist"
)

// twoTexts is an error with one text for operators and another one for the public.
type twoTexts struct{ operators, everybody string }

func (e twoTexts) Error() string  { return e.operators }
func (e twoTexts) Public() string { return e.everybody }

// TestHealthAndReadinessNameWhatFails and gives each reader as much detail as it may see.
func TestHealthAndReadinessNameWhatFails(t *testing.T) {
	t.Parallel()
	type faults struct{ receive, store error }
	var fails atomic.Pointer[faults] // the server reads them
	fails.Store(&faults{})
	s := newService(t, func(o *Options) {
		o.Parts = append(o.Parts, Part{Name: "ingest receive", Ready: func() error { return fails.Load().receive }}, Part{Name: "ingest store", Ready: func() error { return fails.Load().store }})
	})
	readyz := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		return w
	}
	if got := s.ask("GET", "/v1/health", ""); !strings.Contains(got.body, `"status":"ok"`) || readyz().Code != 200 {
		t.Errorf("nothing fails: %s, %d", got.body, readyz().Code)
	}
	fails.Store(&faults{
		receive: twoTexts{"no event for 40s: access denied to role arn:aws:iam::1:role/x", "no event for 40s: access denied"},
		store:   errors.New("redis://10.0.0.1 is full"),
	})
	got := s.ask("GET", "/v1/health", "")
	for _, want := range []string{`"status":"degraded"`, `"ingest receive: no event for 40s: access denied"`, `"ingest store: not available"`} {
		if !strings.Contains(got.body, want) || strings.Contains(got.body, "arn:") || strings.Contains(got.body, "10.0.0.1") {
			t.Errorf("health: %s, want %s and no names", got.body, want)
		}
	}
	if w := readyz(); w.Code != 503 || !strings.Contains(w.Body.String(), "role/x") || !strings.Contains(w.Body.String(), "10.0.0.1 is full") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
}

// TestAProcessThatWarmsUpIsHealthyButNotReady: a part that fails is named alone, because the
// process may be waiting for it.
func TestAProcessThatWarmsUpIsHealthyButNotReady(t *testing.T) {
	t.Parallel()
	var warming, full atomic.Bool
	s := newService(t, func(o *Options) {
		o.Warming = warming.Load
		o.Parts = append(o.Parts, Part{Name: "store", Ready: func() error {
			if full.Load() {
				return errors.New("it is full")
			}
			return nil
		}})
	})
	for _, c := range []struct {
		warming, full bool
		want          string
	}{
		{false, false, "ready\n"}, {true, false, "reading the counters for the first time\n"}, {true, true, "store: it is full\n"},
	} {
		warming.Store(c.warming)
		full.Store(c.full)
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if w.Body.String() != c.want || (w.Code == 200) != (c.want == "ready\n") {
			t.Errorf("%+v: %d %q", c, w.Code, w.Body)
		}
		if got := s.ask("GET", "/v1/health", ""); strings.Contains(got.body, `"status":"ok"`) == c.full {
			t.Errorf("%+v: %s", c, got.body)
		}
	}
}

// TestHealthIsOfTheStateMachinesThatAreConfigured: a state machine of an earlier configuration,
// such as one with a typing error, does not degrade the health.
func TestHealthIsOfTheStateMachinesThatAreConfigured(t *testing.T) {
	t.Parallel()
	const ours, typo = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipelime"
	audits := func() map[string]worklist.Audited {
		return map[string]worklist.Audited{ours: {}, typo: {Problem: "it does not exist"}}
	}
	for _, c := range []struct {
		machines []string
		want     string
	}{
		{[]string{ours}, `"status":"ok"`},
		{[]string{ours, typo}, `audit of Pipelime: it does not exist`}, // the control
	} {
		s := newService(t, func(o *Options) { o.Audits, o.StateMachines = audits, c.machines })
		if got := s.ask("GET", "/v1/health", ""); !strings.Contains(got.body, c.want) || strings.Contains(got.body, "Pipelime") != (len(c.machines) == 2) {
			t.Errorf("%v: %s", c.machines, got.body)
		}
	}
}

// TestHealthNamesEveryConcern, also several at the same time.
func TestHealthNamesEveryConcern(t *testing.T) {
	t.Parallel()
	var concerns atomic.Pointer[[]string] // the server reads them
	concerns.Store(&[]string{})
	s := newService(t, func(o *Options) { o.Concerns = func() []string { return *concerns.Load() } })
	if got := s.ask("GET", "/v1/health", ""); !strings.Contains(got.body, `"status":"ok"`) {
		t.Errorf("without a concern: %s", got.body)
	}
	concerns.Store(&[]string{"records: lost", "Redis may evict records"})
	if got := s.ask("GET", "/v1/health", ""); !strings.Contains(got.body, `"status":"degraded","reasons":["records: lost","Redis may evict records"]`) {
		t.Errorf("with two: %s", got.body)
	}
}
