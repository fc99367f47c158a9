package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"statuscache/cmd/internal/apptest"
)

// TestGetEndsWithCtrlC: the exit code of a wait that is interrupted is that of watch, and not
// that of a service which does not answer.
func TestGetEndsWithCtrlC(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{}, 1)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case waits <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer service.Close()
	p := apptest.Start(t, "statusctl", []string{"STATUS_URL=" + service.URL, "STATUS_TOKEN=x"},
		"get", "--wait", "1h", "arn:aws:states:eu-west-1:123456789012:execution:Pipeline:abc-123")
	<-waits
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != exitInterrupted {
		t.Errorf("exit code %d: %s", code, p.Output())
	}
}
