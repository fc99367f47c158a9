package localaws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/ingest/internal/eventpattern"
)

// withArchive creates an archive a with five events, one every 30 s.
func withArchive(t *testing.T) (b *onBus, start time.Time) {
	t.Helper()
	b = newOnBus(t)
	b.call("CreateArchive", `{"ArchiveName":"a","EventSourceArn":"`+busARN(defaultBus)+`","RetentionDays":1}`)
	start = time.Now().Truncate(time.Minute)
	for i := range 5 {
		b.Publish(eventAt(fmt.Sprint(i), start.Add(time.Duration(i)*30*time.Second)))
	}
	b.q.purge()
	return b, start
}

// start starts a replay of all archived events.
func (b *onBus) start(name, more string) (code string) {
	b.Helper()
	_, code = b.ask("StartReplay", fmt.Sprintf(
		`{"ReplayName":%q,"EventSourceArn":"%sarchive/a","EventStartTime":0,"EventEndTime":32503680000,"Destination":{"Arn":%q%s}}`,
		name, eventsARN, busARN(defaultBus), more))
	return code
}

// state is that of the replay x.
func (b *onBus) state() any {
	b.Helper()
	return b.call("DescribeReplay", `{"ReplayName":"x"}`)["State"]
}

func TestReplayRunsOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, start := withArchive(t)
		b.SetDelays(Delays{ReplayedMinute: time.Second})
		if code := b.start("x", ""); code != "" {
			t.Fatal(code)
		}
		for i, want := range []struct {
			state  string
			events int
		}{{replayStarting, 0}, {replayRunning, 2}, {replayRunning, 4}, {replayCompleted, 5}} {
			synctest.Wait()
			if got := b.q.Depth().Total(); b.state() != want.state || got != want.events {
				t.Errorf("after %d s: %v with %d events, want %v", i, b.state(), got, want)
			}
			pass(time.Second)
		}
		last := b.call("DescribeReplay", `{"ReplayName":"x"}`)["EventLastReplayedTime"]
		if want := float64(start.Add(2 * time.Minute).Unix()); last != want {
			t.Errorf("replayed until %v, want %v", last, want)
		}
		if got := b.call("DescribeArchive", `{"ArchiveName":"a"}`)["EventCount"]; got != 5.0 {
			t.Errorf("%v events are archived: replayed ones again", got)
		}
		var seen []string
		for _, d := range b.q.receive(t.Context(), 10, time.Minute, 0) {
			e, err := eventpattern.Parse([]byte(d.body))
			if err != nil || e.(map[string]any)["replay-name"] != "x" {
				t.Errorf("replayed %s: %v", d.body, err)
			}
			seen = append(seen, e.(map[string]any)["id"].(string))
		}
		if slices.Sort(seen); strings.Join(seen, "") != "01234" {
			t.Errorf("replayed %v", seen)
		}
	})
}

func TestReplayIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := withArchive(t)
		b.SetDelays(Delays{ReplayedMinute: time.Hour})
		b.start("x", "")
		pass(90 * time.Minute)
		if got := b.call("CancelReplay", `{"ReplayName":"x"}`)["State"]; got != replayCancelling {
			t.Errorf("cancelling is %v", got)
		}
		synctest.Wait()
		if b.state() != replayCancelled || b.q.Depth().Total() != 2 {
			t.Errorf("%v with %+v", b.state(), b.q.Depth())
		}
		if _, code := b.ask("CancelReplay", `{"ReplayName":"x"}`); code != "IllegalStatusException" {
			t.Errorf("cancelled again: %q", code)
		}
		if code := b.start("x", ""); code != "ResourceAlreadyExistsException" {
			t.Errorf("the name again: %q", code)
		}
	})
}

func TestReplaysEndWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := withArchive(t)
		b.SetDelays(Delays{ReplayedMinute: time.Hour})
		for i := range maxActiveReplays {
			b.start(fmt.Sprint(i), "")
		}
		if code := b.start("eleventh", ""); code != "LimitExceededException" {
			t.Errorf("the eleventh: %q", code)
		}
		b.Shutdown()
		synctest.Wait()
		if got := b.call("ListReplays", `{"State":"FAILED"}`)["Replays"].([]any); len(got) != maxActiveReplays {
			t.Errorf("%d replays ended", len(got))
		}
	})
}

// Only the rules that a replay names match its events.
func TestReplayForSomeRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := withArchive(t)
		other := b.CreateQueue("other", map[string]string{"Policy": `{"Statement":` + allow(":q", ":*", "rule/r", "rule/*") + `}`})
		b.call("PutRule", `{"Name":"other","EventPattern":"{\"source\":[{\"exists\":true}]}"}`)
		b.call("PutTargets", `{"Rule":"other","Targets":[{"Id":"t","Arn":"`+other.ARN()+`"}]}`)
		b.start("one", `,"FilterArns":["`+eventsARN+`rule/r"]`)
		synctest.Wait()
		if b.q.Depth().Total() != 5 || other.Depth().Total() != 0 {
			t.Errorf("named %+v, other %+v", b.q.Depth(), other.Depth())
		}
		b.start("all", "")
		synctest.Wait()
		if b.q.Depth().Total() != 10 || other.Depth().Total() != 5 {
			t.Errorf("with all rules: %+v, other %+v", b.q.Depth(), other.Depth())
		}
	})
}

func TestArchivesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := withArchive(t)
		pass(25 * time.Hour)
		if got := b.call("DescribeArchive", `{"ArchiveName":"a"}`); got["EventCount"] != 0.0 || got["SizeBytes"] != 0.0 {
			t.Errorf("after the retention: %v", got)
		}
		b.call("UpdateArchive", `{"ArchiveName":"a","RetentionDays":0}`)
		long := fmt.Appendf(nil, `{"source":"x","time":%q,"detail":%q}`, time.Now().UTC().Format(time.RFC3339), strings.Repeat("x", 1<<20))
		const complete = maxArchiveBytes>>20 - 1 // each is a little longer than 1 MiB
		e, err := readEvent(long)                // parsed only once, because reading 1 MiB takes longer than archiving it
		for range complete + 5 {
			for _, d := range b.bus.route(defaultBus, e, err, nil) {
				b.deliver(d)
			}
		}
		if got := b.call("DescribeArchive", `{"ArchiveName":"a"}`); got["EventCount"] != float64(complete) || got["SizeBytes"].(float64) > maxArchiveBytes {
			t.Errorf("when it is full: %v", got)
		}
	})
}
