package awstest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// LateBodyRead returns SDK settings whose HTTP client reads the body of a request once more
// after the answer has arrived. net/http does this if both ends are on one busy machine.
// The test fails if the SDK makes this late read fail: net/http would then close the
// connection, and the answer would be lost.
func LateBodyRead(t testing.TB) aws.Config {
	t.Helper()
	client := &lateBodyRead{}
	t.Cleanup(func() {
		if !client.read || client.err != nil {
			t.Errorf("read the body of an answered request after %v: %v", client.read, client.err)
		}
	})
	c := Config(t, "http://127.0.0.1:1")
	c.HTTPClient = client
	return c
}

type lateBodyRead struct {
	read bool
	err  error
}

// Do implements the HTTP client of the SDK.
func (l *lateBodyRead) Do(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	_, l.err = io.Copy(io.Discard, r.Body)
	l.read = true
	if len(sent) == 0 || int64(len(sent)) != r.ContentLength {
		l.err = errors.New("the body was not sent completely")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, err
}
