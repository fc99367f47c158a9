package localaws

import "testing"

// TestABusSendsToAnother, like the bus of an account to a hub, but only once.
func TestABusSendsToAnother(t *testing.T) {
	t.Parallel()
	b := newOnBus(t)
	b.call("RemoveTargets", `{"Rule":"r","Ids":["q"]}`)
	for _, name := range []string{"hub", "other"} {
		b.call("CreateEventBus", `{"Name":"`+name+`"}`)
		b.call("PutRule", `{"Name":"r","EventBusName":"`+name+`","EventPattern":"{\"source\":[\"aws.states\"]}"}`)
	}
	b.call("PutTargets", `{"Rule":"r","Targets":[{"Id":"hub","Arn":"`+busARN("hub")+`"}]}`)
	b.call("PutTargets", `{"Rule":"r","EventBusName":"hub","Targets":[{"Id":"q","Arn":"`+b.q.ARN()+`"},{"Id":"o","Arn":"`+busARN("other")+`"}]}`)
	b.call("PutTargets", `{"Rule":"r","EventBusName":"other","Targets":[{"Id":"q","Arn":"`+b.q.ARN()+`"}]}`)
	b.set(b.q, map[string]string{"Policy": `{"Statement":` + allow(":q", ":*", "rule/r", "rule/hub/r") + `}`}) //nolint:errcheck // the message tells
	b.Publish([]byte(`{"source":"aws.states","time":"2026-01-01T00:00:00Z"}`))
	b.want(BusStats{Published: 2, Matched: 2, Delivered: 2, Dropped: 1}, 1, 0)
}
