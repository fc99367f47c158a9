package awstest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// LateLook returns the settings of an SDK whose connection is not done with the body of
// a request when the answer is there, which happens where both ends are on one busy
// machine. The test fails if the SDK makes such a late look fail: net/http would cut
// the connection then, and the answer would be lost.
func LateLook(t testing.TB) aws.Config {
	t.Helper()
	look := &lateLook{}
	t.Cleanup(func() {
		if !look.looked || look.err != nil {
			t.Errorf("looked %v at the body of a request that was answered: %v", look.looked, look.err)
		}
	})
	c := Config(t, "http://127.0.0.1:1")
	c.HTTPClient = look
	return c
}

type lateLook struct {
	looked bool
	err    error
}

// Do implements the HTTP client of the SDK.
func (l *lateLook) Do(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	_, l.err = io.Copy(io.Discard, r.Body)
	l.looked = true
	if len(sent) == 0 || int64(len(sent)) != r.ContentLength {
		l.err = errors.New("the body was not sent whole")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, err
}
