package questions

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache"
)

// question is a kind of question, with the request target of its n-th question.
type question struct {
	what   string
	target func(p *Population, n int) string // nil: Heads
}

const list = "/v1/executions"

// questions are every kind that there is. The values differ from one to the next, so that
// none is answered from what was remembered for another.
var questions = []question{
	{"list", same(list)},
	{"list, status FAILED", same(list + "?status=FAILED")},
	{"list, status RUNNING", same(list + "?status=RUNNING")},
	{"list, state machine", func(p *Population, n int) string { return list + "?stateMachineArn=" + p.machine(n) }},
	{"list, name", func(p *Population, n int) string { return fmt.Sprintf("%s?name=order-%05d", list, p.some(n)/100) }},
	{"list, error", func(_ *Population, n int) string { return list + "?error=" + reasons[n%len(reasons)].name }},
	{"list, label", func(_ *Population, n int) string { return fmt.Sprintf("%s?label=ruleset:rs-%02d", list, n%rulesets) }},
	{"list, label of nothing", func(_ *Population, n int) string { return fmt.Sprintf("%s?label=ruleset:none-%d", list, n) }},
	{"list, started after", same(list + "?startedAfter=1h")},
	{"list, started before", same(list + "?startedBefore=24h")},
	{"list, all filters", func(p *Population, n int) string {
		return fmt.Sprintf("%s?status=SUCCEEDED&startedAfter=72h&startedBefore=1m&label=ruleset:rs-%02d&stateMachineArn=%s", list, n%rulesets, p.machine(n))
	}},
	{"list, overdue", same(list + "?overdue=true")},
	{"q, ARN", func(p *Population, n int) string { return list + "?q=" + url.QueryEscape(string(p.ARN(p.some(n)))) }},
	{"q, name", func(p *Population, n int) string { return fmt.Sprintf("%s?q=order-%07d", list, p.some(n)) }},
	{"q, beginning of a name", func(p *Population, n int) string { return fmt.Sprintf("%s?q=order-%04d", list, p.some(n)/1000) }},
	{"q, value of a label", func(_ *Population, n int) string { return fmt.Sprintf("%s?q=rs-%02d", list, n%rulesets) }},
	{"failures, 1h", same("/v1/failures?window=1h")},
	{"failures, 24h", same("/v1/failures?window=24h")},
	{"failures, 7d", same("/v1/failures?window=7d")},
	{"failures, 7d, state machine", func(p *Population, n int) string { return "/v1/failures?window=7d&stateMachineArn=" + p.machine(n) }},
	{"durations", same("/v1/durations")},
	{"durations, state machine", func(p *Population, n int) string { return "/v1/durations?stateMachineArn=" + p.machine(n) }},
	{Overview, same("/v1/overview")},
	{Floor, same("/v1/health")},
}

const (
	// Overview is the question with a separate target.
	Overview = "overview"
	// Floor is the cheapest question, answered from memory. What its answers take is what the
	// machine and the other questions add to every answer.
	Floor = "health (the floor)"
)

// secondPage is the name of a request for the second page of a list.
const secondPage = "list, second page"

func same(target string) func(*Population, int) string {
	return func(*Population, int) string { return target }
}

func (p *Population) machine(n int) string { return url.QueryEscape(string(p.Machine(n))) }

// some is the number of one of the Records.
func (p *Population) some(n int) int { return int(scatter(n, "some") % uint64(p.Records)) }

// Caller is a client with several tokens, which it uses in turn.
type Caller struct {
	Name   string
	Tokens []string
}

// Asking is how questions are asked.
type Asking struct {
	Population *Population
	Address    string // host:port of statusd
	Callers    []Caller
	PerSecond  int
	Cache      *cache.Cache // for Heads
}

// Answers are those to the questions of one kind by one caller.
type Answers struct {
	Caller, What string
	Millis       []float64 // from when each was due
	Bytes        int       // of all bodies
	Refused      int       // that were 503
	Work         float64   // of a processor for an answer, in seconds; 0: not measured
}

// IsFloor reports whether these are not answers to a question, but what others are compared with.
func (a *Answers) IsFloor() bool { return a.What == Floor || a.What == Heads }

// Ask lets each caller ask every question, in the given number of rounds, and reads Heads once in
// each round. A question is asked when it is due, even if earlier ones are not answered yet.
func (a *Asking) Ask(ctx context.Context, rounds int) ([]*Answers, error) {
	return a.ask(ctx, append(slices.Clone(questions), question{what: Heads}), a.Callers, rounds)
}

func (a *Asking) ask(ctx context.Context, kinds []question, callers []Caller, rounds int) ([]*Answers, error) {
	r := &run{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}, asking: a}
	defer r.client.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	due := time.Now()
	for round := range rounds {
		for i := range kinds {
			q := &kinds[i]
			for _, caller := range q.askedBy(callers) {
				due = due.Add(time.Second / time.Duration(a.PerSecond))
				select {
				case <-ctx.Done():
					return nil, g.Wait()
				case <-time.After(time.Until(due)):
				}
				at := due
				if q.target == nil {
					g.Go(func() error { return r.readHeads(ctx, caller.Name, round, at) })
					continue
				}
				token := caller.Tokens[round%len(caller.Tokens)]
				g.Go(func() error { return r.ask(ctx, caller.Name, q.what, token, q.target(a.Population, round), at) })
			}
		}
	}
	return r.all, g.Wait()
}

func (q *question) askedBy(callers []Caller) []Caller {
	if q.target == nil {
		return bare
	}
	return callers
}

// run is one run of Ask.
type run struct {
	asking *Asking
	client *http.Client
	mu     sync.Mutex
	all    []*Answers // in the order in which they came first
}

var nextCursor = regexp.MustCompile(`"nextCursor":"([^"]+)"`)

func (r *run) ask(ctx context.Context, caller, what, token, target string, due time.Time) error {
	body, refused, err := r.get(ctx, token, target)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", what, caller, err)
	}
	r.note(caller, what, time.Since(due), len(body), refused)
	if next := nextCursor.FindSubmatch(body); next != nil && what == questions[0].what {
		return r.ask(ctx, caller, secondPage, token, target+"?cursor="+string(next[1]), time.Now())
	}
	return nil
}

// get asks. refused reports a 503: on a busy machine Redis may take longer than it is given.
func (r *run) get(ctx context.Context, token, target string) (body []byte, refused bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.asking.Address+target, http.NoBody)
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := r.client.Do(request)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.ContentLength > 0 { // else a long body would be copied again and again
		body = make([]byte, response.ContentLength)
		_, err = io.ReadFull(response.Body, body)
	} else {
		body, err = io.ReadAll(response.Body)
	}
	refused = response.StatusCode == http.StatusServiceUnavailable
	if err == nil && response.StatusCode != http.StatusOK && !refused {
		err = fmt.Errorf("%s: %s: %.300s", target, response.Status, body)
	}
	return body, refused, err
}

func (r *run) note(caller, what string, took time.Duration, length int, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var to *Answers
	for _, a := range r.all {
		if a.Caller == caller && a.What == what {
			to = a
		}
	}
	if to == nil {
		to = &Answers{Caller: caller, What: what}
		r.all = append(r.all, to)
	}
	to.Millis = append(to.Millis, float64(took.Microseconds())/1000)
	to.Bytes += length
	if refused {
		to.Refused++
	}
}
