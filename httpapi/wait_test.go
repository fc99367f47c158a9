package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// later sends a request in the background, and returns a channel for the answer.
func (s *service) later(method, target, token string, change ...func(*http.Request)) <-chan answer {
	answers := make(chan answer, 1)
	go func() { answers <- s.ask(method, target, token, change...) }()
	return answers
}

// untilWaiting returns when so many requests wait in the server.
func (s *service) untilWaiting(n int) {
	s.t.Helper()
	cachetest.Eventually(s.t, fmt.Sprint(n, " requests wait"), func() bool { return s.waiters.Count() == n })
}

func finished(e cache.Execution, output string) cache.Execution {
	e.Status, e.StopDate, e.Output = cache.Succeeded, e.StartDate.Add(time.Second), []byte(output)
	return e
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "poll", "ada")
	s.apply(e)
	target := statusPath + string(e.ARN)
	tag := s.ask("GET", target, ada).header.Get("ETag")

	plain := s.later("GET", target+"?wait=3600", ada)
	tagged := s.later("GET", target, ada, header("Prefer", "respond-async, wait=3600"), header("If-None-Match", tag))
	full := s.later("GET", target+"?wait=3600&view=full", ada)
	head := s.later("HEAD", target+"?wait=3600", ada)
	s.untilWaiting(4)
	s.apply(finished(e, `"done"`))
	for name, answers := range map[string]<-chan answer{"plain": plain, "tagged": tagged, "full": full} {
		if got := <-answers; got.status != 200 || !strings.Contains(got.body, `"output":"done"`) {
			t.Errorf("%s: %+v", name, got)
		} else if applied := got.header.Get("Preference-Applied"); (applied == "wait=3600") != (name == "tagged") {
			t.Errorf("%s: Preference-Applied: %q", name, applied)
		}
	}
	got := <-head
	if got.status != 200 || got.body != "" || got.header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %+v", got)
	}
	tag = got.header.Get("ETag")
	if got := s.ask("GET", target+"?wait=3600", ada, header("If-None-Match", tag)); got.status != 304 || got.header.Get("ETag") != tag {
		t.Errorf("an end that is known: %+v", got)
	}
	if got := s.ask("GET", target+"?wait=3600", ada, header("If-None-Match", `"other"`)); got.status != 200 {
		t.Errorf("an end that differs: %+v", got)
	}
	s.untilWaiting(0)
}

func TestALongPollEndsWithTheCurrentState(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.MaxWait = time.Second })
	ada := s.key("ada")
	e := running(t, "poll", "ada")
	s.apply(e)
	target := statusPath + string(e.ARN)
	tag := s.ask("GET", target, ada).header.Get("ETag")
	for _, test := range []struct {
		name, target, tag string
		want              int
	}{
		{"nothing changed", target + "?wait=1", "", 200},
		{"nothing changed for a client that has it", target + "?wait=1", tag, 304},
		{"more than is given", target + "?wait=999999999999999999999", tag, 304},
		{"nothing known", statusPath + machine + "x?wait=1", "", 404},
	} {
		begun := time.Now()
		got := s.ask("GET", test.target, ada, header("If-None-Match", test.tag))
		if got.status != test.want || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v", test.name, got)
		}
		if took := time.Since(begun); took < time.Second {
			t.Errorf("%s: answered after %v", test.name, took)
		}
	}
	for _, bad := range []string{"wait=-1", "wait=1.5", "wait=", "wait=1s", "wait=1&wait=1", "wait=%20"} {
		if got := s.ask("GET", target+"?"+bad, ada); got.status != 400 || !strings.Contains(got.body, "wait:") {
			t.Errorf("%s: %+v", bad, got)
		}
	}
	for _, ignored := range []string{"wait", "wait=", "wait=x", "wait=-1", `wait="`, "waiting=1", "respond-async"} {
		if got := s.ask("GET", target, ada, header("Prefer", ignored)); got.status != 200 || got.header.Get("Preference-Applied") != "" {
			t.Errorf("Prefer %s: %+v", ignored, got)
		}
	}
}

// TestARequestThatNeedNotWaitIsAnsweredAtOnce, where waiting would last longer than the test.
func TestARequestThatNeedNotWaitIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.MaxWait, o.Grace = time.Hour, time.Hour })
	ada := s.key("ada")
	e := running(t, "poll", "ada")
	s.apply(e)
	for name, test := range map[string]struct {
		target, tag string
		want        int
	}{
		"no wait":            {statusPath + machine + "x?wait=0", "", 404},
		"a tag that differs": {statusPath + string(e.ARN) + "?wait=3000", `"x"`, 200},
	} {
		got := s.ask("GET", test.target, ada, header("If-None-Match", test.tag))
		if got.status != test.want || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWaitingForAnUnknownExecution(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.Grace = time.Hour })
	ada, eve, operator := s.key("ada"), s.key("eve"), s.key("ops", scope(apikeys.ScopeReadAll))
	e := running(t, "late", "ada")
	target := statusPath + string(e.ARN)
	held, waiting := s.later("GET", target, ada), s.later("GET", target+"?wait=3600", ada)
	foreign, all := s.later("GET", target, eve), s.later("GET", target, operator)
	s.untilWaiting(4)
	nobodys := e
	nobodys.Owner = ""
	s.apply(nobodys)
	if got := <-all; got.status != 200 {
		t.Errorf("operator: %+v", got)
	}
	s.untilWaiting(3) // its owner may become known
	if _, err := s.cache.Register(t.Context(), cache.Registration{ARN: e.ARN, Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	if got := <-held; got.status != 200 || !strings.Contains(got.body, "RUNNING") {
		t.Errorf("held: %+v", got)
	}
	if got := <-foreign; got.status != 403 {
		t.Errorf("foreign: %+v", got)
	}
	s.apply(finished(e, "1"))
	if got := <-waiting; got.status != 200 || !strings.Contains(got.body, "SUCCEEDED") {
		t.Errorf("waiting: %+v", got)
	}
}

func TestTheGraceIsBounded(t *testing.T) {
	t.Parallel()
	const ours = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"
	g := newGrace([]string{ours})
	if g.enter("ada", "arn:aws:states:eu-west-1:123456789012:execution:Other:x") {
		t.Error("a request waits for another state machine's execution")
	}
	for range maxHeldCaller {
		if !g.enter("ada", arn(t, "x")) {
			t.Fatal("refused within the bound")
		}
	}
	if g.enter("ada", arn(t, "x")) || !g.enter("eve", arn(t, "x")) {
		t.Error("one caller takes the places of another")
	}
	g.leave("ada")
	if !g.enter("ada", arn(t, "x")) {
		t.Error("not given back")
	}
	for i := 0; g.count < maxHeld; i++ {
		g.enter(fmt.Sprint(i), arn(t, "x"))
	}
	if g.enter("zoe", arn(t, "x")) {
		t.Error("more than all together")
	}

	s := newService(t, func(o *Options) {
		o.Grace, o.StateMachines = time.Hour, []string{ours + "2"}
	})
	if got := s.ask("GET", statusPath+machine+"x", s.key("ada")); got.status != 404 || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
}

func TestTooManyWait(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := running(t, "poll", "ada")
	s.apply(e)
	ada := s.key("ada")
	holder := s.callers.Of("ada")
	for s.waiters.places.Take(holder, 1) {
		continue
	}
	got := s.askOnce("GET", statusPath+string(e.ARN)+"?wait=3600", ada)
	if got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	if got := s.ask("GET", statusPath+string(e.ARN), ada); got.status != 200 {
		t.Errorf("a request that does not wait: %+v", got)
	}
}

// TestTheNextRequestIsThereAlready sends a request behind one that waits, and one
// behind that, without waiting for answers.
func TestTheNextRequestIsThereAlready(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	first, second := running(t, "first", "ada"), running(t, "second", "ada")
	s.apply(first, second)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var text strings.Builder
	for _, target := range []string{string(first.ARN) + "?wait=3600", string(second.ARN), string(second.ARN) + "?wait=3600", string(first.ARN)} {
		fmt.Fprintf(&text, "GET %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", statusPath, target, ada)
	}
	if _, err := io.WriteString(c, text.String()); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	for i, want := range []string{"SUCCEEDED", "RUNNING", "SUCCEEDED", "SUCCEEDED"} {
		if i%2 == 0 {
			s.untilWaiting(1)
			s.apply(finished([]cache.Execution{first, {}, second}[i], "1"))
		}
		got, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if err != nil || got.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("answer %d: %v %d %s", i, err, got.StatusCode, body)
		}
	}
}

// TestAConnectionServesAgain asks long polls and others in turn over one connection. It is not
// one of net/http's, which gives up a connection if its own goroutines are late.
func TestAConnectionServesAgain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	var applying sync.WaitGroup
	defer applying.Wait()
	for i := range 20 {
		e := running(t, fmt.Sprint("poll", i), "ada")
		s.apply(e)
		for _, query := range []string{"?wait=3600", ""} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+statusPath+string(e.ARN)+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+ada)
			if query != "" {
				applying.Go(func() {
					s.untilWaiting(1)
					s.apply(finished(e, strings.Repeat("1", 5000)))
				})
			}
			if err := r.Write(c); err != nil {
				t.Fatal(err)
			}
			got, err := http.ReadResponse(in, r)
			if err != nil {
				t.Fatalf("request %d, %s: %v", i, query, err)
			}
			body, err := io.ReadAll(got.Body)
			_ = got.Body.Close()
			if err != nil || got.Close || got.StatusCode != 200 || !strings.Contains(string(body), "SUCCEEDED") {
				t.Fatalf("%v %d, close %v: %s", err, got.StatusCode, got.Close, body)
			}
		}
	}
}

func TestAWaitEndsWhenTheClientDisconnects(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+statusPath+machine+"x?wait=3600", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ada)
	ended := make(chan error, 1)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(r) //nolint:bodyclose // it fails
		ended <- err
	}()
	s.untilWaiting(1)
	cancel()
	if err := <-ended; err == nil {
		t.Error("answered")
	}
	s.untilWaiting(0)
}
