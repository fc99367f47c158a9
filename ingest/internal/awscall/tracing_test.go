package awscall

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestWithTracing: a call passes its trace on, not signed, since proxies write that header anew.
// The polls of a queue make no spans.
func TestWithTracing(t *testing.T) {
	t.Parallel()
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	spans := tracetest.NewSpanRecorder()
	c := WithTracing(aws.Config{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""), BaseEndpoint: &server.URL,
	}, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	client := sqs.NewFromConfig(c)
	queue := server.URL + "/1/q"
	if _, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue}); err != nil {
		t.Fatal(err)
	}
	if len(spans.Ended()) != 0 || got.Get("traceparent") != "" {
		t.Errorf("a poll has the trace %q and makes spans: %v", got.Get("traceparent"), spans.Ended())
	}
	if _, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &queue}); err != nil {
		t.Fatal(err)
	}
	ended := spans.Ended()
	if len(ended) != 1 || ended[0].Name() != "SQS/PurgeQueue" {
		t.Fatalf("spans: %v", ended)
	}
	span := ended[0].SpanContext()
	if want := "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-01"; got.Get("traceparent") != want {
		t.Errorf("traceparent is %q, want %q", got.Get("traceparent"), want)
	}
	if signed := got.Get("Authorization"); signed == "" || strings.Contains(signed, "traceparent") {
		t.Errorf("signed: %q", signed)
	}
}
