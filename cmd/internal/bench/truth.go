package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"statuscache/cache"
	"statuscache/cache/worklist"
	"statuscache/ingest"
	"statuscache/ingest/event"
	"statuscache/ingest/localaws"
	"statuscache/ingest/operate"
)

// The load of the simulation.
const (
	truthStarts   = 33 // per second
	truthShortest = 5 * time.Second
	truthLongest  = 5 * time.Minute
	truthFailures = 0.2  // share of attempts that fail
	truthRedrives = 0.05 // share of these that are redriven
	truthOversize = 0.05 // share of outputs that are too large for an event
	truthDrain    = 40 * time.Minute
	truthName     = "status-events"
)

// truth runs statusd with a stand-in for Step Functions that loses events. It measures how long
// statusd reports a wrong state, whether all states are right at the end, and how many calls to
// AWS that takes.
func (b *bench) truth(ctx context.Context) ([]line, error) {
	var lines []line
	for _, scenario := range []struct {
		name      string
		emission  localaws.Emission
		flush     bool
		mostCalls float64
	}{
		{"every event comes", localaws.Emission{}, false, 0.05},
		{"a tenth of the events is lost", lossy, false, 0.25},
		{"likewise, Redis is emptied half-way, replay and backfill at the end", lossy, true, -1},
	} {
		if b.scenario != "" && !strings.Contains(scenario.name, b.scenario) {
			continue
		}
		s, err := b.newSimulation(ctx, scenario.emission)
		if err != nil {
			return nil, err
		}
		err = s.run(ctx, b.simulate, scenario.flush)
		s.peers.stopAll()
		if err != nil {
			return nil, err
		}
		lines = append(lines, s.lines(scenario.name, scenario.mostCalls)...)
	}
	return lines, nil
}

// lossy loses a tenth of the events, including all events of some executions and redrives. It
// delays and doubles the others.
var lossy = localaws.Emission{
	Loss: 0.08, LossOfExecution: 0.02, LossOfRedrive: 0.1, Duplicates: 0.2, Late: 0.1,
	MinDelay: 200 * time.Millisecond, MaxDelay: 800 * time.Millisecond, MaxLate: 20 * time.Second,
}

// simulation is one run of truth.
type simulation struct {
	b       *bench
	peers   *peers
	redis   *peer
	serve   *peer
	aws     *localaws.Server
	queue   *localaws.Queue
	machine string
	cache   *cache.Cache
	config  aws.Config
	way     *operate.Operator

	right  map[string]string        // by ARN, the state that was last seen to be right
	wrong  map[string]time.Duration // by ARN, for how long readers got another version
	latest time.Time                // of the ends
	marked time.Time                // when the last of all was right
	last   map[string]float64       // counters at the end
}

func (b *bench) newSimulation(ctx context.Context, e localaws.Emission) (*simulation, error) {
	s := &simulation{b: b, peers: &peers{dir: b.dir}, right: map[string]string{}, wrong: map[string]time.Duration{}}
	var err error
	if s.redis, err = s.peers.redis(ctx); err != nil {
		return nil, err
	}
	l, err := listen()
	if err != nil {
		return nil, err
	}
	s.aws = localaws.New()
	h := &http.Server{Handler: s.aws, ReadHeaderTimeout: startLimit}
	go func() { _ = h.Serve(l) }() // ends with the program
	endpoint := "http://" + l.Addr().String()
	s.machine = s.aws.CreateStateMachine("CloudSigmaPipeline", lived)
	if err := s.route(ctx, endpoint); err != nil {
		return nil, err
	}
	s.aws.SetThrottling(localaws.RealThrottling())
	s.aws.SetLag(500 * time.Millisecond)
	s.aws.SetEmission(e)
	s.serve, err = s.peers.self("serve", serveEnv(s.redis, "ROLE=all", "OWNER_PATH=tenantId", "SQS_QUEUE_URL="+s.queue.URL(endpoint),
		"STATE_MACHINES="+s.machine, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_ENDPOINT_URL="+endpoint)...)
	if err != nil {
		return nil, err
	}
	s.cache, err = openCache(s.redis)
	return s, err
}

// route sets up the delivery of events, as statusctl provision does.
func (s *simulation) route(ctx context.Context, endpoint string) (err error) {
	s.config = aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	if s.way, err = operate.NewOperator(s.config, ""); err != nil {
		return err
	}
	_, err = s.way.Provision(ctx, operate.Plan{Name: truthName, StateMachines: []string{s.machine}}, func(operate.Step) {})
	s.queue = s.aws.CreateQueue(truthName, nil)
	return err
}

// restore does what an operator does when Redis was emptied: a replay, and a backfill
// for what the archive does not hold either.
func (s *simulation) restore(ctx context.Context, begun time.Time) error {
	order := operate.ReplayOrder{Name: "restore", Archive: truthName, Rule: truthName, From: begun.Add(-time.Second), To: time.Now()}
	if err := s.way.StartReplay(ctx, order); err != nil {
		return err
	}
	if _, err := s.way.FollowReplay(ctx, order.Name, time.Second, func(operate.Replay) {}); err != nil {
		return err
	}
	for s.queue.Depth().Total() > 0 && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	states := ingest.NewStepFunctions(s.config, event.Decoder{Owner: event.OwnerPath{"tenantId"}}, nil)
	const rate = 10
	b := &ingest.Backfill{
		Cache: s.cache, Known: s.cache, States: states, Lister: states, Machine: s.machine, Owners: true,
		Describes: worklist.NewBudget(s.cache.DB(), "backfill", rate), Listings: worklist.NewBudget(s.cache.DB(), "list", 2),
		Since: begun.Add(-time.Second), Until: time.Now(), Retention: retention,
	}
	_, err := b.Run(ctx, func(ingest.BackfillProgress) {})
	return err
}

// lived decides how an attempt of the simulation ends.
func lived(a localaws.Attempt) localaws.Ending {
	e := localaws.Ending{After: truthShortest + rand.N(truthLongest-truthShortest), Status: "SUCCEEDED", Output: `{"rules":[]}`}
	switch {
	case rand.Float64() < truthFailures:
		e.Status, e.Output, e.Error, e.Cause = "FAILED", "", "TierLimitExceeded", "Monthly rule generation limit reached"
		if rand.Float64() < truthRedrives*(1/truthFailures) {
			e.RedriveAfter = time.Second + rand.N(time.Minute)
		}
	case rand.Float64() < truthOversize:
		e.Output = `{"rules":["` + strings.Repeat(`\"condition\" `, 15_000) + `"]}`
	}
	if a.RedriveCount > 0 {
		e.After /= 10
	}
	return e
}

// run starts executions for a while, and then waits until all is right.
func (s *simulation) run(ctx context.Context, length time.Duration, flush bool) error {
	begun, tick := time.Now(), time.NewTicker(time.Second/truthStarts)
	defer tick.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	input, err := json.Marshal(map[string]string{"tenantId": benchOwner, "inputType": "url"})
	if err != nil {
		return err
	}
	emptied, restored := false, make(chan error, 1)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-restored:
			if err != nil {
				return err
			}
		case <-tick.C:
			if time.Since(begun) > length {
				tick.Stop()
			} else if _, err := s.aws.StartExecution(s.machine, "", string(input)); err != nil {
				return err
			}
		case <-look.C:
			if flush && time.Since(begun) > length/2 {
				if flush, emptied, err = false, true, s.redis.flush(ctx); err != nil {
					return err
				}
			}
			ended, err := s.look(ctx)
			if err != nil {
				return err
			}
			if emptied && time.Since(begun) > length {
				emptied = false
				go func() { restored <- s.restore(ctx, begun) }()
			}
			if over := time.Since(begun) - length; over > 0 && ended || over > truthDrain {
				s.marked = time.Now()
				s.last, err = s.serve.counters(ctx)
				return err
			}
		}
	}
}

// look compares what is reported with the truth. It reports whether all executions have
// ended and are right.
func (s *simulation) look(ctx context.Context) (ended bool, err error) {
	var differ []cache.ARN
	var truths []localaws.ExecutionState
	ended = true
	for state := range s.aws.Executions() {
		if state.Status == "RUNNING" {
			ended = false
		} else if state.StopDate.After(s.latest) {
			s.latest = state.StopDate
		}
		if s.right[state.ARN] != statusOf(state) {
			differ, truths = append(differ, cache.ARN(state.ARN)), append(truths, state)
		}
	}
	const some = 1000
	for first := 0; first < len(differ); first += some {
		last := min(first+some, len(differ))
		known, err := s.cache.Versions(ctx, differ[first:last])
		if err != nil {
			return false, err
		}
		for i, v := range known {
			truth := truths[first+i]
			if reported(v) == statusOf(truth) {
				s.right[truth.ARN] = statusOf(truth)
				continue
			}
			ended = false
			s.wrong[truth.ARN] += time.Second
		}
	}
	return ended && s.queue.Depth().Total() == 0, nil
}

// statusOf is what a reader should get for an execution, with its attempt.
func statusOf(e localaws.ExecutionState) string { return fmt.Sprint(e.Status, e.RedriveCount) }

// reported returns the state that readers get for a record of a version.
func reported(v cache.Version) string {
	switch {
	case v == "":
		return ""
	case v.Running() || v.AwaitsOutput():
		return fmt.Sprint("RUNNING", v.RedriveCount())
	case v.Succeeded():
		return fmt.Sprint("SUCCEEDED", v.RedriveCount())
	}
	return fmt.Sprint("FAILED", v.RedriveCount())
}

func (s *simulation) lines(name string, mostCalls float64) []line {
	executions, wrongAtEnd := 0, 0
	var seconds []float64
	sum := 0.0
	for state := range s.aws.Executions() {
		executions++
		if s.right[state.ARN] != statusOf(state) {
			wrongAtEnd++
		}
		each := s.wrong[state.ARN].Seconds()
		seconds, sum = append(seconds, each), sum+each
	}
	calls, describes := 0.0, 0.0
	for name, n := range s.last {
		if strings.HasPrefix(name, "statuscache_aws_calls_total") {
			calls += n
			if strings.Contains(name, "Describe") {
				describes += n
			}
		}
	}
	each := calls / float64(executions)
	target, verdictOfCalls := "–", "–"
	if mostCalls >= 0 {
		target, verdictOfCalls = fmt.Sprintf("≤ %g", mostCalls), verdict(each <= mostCalls)
	}
	emitted := s.aws.Emitted()
	return []line{
		{
			figure: fmt.Sprintf("%d executions at %d per second, %s, wrong at the end", executions, truthStarts, name),
			ours:   fmt.Sprint(wrongAtEnd), beside: fmt.Sprintf("lost: %d of %d events", emitted.Lost, emitted.Lost+emitted.Published-emitted.Duplicated),
			ratio: fmt.Sprintf("all right %v after the last end", s.marked.Sub(s.latest).Round(time.Second)), target: "0", verdict: verdict(wrongAtEnd == 0),
		},
		{
			figure: "time for which a reported status is wrong: mean, p99, longest",
			ours:   fmt.Sprintf("%.3g, %.3g, %.3g s", sum/float64(executions), percentile(seconds, 99), percentile(seconds, 100)),
			beside: fmt.Sprintf("repairs: %.0f", s.sum("statuscache_audit_repairs_total")), ratio: "–", target: "–", verdict: "–",
		},
		{
			figure: "calls to Step Functions per execution", ours: short(each),
			beside: fmt.Sprintf("describe: %.0f, list: %.0f", describes, calls-describes), ratio: "–", target: target, verdict: verdictOfCalls,
		},
		s.accounts(),
	}
}

// accounts compares the outcomes of the deliveries with their number.
func (s *simulation) accounts() line {
	counted, received := s.sum("statuscache_events_total"), float64(s.queue.Deliveries())
	return line{
		figure: "outcomes of deliveries", ours: fmt.Sprintf("%.0f", counted),
		beside: fmt.Sprintf("delivered: %.0f", received), ratio: "–", target: "equal", verdict: verdict(counted == received),
	}
}

func (s *simulation) sum(counter string) (sum float64) {
	for name, n := range s.last {
		if strings.HasPrefix(name, counter+"{") {
			sum += n
		}
	}
	return sum
}
