package httpapi

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/intake"
)

// TestTheTrailIsForOperators, and shows each observation with its result.
func TestTheTrailIsForOperators(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "x", "ada")
	inMap := e
	inMap.ARN = cache.ARN(strings.Replace(string(e.ARN), ":Pipeline:", ":Pipeline/Map:", 1))
	ended := finished(e, "1")
	ended.EventID = "591912a6-f82a-87e0-977f-82682157651c"
	s.apply(e)
	s.apply(ended, inMap)
	s.apply(e)
	operator := s.key("ops", scope(apikeys.ScopeReadAll))
	trail := func(text string) string { return "/v1/executions/" + text + "/trail" }
	for name, test := range map[string]struct {
		target, token string
		want          int
		says          string
	}{
		"raw":                {trail(string(e.ARN)), operator, 200, `"status":"SUCCEEDED","attempt":1,"changed":true,"verdict":"applied"`},
		"encoded":            {trail(url.QueryEscape(string(e.ARN))), operator, 200, `"eventId":"591912a6-f82a-87e0-977f-82682157651c"`},
		"what came too late": {trail(string(e.ARN)), operator, 200, `"status":"RUNNING","attempt":1,"changed":false,"verdict":"superseded"`},
		"with a slash":       {trail(string(inMap.ARN)), operator, 200, "Pipeline/Map"},
		"and one encoded":    {trail(url.QueryEscape(string(inMap.ARN))), operator, 200, "Pipeline/Map"},
		"its owner":          {trail(string(e.ARN)), s.key("ada"), 403, "read:all"},
		"unknown":            {trail(machine + "unknown"), operator, 404, "is not known"},
		"unknown, its owner": {trail(machine + "unknown"), s.key("ada"), 403, "read:all"},
		"not an ARN":         {trail("x"), operator, 400, "executionArn"},
		"encoded twice":      {trail(strings.ReplaceAll(string(e.ARN), ":", "%253A")), operator, 400, "executionArn"},
		"without a token":    {trail(string(e.ARN)), "", 401, ""},
		"another path":       {"/v1/executions/" + string(e.ARN), operator, 404, "nothing at this path"},
	} {
		got := s.ask("GET", test.target, test.token)
		if got.status != test.want || !strings.Contains(got.body, test.says) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if head := s.ask("HEAD", test.target, test.token); head.status != test.want || head.body != "" {
			t.Errorf("%s: HEAD: %+v", name, head)
		}
	}
	if got := s.ask("POST", trail(string(e.ARN)), operator); got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %+v", got)
	}
}

// failed is the end of an execution a minute ago, with an error.
func failed(t testing.TB, name, owner, message string) cache.Execution {
	e := succeeded(t, name, owner, "")
	e.Status, e.Output, e.Error, e.ErrorMessage = cache.Failed, nil, "States.Timeout", "States.Timeout: "+message
	return e
}

// TestReportsAnswerWithWhatWasCounted: operators get the figures of all owners, and owners get
// their own.
func TestReportsAnswerWithWhatWasCounted(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) {
		o.Intake = reported{
			ages: &intake.Ages{P50: 400 * time.Millisecond, P99: time.Second, Max: 3 * time.Second}, repairs: map[string]int64{stateMachine: 7},
		}
	})
	s.apply(succeeded(t, "a", "ada", "1"), succeeded(t, "b", "eve", "1"), running(t, "c", "ada"),
		failed(t, "d", "ada", "task 17 timed out"), failed(t, "e", "eve", "task 18 timed out"))
	operator, ada := s.key("ops", scope(apikeys.ScopeReadAll)), s.key("ada")
	machineOnly := "?stateMachineArn=" + url.QueryEscape(stateMachine)
	for target, says := range map[string][2]string{ // to the operator, and to ada
		"/v1/failures": {`"count":2,"share":1,`, `"count":1,"share":1,`},
		"/v1/failures" + machineOnly + "&window=1h": {`"bucketSeconds":300,"total":2,"other":0`, `"bucketSeconds":300,"total":1,"other":0`},
		"/v1/failures?window=7d":                    {`"bucketSeconds":43200`, `"total":1`},
		"/v1/durations":                             {`"stateMachineArn":"` + stateMachine + `","count":2,"p50":25`, `"count":1,`},
		"/v1/durations" + machineOnly:               {`"hours":[{"start":`, `"hours":[{"start":`},
		"/v1/durations" + machineOnly + "x":         {`"machines":[]`, `"machines":[]`},
		"/v1/overview":                              {`"counts":{"RUNNING":1,"SUCCEEDED":2,"FAILED":2}`, `"counts":{"RUNNING":1,"SUCCEEDED":1,"FAILED":1}`},
	} {
		for i, token := range []string{operator, ada} {
			var got answer
			cachetest.Eventually(t, target+" says "+says[i], func() bool { // what is counted may be a second late
				got = s.ask("GET", target, token)
				return got.status == 200 && strings.Contains(got.body, says[i])
			})
			head := s.ask("HEAD", target, token)
			same := s.ask("GET", target, token, header("If-None-Match", got.header.Get("ETag")))
			if head.status != 200 || head.body != "" || same.status != 304 || same.header.Get("ETag") != got.header.Get("ETag") {
				t.Errorf("%s: HEAD %d, again %d, %s", target, head.status, same.status, got.header.Get("ETag"))
			}
		}
	}
	got := s.ask("GET", "/v1/overview", ada)
	for _, says := range []string{`"repairs":7`, `"eventAge":{"p50":0.4,"p99":1,"max":3}`, `"service":{"status":`, `"confirmedUntil":null`} {
		if !strings.Contains(got.body, says) {
			t.Errorf("the overview lacks %s: %s", says, got.body)
		}
	}
}

// reported is what processes that receive events have reported.
type reported struct {
	queue   *intake.Queue
	ages    *intake.Ages
	repairs map[string]int64
}

func (r reported) Queue() *intake.Queue      { return r.queue }
func (r reported) Ages() *intake.Ages        { return r.ages }
func (r reported) Repairs() map[string]int64 { return r.repairs }

// TestOnlyOperatorsSeeTheQueue, even if nothing is known about it.
func TestOnlyOperatorsSeeTheQueue(t *testing.T) {
	t.Parallel()
	oldest, dead := 1500*time.Millisecond, int64(2)
	known := &intake.Queue{At: time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC), Depth: 41, Oldest: &oldest, DeadLetters: &dead}
	for says, r := range map[string]reported{
		`"queue":{"observedAt":"2026-02-10T12:00:00.000Z","depth":41,"oldestSeconds":1.5,"deadLetters":2}`: {queue: known},
		`"queue":{"observedAt":null,"depth":null,"oldestSeconds":null,"deadLetters":null}`:                 {},
	} {
		s := newService(t, func(o *Options) { o.Intake = r })
		if got := s.ask("GET", "/v1/overview", s.key("ops", scope(apikeys.ScopeReadAll))); !strings.Contains(got.body, says) {
			t.Errorf("an operator sees %s, not %s", got.body, says)
		}
		if got := s.ask("GET", "/v1/overview", s.key("ada")); got.status != 200 || strings.Contains(got.body, `"queue"`) {
			t.Errorf("an owner sees %d %s", got.status, got.body)
		}
	}
	s := newService(t)
	if got := s.ask("GET", "/v1/overview", s.key("ops", scope(apikeys.ScopeReadAll))); !strings.Contains(got.body, `"queue":{"observedAt":null`) {
		t.Errorf("without reports an operator sees %s", got.body)
	}
}

const stateMachine = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"

// TestWrongParametersOfReportsAreRefused with the name of the wrong parameter.
func TestWrongParametersOfReportsAreRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, registrar := s.key("ada"), s.key("ada", scope(apikeys.ScopeRegister))
	huge := strings.Repeat("x", 3000)
	for target, says := range map[string]string{
		"/v1/failures?window=2h":                          "window: must be 1h, 24h or 7d",
		"/v1/failures?window=":                            "window: ",
		"/v1/failures?window=" + huge:                     "window: ",
		"/v1/failures?window=1h&window=1h":                "window: given more than once",
		"/v1/failures?stateMachineArn=x":                  "stateMachineArn: ",
		"/v1/failures?stateMachineArn=":                   "stateMachineArn: ",
		"/v1/failures?stateMachineArn=" + huge:            "stateMachineArn: ",
		"/v1/failures?stateMachineArn=%00%0d%0aX":         "stateMachineArn: ",
		"/v1/failures?owner=eve":                          "owner: not known here",
		"/v1/failures?" + huge + "=1":                     "xxx…: not known here",
		"/v1/failures?%22%3Cscript%3E=1":                  `\"<script>: not known here`,
		"/v1/failures?window=%zz":                         "query: malformed",
		"/v1/durations?window=1h":                         "window: not known here",
		"/v1/durations?stateMachineArn=a&stateMachineArn": "stateMachineArn: given more than once",
		"/v1/overview?stateMachineArn=" + stateMachine:    "stateMachineArn: not known here",
		"/v1/overview?limit=10":                           "limit: not known here",
	} {
		if got := s.ask("GET", target, ada); got.status != 400 || !strings.Contains(got.body, says) {
			t.Errorf("%.80s: %d %.300s", target, got.status, got.body)
		}
	}
	for _, path := range []string{"/v1/failures", "/v1/durations", "/v1/overview"} {
		for method, want := range map[string]int{"POST": 405, "GET": 403} {
			if got := s.ask(method, path, registrar); got.status != want {
				t.Errorf("%s %s: %d", method, path, got.status)
			}
		}
		if got := s.ask("GET", path, ""); got.status != 401 {
			t.Errorf("%s without a token: %d", path, got.status)
		}
	}
}

// TestTheOverviewIsFollowed: each change is sent, and nothing while there is none.
func TestTheOverviewIsFollowed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	streams := []*streamed{s.open(asIs, "/v1/overview", ada), s.open(asIs, "/v1/overview", ada)}
	for i := range 2 {
		s.apply(running(t, fmt.Sprint("x", i), "ada"), running(t, fmt.Sprint("y", i), "eve"))
		for _, stream := range streams {
			want, got := fmt.Sprintf(`"counts":{"RUNNING":%d,`, i+1), ""
			for !strings.Contains(got, want) {
				if got = stream.next(); !strings.HasPrefix(got, "event: overview\ndata: {\"observedAt\":") {
					t.Fatalf("%q instead of %s", got, want)
				}
			}
		}
	}
	s.waiters.Close()
	for _, stream := range streams {
		for stream.next() != "" {
		}
	}
}

// TestTheStreamOfAnOverviewEndsWhenRedisIsAway: heartbeats alone would suggest that nothing has
// changed, although nothing is known.
func TestTheStreamOfAnOverviewEndsWhenRedisIsAway(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "stops a Redis")
	s := newHastyService(t)
	stream := s.open(asIs, "/v1/overview", s.key("ada"))
	if got := stream.next(); !strings.HasPrefix(got, "event: overview\n") {
		t.Fatalf("%q", got)
	}
	s.redis.Freeze()
	defer s.redis.Thaw()
	for stream.next() != "" {
	}
}
