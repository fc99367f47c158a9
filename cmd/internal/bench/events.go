package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	region       = "eu-west-1"
	account      = "123456789012"
	stateMachine = "arn:aws:states:" + region + ":" + account + ":stateMachine:CloudSigmaPipeline"
	arnPrefix    = "arn:aws:states:" + region + ":" + account + ":execution:CloudSigmaPipeline:"
	benchOwner   = "bench"
)

// happening is an execution whose events are sent.
type happening struct {
	name        string
	owner       string
	start, stop time.Time
}

// newHappening is one that ran until a moment ago.
func newHappening(owner string) happening {
	now := time.Now().Truncate(time.Millisecond)
	return happening{name: newID(), owner: owner, start: now.Add(-30 * time.Second), stop: now.Add(-time.Second)}
}

func (h happening) arn() string { return arnPrefix + h.name }

// running returns the message about the start.
func (h happening) running() string {
	return h.event("RUNNING", h.start, nil, nil, nil)
}

// succeeded returns the message about the end. It has size bytes, or as few as are possible.
func (h happening) succeeded(size int) string {
	shortest := h.event("SUCCEEDED", h.stop, h.stop.UnixMilli(), output(0), true)
	return h.event("SUCCEEDED", h.stop, h.stop.UnixMilli(), output(size-len(shortest)), true)
}

// event writes a message in the form of AWS, with the 18 keys that
// Step Functions gives a detail.
func (h happening) event(status string, at time.Time, stop, output, outputThere any) string {
	type object = map[string]any
	var outputDetails any
	if outputThere != nil {
		outputDetails = object{"included": outputThere}
	}
	input := fmt.Sprintf(`{"inputType":"url","tenantId":%q,"request":{"url":"https://example.com/report"}}`, h.owner)
	text, err := json.Marshal(object{
		"version": "0", "id": newID(), "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
		"account": account, "time": at.UTC().Format(time.RFC3339), "region": region, "resources": []string{h.arn()},
		"detail": object{
			"executionArn": h.arn(), "stateMachineArn": stateMachine, "name": h.name, "status": status,
			"startDate": h.start.UnixMilli(), "stopDate": stop,
			"input": input, "inputDetails": object{"included": true}, "output": output, "outputDetails": outputDetails,
			"stateMachineVersionArn": nil, "stateMachineAliasArn": nil,
			"redriveCount": 0, "redriveDate": nil, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": nil,
			"error": nil, "cause": nil,
		},
	})
	if err != nil {
		panic(err) // there is nothing in it that could not be encoded
	}
	return string(text)
}

// output returns an output that a pipeline might have. If possible, it makes an event longer by
// size bytes than an output of length 0 does. Quotes count twice, because an event has the output
// as a string.
func output(size int) string {
	const head, tail = `{"rules":[`, `],"metadata":{"inputType":"url","note":"`
	var b strings.Builder
	b.WriteString(head)
	left := size
	for i := 0; ; i++ {
		rule := fmt.Sprintf(`{"id":"%s","title":"Suspicious AssumeRole, variant %d","level":"high","rule":"logsource: product: aws, service: cloudtrail; detection: eventName: AssumeRole; condition: selection"}`, newID(), i)
		if i > 0 {
			rule = "," + rule
		}
		cost := len(rule) + strings.Count(rule, `"`)
		if cost > left {
			break
		}
		b.WriteString(rule)
		left -= cost
	}
	b.WriteString(tail)
	b.WriteString(words(max(left, 0)))
	b.WriteString(`"}}`)
	return b.String()
}

// words returns n bytes of text that means nothing.
func words(n int) string {
	text := strings.ToLower(rand.Text())
	for len(text) < n {
		text += " " + strings.ToLower(rand.Text()[:7]) + " of the network that was seen"
	}
	return text[:n]
}

// newID returns a UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
