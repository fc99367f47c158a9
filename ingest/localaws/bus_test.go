package localaws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// onBus is a stand-in with a rule r for all events of aws.states. Two queues let the rule send:
// its target q, and dead, for events that q does not accept.
type onBus struct {
	*testing.T
	*Server
	q, dead *Queue
}

func newOnBus(t *testing.T) *onBus {
	t.Helper()
	b := &onBus{T: t, Server: New()}
	permit := map[string]string{"Policy": `{"Statement":` + allow(":q", ":*") + `}`}
	b.q, b.dead = b.CreateQueue("q", permit), b.CreateQueue("dead", permit)
	b.call("PutRule", `{"Name":"r","EventPattern":"{\"source\":[\"aws.states\"]}"}`)
	b.call("PutTargets", `{"Rule":"r","Targets":[{"Id":"q","Arn":"`+b.q.ARN()+`","DeadLetterConfig":{"Arn":"`+b.dead.ARN()+`"}}]}`)
	return b
}

// ask returns the answer to a call of EventBridge and the code of its error.
func (b *onBus) ask(action, body string) (answer map[string]any, code string) {
	b.Helper()
	w := postTo(b.Server, "AWSEvents."+action, strings.NewReader(body))
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		b.Fatalf("%s: %v", action, err)
	}
	kind, _ := answer["__type"].(string)
	_, code, _ = strings.Cut(kind, "#")
	return answer, code
}

// call is ask for a call that must succeed.
func (b *onBus) call(action, body string) map[string]any {
	b.Helper()
	answer, code := b.ask(action, body)
	if code != "" {
		b.Fatalf("%s %s: %v", action, body, answer)
	}
	return answer
}

func (b *onBus) want(stats BusStats, q, dead int) {
	b.Helper()
	if got := b.BusStats(); got != stats {
		b.Errorf("counted %+v, want %+v", got, stats)
	}
	if b.q.Depth().Total() != q || b.dead.Depth().Total() != dead {
		b.Errorf("%d in the queue and %d dead letters, want %d and %d", b.q.Depth().Total(), b.dead.Depth().Total(), q, dead)
	}
}

// eventAt is an event of aws.states.
func eventAt(id string, at time.Time) []byte {
	return fmt.Appendf(nil, `{"version": "0", "id": %q, "source": "aws.states", "time": %q, "detail": {"n": 1.50}}`, id, at.UTC().Format(time.RFC3339))
}

func TestPublish(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	b.Publish(eventAt("1", time.Unix(0, 0)))
	b.Publish([]byte(`{"source":"other","time":"2026-01-26T08:00:42Z"}`))
	for _, malformed := range []string{``, `{`, `7`, `[]`, `{}`, `{"time":"yesterday"}`, `{"time":7}`} {
		b.Publish([]byte(malformed))
	}
	b.want(BusStats{Published: 9, Malformed: 7, Matched: 1, Delivered: 1}, 1, 0)
	got := b.q.receive(t.Context(), 1, 0, 0)[0].body
	if want := `{"version":"0","id":"1","source":"aws.states","time":"1970-01-01T00:00:00Z","detail":{"n":1.50}}`; got != want {
		t.Errorf("delivered %s", got)
	}
	b.call("DisableRule", `{"Name":"r"}`)
	b.Publish(eventAt("2", time.Unix(0, 0)))
	b.want(BusStats{Published: 10, Malformed: 7, Matched: 1, Delivered: 1}, 1, 0)
}

// An event that a target does not accept goes to its dead-letter queue with the reason.
func TestDeadLettersOfTargets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil   func(*onBus)
		code    string
		retries string
	}{
		"no policy":            {func(b *onBus) { b.setQueue(b.q, "Policy", "") }, "NO_PERMISSIONS", "0"},
		"policy of another":    {func(b *onBus) { b.setQueue(b.q, "Policy", `{"Statement":`+allow("rule/r", "rule/s")+`}`) }, "NO_PERMISSIONS", "0"},
		"no queue":             {func(b *onBus) { post(b.Server, "DeleteQueue", strings.NewReader(`{"QueueUrl":"/000000000000/q"}`)) }, "NO_RESOURCE", "0"},
		"the queue is failing": {func(b *onBus) { b.SetFaults(Faults{FailDelivery: func(arn string) bool { return arn == b.q.ARN() }}) }, "THROTTLING", "185"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newOnBus(t)
			test.spoil(b)
			b.Publish(eventAt("1", time.Unix(0, 0)))
			b.want(BusStats{Published: 1, Matched: 1, DeadLettered: 1}, 0, 1)
			got := map[string]string{}
			for name, a := range b.dead.receive(t.Context(), 1, 0, 0)[0].attributes {
				got[name] = a.StringValue
			}
			if got["ERROR_MESSAGE"] == "" || test.retries != "0" && got["EXHAUSTED_RETRY_CONDITION"] != "MaximumRetryAttempts" {
				t.Errorf("attributes: %v", got)
			}
			delete(got, "ERROR_MESSAGE")
			delete(got, "EXHAUSTED_RETRY_CONDITION")
			if want := map[string]string{
				"RULE_ARN": eventsARN + "rule/r", "TARGET_ARN": b.q.ARN(), "ERROR_CODE": test.code, "RETRY_ATTEMPTS": test.retries,
			}; !maps.Equal(got, want) {
				t.Errorf("attributes: %v, want %v", got, want)
			}
			b.setQueue(b.dead, "Policy", "")
			b.Publish(eventAt("2", time.Unix(0, 0)))
			b.want(BusStats{Published: 2, Matched: 2, DeadLettered: 1, Dropped: 1}, 0, 1)
		})
	}
}

func (b *onBus) setQueue(q *Queue, attribute, value string) {
	b.Helper()
	if err := b.set(q, map[string]string{attribute: value}); err != nil {
		b.Fatal(err)
	}
}

func TestNewRulesMatchLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newOnBus(t)
		b.SetDelays(Delays{NewRule: time.Minute})
		b.call("DisableRule", `{"Name":"r"}`)
		b.call("EnableRule", `{"Name":"r"}`)
		pass(time.Minute - 1)
		b.Publish(eventAt("1", time.Now()))
		pass(1)
		b.Publish(eventAt("2", time.Now()))
		b.want(BusStats{Published: 2, Matched: 1, Delivered: 1}, 1, 0)
	})
}

func TestBusErrorsOnTheWire(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	archive := `"EventSourceArn":"` + busARN(defaultBus) + `"`
	b.call("CreateArchive", `{"ArchiveName":"a",`+archive+`}`)
	target := func(more string) string {
		return `{"Rule":"r","Targets":[{"Id":"t","Arn":"` + b.q.ARN() + `"` + more + `}]}`
	}
	replay := `{"ReplayName":"x","EventSourceArn":"` + eventsARN + `archive/a","EventStartTime":1,"EventEndTime":2,"Destination":{"Arn":"` + busARN(defaultBus) + `"`
	for _, test := range []struct{ action, body, code string }{
		{"PutRule", `{"Name":"a b","EventPattern":"{\"a\":[1]}"}`, "ValidationException"},
		{"PutRule", `{"Name":"s"}`, "ValidationException"},
		{"PutRule", `{"Name":"s","ScheduleExpression":"rate(1 minute)"}`, "ValidationException"},
		{"PutRule", `{"Name":"s","EventPattern":"{}"}`, "InvalidEventPatternException"},
		{"PutRule", `{"Name":"s","EventPattern":"{\"a\":[1]}","State":"ON"}`, "ValidationException"},
		{"PutRule", `{"Name":"s","EventPattern":"{\"a\":[1]}","EventBusName":"mine"}`, "ResourceNotFoundException"},
		{"DescribeRule", `{"Name":"none"}`, "ResourceNotFoundException"},
		{"EnableRule", `{"Name":"none"}`, "ResourceNotFoundException"},
		{"DeleteRule", `{"Name":"r"}`, "ValidationException"},
		{"DeleteRule", `{"Name":"none"}`, ""},
		{"PutTargets", `{"Rule":"none"}`, "ResourceNotFoundException"},
		{"PutTargets", `{"Rule":"r","Targets":[]}`, "ValidationException"},
		{"PutTargets", `{"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:lambda:x"}]}`, "ValidationException"},
		{"PutTargets", target(`,"DeadLetterConfig":{"Arn":"x"}`), "ValidationException"},
		{"PutTargets", target(`,"RetryPolicy":{"MaximumRetryAttempts":186}`), "ValidationException"},
		{"PutTargets", target(`,"RetryPolicy":{"MaximumEventAgeInSeconds":59}`), "ValidationException"},
		{"PutTargets", target(`,"RetryPolicy":{"MaximumEventAgeInSeconds":60,"MaximumRetryAttempts":0}`), ""},
		{"PutTargets", `{"Rule":"r","Targets":[` + manyTargets(b.q, 6) + `]}`, "LimitExceededException"},
		{"PutEvents", `{"Entries":[]}`, "ValidationException"},
		{"PutEvents", `{"Entries":[` + strings.Repeat(`{},`, 10) + `{}]}`, "ValidationException"},
		{"PutEvents", `{"Entries":[{"Detail":"` + strings.Repeat("a", maxPutEvents+1) + `"}]}`, "ValidationException"},
		{"TestEventPattern", `{"EventPattern":"{","Event":"{}"}`, "InvalidEventPatternException"},
		{"TestEventPattern", `{"EventPattern":"{\"a\":[1]}","Event":"["}`, "ValidationException"},
		{"CreateArchive", `{"ArchiveName":"a",` + archive + `}`, "ResourceAlreadyExistsException"},
		{"CreateArchive", `{"ArchiveName":"b","EventSourceArn":"x"}`, "ResourceNotFoundException"},
		{"CreateArchive", `{"ArchiveName":"b",` + archive + `,"EventPattern":"7"}`, "InvalidEventPatternException"},
		{"UpdateArchive", `{"ArchiveName":"a","RetentionDays":-1}`, "ValidationException"},
		{"DeleteArchive", `{"ArchiveName":"none"}`, "ResourceNotFoundException"},
		{"StartReplay", strings.Replace(replay, "archive/a", "archive/b", 1) + `}}`, "ResourceNotFoundException"},
		{"StartReplay", strings.Replace(replay, `Time":2`, `Time":1`, 1) + `}}`, "ValidationException"},
		{"StartReplay", strings.Replace(replay, "event-bus/", "event-bus/x", 1) + `}}`, "ValidationException"},
		{"StartReplay", replay + `,"FilterArns":["` + eventsARN + `rule/none"]}}`, "ResourceNotFoundException"},
		{"CancelReplay", `{"ReplayName":"none"}`, "ResourceNotFoundException"},
		{"PutPermission", `{}`, "UnsupportedOperation"},
	} {
		if answer, code := b.ask(test.action, test.body); code != test.code {
			t.Errorf("%s %.100s: %v, want %s", test.action, test.body, answer, test.code)
		}
	}
}

func manyTargets(q *Queue, n int) string {
	var targets []string
	for i := range n {
		targets = append(targets, fmt.Sprintf(`{"Id":"%d","Arn":%q}`, i, q.ARN()))
	}
	return strings.Join(targets, ",")
}

func TestEntriesThatFail(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	got := b.call("PutEvents", `{"Entries":[{"Source":"aws.states","DetailType":"t","Detail":"{}"},{"Source":"mine","DetailType":"t","Detail":"[]"}]}`)
	var codes []any
	for _, e := range got["Entries"].([]any) {
		codes = append(codes, e.(map[string]any)["ErrorCode"])
	}
	if !slices.Equal(codes, []any{"NotAuthorizedForSourceException", "MalformedDetail"}) || got["FailedEntryCount"] != 2.0 {
		t.Errorf("entries: %v", got)
	}
	got = b.call("PutTargets", `{"Rule":"r","Targets":[{"Id":"t","Arn":"`+b.q.ARN()+`","InputPath":"$.detail"}]}`)
	if failed := got["FailedEntries"].([]any); got["FailedEntryCount"] != 1.0 || failed[0].(map[string]any)["TargetId"] != "t" {
		t.Errorf("targets: %v", got)
	}
}

func TestFaultsOfBus(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	b.SetFaults(Faults{Refuse: func(action string) error {
		if action == "PutRule" {
			return &Error{Code: "AccessDeniedException", Message: "not you"}
		}
		return errors.New("no")
	}})
	if _, code := b.ask("PutRule", `{}`); code != "AccessDeniedException" {
		t.Errorf("refused with %s", code)
	}
}
