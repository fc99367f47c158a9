package localaws

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json"

	"statuscache/ingest/awstest"
)

// inProcess lets the SDK call the server without a network, so that it can be used in a bubble.
type inProcess struct{ *Server }

func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.RequestURI = ""
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// stepFunctions returns a client that does not try again.
func stepFunctions(t testing.TB, s *Server) *sfn.Client {
	config := awstest.Config(t, "http://localhost")
	config.HTTPClient = inProcess{s}
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return sfn.NewFromConfig(config)
}

// recorder keeps the events that a server publishes, in order.
type recorder struct {
	lock   sync.Mutex
	events []statusEvent
}

func record(s *Server) *recorder {
	r := &recorder{}
	s.states.publish = func(event []byte) {
		var e statusEvent
		if err := json.Unmarshal(event, &e, json.RejectUnknownMembers(true)); err != nil {
			panic(err)
		}
		r.lock.Lock()
		defer r.lock.Unlock()
		r.events = append(r.events, e)
	}
	return r
}

func (r *recorder) all() []statusEvent {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.events
}

func (r *recorder) statuses() string {
	var all []string
	for _, e := range r.all() {
		all = append(all, e.Detail.Status)
	}
	return strings.Join(all, " ")
}

// always is a plot in which every attempt has the same ending.
func always(e Ending) Plot { return func(Attempt) Ending { return e } }

// wantCode fails the test unless an error of the SDK has a code; "" means no error.
func wantCode(t testing.TB, what string, err error, code string) {
	t.Helper()
	got := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		got = api.ErrorCode()
	} else if err != nil {
		got = err.Error()
	}
	if got != code {
		t.Errorf("%s: %q, want %q (%v)", what, got, code, err)
	}
}

func start(t testing.TB, c *sfn.Client, machine, name, input string) *sfn.StartExecutionOutput {
	t.Helper()
	out, err := c.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: &machine, Name: aws.String(name), Input: aws.String(input),
	})
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	return out
}

func describe(t testing.TB, c *sfn.Client, arn string) *sfn.DescribeExecutionOutput {
	t.Helper()
	out, err := c.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		t.Fatalf("describe %s: %v", arn, err)
	}
	return out
}
