package localaws

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache/cachetest"
)

// Events are published while rules, policies and archives change and replays run. Each event is
// counted, and none is both delivered and lost.
func TestBusIsUsedConcurrently(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	b.call("CreateArchive", `{"ArchiveName":"a","EventSourceArn":"`+busARN(defaultBus)+`"}`)
	b.Publish(eventAt("first", time.Now()))
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 20 {
				b.Publish(eventAt(fmt.Sprint(worker, i), time.Now()))
				b.ask("DisableRule", `{"Name":"r"}`)
				b.ask("EnableRule", `{"Name":"r"}`)
				b.start(fmt.Sprintf("x%d.%d", worker, i), "")
				b.ask("CancelReplay", fmt.Sprintf(`{"ReplayName":"x%d.%d"}`, worker, i))
			}
		})
	}
	group.Wait()
	cachetest.Eventually(t, "the replays have ended", func() bool {
		running := b.call("ListReplays", `{"State":"RUNNING"}`)["Replays"].([]any)
		cancelling := b.call("ListReplays", `{"State":"CANCELLING"}`)["Replays"].([]any)
		starting := b.call("ListReplays", `{"State":"STARTING"}`)["Replays"].([]any)
		return len(running)+len(cancelling)+len(starting) == 0
	})
	got := b.BusStats()
	if got.Published < 81 || got.Matched != got.Delivered || int64(b.q.Depth().Total()) != got.Delivered {
		t.Errorf("counted %+v with %+v", got, b.q.Depth())
	}
	if archived := b.call("DescribeArchive", `{"ArchiveName":"a"}`)["EventCount"]; archived != 81.0 {
		t.Errorf("%v events are archived, want 81", archived)
	}
}

// FuzzBus sends malformed requests: the answer is always a result or a client error, in JSON.
func FuzzBus(f *testing.F) {
	for _, seed := range [][2]string{
		{"ListRuleNamesByTarget", `{"TargetArn":"arn:aws:sqs:eu-west-1:000000000000:q","EventBusName":"default"}`},
		{"CreateEventBus", `{"Name":"hub"}`},
		{"DeleteEventBus", `{"Name":"hub"}`},
		{"ListEventBuses", `{"NamePrefix":"h"}`},
		{"PutRule", `{"Name":"r","EventPattern":"{\"source\":[{\"prefix\":\"a\"}]}","State":"DISABLED"}`},
		{"DescribeRule", `{"Name":"r"}`},
		{"ListRules", `{"NamePrefix":"r"}`},
		{"DeleteRule", `{"Name":"r","EventBusName":"default"}`},
		{"PutTargets", `{"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:sqs:eu-west-1:000000000000:q","RetryPolicy":{"MaximumRetryAttempts":3}}]}`},
		{"RemoveTargets", `{"Rule":"r","Ids":["q"]}`},
		{"ListTargetsByRule", `{"Rule":"r"}`},
		{"PutEvents", `{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Time":1e300,"Resources":["x"]}]}`},
		{"TestEventPattern", `{"EventPattern":"{\"a\":[1]}","Event":"{\"a\":1}"}`},
		{"CreateArchive", `{"ArchiveName":"b","EventSourceArn":"arn:aws:events:eu-west-1:000000000000:event-bus/default","RetentionDays":99999999}`},
		{"UpdateArchive", `{"ArchiveName":"a","Description":"x"}`},
		{"ListArchives", `{}`},
		{"StartReplay", `{"ReplayName":"x","EventSourceArn":"arn:aws:events:eu-west-1:000000000000:archive/a","EventStartTime":-1e300,"EventEndTime":1e300,"Destination":{"Arn":"arn:aws:events:eu-west-1:000000000000:event-bus/default"}}`},
		{"DescribeReplay", `{"ReplayName":"x"}`},
		{"ListReplays", `{"NamePrefix":"x"}`},
		{"CancelReplay", `{"ReplayName":"x"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, action, body string) {
		b := newOnBus(t)
		b.Shutdown()
		b.call("CreateArchive", `{"ArchiveName":"a","EventSourceArn":"`+busARN(defaultBus)+`"}`)
		got := postTo(b.Server, "AWSEvents."+action, strings.NewReader(body))
		if got.Code != http.StatusOK && got.Code != http.StatusBadRequest {
			t.Errorf("status %d: %s", got.Code, got.Body)
		}
		if !jsontext.Value(got.Body.Bytes()).IsValid() {
			t.Errorf("not JSON: %q", got.Body)
		}
		b.Publish([]byte(body))
		b.Publish(eventAt("1", time.Now()))
	})
}
