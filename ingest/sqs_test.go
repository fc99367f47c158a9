package ingest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"statuscache/cache/cachetest"
)

// call is one request as the SDK sent it.
type call struct {
	Operation string
	Input     struct {
		QueueURL            string `json:"QueueUrl"`
		MaxNumberOfMessages int
		WaitTimeSeconds     int
		VisibilityTimeout   int
		Entries             []struct {
			ID                string `json:"Id"`
			ReceiptHandle     string
			VisibilityTimeout int
		}
	}
}

// serveSQS answers every call with the same, and returns the queue and what was
// asked of it last.
func serveSQS(t *testing.T, status int, answer string) (*SQS, *atomic.Pointer[call]) {
	t.Helper()
	latest := &atomic.Pointer[call]{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := &call{Operation: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &got.Input)
		}
		if err != nil {
			t.Errorf("request %q: %v", body, err)
		}
		latest.Store(got)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return newSQS(t, server.URL+"/123456789012/events"), latest
}

func newSQS(t *testing.T, url string) *SQS {
	t.Helper()
	q, err := NewSQS(aws.Config{
		Region: "eu-west-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestSQSReceive(t *testing.T) {
	t.Parallel()
	body := statusEvent("x", "RUNNING")
	sum := md5.Sum([]byte(body))
	text, err := json.Marshal(map[string]any{"Messages": []map[string]string{
		{"MessageId": "m", "ReceiptHandle": "r", "Body": body, "MD5OfBody": hex.EncodeToString(sum[:])},
	}})
	if err != nil {
		t.Fatal(err)
	}
	q, latest := serveSQS(t, http.StatusOK, string(text))
	got, err := q.Receive(t.Context(), pollWait)
	if diff := cmp.Diff([]Message{{ID: "m", Receipt: "r", Body: body}}, got); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	asked := latest.Load()
	if in := asked.Input; asked.Operation != "ReceiveMessage" || in.MaxNumberOfMessages != 10 || in.WaitTimeSeconds != 12 || in.VisibilityTimeout != 30 {
		t.Errorf("asked %+v", asked)
	}
}

// TestSQSReceiveIsCancelled says that a long poll ends with its context.
func TestSQSReceiveIsCancelled(t *testing.T) {
	t.Parallel()
	polling := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client went away
		polling <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	q := newSQS(t, server.URL+"/123456789012/events")
	go func() {
		_, err := q.Receive(ctx, pollWait)
		ended <- err
	}()
	<-polling
	cancel()
	var err error
	cachetest.Eventually(t, "the poll ends", func() bool {
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if err == nil {
		t.Error("no error")
	}
}

func TestSQSBatchesThatFailInPart(t *testing.T) {
	t.Parallel()
	batch := []Message{{ID: "a", Receipt: "ra"}, {ID: "b", Receipt: "rb"}, {ID: "c", Receipt: "rc"}}
	const failed = `{"Id":"1","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"no"}`
	for name, c := range map[string]struct {
		status int
		answer string
		left   []Message
		err    string // part of it
	}{
		"all":             {200, `{"Successful":[{"Id":"0"},{"Id":"1"},{"Id":"2"}],"Failed":[]}`, nil, ""},
		"one failed":      {200, `{"Successful":[{"Id":"0"},{"Id":"2"}],"Failed":[` + failed + `]}`, batch[1:2], "1 messages failed, one with ReceiptHandleIsInvalid"},
		"one is missing":  {200, `{"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[]}`, batch[2:], "missing"},
		"nothing is said": {200, `{}`, batch, "missing"},
		"foreign ids":     {200, `{"Successful":[{"Id":"9"},{"Id":"-1"},{"Id":"x"},{"Id":"0"}]}`, batch[1:], "missing"},
		"refused":         {403, `{"__type":"com.amazonaws.sqs#AccessDenied","message":"no"}`, batch, "access denied; grant sqs:DeleteMessage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, latest := serveSQS(t, c.status, c.answer)
			left, err := q.Delete(t.Context(), batch)
			if diff := cmp.Diff(c.left, left); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, left (-want +got):\n%s", err, diff)
			}
			asked := latest.Load()
			if in := asked.Input; asked.Operation != "DeleteMessageBatch" || len(in.Entries) != 3 || in.Entries[1].ReceiptHandle != "rb" {
				t.Errorf("asked %+v", asked)
			}
		})
	}
}

func TestSQSExtendVisibility(t *testing.T) {
	t.Parallel()
	batch := []Message{{ID: "a", Receipt: "ra"}}
	for answer, want := range map[string]string{
		`{"Successful":[{"Id":"0"}],"Failed":[]}`:                                  "",
		`{"Successful":[],"Failed":[{"Id":"0","SenderFault":true,"Code":"Gone"}]}`: "1 messages failed, one with Gone",
	} {
		q, latest := serveSQS(t, http.StatusOK, answer)
		err := q.ExtendVisibility(t.Context(), batch, Visibility)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		asked := latest.Load()
		if in := asked.Input; asked.Operation != "ChangeMessageVisibilityBatch" || len(in.Entries) != 1 || in.Entries[0].VisibilityTimeout != 30 {
			t.Errorf("asked %+v", asked)
		}
		latest.Store(nil)
		if err := q.ExtendVisibility(t.Context(), nil, Visibility); err != nil || latest.Load() != nil {
			t.Errorf("nothing to extend: %v, asked %+v", err, latest.Load())
		}
	}
}

// checkCure checks an error for the operator: one line, with what to do.
func checkCure(t *testing.T, err error, fixes ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if strings.ContainsAny(err.Error(), "\r\n") || len(err.Error()) > 400 {
		t.Errorf("not one line: %q", err)
	}
	for _, fix := range fixes {
		if !strings.Contains(err.Error(), fix) {
			t.Errorf("%q does not say %q", err, fix)
		}
	}
}

func TestSQSCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		answer string
		fixes  []string // none: no error
	}{
		"well":          {200, `{"Attributes":{"ApproximateNumberOfMessages":"0"}}`, nil},
		"missing queue": {400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`, []string{"no such queue", "URL", "AWS_REGION"}},
		"access denied": {403, `{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"User: arn is not\nauthorized"}`, []string{"grant sqs:ReceiveMessage", "sqs:DeleteMessage"}},
		"bad token":     {403, `{"__type":"com.amazonaws.sqs#InvalidClientTokenId","message":"The security token\nis invalid."}`, []string{"InvalidClientTokenId", "AWS_ACCESS_KEY_ID"}},
		"bad secret":    {403, `{"__type":"com.amazonaws.sqs#SignatureDoesNotMatch","message":"Check your\nsecret."}`, []string{"SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"}},
		"old token":     {403, `{"__type":"com.amazonaws.sqs#ExpiredToken","message":"expired"}`, []string{"ExpiredToken", "AWS_SESSION_TOKEN"}},
		"not SQS":       {404, "<html>\n<body>nothing here</body></html>", []string{"SQS_QUEUE_URL", "check the URL"}},
		"a web page":    {200, "<html>\n<body>hello</body></html>", []string{"SQS_QUEUE_URL", "check the URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, _ := serveSQS(t, c.status, c.answer)
			err := q.Check(t.Context())
			if c.fixes == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkCure(t, err, append(c.fixes, "SQS_QUEUE_URL")...)
		})
	}
}

func TestSQSCheckUnreachable(t *testing.T) {
	t.Parallel()
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hang.Close()
	for name, test := range map[string]struct {
		url   string
		limit time.Duration
	}{
		"refused":               {"http://127.0.0.1:" + strconv.Itoa(cachetest.FreePort(t)), time.Minute},
		"silent":                {hang.URL, 100 * time.Millisecond}, // whenever it ends
		"no such host":          {"http://queue.invalid", time.Minute},
		"TLS to a plain server": {strings.Replace(hang.URL, "http", "https", 1), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			defer cancel()
			checkCure(t, newSQS(t, test.url+"/1/q").Check(ctx), "SQS_QUEUE_URL", "check the URL", "AWS_ENDPOINT_URL_SQS")
		})
	}
}
