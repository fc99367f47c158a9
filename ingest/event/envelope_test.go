package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// quoted is s as a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s) // valid UTF-8 cannot fail
	return string(b)
}

func inSNS(body string) string {
	return `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:eu-west-1:123456789012:t","Subject":null,"Message":` + quoted(body) + `,"SignatureVersion":"1","Signature":"x"}`
}

func inBase64(event string) string { return base64.StdEncoding.EncodeToString([]byte(event)) }

func inPipe(body string) string {
	return `{"messageId":"1","receiptHandle":"r","body":` + quoted(body) + `,"attributes":{"SentTimestamp":"1769414442587"},"messageAttributes":{},"EventSource":"aws:sqs"}`
}

// wrapped is an event in each possible envelope.
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
		"Base64":                     inBase64(event),
		"Base64 in Pipes":            inPipe(inBase64(event)),
		"an array":                   "[" + event + "]",
		"SNS as Lambda has it":       `{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:x","Sns":` + inSNS(event) + `}]}`,
		"a body that Pipes parsed":   `{"messageId":"1","body":` + event + `,"eventSource":"aws:sqs"}`,
		"a body and nothing else":    `{"body":` + quoted(event) + `}`,
		"what the AWS CLI printed":   `{"Messages":[{"MessageId":"1","ReceiptHandle":"r","MD5OfBody":"x","Body":` + quoted(event) + `}]}`,
		"a Message and no Type":      `{"Subject":"x","Message":` + quoted(event) + `}`,
		"Kinesis in Pipes":           `{"kinesisSchemaVersion":"1.0","partitionKey":"1","data":` + quoted(inBase64(event)) + `,"eventSource":"aws:kinesis"}`,
		"Kinesis as Lambda has it":   `{"Records":[{"kinesis":{"partitionKey":"1","data":` + quoted(inBase64(event)) + `},"eventSource":"aws:kinesis"}]}`,
		"Kafka in Pipes":             `[{"eventSource":"aws:kafka","topic":"t","key":"a2V5","value":` + quoted(inBase64(event)) + `}]`,
		"CloudEvents":                `{"specversion":"1.0","id":"9","type":"x","datacontenttype":"application/json","data":` + event + `}`,
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
		if err != nil || got.ARN != want.ARN || got.Version() != want.Version() || string(got.Output) != `{"a": 1.0e10}` || got.EventID != "1" || !got.EmittedAt.Equal(want.EmittedAt) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, body := range wrapped(detail) {
		got, err := new(Decoder).Decode([]byte(body))
		if err != nil || got.ARN != want.ARN || got.Version() != want.Version() || string(got.Output) != `{"a": 1.0e10}` {
			t.Errorf("the detail alone, in %s: %+v, %v", name, got, err)
		}
	}
}

// TestForeignMessagesInEnvelopesAreIgnored also checks which messages go to the dead letters,
// and why.
func TestForeignMessagesInEnvelopesAreIgnored(t *testing.T) {
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
		"too deep":                {deep, ErrUndecodable, "too many nested envelopes"},
		"arrays in arrays":        {strings.Repeat("[", 50) + strings.Repeat("]", 50), ErrUndecodable, ""},
		"too many":                {"[" + strings.Repeat(`{"executionArn":"`+fixtureARN+`x","status":"RUNNING","startDate":1},`, maxEvents) + string(event(base)) + "]", ErrUndecodable, "more than 1000"},
		"an empty array":          {inSNS("[]"), ErrUndecodable, ""},
		"an unfinished string":    {`"abc`, ErrUndecodable, ""},
	} {
		_, err := new(Decoder).Decode([]byte(c.body))
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.err, c.says)
		}
	}
}
