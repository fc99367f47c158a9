package ingest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"statuscache/cache"
	"statuscache/ingest/awstest"
)

// lateLook is an HTTP client whose connection is not done with the body of a request
// when the answer is there, which happens where both ends are on one busy machine.
type lateLook struct{ err error }

func (l *lateLook) Do(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	_, l.err = io.Copy(io.Discard, r.Body)
	if len(sent) == 0 || int64(len(sent)) != r.ContentLength {
		l.err = errors.New("the body was not sent whole")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, err
}

// TestAnAnswerIsNotCutOff: the SDK closes the body of a request while net/http looks
// at it, and an error there cost the answer.
func TestAnAnswerIsNotCutOff(t *testing.T) {
	t.Parallel()
	look := &lateLook{}
	config := awstest.Config(t, "http://127.0.0.1:1")
	config.HTTPClient = look
	_, _ = NewStepFunctions(config, nil, nil).Describe(t.Context(), cache.ARN("arn:aws:states:eu-west-1:000000000000:execution:P:x"), ToAudit)
	if look.err != nil {
		t.Error(look.err)
	}
}
