package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const arn = "arn:aws:states:eu-west-1:123456789012:execution:P:x"

// script is a service that gives prepared answers, one for each request. It repeats the last
// one. It works within a bubble of time.
type script struct {
	mu      sync.Mutex
	answers []func(*http.Request) *http.Response
	asked   []*http.Request
	at      []time.Time
}

// RoundTrip implements http.RoundTripper.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	n := len(s.asked)
	s.asked, s.at = append(s.asked, r), append(s.at, time.Now())
	answer := s.answers[min(n, len(s.answers)-1)]
	s.mu.Unlock()
	got := answer(r)
	if got == nil {
		return nil, errors.New("connection refused")
	}
	got.Request = r
	return got, nil
}

func (s *script) client() *Client { return newClient("http://service", "secret", s) }

// says is an answer; headers are name, value and so on.
func says(status int, body string, headers ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
	}
}

func refused(*http.Request) *http.Response { return nil }

// state is an answer about an execution.
func state(status, version string) func(*http.Request) *http.Response {
	return says(200, fmt.Sprintf(`{"success":true,"data":{"status":%q,"executionArn":%q,"version":%q}}`, status, arn, version), "ETag", `"`+version+`"`)
}

func wrong(status int, headers ...string) func(*http.Request) *http.Response {
	return says(status, `{"success":false,"error":{"code":"C","message":"m"}}`, headers...)
}

// held is an answer that a service gives after a while.
func held(d time.Duration, answer func(*http.Request) *http.Response) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		select {
		case <-time.After(d):
			return answer(r)
		case <-r.Context().Done():
			return nil
		}
	}
}

// streams sends the text of a stream, and then holds it open or not.
func streams(text string, open bool) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		body, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, text)
			if open {
				<-r.Context().Done()
			}
			_ = w.CloseWithError(io.ErrUnexpectedEOF)
		}()
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, Body: body}
	}
}

func statusEvent(status, version string) string {
	return fmt.Sprintf("id: %s\nevent: status\ndata: {\"status\":%q,\"executionArn\":%q}\n\n", version, status, arn)
}

func TestTryAgain(t *testing.T) {
	t.Parallel()
	// The last pause begins before the client gives up. The sixth is the longest
	// that can: the first five last 3.9 s at least, and six of them 7.9 s.
	const longest = firstLimit + 32*firstPause
	for name, test := range map[string]struct {
		answers     []func(*http.Request) *http.Response
		want        int // requests
		least, most time.Duration
		err         string
	}{
		"at once":            {[]func(*http.Request) *http.Response{state("SUCCEEDED", "1")}, 1, 0, 0, ""},
		"busy":               {[]func(*http.Request) *http.Response{wrong(503, "Retry-After", "3"), state("SUCCEEDED", "1")}, 2, 3 * time.Second, 4 * time.Second, ""},
		"too many, a date":   {[]func(*http.Request) *http.Response{wrong(429, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT"), state("SUCCEEDED", "1")}, 2, 29 * time.Second, 31 * time.Second, ""},
		"an absurd wait":     {[]func(*http.Request) *http.Response{wrong(503, "Retry-After", "99999999999"), state("SUCCEEDED", "1")}, 2, 0, time.Minute + time.Second, ""},
		"nonsense":           {[]func(*http.Request) *http.Response{wrong(502, "Retry-After", "soon"), state("SUCCEEDED", "1")}, 2, 0, time.Second, ""},
		"not there yet":      {[]func(*http.Request) *http.Response{wrong(404), wrong(404), state("SUCCEEDED", "1")}, 3, 0, 5 * time.Second, ""},
		"never there":        {[]func(*http.Request) *http.Response{wrong(404)}, 5, firstLimit, longest, "C (404)"},
		"not allowed":        {[]func(*http.Request) *http.Response{wrong(403)}, 1, 0, 0, "C (403)"},
		"redirected":         {[]func(*http.Request) *http.Response{says(302, "", "Location", "http://elsewhere/")}, 1, 0, 0, "302"},
		"nobody there":       {[]func(*http.Request) *http.Response{refused}, 5, firstLimit, longest, "refused"},
		"gone for a while":   {[]func(*http.Request) *http.Response{held(time.Second, state("RUNNING", "0")), refused, refused, refused, refused, refused, refused, state("SUCCEEDED", "1")}, 8, 0, 30 * time.Second, ""},
		"another web server": {[]func(*http.Request) *http.Response{says(200, "<html>")}, 1, 0, 0, "does not look like"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: test.answers}
			begun := time.Now()
			e, err := s.client().Wait(t.Context(), arn)
			took := time.Since(begun)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || err == nil && e.Status != "SUCCEEDED" {
				t.Errorf("%s: %v", name, err)
			}
			if n := len(s.asked); test.want < 5 && n != test.want || n > 9 || took < test.least || took > test.most {
				t.Errorf("%s: %d requests in %v", name, n, took)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the token is in an error: %v", err)
			}
		})
	}
}

// TestWatchFollowsAStream loses the stream now and then, and once receives
// something that is older.
func TestWatchFollowsAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) *http.Response{
			streams("retry: 2000\n\n"+statusEvent("RUNNING", "1")+"id: 2\nevent: sta", false),
			refused,
			streams("retry: 2000\n\n"+statusEvent("RUNNING", "0")+statusEvent("RUNNING", "2")+":\n\n", false),
			wrong(503, "Retry-After", "1"),
			streams(statusEvent("FAILED", "3")+"event: end\ndata: {}\n\n", true),
			state("FAILED", "3"), // the full view
		}}
		var versions []string
		for e, err := range s.client().Watch(t.Context(), arn) {
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, e.Version)
		}
		if got := strings.Join(versions, " "); got != "1 2 3" {
			t.Errorf("versions %s", got)
		}
		var ids []string
		for _, r := range s.asked {
			ids = append(ids, r.Header.Get("Last-Event-ID"))
		}
		if got := strings.Join(ids, " "); got != " 1 1 2 2 " {
			t.Errorf("Last-Event-ID: %q", got)
		}
	})
}

// TestWatchFallsBackToLongPolls: there are no streams, or a proxy buffers them, as API Gateway
// and old proxies do. The first state is shown within ten seconds.
func TestWatchFallsBackToLongPolls(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(*http.Request) *http.Response{
		"an answer instead":               state("RUNNING", "1"),
		"not acceptable":                  wrong(406),
		"its beginning is buffered":       streams("", true),
		"even its headers are buffered":   held(29*time.Second, streams(statusEvent("RUNNING", "1"), false)),
		"silence after the first state":   streams("retry: 2000\n\n"+statusEvent("RUNNING", "1"), true),
		"a page of a proxy":               says(502, "<html>bad gateway</html>", "Content-Type", "text/html"),
		"a page of a firewall":            says(403, "<html>blocked</html>", "Content-Type", "text/html"),
		"a redirection":                   says(302, "", "Location", "https://sso.example.com/login"),
		"an error of a gateway":           says(501, `{"message":"not implemented"}`),
		"an end before the first event":   streams("retry: 2000\n\nid: 1\nevent: sta", false),
		"an end at once":                  streams("", false),
		"silence after the first comment": streams(":\n\n"+statusEvent("RUNNING", "1")+":\n\n", true),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []func(*http.Request) *http.Response{
				first, state("RUNNING", "1"),
				held(longPoll, says(304, "")), held(time.Second, state("RUNNING", "2")), state("RUNNING", "1"), // a replica that is behind
				held(time.Second, state("SUCCEEDED", "3")),
			}}
			begun := time.Now()
			var versions []string
			for e, err := range s.client().Watch(t.Context(), arn) {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if after := time.Since(begun); len(versions) == 0 && after > 10*time.Second {
					t.Errorf("%s: the first state after %v", name, after)
				}
				versions = append(versions, e.Version)
			}
			if got := strings.Join(versions, " "); got != "1 2 3" {
				t.Errorf("%s: versions %s", name, got)
			}
			if r := s.asked[2]; r.Header.Get("If-None-Match") != `"1"` || r.URL.Query().Get("wait") != "20" {
				t.Errorf("%s: %v %v", name, r.URL, r.Header)
			}
		})
	}
}

// TestWatchOutlastsARestartBehindAProxy: the client waits longer for a service that has
// answered before than for one that never did, with and without streams.
func TestWatchOutlastsARestartBehindAProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		begun := time.Now()
		s.answers = append(s.answers, func(r *http.Request) *http.Response {
			switch after := time.Since(begun); {
			case r.Header.Get("Accept") == "text/event-stream":
				return streams("retry: 2000\n\n"+statusEvent("RUNNING", "1"), true)(r)
			case after < time.Minute:
				return nil
			}
			return state("SUCCEEDED", "2")(r)
		})
		var last *Execution
		for e, err := range s.client().Watch(t.Context(), arn) {
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
			last = e
		}
		if last == nil || last.Status != "SUCCEEDED" {
			t.Errorf("the last state is %+v", last)
		}
	})
}

// TestWhatAnswersInPlaceOfTheService: an error names the server that answers, as far as its
// headers show it.
func TestWhatAnswersInPlaceOfTheService(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]func(*http.Request) *http.Response{
		"it redirects to sso.example.com": says(302, "", "Location", "https://sso.example.com/login?token=secret"),
		"it answers with text/html":       says(200, "<html>", "Content-Type", "text/html; charset=utf-8"),
		"does not look like":              says(200, "{}"),
	} {
		_, err := (&script{answers: []func(*http.Request) *http.Response{answer}}).client().Get(t.Context(), arn)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestPollWhereTheServiceDoesNotWait has a service that answers every long poll at once.
func TestPollWhereTheServiceDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		begun := time.Now()
		s.answers = append(s.answers, func(r *http.Request) *http.Response {
			switch {
			case time.Since(begun) > time.Minute:
				return state("SUCCEEDED", "2")(r)
			case r.Header.Get("If-None-Match") != "":
				return says(304, "", "Retry-After", "4")(r)
			}
			return state("RUNNING", "1")(r)
		})
		if e, err := s.client().Wait(t.Context(), arn); err != nil || e.Status != "SUCCEEDED" {
			t.Fatal(e, err)
		}
		if n := len(s.asked); n > 25 {
			t.Errorf("%d requests in a minute", n)
		}
	})
}

func TestGetRemembersWhatItGot(t *testing.T) {
	t.Parallel()
	s := &script{answers: []func(*http.Request) *http.Response{state("RUNNING", "1"), says(304, ""), state("SUCCEEDED", "2"), says(304, "")}}
	c := s.client()
	for i, want := range []string{"RUNNING", "RUNNING", "SUCCEEDED", "SUCCEEDED"} {
		e, err := c.Get(t.Context(), arn)
		if err != nil || e.Status != want {
			t.Fatalf("%d: %v %v", i, e, err)
		}
	}
	if got := s.asked[3].Header.Get("If-None-Match"); got != `"2"` {
		t.Errorf("If-None-Match: %s", got)
	}
	for i := range 2 * maxKnown {
		c.remember(fmt.Sprint(i), known{tag: `"x"`})
	}
	if len(c.answers) > maxKnown {
		t.Errorf("%d answers are remembered", len(c.answers))
	}
}

func TestGetStatusRequestsTheStatusViewOnly(t *testing.T) {
	t.Parallel()
	s := &script{answers: []func(*http.Request) *http.Response{state("RUNNING", "1"), state("RUNNING", "2"), says(304, "")}}
	c := s.client()
	if _, err := c.Get(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if e, err := c.GetStatus(t.Context(), arn); err != nil || e.Version != "2" {
			t.Fatalf("%+v %v", e, err)
		}
	}
	if got := s.asked[2]; got.URL.RawQuery != "view=status" || got.Header.Get("If-None-Match") != `"2"` {
		t.Errorf("%s with %q", got.URL, got.Header.Get("If-None-Match"))
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		n := strings.Count(string(body), "arn:")
		results := strings.Repeat(fmt.Sprintf(`{"status":"SUCCEEDED","executionArn":%q,"output":1.0e10},`, arn), n-1) +
			`{"executionArn":"x","error":{"code":"NotFound","message":"m"}}`
		_, _ = fmt.Fprintf(w, `{"success":true,"data":{"done":true,"results":[%s]}}`, results)
	}))
	defer server.Close()
	c, err := New(server.URL, "secret")
	if err != nil {
		t.Fatal(err)
	}
	arns := make([]string, 250)
	for i := range arns {
		arns[i] = arn
	}
	got, err := c.Batch(t.Context(), arns)
	if err != nil || len(got) != 250 || requests.Load() != 3 || got[99].Err.Code != "NotFound" || string(got[0].Output) != "1.0e10" {
		t.Errorf("%d results of %d requests, %v", len(got), requests.Load(), err)
	}
	set, err := c.WaitAll(t.Context(), arns, All, nil)
	if err != nil || !set.Done || len(set.Results) != 250 {
		t.Errorf("%+v %v", set, err)
	}
	if _, err := c.WaitAll(t.Context(), make([]string, 1001), All, nil); err == nil || !strings.Contains(err.Error(), "1000") {
		t.Errorf("too many: %v", err)
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []func(*http.Request) *http.Response{held(time.Hour, state("SUCCEEDED", "1"))}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := s.client().Wait(ctx, arn); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add("retry: 2000\n\nid: 1\nevent: status\ndata: {}\n\n:\n\nevent: end\ndata: {}\n\n")
	f.Add("\ufeffdata: a\r\ndata:b\rdata: c\n\r\n\r\n")
	f.Add("id: \x00\ndata\n\ndata: cut off")
	f.Fuzz(func(t *testing.T, text string) {
		r := newEventReader(strings.NewReader(text), 1000, func() {})
		for {
			e, err := r.next()
			if err != nil {
				return
			}
			if len(e.data) > 2000 || strings.ContainsAny(e.name+e.id, "\r\n\x00") && !strings.ContainsRune(text, 0) || strings.ContainsRune(string(e.data), '\r') {
				t.Errorf("%q: %+v", text, e)
			}
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	r := newEventReader(strings.NewReader("\ufeffid: 7\r\nevent: a\r\ndata: x\r\ndata:  y\r\n\r\n:c\rdata\r\revent: none\n\ndata: last"), 100, func() {})
	for _, want := range []event{{"a", "7", []byte("x\n y")}, {"", "7", []byte("")}} {
		got, err := r.next()
		if err != nil || got.name != want.name || got.id != want.id || string(got.data) != string(want.data) {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
	}
	if got, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("a part of an answer is returned: %+v %v", got, err)
	}
	if _, err := newEventReader(strings.NewReader("data: "+strings.Repeat("x", 200)), 100, func() {}).next(); !errors.Is(err, errLongEvent) {
		t.Errorf("a line without end: %v", err)
	}
}

// TestTokensAsPeopleCopyThem takes a token with a line break at its end and one with Bearer.
func TestTokensAsPeopleCopyThem(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"secret", "secret\n", " secret\r\n", "Bearer secret", "bearer  secret\n"} {
		c, err := New("http://service", given)
		if err != nil || c.token != "secret" {
			t.Errorf("%q is sent as %q, %v", given, c.token, err)
		}
	}
}
