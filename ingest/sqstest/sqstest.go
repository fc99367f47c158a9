// Package sqstest gives tests queues: those of the stand-in, and those of fauxqs, an
// independent implementation of SQS. If fauxqs is not installed, a test that needs it
// fails. With go test -short the test is skipped.
package sqstest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"statuscache/cache/cachetest"
	"statuscache/ingest/localaws"
)

// How long fauxqs may take to start. On an idle machine it takes about a second.
const (
	startLimit = 5 * time.Minute
	stopLimit  = time.Minute
)

// Local starts a stand-in on loopback. It ends with the test. The endpoint is the
// base of its URLs.
func Local(t testing.TB) (endpoint string, server *localaws.Server) {
	t.Helper()
	server = localaws.New()
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		server.Shutdown()
		listening.Close()
	})
	return listening.URL, server
}

// Fauxqs starts fauxqs on loopback. It ends with the test, and also when the process of
// the test is killed. The endpoint is the base of its URLs.
func Fauxqs(t testing.TB) (endpoint string) {
	t.Helper()
	cachetest.SkipShort(t, "fauxqs")
	folder := fauxqsFolder()
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "fauxqs")); err != nil {
		t.Fatalf("fauxqs is not installed; make test installs it: %v", err)
	}
	node := exec.Command("node", "server.mjs")
	node.Dir = folder
	var complaints bytes.Buffer
	node.Stderr = &complaints
	stdin, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); errors.Is(err, exec.ErrNotFound) {
		t.Fatal("node is not installed; make test installs it")
	} else if err != nil {
		t.Fatalf("start fauxqs: %v", err)
	}
	late := time.AfterFunc(startLimit, func() { node.Process.Kill() }) //nolint:errcheck // it has ended
	port, err := readPort(stdout)
	if !late.Stop() || err != nil {
		stop(node, stdin)
		t.Fatalf("fauxqs did not start: %v\n%s", err, complaints.Bytes())
	}
	t.Cleanup(func() { stop(node, stdin) })
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// fauxqsFolder is found from the path of this source file, because tests run in the
// folder of their package.
func fauxqsFolder() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", ".tools", "fauxqs")
}

// readPort reads the line that server.mjs prints once it listens.
func readPort(stdout io.Reader) (int, error) {
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	var started struct{ Port int }
	err = json.Unmarshal(line, &started)
	return started.Port, err
}

// stop closes the input of fauxqs, which ends it, and kills it if that does not work.
func stop(node *exec.Cmd, stdin io.Closer) {
	stdin.Close()
	late := time.AfterFunc(stopLimit, func() { node.Process.Kill() }) //nolint:errcheck // it has ended
	defer late.Stop()
	node.Wait() //nolint:errcheck // how it ended does not matter
}

// Client returns an SDK client for an endpoint. It has separate connections, which are
// closed with the test, and the normal retries of the SDK.
func Client(t testing.TB, endpoint string) *sqs.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return sqs.New(sqs.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   &http.Client{Transport: transport},
	})
}

// NewQueue creates a queue with a new name and returns its URL. The attributes are those
// of SQS, such as VisibilityTimeout in seconds.
func NewQueue(t testing.TB, client *sqs.Client, attributes map[string]string) (url string) {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName:  aws.String("test-" + rand.Text()),
		Attributes: attributes,
	})
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	return aws.ToString(out.QueueUrl)
}

// NewQueueWithDeadLetters creates a queue and its dead-letter queue. After maxReceives
// receives a message moves to the second queue. It returns the URLs of both. The
// attributes are those of the first queue.
func NewQueueWithDeadLetters(t testing.TB, client *sqs.Client, maxReceives int, attributes map[string]string) (url, deadLetters string) {
	t.Helper()
	deadLetters = NewQueue(t, client, nil)
	out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl:       aws.String(deadLetters),
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatalf("ARN of the dead-letter queue: %v", err)
	}
	all := map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`,
			out.Attributes["QueueArn"], maxReceives),
	}
	maps.Copy(all, attributes)
	return NewQueue(t, client, all), deadLetters
}
