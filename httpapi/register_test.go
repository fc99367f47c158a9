package httpapi

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// TestRegistrationForAnotherStateMachine is refused: its events are ignored, so the
// execution would be reported as RUNNING for ever.
func TestRegistrationForAnotherStateMachine(t *testing.T) {
	t.Parallel()
	const others = "arn:aws:states:eu-west-1:123456789012:execution:Other:"
	ours := strings.TrimSuffix(strings.Replace(machine, ":execution:", ":stateMachine:", 1), ":")
	for name, c := range map[string]struct {
		machines []string
		arn      string
		status   int
	}{
		"ours":               {[]string{ours}, machine + "x", 201},
		"a Map child of it":  {[]string{ours}, strings.TrimSuffix(machine, ":") + "/Map:x", 201},
		"not ours":           {[]string{ours}, others + "x", 400},
		"one that begins so": {[]string{ours}, strings.TrimSuffix(machine, ":") + "2:x", 400},
		"all are ours":       {nil, others + "x", 201},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, func(o *Options) { o.StateMachines = c.machines })
			generate := s.key("generate", func(k *apikeys.Key) { k.Scope = apikeys.ScopeRegister })
			got := s.ask("POST", "/v1/executions", generate, jsonBody(fmt.Sprintf(`{"executionArn":%q,"owner":"ada"}`, c.arn)))
			if got.status != c.status {
				t.Errorf("%d %s", got.status, got.body)
			}
			if c.status == 400 && (!strings.Contains(got.body, "ValidationError") || !strings.Contains(got.body, "STATE_MACHINES")) {
				t.Errorf("it does not say why: %s", got.body)
			}
		})
	}
}

// TestRegistrationThatNobodyCouldUse: it is refused if the end of the execution would never be
// known, or if no token can have the owner.
func TestRegistrationThatNobodyCouldUse(t *testing.T) {
	t.Parallel()
	s := newService(t)
	generate := s.key("generate", scope(apikeys.ScopeRegister))
	express := strings.Replace(machine, ":execution:", ":express:", 1)
	for _, c := range []struct {
		arn, owner string
		status     int
		says       string
	}{
		{express + "x:3f0a6c1e", "ada", 400, "Express state machines send no events"},
		{strings.TrimSuffix(express, ":") + "/Map:x:3f0a6c1e", "ada", 201, ""}, // children of a Distributed Map do
		{machine + "x", " ada", 400, "owner: "},
		{machine + "x", "ada\u00a0", 400, "owner: "},
		{machine + "x", "ada lovelace", 201, ""},
	} {
		got := s.ask("POST", "/v1/executions", generate, jsonBody(`{"executionArn":"`+c.arn+`","owner":"`+c.owner+`"}`))
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s of %q: %d %s", c.arn, c.owner, got.status, got.body)
		}
	}
}

// TestRegisteredLabels are shown in the full view, and wrong ones are refused by name.
func TestRegisteredLabels(t *testing.T) {
	t.Parallel()
	s := newService(t)
	generate, ada := s.key("generate", scope(apikeys.ScopeRegister)), s.key("ada")
	register := func(name, labels string) answer {
		return s.ask("POST", "/v1/executions", generate, jsonBody(fmt.Sprintf(`{"executionArn":%q,"owner":"ada","labels":%s}`, machine+name, labels)))
	}
	for i, test := range []struct{ labels, shown string }{
		{`{"ruleset":"r1","customer":42}`, `,"labels":{"customer":"42","ruleset":"r1"}`},
		{`{"n":1.50e3,"s":"\"ö\""}`, `,"labels":{"n":"1.50e3","s":"\"ö\""}`},
		{`{}`, ""}, {`null`, ""},
		{`{"a":"` + strings.Repeat("x", 128) + `"}`, `,"labels":{"a":"` + strings.Repeat("x", 128) + `"}`},
	} {
		name := fmt.Sprint("labels-", i)
		got, again := register(name, test.labels), register(name, test.labels)
		if got.status != 201 || again.status != 200 || !strings.HasSuffix(got.body, `"owner":"ada"`+test.shown+`}}`) {
			t.Errorf("%s: %+v, then %d", test.labels, got, again.status)
		}
		if full := s.ask("GET", statusPath+machine+name+"?view=full", ada); !strings.HasSuffix(full.body, `-0"`+test.shown+`}}`) {
			t.Errorf("%s: shown as %s", test.labels, full.body)
		}
	}
	for labels, named := range map[string]string{
		`[]`: "labels", `"a"`: "labels", `{"a":1,"b":1,"c":1,"d":1,"e":1}`: "labels: ", `{"a b":1}`: "labels: ", `{"":1}`: "labels: ",
		`{"a:b":1}`: "labels: ", `{"` + strings.Repeat("x", 65) + `":1}`: "labels: ",
		`{"a":null}`: "labels.a: ", `{"a":true}`: "labels.a: ", `{"a":{}}`: "labels.a: ", `{"ok":1,"a":["x"]}`: "labels.a: ", `{"a":""}`: "labels.a: ",
		`{"a":"` + strings.Repeat("x", 129) + `"}`: "labels.a: ", `{"a":"\u0000"}`: "labels.a: ", `{"a":1` + strings.Repeat("0", 128) + `}`: "labels.a: ",
	} {
		if got := register("refused", labels); got.status != 400 || !strings.Contains(got.body, `"message":"`+named) {
			t.Errorf("%.50s: %+v", labels, got)
		}
	}
	if got := register("refused", `{"a":1,"a":2}`); got.status != 400 {
		t.Errorf("a label twice: %+v", got)
	}
}

// TestARegistrationThatIsNotConfirmedMayBeSentAgain: writes need a replica that is not there,
// so the registration is stored but not confirmed. The answer says what to do, and this
// succeeds as soon as the replica is there.
func TestARegistrationThatIsNotConfirmedMayBeSentAgain(t *testing.T) {
	cachetest.SkipShort(t, "Redis with a replica")
	t.Parallel()
	redis := cachetest.Redis(t)
	strict, err := cache.Open(cache.Options{
		URL: redis.URL(), Prefix: "sc", ReplicaAcks: 1, Retention: time.Hour,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), ReadLimit: redisLimit, WriteLimit: redisLimit,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = strict.Close() })
	s := newServiceOn(t, redis.URL(), func(o *Options) { o.Cache = strict })
	generate := s.key("generate", scope(apikeys.ScopeRegister))
	register := func(owner string) answer {
		return s.askOnce("POST", "/v1/executions", generate, jsonBody(fmt.Sprintf(`{"executionArn":%q,"owner":%q}`, machine+"x", owner)))
	}
	cachetest.Eventually(t, "the registration is stored, which is the control", func() bool {
		got := register("ada")
		if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "it is safe to send the same registration again") {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
		_, err := s.cache.Get(t.Context(), arn(t, "x"))
		return err == nil
	})
	host, port, _ := net.SplitHostPort(redis.Addr)
	cachetest.Redis(t, "--replicaof", host, port)
	var again answer
	cachetest.Eventually(t, "the same again is confirmed", func() bool {
		again = register("ada")
		return again.status != 503
	})
	if again.status != 200 { // 201 would say that it was not stored
		t.Errorf("the same again: %d %s", again.status, again.body)
	}
	if got := register("eve"); got.status != 409 {
		t.Errorf("another owner: %d %s", got.status, got.body)
	}
}
