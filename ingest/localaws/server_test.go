package localaws

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post sends a request as the SDK would, without a network.
func post(s *Server, action string, body io.Reader) *httptest.ResponseRecorder {
	return postTo(s, "AmazonSQS."+action, body)
}

// postTo is post for any service.
func postTo(s *Server, target string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestErrorsOnTheWire(t *testing.T) {
	t.Parallel()
	s := New()
	s.CreateQueue("q", map[string]string{"MaximumMessageSize": "1024"})
	const queue = `{"QueueUrl":"http://elsewhere:1/000000000000/q"`
	for _, test := range []struct {
		action, body, code, queryError string
		status                         int
	}{
		{"GetQueueUrl", `{"QueueName":"none"}`, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender", 400},
		{"PurgeQueue", `{"QueueUrl":"http://h/111111111111/q"}`, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender", 400},
		{"PurgeQueue", `{"QueueUrl":"%"}`, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender", 400},
		{"PurgeQueue", `{}`, "MissingParameter", "MissingParameter;Sender", 400},
		{"CreateQueue", `{"QueueName":"q","Attributes":{"MaximumMessageSize":"2048"}}`, "QueueNameExists", "QueueAlreadyExists;Sender", 400},
		{"CreateQueue", `{"QueueName":"q.fifo"}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"CreateQueue", `{"QueueName":"r","Attributes":{"FifoQueue":"true"}}`, "InvalidAttributeName", "InvalidAttributeName;Sender", 400},
		{"CreateQueue", `{"QueueName":"r","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:none\",\"maxReceiveCount\":3}"}}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"CreateQueue", `{"QueueName":"r","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:q\",\"maxReceiveCount\":0}"}}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"GetQueueAttributes", queue + `,"AttributeNames":["Shoe"]}`, "InvalidAttributeName", "InvalidAttributeName;Sender", 400},
		{"SendMessage", queue + `}`, "MissingParameter", "MissingParameter;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"` + strings.Repeat("a", 1025) + `"}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"a","DelaySeconds":901}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"\uFFFF"}`, "InvalidMessageContents", "InvalidMessageContents;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"\uD800"}`, "SerializationException", "SerializationException;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":7}`, "SerializationException", "SerializationException;Sender", 400},
		{"SendMessage", `{`, "SerializationException", "SerializationException;Sender", 400},
		{"ReceiveMessage", queue + `,"MaxNumberOfMessages":0}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"ReceiveMessage", queue + `,"WaitTimeSeconds":-1}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"DeleteMessage", queue + `}`, "MissingParameter", "MissingParameter;Sender", 400},
		{"DeleteMessage", queue + `,"ReceiptHandle":"x"}`, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid;Sender", 400},
		{"ChangeMessageVisibility", queue + `,"ReceiptHandle":"x"}`, "MissingParameter", "MissingParameter;Sender", 400},
		{"ChangeMessageVisibility", queue + `,"ReceiptHandle":"x","VisibilityTimeout":43201}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"a","MessageAttributes":{"x":{"DataType":"Text","StringValue":"y"}}}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"SendMessage", queue + `,"MessageBody":"a","MessageAttributes":{"x":{"DataType":"String","StringValue":"\u0000"}}}`, "InvalidMessageContents", "InvalidMessageContents;Sender", 400},
		{"SetQueueAttributes", queue + `,"Attributes":{"Policy":"{}"}}`, "InvalidAttributeValue", "InvalidAttributeValue;Sender", 400},
		{"StartMessageMoveTask", `{"SourceArn":"arn:aws:sqs:eu-west-1:000000000000:q"}`, "InvalidParameterValue", "InvalidParameterValue;Sender", 400},
		{"StartMessageMoveTask", `{"SourceArn":"arn:aws:sqs:eu-west-1:000000000000:none"}`, "ResourceNotFoundException", "ResourceNotFoundException;Sender", 404},
		{"CancelMessageMoveTask", `{"TaskHandle":"none"}`, "ResourceNotFoundException", "ResourceNotFoundException;Sender", 404},
		{"DeleteMessageBatch", queue + `,"Entries":[]}`, "EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest;Sender", 400},
		{"AddPermission", queue + `}`, "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation;Sender", 400},
		{"SendMessage", strings.Repeat(" ", maxRequestBytes+1), "RequestEntityTooLarge", "RequestEntityTooLarge;Sender", 413},
	} {
		got := post(s, test.action, strings.NewReader(test.body))
		var answer struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			t.Errorf("%s %.200s: %v", test.action, test.body, err)
		}
		if got.Code != test.status || answer.Type != "com.amazonaws.sqs#"+test.code || answer.Message == "" ||
			got.Header().Get("x-amzn-query-error") != test.queryError || got.Header().Get("Content-Type") != "application/x-amz-json-1.0" {
			t.Errorf("%s %.200s: %d %v %s", test.action, test.body, got.Code, got.Header(), got.Body)
		}
	}
}

func TestOnlyPostIsAnswered(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	New().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}

func TestCreateQueueInGo(t *testing.T) {
	t.Parallel()
	s := New()
	q := s.CreateQueue("q", map[string]string{"DelaySeconds": "3"})
	if again := s.CreateQueue("q", nil); again != q {
		t.Error("made twice")
	}
	if got := q.URL("http://127.0.0.1:9324"); got != "http://127.0.0.1:9324/000000000000/q" {
		t.Errorf("URL %s", got)
	}
	for name, attributes := range map[string]map[string]string{
		"":              nil,
		"a/b":           nil,
		"q":             {"DelaySeconds": "4"},
		"r":             {"DelaySeconds": "901"},
		"s":             {"Shoe": "1"},
		"with a policy": {"RedrivePolicy": "{"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("made %q with %v", name, attributes)
				}
			}()
			s.CreateQueue(name, attributes)
		}()
	}
}

func TestRedrivePolicyCanBeTakenAway(t *testing.T) {
	t.Parallel()
	s := New()
	q, _ := deadLetters(s, 1)
	for _, policy := range []string{`{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead","maxReceiveCount":"7"}`, ""} {
		if err := s.set(q, map[string]string{redrivePolicy: policy}); err != nil {
			t.Fatal(err)
		}
		got, err := q.attributes([]string{redrivePolicy})
		if err != nil || got[redrivePolicy] != policy || (q.settings.redrive != nil) != (policy != "") {
			t.Errorf("set to %q it is %q, %v", policy, got[redrivePolicy], err)
		}
	}
}

// pipes is a listener whose connections are pipes, so that a server can be used in a
// bubble.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	close    sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.accepted <- theirs
	return ours, nil
}

// TestShutdownWaitsForTheHTTPServer: http.Server.Shutdown waits for a long poll of 20 s, which
// Shutdown ends. The control: without Shutdown, http.Server.Shutdown waits.
func TestShutdownWaitsForTheHTTPServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		q := s.CreateQueue("q", nil)
		listening := newPipes()
		server := &http.Server{Handler: s}
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listening) }) // ends with Shutdown
		client := &http.Client{Transport: &http.Transport{DialContext: listening.dial, DisableKeepAlives: true}}
		polled := make(chan int, 1)
		go func() {
			defer close(polled)
			body := `{"QueueUrl":"` + q.URL("http://localhost") + `","WaitTimeSeconds":20}`
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost", strings.NewReader(body))
			if err != nil {
				return
			}
			r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
			response, err := client.Do(r)
			if err != nil {
				return
			}
			defer response.Body.Close()
			polled <- response.StatusCode
		}()
		synctest.Wait()
		if q.Waiting() != 1 {
			t.Fatalf("%d polls wait", q.Waiting())
		}
		ended := make(chan error, 1)
		go func() { ended <- server.Shutdown(t.Context()) }()
		pass(19 * time.Second)
		select {
		case err := <-ended:
			t.Fatalf("ended with a long poll open: %v", err)
		default:
		}
		begun := time.Now()
		s.Shutdown()
		s.Shutdown() // once more is no error
		if status, err := <-polled, <-ended; status != http.StatusOK || err != nil || time.Since(begun) >= time.Second {
			t.Errorf("poll answered %d, shutdown %v after %v", status, err, time.Since(begun))
		}
		serving.Wait()
	})
}

// FuzzProtocol sends malformed requests: the answer is always a result or a client error, in
// JSON, and only deleted messages are lost.
func FuzzProtocol(f *testing.F) {
	const queue = `{"QueueUrl":"http://h/000000000000/q"`
	for _, seed := range [][2]string{
		{"SendMessage", queue + `,"MessageBody":"a","DelaySeconds":1,"MessageAttributes":{"x":{"DataType":"String","StringValue":"y"}}}`},
		{"SendMessageBatch", queue + `,"Entries":[{"Id":"x","MessageBody":"a"},{"Id":"y","MessageBody":"\u0000"}]}`},
		{"ReceiveMessage", queue + `,"MaxNumberOfMessages":10,"VisibilityTimeout":0,"WaitTimeSeconds":20,"MessageSystemAttributeNames":["All"]}`},
		{"DeleteMessage", queue + `,"ReceiptHandle":"cSB4IDE="}`},
		{"DeleteMessageBatch", queue + `,"Entries":[{"Id":"x","ReceiptHandle":"y"}]}`},
		{"ChangeMessageVisibility", queue + `,"ReceiptHandle":"x","VisibilityTimeout":3}`},
		{"ChangeMessageVisibilityBatch", queue + `,"Entries":[{"Id":"x","ReceiptHandle":"y","VisibilityTimeout":3}]}`},
		{"CreateQueue", `{"QueueName":"r","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:000000000000:q\",\"maxReceiveCount\":\"3\"}"}}`},
		{"GetQueueUrl", `{"QueueName":"q"}`},
		{"ListQueues", `{"QueueNamePrefix":"q"}`},
		{"GetQueueAttributes", queue + `,"AttributeNames":["All"]}`},
		{"SetQueueAttributes", queue + `,"Attributes":{"VisibilityTimeout":"3"}}`},
		{"PurgeQueue", queue + `}`},
		{"DeleteQueue", queue + `}`},
		{"ListDeadLetterSourceQueues", queue + `}`},
		{"StartMessageMoveTask", `{"SourceArn":"arn:aws:sqs:eu-west-1:000000000000:q"}`},
		{"ListMessageMoveTasks", `{"SourceArn":"arn:aws:sqs:eu-west-1:000000000000:q"}`},
		{"CancelMessageMoveTask", `{"TaskHandle":"x"}`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, action string, body []byte) {
		s := New()
		s.Shutdown() // nobody waits
		q := s.CreateQueue("q", nil)
		q.Send("kept", 0)
		got := post(s, action, bytes.NewReader(body))
		if got.Code != http.StatusOK && got.Code != http.StatusBadRequest && got.Code != http.StatusNotFound && got.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d: %s", got.Code, got.Body)
		}
		if !jsontext.Value(got.Body.Bytes()).IsValid() {
			t.Errorf("not JSON: %q", got.Body)
		}
		if action != "PurgeQueue" && action != "DeleteQueue" && q.Depth().Total() == 0 {
			t.Error("the message is lost")
		}
	})
}
