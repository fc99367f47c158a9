package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
)

// TestBodyThatNeverComes: the service does not wait for it, whether a handler would have read
// it or not.
func TestBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	s := newService(t)
	addr := s.listen()
	register := s.key("generate", scope(apikeys.ScopeRegister))
	for name, sent := range map[string]string{
		"of a GET":              "GET /v1/status/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"of a POST, no token":   "POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"of a POST, half of it": "POST /v1/executions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + register + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"of unknown length":     "POST /v1/executions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"of an unknown path":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"of an unknown method":  "DELETE /v1/status/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, sent); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(bodyLimit + askLimit)); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(bufio.NewReader(c)) // to the end of the connection
			if err != nil && os.IsTimeout(err) {
				t.Errorf("the connection is still open, after %q", text)
			}
		})
	}
}

// TestNothingIsReadBehindAChunkedBody: a chunked request may also have a Content-Length, by
// which it ends elsewhere. Package wire refuses such a request. But net/http reads it, and does
// not report the length, if something else in the request is foreign to wire or if an earlier
// request on the connection was.
func TestNothingIsReadBehindAChunkedBody(t *testing.T) {
	t.Parallel()
	addr := newService(t).listen()
	const both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	const health = "GET /v1/health HTTP/1.1\r\nHost: x\r\n"
	for name, test := range map[string]struct {
		sent    string
		answers int
	}{
		"with a tab in a value":     {"POST /v1/status HTTP/1.1\r\nHost: x\r\nX-A: a\tb\r\n" + both, 1},
		"behind a foreign request":  {health + "X-A: a\tb\r\n\r\nPOST /v1/status HTTP/1.1\r\nHost: x\r\n" + both, 2},
		"with line feeds only":      {strings.ReplaceAll("POST /v1/status HTTP/1.1\r\nHost: x\r\n"+both, "\r\n", "\n"), 1},
		"without the second length": {"POST /v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, test.sent+health+"Connection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(askLimit))
			text, err := io.ReadAll(c)
			if n := strings.Count(string(text), "HTTP/1.1 "); n != test.answers || err != nil {
				t.Errorf("%d answers, want %d; %v\n%s", n, test.answers, err, text)
			}
		})
	}
}

// TestAConditionThatAlwaysHoldsCountsAsARequest: an answer to such a condition reveals the
// state, so it counts like any answer.
func TestAConditionThatAlwaysHoldsCountsAsARequest(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	s := newService(t)
	s.apply(succeeded(t, "mine", "ada", "1"))
	for _, any := range []string{"*", `"x", *`, "*,*"} {
		ada := s.key("ada", func(k *apikeys.Key) { k.DailyLimit = 3 })
		for i, want := range []int{304, 304, 304, 429} {
			if got := s.ask("GET", statusPath+machine+"mine", ada, header("If-None-Match", any)); got.status != want {
				t.Errorf("%s: request %d: %d, want %d", any, i, got.status, want)
			}
		}
	}
}

// TestTokenComesBeforeLength: nobody learns anything without a token.
func TestTokenComesBeforeLength(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, target := range []string{statusPath + strings.Repeat("x", 5000), statusPath + "x?" + strings.Repeat("x", 5000)} {
		if got := s.ask("GET", target, ""); got.status != 401 {
			t.Errorf("%d", got.status)
		}
	}
}

// TestKeysWithoutAnOwner have buckets of their own.
func TestKeysWithoutAnOwner(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.RateLimit = 1 })
	one, other := s.key("", scope(apikeys.ScopeReadAll)), s.key("", scope(apikeys.ScopeReadAll))
	cachetest.Eventually(t, "one key is beyond its rate", func() bool { return s.askOnce("GET", statusPath+"x", one).status == 429 })
	if got := s.ask("GET", statusPath+"x", other); got.status != 400 {
		t.Errorf("slowed down by another key: %d", got.status)
	}
}

// TestLogShowsNoControls: the log has no character that a terminal would interpret.
func TestLogShowsNoControls(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{true, false} {
		s := newService(t, func(o *Options) { o.LogJSON = asJSON })
		s.ask("GET", "/v1/status/%C2%9B2J%E2%80%AE%E2%80%A8%7F%1b%0a", "")
		for _, bad := range []rune{'\u009b', '\u202e', '\u2028', '\x7f', '\x1b'} {
			if strings.ContainsRune(s.log.String(), bad) {
				t.Errorf("JSON %v: %U is in the log: %q", asJSON, bad, s.log)
			}
		}
	}
}

// TestFailuresAreLoggedAtWarn: a log without a line for each request still has a line for each
// one that the service failed to answer.
func TestFailuresAreLoggedAtWarn(t *testing.T) {
	t.Parallel()
	onlyWarnings := func(o *Options) { o.LogLevel = 4 } // slog.LevelWarn
	healthy := newService(t, onlyWarnings)
	healthy.ask("GET", statusPath+"x", healthy.key("ada"))
	if healthy.log.String() != "" {
		t.Errorf("log: %s", healthy.log)
	}
	s := newHastyService(t, onlyWarnings)
	ada := s.key("ada")
	s.redis.Freeze()
	defer s.redis.Thaw()
	s.askOnce("GET", statusPath+machine+"x", ada)
	cachetest.Eventually(t, "the failure is logged, which is behind its answer", func() bool { return strings.Contains(s.log.String(), `"level":"WARN"`) })
}

// TestWrongParametersOfAStatusAreRefusedByName, on every route that has them.
func TestWrongParametersOfAStatusAreRefusedByName(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(running(t, "x", "ada"))
	ada, body := s.key("ada"), jsonBody(`{"executionArns":["`+machine+`x"]}`)
	huge := strings.Repeat("x", 1000)
	for query, says := range map[string]string{
		"wait=-1": "wait: ", "wait=x": "wait: ", "wait=1.5": "wait: ", "wait=": "wait: ", "wait=1e1": "wait: ", "wait=%201": "wait: ", "wait=" + huge: "wait: ", "wait=%00": "wait: ",
		"wait=0&wait=0": "wait: given more than once", "wait=%zz": "query: malformed", "wait=0;view=full": "query: malformed",
		"view=all": "view: ", "view=": "view: ", "view=FULL": "view: ", "view=" + huge: "view: ", "view=%0a": "view: ", "view=full&view=full": "view: ",
	} {
		for target, method := range map[string]string{statusPath + machine + "x": "GET", "/v1/wait": "POST"} {
			got := s.ask(method, target+"?"+query, ada, func(r *http.Request) {
				if method == "POST" {
					body(r)
				}
			})
			if got.status != 400 || !strings.Contains(got.body, `"message":"`+says) || len(got.body) > 300 {
				t.Errorf("%s %.60s?%.60s: %d %.300s", method, target, query, got.status, got.body)
			}
		}
	}
}

// TestUnknownNamesComeWithTheKnownOnes, in queries and in bodies.
func TestUnknownNamesComeWithTheKnownOnes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, registrar := s.key("ada"), s.key("ada", scope(apikeys.ScopeRegister))
	for _, c := range []struct{ target, token, body, want string }{
		{"/v1/executions?statu=FAILED", ada, "", "statu: not known here; did you mean status?"},
		{"/v1/executions?Limit=5", ada, "", "did you mean limit?"},
		{"/v1/executions?state_machine=x", ada, "", "did you mean stateMachineArn?"},
		{"/v1/executions?page=2", ada, "", "the known names are cursor, error, label, limit, name, overdue, owner, q, startedAfter, startedBefore, stateMachineArn and status"},
		{"/v1/failures?windw=1h", ada, "", "did you mean window?"},
		{"/v1/failures?since=1h", ada, "", "the known names are stateMachineArn and window"},
		{"/v1/overview?x=1", ada, "", "this path has no parameters"},
		{"/v1/status", ada, `{"executionArn":[]}`, "did you mean executionArns?"},
		{"/v1/status", ada, `{"arns":[]}`, "the known names are executionArns"},
		{"/v1/wait", ada, `{"executionArns":[],"until":"all"}`, "the known names are executionArns and for"},
		{"/v1/links", ada, `{"executionArn":"x","expires":5}`, "did you mean expiresIn?"},
		{"/v1/executions", registrar, `{"executionArn":"x","Owner":"ada"}`, "did you mean owner?"},
		{"/v1/executions", registrar, `{"executionArn":"x","owner":5}`, "owner: of the wrong type"},
	} {
		method, change := "GET", func(*http.Request) {}
		if c.body != "" {
			method, change = "POST", jsonBody(c.body)
		}
		if got := s.ask(method, c.target, c.token, change); got.status != 400 || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %s: %d %s, want %q", c.target, c.body, got.status, got.body, c.want)
		}
	}
}
