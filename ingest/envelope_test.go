package ingest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// quoted is s as a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // it is UTF-8
	return string(b)
}

func inSNS(body string) string {
	return `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:eu-west-1:123456789012:t","Subject":null,"Message":` + quoted(body) + `,"SignatureVersion":"1","Signature":"x"}`
}

func inPipe(body string) string {
	return `{"messageId":"1","receiptHandle":"r","body":` + quoted(body) + `,"attributes":{"SentTimestamp":"1769414442587"},"messageAttributes":{},"EventSource":"aws:sqs"}`
}

// wrapped is an event in whatever may be around it.
func wrapped(event string) map[string]string {
	return map[string]string{
		"nothing":                    event,
		"SNS":                        inSNS(event),
		"Pipes":                      inPipe(event),
		"an array of Pipes":          "[" + inPipe(event) + "]",
		"records as Lambda has them": `{"Records":[` + inPipe(event) + `]}`,
		"SNS in Pipes":               inPipe(inSNS(event)),
		"an array of SNS in Pipes":   "[" + inPipe(inSNS(event)) + "]",
		"Pipes in SNS":               inSNS(inPipe(event)),
		"a byte order mark":          "\uFEFF" + event,
		"a mark in SNS":              inSNS("\uFEFF" + event),
		"white space":                " \r\n\t" + event + "\n",
		"a JSON string":              quoted(event),
		"Base64":                     base64.StdEncoding.EncodeToString([]byte(event)),
		"Base64 in Pipes":            inPipe(base64.StdEncoding.EncodeToString([]byte(event))),
		"an array":                   "[" + event + "]",
	}
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	bare := string(event(base + `,"redriveCount":0,"output":"{\"a\": 1.0e10}"`))
	detail := bare[strings.Index(bare, `"detail":`)+len(`"detail":`) : len(bare)-1]
	want, err := new(Decoder).Decode([]byte(bare))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range wrapped(bare) {
		got, err := new(Decoder).Decode([]byte(body))
		if err != nil || stateOf(&got) != stateOf(&want) || string(got.Output) != `{"a": 1.0e10}` || got.EventID != "1" || !got.EmittedAt.Equal(want.EmittedAt) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, body := range wrapped(detail) {
		got, err := new(Decoder).Decode([]byte(body))
		if err != nil || stateOf(&got) != stateOf(&want) || string(got.Output) != `{"a": 1.0e10}` {
			t.Errorf("the detail alone, in %s: %+v, %v", name, got, err)
		}
	}
}

// TestWhatIsInEnvelopesAndNotOurs says what is left to the dead letters, and why.
func TestWhatIsInEnvelopesAndNotOurs(t *testing.T) {
	t.Parallel()
	deep := string(event(base))
	for range maxDepth + 1 {
		deep = inSNS(deep)
	}
	for name, c := range map[string]struct {
		body string
		err  error
		says string
	}{
		"another event in SNS":    {inSNS(`{"source":"aws.batch","detail-type":"x","detail":{}}`), ErrNotOurs, ""},
		"others in an array":      {`[` + strings.Repeat(`{"source":"aws.batch","detail-type":"x","detail":{}},`, 3) + inPipe(`{"source":"aws.s3","detail-type":"x","detail":{}}`) + `]`, ErrNotOurs, ""},
		"the detail of a Map Run": {`{"mapRunArn":"arn:aws:states:us-east-1:210987654321:mapRun:m/l:x","executionArn":"` + fixtureARN + `x","status":"SUCCEEDED","startDate":1769414400123,"stopDate":1769414442000}`, ErrNotOurs, ""},
		"SNS that says good-bye":  {`{"Type":"UnsubscribeConfirmation","Message":"x","SubscribeURL":"https://sns"}`, ErrNotOurs, ""},
		"SNS that asks":           {`{"Type":"SubscriptionConfirmation","Message":"x","Token":"t"}`, ErrUndecodable, "confirm-subscription"},
		"a text in SNS":           {inSNS("hello"), ErrUndecodable, ""},
		"half an event in Pipes":  {inPipe(string(event(base))[:100]), ErrUndecodable, ""},
		"Base64 of a text":        {base64.StdEncoding.EncodeToString([]byte("hello, world")), ErrUndecodable, ""},
		"too deep":                {deep, ErrUndecodable, "too many envelopes"},
		"arrays in arrays":        {strings.Repeat("[", 50) + strings.Repeat("]", 50), ErrUndecodable, ""},
		"too many":                {"[" + strings.Repeat(`{"executionArn":"`+fixtureARN+`x","status":"RUNNING","startDate":1},`, maxEvents) + string(event(base)) + "]", ErrUndecodable, "more than 1000"},
		"an empty array":          {inSNS("[]"), ErrUndecodable, ""},
		"an unfinished string":    {`"abc`, ErrUndecodable, ""},
	} {
		_, err := new(Decoder).Decode([]byte(c.body))
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %q", name, err, c.err, c.says)
		}
	}
}

// TestAMessageOfMany merges each event of a message, deletes it when all are, and
// leaves one to the dead letters of which a part cannot be read.
func TestAMessageOfMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parts         []string
		dead, applied int
	}{
		"all good":             {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe(statusEvent("b", "SUCCEEDED"))}, 0, 1},
		"one that is not ours": {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe(`{"source":"x","detail-type":"y","detail":{}}`)}, 0, 1},
		"one that is garbled":  {[]string{inPipe(statusEvent("a", "RUNNING")), inPipe("garbled"), inPipe(statusEvent("b", "SUCCEEDED"))}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, known := newFakeQueue(), newFakeCache()
				body := "[" + strings.Join(c.parts, ",") + "]"
				q.send(body)
				p := startProcess(t, q, known)
				pass(3 * time.Minute)
				p.stop()
				checkState(t, known, []string{body})
				checkAccounts(t, q, p)
				if n := len(q.deadLetters()); n != c.dead || q.counts().left != 0 || p.count(resultApplied) != c.applied {
					t.Errorf("%d dead letters, %d left, %d applied", n, q.counts().left, p.count(resultApplied))
				}
			})
		})
	}
}

// TestOneDamagedMessageAmongOthers leaves it to come again, and takes the others.
func TestOneDamagedMessageAmongOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known, bodies := newFakeQueue(), newFakeCache(), histories(10)
		q.send(bodies...)
		q.messages[4].damaged = true
		p := startProcess(t, q, known)
		pass(10 * time.Second)
		if c := q.counts(); c.left != 1 {
			t.Errorf("%d left, want the damaged one", c.left)
		}
		q.with(func() { q.messages[4].damaged = false })
		pass(Visibility)
		p.stop()
		checkState(t, known, bodies)
		checkDrained(t, q, 2)
		checkAccounts(t, q, p)
		if n := p.logs.lines("does not match its MD5"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// undatedEvent is an event of the execution x without its start date.
func undatedEvent(status string) string {
	return strings.Replace(statusEvent("x", status), `"startDate":1769414400123`, `"startDate":null`, 1)
}

// TestEventsWithoutAStartDate joins them to the run that is known, in whatever order
// and however often they come.
func TestEventsWithoutAStartDate(t *testing.T) {
	t.Parallel()
	begins, ends, whole := statusEvent("x", "RUNNING"), undatedEvent("SUCCEEDED"), []string{statusEvent("x", "RUNNING"), statusEvent("x", "SUCCEEDED")}
	for name, order := range map[string][]string{
		"in order":          {begins, ends},
		"the end first":     {ends, begins},
		"the end twice":     {ends, begins, ends},
		"all twice":         {begins, ends, begins, ends},
		"all twice, turned": {ends, ends, begins, begins},
		"the begin undated": {begins, undatedEvent("RUNNING"), ends},
		"the end dated":     {undatedEvent("RUNNING"), statusEvent("x", "SUCCEEDED"), begins},
		"absent":            {strings.Replace(ends, `"startDate":null,`, "", 1), begins},
	} {
		for pause := range 2 {
			t.Run(fmt.Sprintf("%s, %d s apart", name, pause), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					q, known := newFakeQueue(), newFakeCache()
					p := startProcess(t, q, known)
					pass(time.Second)
					if pause == 0 {
						q.send(order...)
					} else {
						for _, body := range order {
							q.send(body)
							pass(time.Second)
						}
					}
					pass(time.Minute)
					p.stop()
					checkState(t, known, whole)
					checkDrained(t, q, 2)
					checkAccounts(t, q, p)
				})
			})
		}
	}
}

// TestAnEndOfWhichTheBeginNeverComes is learnt all the same, Step Functions is asked, and
// what comes late does not undo it.
func TestAnEndOfWhichTheBeginNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(undatedEvent("FAILED"))
		p := startProcess(t, q, known)
		pass(time.Second)
		if len(known.state()) != 0 || len(known.mismatched) != 1 {
			t.Errorf("at first known %v, to describe %v", known.state(), known.mismatched)
		}
		pass(2 * undatedRetry)
		q.send(statusEvent("x", "RUNNING"))
		pass(time.Second)
		p.stop()
		checkDrained(t, q, 2)
		checkAccounts(t, q, p)
		for arn, state := range known.state() {
			if !strings.HasSuffix(state, "FAILED") || !strings.HasPrefix(state, "01769414442000") {
				t.Errorf("%s: %s", arn, state)
			}
		}
		if len(known.state()) != 1 {
			t.Errorf("known %v", known.state())
		}
	})
}

// TestABeginWithoutADateIsNotGuessed: a guess could be later than the dated end.
func TestABeginWithoutADateIsNotGuessed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, known := newFakeQueue(), newFakeCache()
		q.send(undatedEvent("RUNNING"))
		p := startProcess(t, q, known)
		pass(2 * time.Minute)
		p.stop()
		if len(known.state()) != 0 || len(q.deadLetters()) != 1 || p.logs.lines("has no start date") != 1 {
			t.Errorf("known %v, dead letters %q\n%s", known.state(), q.deadLetters(), &p.logs.b)
		}
		checkAccounts(t, q, p)
	})
}
