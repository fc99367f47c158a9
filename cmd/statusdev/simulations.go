package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"statuscache/ingest/localaws"
)

// lives are the outcomes of executions, by their names in "simulate".
var lives = map[string]func(in input, attempt int) localaws.Ending{
	"succeeded": func(in input, _ int) localaws.Ending { return succeeds(in, between(3, 10), "") },
	"slow":      func(in input, _ int) localaws.Ending { return succeeds(in, between(15, 40), "") },
	"failed":    func(input, int) localaws.Ending { return fails(between(3, 10)) },
	// Two kinds of failures. Their messages vary, but each kind has one cause.
	"unreachable": func(input, int) localaws.Ending {
		return localaws.Ending{
			After: between(3, 6), Status: "FAILED", Error: "SourceUnreachable",
			Cause: fmt.Sprintf("the source answered 503 to %d of %d requests, last to '%s'", 1+mathrand.N(4), 5+mathrand.N(4), newID()),
		}
	},
	"throttled": func(input, int) localaws.Ending {
		return localaws.Ending{
			After: between(1, 3), Status: "FAILED", Error: "ModelThrottled",
			Cause: fmt.Sprintf("request %s: %d tokens are more than the %d of a minute", newID(), 40_000+mathrand.N(20_000), 40_000),
		}
	},
	"timed_out": func(input, int) localaws.Ending {
		return localaws.Ending{After: between(8, 10), Status: "TIMED_OUT"}
	},
	"redriven": func(in input, attempt int) localaws.Ending {
		if attempt > 0 {
			return succeeds(in, between(3, 4), "")
		}
		first := fails(between(3, 4))
		first.RedriveAfter = 2 * time.Second
		return first
	},
	// An event escapes the quotes of an output, which makes this output too large for an event.
	"oversize": func(in input, _ int) localaws.Ending {
		return succeeds(in, between(3, 10), strings.Repeat(`"condition: selection" `, 10_000))
	},
}

// plot implements localaws.Plot.
func plot(a localaws.Attempt) localaws.Ending {
	var in input
	_ = json.Unmarshal([]byte(a.Input), &in) // a life that does not exist is replaced by a random one
	life := lives[in.Life]
	if life == nil {
		life = lives[drawn()]
	}
	return life(in, a.RedriveCount)
}

// drawn returns the name of a random life.
func drawn() string {
	n := mathrand.N(100)
	for _, each := range lots {
		if n -= each.of100; n < 0 {
			return each.life
		}
	}
	return "succeeded"
}

// lots has how many of a hundred executions have each outcome. The others succeed.
var lots = []struct {
	life  string
	of100 int
}{{"slow", 5}, {"failed", 6}, {"unreachable", 5}, {"throttled", 3}, {"timed_out", 3}, {"redriven", 5}, {"oversize", 3}}

// fails is the way a Lambda function fails.
func fails(after time.Duration) localaws.Ending {
	return localaws.Ending{
		After: after, Status: "FAILED", Error: "TierLimitExceeded",
		Cause: `{"errorMessage":"Monthly rule generation limit reached","errorType":"TierLimitExceeded","requestId":"` + newID() + `","stackTrace":["  File \"/var/task/handler.py\", line 41, in handler\n"]}`,
	}
}

// between returns a duration between two numbers of seconds.
func between(least, most int) time.Duration {
	span := time.Duration(most-least) * time.Second
	return time.Duration(least)*time.Second + mathrand.N(span).Truncate(time.Millisecond)
}

// succeeds has an output like that of the public API, with a note.
func succeeds(in input, after time.Duration, note string) localaws.Ending {
	type object = map[string]any
	var rules []object
	for i := range 1 + mathrand.N(5) {
		rules = append(rules, object{
			"id": newID(), "title": fmt.Sprintf("Suspicious AssumeRole from an unknown network, variant %d", i+1),
			"level": []string{"low", "medium", "high", "critical"}[mathrand.N(4)], "format": "sigma",
			"rule": "title: Suspicious AssumeRole\nlogsource:\n  product: aws\n  service: cloudtrail\ndetection:\n  selection:\n    eventName: AssumeRole\n  condition: selection\n",
		})
	}
	out := object{
		"rules":           rules,
		"ttps":            []object{{"id": "T1078.004", "name": "Valid Accounts: Cloud Accounts", "tactic": "Initial Access"}},
		"iocs":            []object{{"type": "ipv4", "value": "203.0.113.7"}, {"type": "domain", "value": "login.example.net"}},
		"detectionGaps":   []string{"S3 data events are not logged"},
		"pipelineNotices": []string{},
		"metadata":        object{"inputType": in.InputType, "rulesGenerated": len(rules), "durationMs": after.Milliseconds()},
	}
	if note != "" {
		out["pipelineNotices"] = []string{note}
	}
	text, err := json.Marshal(out)
	if err != nil {
		text = []byte("{}") // it contains only values that can be encoded
	}
	return localaws.Ending{After: after, Status: "SUCCEEDED", Output: string(text)}
}

// newID returns a UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
