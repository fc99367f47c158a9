package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/lists"
	"statuscache/httpapi/auth"
)

func TestRegistration(t *testing.T) {
	t.Parallel()
	s := newService(t)
	generate := s.key("generate", scope(apikeys.ScopeRegister))
	bound := s.key("generate", scope(apikeys.ScopeRegister), func(k *apikeys.Key) {
		k.StateMachines = []string{"arn:aws:states:eu-west-1:123456789012:stateMachine:Other"}
	})
	body := func(name, owner string) string {
		return fmt.Sprintf(`{"executionArn":"%s%s","owner":%q,"startDate":"2026-02-10T12:00:00Z"}`, machine, name, owner)
	}
	for _, test := range []struct {
		name, token, body string
		want              int
		has               string
	}{
		{"new", generate, body("a", "ada"), 201, `"owner":"ada"`},
		{"again", generate, body("a", "ada"), 200, ""},
		{"another owner", generate, body("a", "eve"), 409, "Conflict"},
		{"no date", generate, `{"executionArn":"` + machine + `b","owner":"ada"}`, 201, ""},
		{"a read key", s.key("ada"), body("c", "ada"), 403, "Forbidden"},
		{"an operator's key", s.key("ops", scope(apikeys.ScopeReadAll)), body("c", "ada"), 403, "Forbidden"},
		{"a key for another machine", bound, body("c", "ada"), 403, "Forbidden"},
		{"no token", "", body("c", "ada"), 401, "Unauthorized"},
		{"no ARN", generate, `{"owner":"ada"}`, 400, "executionArn"},
		{"a bad ARN", generate, `{"executionArn":"x","owner":"ada"}`, 400, "executionArn"},
		{"no owner", generate, body("d", ""), 400, "owner"},
		{"a long owner", generate, body("d", strings.Repeat("x", 257)), 400, "owner"},
		{"an owner with a break", generate, body("d", "a\nb"), 400, "owner"},
		{"a bad date", generate, `{"executionArn":"` + machine + `d","owner":"ada","startDate":"yesterday"}`, 400, "startDate"},
		{"a wrong type", generate, `{"executionArn":"` + machine + `d","owner":7}`, 400, "owner"},
		{"an unknown name", generate, `{"executionArn":"` + machine + `d","owner":"ada","onwer":"x"}`, 400, "onwer"},
		{"a name twice", generate, `{"owner":"ada","owner":"eve","executionArn":"` + machine + `d"}`, 400, "ValidationError"},
		{"not JSON", generate, `{`, 400, "ValidationError"},
		{"two values", generate, body("d", "ada") + body("e", "ada"), 400, "ValidationError"},
		{"too large", generate, `"` + strings.Repeat("x", 20_000) + `"`, 413, "PayloadTooLarge"},
	} {
		got := s.ask("POST", "/v1/executions", test.token, jsonBody(test.body))
		if got.status != test.want || !strings.Contains(got.body, test.has) {
			t.Errorf("%s: %d %s, want %d", test.name, got.status, got.body, test.want)
		}
	}
	if got := s.ask("POST", "/v1/executions", generate, jsonBody(body("d", "ada")), header("Content-Type", "text/plain")); got.status != 415 {
		t.Errorf("another type: %d", got.status)
	}
	if got := s.ask("PUT", "/v1/executions", generate); got.status != 405 || got.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("another method: %d %v", got.status, got.header)
	}
	got := s.ask("GET", statusPath+machine+"a", s.key("ada"))
	if got.status != 200 || !strings.Contains(got.body, `"status":"RUNNING"`) || !strings.Contains(got.body, `"startDate":"2026-02-10T12:00:00Z"`) {
		t.Errorf("an immediate poll: %d %s", got.status, got.body)
	}
	if got := s.ask("GET", statusPath+machine+"a", s.key("eve")); got.status != 403 {
		t.Errorf("by another: %d", got.status)
	}
}

func TestRequestIDAndLog(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	for given, want := range map[string]bool{"trace-1_2.3": true, "": false, "a b": false, strings.Repeat("x", 65): false, "a\"b": false} {
		got := s.ask("GET", statusPath+"x", ada, header("X-Request-Id", given)).header.Get("X-Request-Id")
		if (got == given) != want || got == "" {
			t.Errorf("%q: answered with %q", given, got)
		}
	}
	s.ask("GET", statusPath+"x\"y?secret=1", ada)
	log := s.log.String()
	for line := range strings.SplitSeq(strings.TrimSpace(log), "\n") {
		if !strings.HasPrefix(line, `{"time":"`) || !strings.HasSuffix(line, "}") {
			t.Errorf("not a line of JSON: %s", line)
		}
	}
	if strings.Contains(log, "secret") || !strings.Contains(log, `"caller":"ada"`) || !strings.Contains(log, `"status":400`) {
		t.Errorf("log: %s", log)
	}
}

func TestLogAsText(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.LogJSON = false })
	s.ask("GET", statusPath+"a%20b%0a", s.key("ada"))
	if line := s.log.String(); !strings.Contains(line, ` msg=request `) || !strings.Contains(line, ` path="/v1/status/a b�"`) || strings.Count(line, "\n") != 1 {
		t.Errorf("line: %q", line)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	if got := s.ask("GET", statusPath+"x", ada, header("X-Large", strings.Repeat("x", 32<<10))); got.status != 431 || !strings.Contains(got.body, "HeadersTooLarge") {
		t.Errorf("headers of 32 KiB: %d %s", got.status, got.body)
	}
	if got := s.ask("GET", statusPath+strings.Repeat("x", 5000), ada); got.status != 400 {
		t.Errorf("a path of 5,000 bytes: %d", got.status)
	}
	if got := s.ask("OPTIONS", statusPath+"x", ""); got.status != 204 || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("OPTIONS: %d %v", got.status, got.header)
	}
}

func TestPanicEndsOneRequest(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) {
		o.Posts = []Post{{Path: "/v1/boom", Limit: 100, Answer: func(context.Context, *auth.Principal, jsontext.Value) (int, []byte, error) { panic("boom: SECRET") }}}
	})
	ada := s.key("ada")
	got := s.ask("POST", "/v1/boom", ada, jsonBody("{}"))
	if got.status != 500 || !strings.Contains(got.body, "InternalError") || strings.Contains(got.body, "SECRET") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(s.log.String(), got.header.Get("X-Request-Id")) {
		t.Error("the log does not tell which request it was")
	}
	if got := s.ask("GET", "/v1/health", ""); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.Origins = []string{"https://app.example.com"} })
	ada := s.key("ada")
	s.apply(succeeded(t, "mine", "ada", `"`+strings.Repeat("x", 5000)+`"`))
	target := statusPath + machine + "mine"
	got := s.ask("GET", target, ada, header("Origin", "https://app.example.com"))
	if got.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(strings.ToLower(got.header.Get("Access-Control-Expose-Headers")), "retry-after") {
		t.Errorf("allowed: %v", got.header)
	}
	if vary := strings.Join(got.header.Values("Vary"), ","); !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Accept-Encoding") {
		t.Errorf("Vary: %s", vary)
	}
	if got := s.ask("GET", target, ada, header("Origin", "https://evil.example.com")); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another: %v", got.header)
	}
	pre := s.ask("OPTIONS", target, "", header("Origin", "https://app.example.com"), header("Access-Control-Request-Method", "GET"), header("Access-Control-Request-Headers", "authorization"))
	if pre.status/100 != 2 || pre.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("preflight: %d %v", pre.status, pre.header)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ask("GET", statusPath+"x", s.key("ada"))
	for target, want := range map[string]string{"/livez": "ok", "/readyz": "ready", "/debug/pprof/": "goroutine", "/metrics": `statuscache_request_duration_seconds_count{code="400",route="/v1/status/{executionArn}"} 1`} {
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %.300s", target, w.Code, w.Body)
		}
	}
	s.Drain()
	w := httptest.NewRecorder()
	s.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("draining: %d %s", w.Code, w.Body)
	}
	if got := s.ask("GET", "/v1/health", ""); got.status != 200 || !strings.Contains(got.body, "shutting down") {
		t.Errorf("health while draining: %d %s", got.status, got.body)
	}
	last := httptest.NewRecorder()
	s.Handler().ServeHTTP(last, httptest.NewRequest("GET", "/v1/health", nil))
	if last.Header().Get("Connection") != "close" {
		t.Errorf("the connection is kept while draining: %v", last.Header())
	}
}

// TestServeFinishesRequestsUnderWay: a request that is in progress when the server stops is
// answered.
func TestServeFinishesRequestsUnderWay(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := newService(t, func(o *Options) {
		o.Posts = []Post{{Path: "/v1/slow", Limit: 100, Answer: func(context.Context, *auth.Principal, jsontext.Value) (int, []byte, error) {
			close(entered)
			<-release
			return 200, []byte("1"), nil
		}}}
	})
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, public, nil, 5*time.Minute) }()
	s.url = "http://" + public.Addr().String()
	ada := s.key("ada")
	answered := make(chan answer, 1)
	go func() { answered <- s.ask("POST", "/v1/slow", ada, jsonBody("{}")) }()
	<-entered
	cancel()
	close(release)
	if got := <-answered; got.status != 200 {
		t.Errorf("%+v", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestHostileConnections: a connection that does not carry HTTP, or a request that never ends,
// is cut off.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	s := newService(t)
	addr := s.listen()
	for name, sent := range map[string]string{
		"slow headers":  "GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A",
		"no HTTP":       "\x16\x03\x01 hello\r\n\r\n",
		"huge headers":  "GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 200_000) + "\r\n\r\n",
		"two lengths":   "POST /v1/executions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		"NUL in target": "GET /v1/status/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, sent); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.SetReadDeadline(time.Now().Add(askLimit)); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && !strings.Contains(line, " 4") || os.IsTimeout(err) {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		_ = c.Close()
	}
}

// TestTLS: HTTP/2 where the client speaks it, and HSTS.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.TLS = testCertificate(t) })
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", 200_000)+`"`)
	s.apply(e)
	addr := strings.TrimPrefix(s.url, "http://") // newService serves with TLS already
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		r, err := http.NewRequest(http.MethodGet, "https://"+addr+statusPath+string(e.ARN), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.key("ada"))
		got, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if err != nil || got.StatusCode != 200 || !strings.Contains(string(body), strings.Repeat("x", 200_000)) ||
			(got.ProtoMajor == 2) != http2 || got.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("HTTP/2 %v: %s %d, %d bytes, %v", http2, got.Proto, got.StatusCode, len(body), err)
		}
		transport.CloseIdleConnections()
	}
}

// panickedLists are lists whose shared call has panicked.
type panickedLists struct{ Lists }

func (panickedLists) BeginCounts(context.Context, string, bool) func(context.Context) (lists.Counts, error) {
	return func(context.Context) (lists.Counts, error) {
		return lists.Counts{}, fmt.Errorf("count executions: %w: out of range", cache.ErrPanicked)
	}
}

// TestAPanicOfASharedCallIsAnInternalError for all callers that share the call, with a line in
// the log. The message does not blame Redis.
func TestAPanicOfASharedCallIsAnInternalError(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.Lists = panickedLists{o.Lists} })
	got := s.askOnce("GET", "/v1/executions", s.key("ada"))
	if got.status != 500 || strings.Contains(got.body, "range") || !strings.Contains(s.log.String(), "out of range") || s.counter("statuscache_panics_total") != 1 {
		t.Errorf("%d %s\n%s", got.status, got.body, s.log)
	}
}
