package main

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
	"statuscache/ingest/sqstest"
)

// receiver is a receiver of OTLP over HTTP.
type receiver struct {
	url string

	mu     sync.Mutex
	status int // of its answers
	spans  []*otlp.Span
	tokens []string // of its requests
	asked  int
}

func newReceiver(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{status: status}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	text, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(text, &in) != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.tokens = append(c.tokens, r.Header.Get("X-Receiver-Token"))
	if c.status == http.StatusOK {
		for _, of := range in.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(c.status)
}

func (c *receiver) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func (c *receiver) answers(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// named returns the spans that have a name and all given attributes.
func (c *receiver) named(name string, attributes map[string]string) (found []*otlp.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		fits := s.Name == name
		for key, value := range attributes {
			fits = fits && attribute(s, key) == value
		}
		if fits {
			found = append(found, s)
		}
	}
	return found
}

func attribute(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

const (
	xrayTrace, xraySpan = "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
	w3cTrace, w3cSpan   = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
)

func sendTraced(t *testing.T, client *sqs.Client, queue, body string) {
	t.Helper()
	header := "Root=1-" + xrayTrace[:8] + "-" + xrayTrace[8:] + ";Parent=" + xraySpan + ";Sampled=1"
	_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &queue, MessageBody: &body,
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: &header},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func succeededEvent(name, input, output string) string {
	arn := "arn:aws:states:us-east-1:123456789012:execution:Pipeline:" + name
	text, _ := json.Marshal(map[string]any{
		"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "time": time.Now().UTC().Format(time.RFC3339),
		"detail": map[string]any{
			"executionArn": arn, "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:Pipeline", "name": name,
			"status": "SUCCEEDED", "startDate": time.Now().Add(-20 * time.Second).UnixMilli(), "stopDate": time.Now().UnixMilli(), "input": input, "output": output,
		},
	})
	return string(text)
}

func tracedGet(t *testing.T, target, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("traceparent", "00-"+w3cTrace+"-"+w3cSpan+"-01")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// TestTracesOfEventsAndRequests: a real receiver of OTLP gets a span for each event, linked to
// the trace in its message, and a span for each request, in the trace of its caller. The spans
// arrive at the latest when the process stops, and contain no token, link, input or output.
func TestTracesOfEventsAndRequests(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, http.StatusOK)
	endpoint, _ := sqstest.Local(t)
	client := sqstest.Client(t, endpoint)
	queue := sqstest.NewQueue(t, client, nil)
	// The result of an event that Redis answers too late is not "applied": it is stored, but comes again.
	d := startPatient(t, cachetest.Redis(t), queue,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+to.url, "OTEL_EXPORTER_OTLP_HEADERS=X-Receiver-Token=of-the-receiver",
		"OTEL_BSP_SCHEDULE_DELAY=3600000", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_BSP_EXPORT_TIMEOUT=300000", "OTEL_EXPORTER_OTLP_TIMEOUT=300000") // of a machine that has much to do
	const arn = "arn:aws:states:us-east-1:123456789012:execution:Pipeline:traced"
	sendTraced(t, client, queue, succeededEvent("traced", `{"tenantId":"ada","secret":"the-input"}`, `{"rules":["the-output"]}`))
	sendTraced(t, client, queue, "no event: the-body")
	key, _, err := d.keys.Create(t.Context(), apikeys.Key{Owner: "ada", Name: "reader", Scope: apikeys.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	status := "http://" + d.api + "/v1/status/" + url.PathEscape(arn)
	cachetest.Eventually(t, "the event is served", func() bool { return tracedGet(t, status, key) == http.StatusOK })
	cachetest.Eventually(t, "the other message is logged", func() bool { return strings.Contains(d.Output(), "cannot be decoded") })
	tracedGet(t, "http://"+d.api+"/v1/executions?limit=1", key)                        // the ordinary way
	tracedGet(t, status+"?wait=1", key)                                                // ended already
	tracedGet(t, "http://"+d.api+"/v1/status/"+url.PathEscape(arn+"x")+"?wait=1", key) // waits
	tracedGet(t, status+"?link=csl_the-link", "")
	if to.requests() != 0 {
		t.Error("the control: spans are exported before the process stops")
	}
	d.Signal(syscall.SIGTERM)
	if code := d.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	events := to.named("process event", map[string]string{"statuscache.execution": arn, "statuscache.result": "applied"})
	if len(events) != 1 || len(events[0].Links) != 1 || hex.EncodeToString(events[0].Links[0].TraceId) != xrayTrace || hex.EncodeToString(events[0].Links[0].SpanId) != xraySpan {
		t.Fatalf("spans of the event: %v", events)
	}
	if s := events[0]; s.EndTimeUnixNano <= s.StartTimeUnixNano || s.Kind != otlp.Span_SPAN_KIND_CONSUMER {
		t.Errorf("the span of the event: %v", s)
	}
	unread := to.named("process event", map[string]string{"statuscache.result": "undecodable"})
	if len(unread) == 0 {
		t.Fatal("no span for the message that is not an event")
	}
	inLog(t, d.Output(), "cannot be decoded", unread[0])
	if len(to.named("SQS/DeleteMessageBatch", nil)) == 0 || len(to.named("SQS/ReceiveMessage", nil)) != 0 {
		t.Error("calls to AWS: the deletes have spans, and the polls have none")
	}
	for _, route := range []string{"GET /v1/executions", "GET /v1/status/{executionArn}"} {
		spans := to.named(route, nil)
		if len(spans) == 0 {
			t.Fatalf("no span of %s", route)
		}
		s := spans[len(spans)-1]
		if hex.EncodeToString(s.TraceId) != w3cTrace || hex.EncodeToString(s.ParentSpanId) != w3cSpan || s.Kind != otlp.Span_SPAN_KIND_SERVER {
			t.Errorf("%s: %v", route, s)
		}
		inLog(t, d.Output(), `"msg":"request"`, s)
	}
	if n := len(to.named("GET /v1/status/{executionArn}", nil)); n < 4 {
		t.Errorf("%d spans of polls, want one each, also of the one that waited", n)
	}
	for _, s := range to.spans {
		for _, secret := range []string{key, d.key, "csl_", "link=", "the-link", "the-input", "the-output", "the-body", "tenantId"} {
			if text := prototext.Format(s); strings.Contains(text, secret) {
				t.Errorf("a span contains %q: %s", secret, text)
			}
		}
	}
	if len(to.tokens) == 0 || to.tokens[0] != "of-the-receiver" || strings.Contains(d.Output(), "of-the-receiver") {
		t.Errorf("the header for the receiver: %q", to.tokens)
	}
}

// inLog checks that a line of the log names a span.
func inLog(t *testing.T, log, words string, s *otlp.Span) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, words) && strings.Contains(line, `"trace_id":"`+hex.EncodeToString(s.TraceId)+`","span_id":"`+hex.EncodeToString(s.SpanId)+`"`) {
			return
		}
	}
	t.Errorf("no line of the log with %q names the span %x", words, s.SpanId)
}

// TestReceiverOfTracesFails: requests and events do not wait for the receiver. One log line
// says what to do, a metric counts the lost spans, and another log line reports the end of the
// outage.
func TestReceiverOfTracesFails(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, http.StatusForbidden)
	endpoint, _ := sqstest.Local(t)
	client := sqstest.Client(t, endpoint)
	queue := sqstest.NewQueue(t, client, nil)
	d := startDaemon(t, cachetest.Redis(t), queue, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+to.url+"/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=10")
	const arn = "arn:aws:states:us-east-1:123456789012:execution:Pipeline:untold"
	send(t, client, queue, succeededEvent("untold", `{"tenantId":"ada"}`, `{}`))
	cachetest.Eventually(t, "the event is served, and spans were refused several times", func() bool {
		code, _ := getOnce("http://"+d.api+"/v1/status/"+url.PathEscape(arn), d.key)
		return code == http.StatusOK && to.requests() > 3
	})
	cachetest.Eventually(t, "the loss is counted", func() bool {
		_, text := getOnce("http://"+d.admin+"/metrics", "")
		return strings.Contains(text, `statuscache_spans_total{result="lost"}`) && !strings.Contains(text, `statuscache_spans_total{result="lost"} 0`)
	})
	to.answers(http.StatusOK)
	cachetest.Eventually(t, "the end is logged", func() bool {
		getOnce("http://"+d.api+"/v1/health", "")
		return strings.Contains(d.Output(), "spans are exported again")
	})
	if n := strings.Count(d.Output(), "OTEL_EXPORTER_OTLP_ENDPOINT"); n != 1 {
		t.Errorf("%d lines about one outage, want 1", n)
	}
}

// TestNoReceiverAtTheEnd: although the receiver never answers, the process stops in time.
func TestNoReceiverAtTheEnd(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release); hangs.Close() })
	d := startDaemon(t, cachetest.Redis(t), "", "ROLE=api", "OTEL_EXPORTER_OTLP_ENDPOINT="+hangs.URL)
	getOnce("http://"+d.api+"/v1/health", "")
	d.Signal(syscall.SIGTERM)
	if code := d.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(d.Output(), "the last spans could not be exported") {
		t.Error("the lost last spans are not logged")
	}
}

// TestTracingIsOff: without a setting, there are no spans, and log lines have no span IDs.
func TestTracingIsOff(t *testing.T) {
	t.Parallel()
	to := newReceiver(t, http.StatusOK)
	for _, env := range [][]string{nil, {"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + to.url}, {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=" + to.url}} {
		d := startDaemon(t, cachetest.Redis(t), "", append([]string{"ROLE=api"}, env...)...)
		tracedGet(t, "http://"+d.api+"/v1/health", "")
		_, metrics := getOnce("http://"+d.admin+"/metrics", "")
		d.Signal(syscall.SIGTERM)
		if code := d.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if to.requests() > 0 || strings.Contains(d.Output(), "trace_id") || strings.Contains(metrics, "spans_total") {
			t.Errorf("%v: there are spans\n%s", env, d.Output())
		}
	}
}

// TestPrintConfigHidesTheHeadersOfTheReceiver, and possible secrets in its URL.
func TestPrintConfigHidesTheHeadersOfTheReceiver(t *testing.T) {
	t.Parallel()
	p := apptest.Start(t, "statusd", []string{
		"ROLE=api", "API_KEY_PEPPER=" + pepper, "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20hush", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=x=hush",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://ada:hush@collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector:4318/v1/traces?key=hush", "OTEL_TRACES_SAMPLER=always_on",
	}, "--print-config")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	out := p.Output()
	if strings.Contains(out, "hush") {
		t.Errorf("a secret is printed:\n%s", out)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER = always_on"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), name) {
			t.Errorf("%s is not printed:\n%s", name, out)
		}
	}
}
