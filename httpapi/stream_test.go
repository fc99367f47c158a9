package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/envelope"
)

// streamed is a stream as its client sees it.
type streamed struct {
	t        testing.TB
	protocol int
	status   int
	header   http.Header
	lines    *bufio.Scanner
	close    func()
}

// open opens a stream, which ends with the test.
func (s *service) open(client http.RoundTripper, target, token string, change ...func(*http.Request)) *streamed {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "text/event-stream")
	for _, f := range change {
		f(r)
	}
	got, err := client.RoundTrip(r)
	for try := 1; err == nil && got.StatusCode == http.StatusServiceUnavailable && try < 20; try++ { // as ask does
		_ = got.Body.Close()
		got, err = client.RoundTrip(r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cancel()
		_ = got.Body.Close()
	})
	if got.StatusCode == http.StatusOK && got.Header.Get("Content-Type") == envelope.EventStreamType[0] { // others are asked for by ask
		path, _, _ := strings.Cut(target, "?")
		if err := conforms(r, path, answer{got.StatusCode, got.Header, "retry: 2000\n\n"}); err != nil {
			s.t.Errorf("%s breaks the contract: %v", target, err)
		}
	}
	lines := bufio.NewScanner(got.Body)
	lines.Buffer(nil, 16<<20)
	return &streamed{s.t, got.ProtoMajor, got.StatusCode, got.Header, lines, cancel}
}

// next returns the next event without its last line break, or nothing at the end.
func (s *streamed) next() string {
	s.t.Helper()
	var event []string
	for s.lines.Scan() {
		if line := s.lines.Text(); line != "" {
			event = append(event, line)
		} else if len(event) > 0 && event[0] != ":" && !strings.HasPrefix(event[0], "retry:") {
			return strings.Join(event, "\n")
		} else {
			event = nil
		}
	}
	return strings.Join(event, "\n")
}

// overTLS serves with TLS, and returns a client that speaks HTTP/1.1 or HTTP/2.
func overTLS(t *testing.T, protocol int) (*service, http.RoundTripper) {
	t.Helper()
	files := testCertificate(t)
	s := newService(t, func(o *Options) { o.TLS = files })
	s.url = strings.Replace(s.url, "http:", "https:", 1)
	return s, &http.Transport{
		ForceAttemptHTTP2: protocol == 2, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // who it is does not matter here
	}
}

func TestAStreamSendsEachChange(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]int{"HTTP/1.1": 1, "HTTP/1.1 and TLS": 1, "HTTP/2": 2} {
		var s *service
		client := http.RoundTripper(asIs)
		if name == "HTTP/1.1" {
			s = newService(t)
		} else {
			s, client = overTLS(t, protocol)
		}
		ada := s.key("ada")
		e := running(t, "stream", "ada")
		s.apply(e)
		stream := s.open(client, statusPath+string(e.ARN), ada)
		if stream.protocol != protocol || stream.status != 200 || stream.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || stream.header.Get("X-Accel-Buffering") != "no" ||
			stream.header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: %d %v", name, stream.status, stream.header)
		}
		if got := stream.next(); got != fmt.Sprintf("id: %s\nevent: status\ndata: {\"status\":\"RUNNING\",\"executionArn\":%q,\"startDate\":%q}",
			e.Version(), e.ARN, e.StartDate.UTC().Format(time.RFC3339)) {
			t.Errorf("%s: %s", name, got)
		}
		failed := e
		failed.Status, failed.StopDate, failed.ErrorMessage = cache.Failed, e.StartDate.Add(time.Second), "Broken: it broke\nbadly"
		s.apply(failed)
		if got := stream.next(); !strings.Contains(got, `"status":"FAILED"`) || !strings.HasPrefix(got, "id: "+string(failed.Version())+"\n") {
			t.Errorf("%s: %s", name, got)
		}
		if got := stream.next(); got != "event: end\ndata: {}" {
			t.Errorf("%s: %s", name, got)
		}
		if got := stream.next(); got != "" {
			t.Errorf("%s: after the end: %s", name, got)
		}

		resumed := s.open(client, statusPath+string(e.ARN), ada, header("Last-Event-ID", string(failed.Version())))
		if resumed.status != 204 {
			t.Errorf("%s: the end is known: %d", name, resumed.status)
		}
		redriven := e
		redriven.RedriveCount = 1
		s.apply(redriven)
		cachetest.Eventually(t, "the redrive has arrived", func() bool {
			r, err := s.cache.Get(t.Context(), e.ARN)
			return err == nil && r.Version == redriven.Version()
		})
		resumed = s.open(client, statusPath+string(e.ARN), ada, header("Last-Event-ID", string(failed.Version())))
		if got := resumed.next(); !strings.HasPrefix(got, "id: "+string(redriven.Version())+"\n") {
			t.Errorf("%s: %s", name, got)
		}
		same := s.open(client, statusPath+string(e.ARN), ada, header("Last-Event-ID", string(redriven.Version())))
		again := redriven
		again.Status, again.StopDate, again.Output = cache.Succeeded, e.StartDate.Add(time.Hour), []byte("{\"a\":\r\n1}")
		s.untilWaiting(2)
		s.apply(again)
		for _, stream := range []*streamed{resumed, same} {
			if got := stream.next(); !strings.HasSuffix(got, `"output":{"a":  1}}`) || !strings.HasPrefix(got, "id: "+string(again.Version())+"\n") {
				t.Errorf("%s: what was seen is sent again, or something is missing: %s", name, got)
			}
		}
		s.untilWaiting(0)
	}
}

func TestACallerThatMayNotReadGetsNoStream(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "stream", "ada")
	s.apply(e)
	for _, test := range []struct {
		name, target, token string
		want                int
	}{
		{"another owner", statusPath + string(e.ARN), s.key("eve"), 403},
		{"no token", statusPath + string(e.ARN), "", 401},
		{"unknown", statusPath + machine + "x", s.key("ada"), 404},
		{"unknown, waited for", statusPath + machine + "x?wait=1", s.key("ada"), 404},
		{"malformed", statusPath + "x", s.key("ada"), 400},
		{"feed for a register key", "/v1/executions", s.key("gen", scope(apikeys.ScopeRegister)), 403},
	} {
		got := s.ask("GET", test.target, test.token, header("Accept", "text/event-stream"))
		if got.status != test.want || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// carelessKeys never report that a key is revoked.
type carelessKeys struct{ auth.Keys }

func (carelessKeys) Watch(*apikeys.Key, func(error)) (stop func()) { return func() {} }

// TestARevokedKeyEndsItsStreams and its polls. TestHowAWaitEnds says how soon.
func TestARevokedKeyEndsItsStreams(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "stream", "ada")
	s.apply(e)
	revoked, other := s.key("ada"), s.key("ada")
	stream, feed := s.open(asIs, statusPath+string(e.ARN), revoked), s.open(asIs, "/v1/executions", revoked)
	kept := s.open(asIs, statusPath+string(e.ARN), other)
	poll := s.later("GET", statusPath+string(e.ARN)+"?wait=3600", revoked)
	// The control: a server that never checks a token again.
	careless := *s
	options := s.options
	options.Metrics, options.Keys = nil, carelessKeys{options.Keys}
	careless.Server = New(options)
	careless.url = "http://" + careless.listen()
	goesOn := careless.open(asIs, statusPath+string(e.ARN), revoked)
	s.untilWaiting(4)
	for _, each := range []*streamed{kept, goesOn} {
		if got := each.next(); !strings.Contains(got, "RUNNING") {
			t.Error(got)
		}
	}
	if _, err := s.keys.Revoke(t.Context(), revoked[:17]); err != nil {
		t.Fatal(err)
	}
	for _, each := range []*streamed{stream, feed} {
		for each.next() != "" {
		}
	}
	if got := <-poll; got.status != 401 {
		t.Errorf("a poll that waits: %+v", got)
	}
	s.untilWaiting(1)
	s.apply(finished(e, "1"))
	if got := kept.next(); !strings.Contains(got, "SUCCEEDED") {
		t.Errorf("the stream of another key: %s", got)
	}
	if got := goesOn.next(); !strings.Contains(got, "SUCCEEDED") {
		t.Errorf("the stream ends by itself, so this proves nothing: %q", got)
	}
}
