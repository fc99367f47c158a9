package httpapi

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/cache/stats"
)

func TestStatusAnswers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	done := succeeded(t, "done", "ada", `{"rules":[],"n":9007199254740993}`)
	failed := done
	failed.ARN, failed.Status, failed.Output = arn(t, "failed"), cache.TimedOut, nil
	failed.Error, failed.ErrorMessage = "States.Timeout", "States.Timeout: Execution timed out"
	runs := running(t, "runs", "ada")
	s.apply(done, failed, runs)

	date := func(d time.Time) string { return d.UTC().Format(time.RFC3339) }
	for name, test := range map[string]struct {
		execution  cache.Execution
		want       string
		retryAfter string
	}{
		"RUNNING": {runs, `{"success":true,"data":{"status":"RUNNING","executionArn":"` + string(runs.ARN) +
			`","startDate":"` + date(runs.StartDate) + `"}}`, "2"},
		"SUCCEEDED": {done, `{"success":true,"data":{"status":"SUCCEEDED","executionArn":"` + string(done.ARN) +
			`","startDate":"` + date(done.StartDate) + `","stopDate":"` + date(done.StopDate) + `","output":{"rules":[],"n":9007199254740993}}}`, ""},
		"FAILED": {failed, `{"success":true,"data":{"status":"FAILED","executionArn":"` + string(failed.ARN) +
			`","startDate":"` + date(failed.StartDate) + `","stopDate":"` + date(failed.StopDate) + `","errorMessage":"States.Timeout: Execution timed out"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			target := statusPath + string(test.execution.ARN)
			got := s.ask("GET", target, ada)
			if diff := cmp.Diff(test.want, got.body); got.status != 200 || diff != "" {
				t.Errorf("status %d\n%s", got.status, diff)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/json", "Cache-Control": "private, no-cache, no-transform",
				"X-Content-Type-Options": "nosniff", "RateLimit-Policy": `"default";q=400;w=2`, "Retry-After": test.retryAfter,
			} {
				if have := got.header.Get(name); have != want {
					t.Errorf("%s: %q, want %q", name, have, want)
				}
			}
			head := s.ask("HEAD", target, ada)
			if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != got.header.Get("Content-Length") {
				t.Errorf("HEAD: %+v", head)
			}
			tag := got.header.Get("ETag")
			if !strings.HasPrefix(tag, `"`) {
				t.Fatalf("ETag %s is not a strong one", tag)
			}
			for _, ifNoneMatch := range []string{tag, `"x", ` + tag, "W/" + tag, "*"} {
				not := s.ask("GET", target, ada, header("If-None-Match", ifNoneMatch))
				if not.status != 304 || not.body != "" || not.header.Get("ETag") != tag || not.header.Get("Retry-After") != test.retryAfter {
					t.Errorf("If-None-Match %s: %+v", ifNoneMatch, not)
				}
			}
			if other := s.ask("GET", target, ada, header("If-None-Match", `"x"`)); other.status != 200 {
				t.Errorf("another tag: %d", other.status)
			}
		})
	}
}

func TestOutputSurvivesByteForByte(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	for name, output := range map[string]string{
		"numbers":         `[9007199254740993,1.0e10,-0,1E-7,0.10]`,
		"duplicate names": `{"a":1,"a":2}`,
		"spaces":          `{ "a" : [ 1 , 2 ]  , "b":	null }`,
		"escapes":         `"\u2028 \u003c < > & \/ \ud83d\ude00 é"`,
		"line separator":  "\"\u2028\"",
		"scalar":          `true`,
		"large":           `{"s":"` + strings.Repeat("ab<c ", 50_000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := succeeded(t, url.PathEscape(strings.ReplaceAll(name, " ", "-")), "ada", output)
			s.apply(e)
			want := `,"output":` + output + `}}`
			for _, coding := range []string{"identity", "gzip"} {
				got := s.ask("GET", statusPath+string(e.ARN), ada, header("Accept-Encoding", coding))
				body := got.body
				if got.header.Get("Content-Encoding") == "gzip" {
					body = unzipped(t, body)
				}
				if !strings.HasSuffix(body, want) {
					t.Errorf("%s: output changed: %.200s", coding, body)
				}
				if len(output) > 1024 && (coding == "gzip") != (got.header.Get("Content-Encoding") == "gzip") {
					t.Errorf("%s answered with %q", coding, got.header.Get("Content-Encoding"))
				}
			}
		})
	}
}

func unzipped(t *testing.T, body string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestETagDiffersByContentCoding(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := succeeded(t, "big", "ada", `"`+strings.Repeat("x", 5000)+`"`)
	s.apply(e)
	target := statusPath + string(e.ARN)
	plain := s.ask("GET", target, ada).header.Get("ETag")
	zipped := s.ask("GET", target, ada, header("Accept-Encoding", "br, gzip;q=0.5")).header.Get("ETag")
	refused := s.ask("GET", target, ada, header("Accept-Encoding", "gzip;q=0, *")).header.Get("ETag")
	if vary := s.ask("GET", target, ada).header.Get("Vary"); vary != "Accept-Encoding" {
		t.Errorf("Vary: %q", vary)
	}
	if plain == zipped || plain != refused {
		t.Errorf("plain %s, gzip %s, gzip refused %s", plain, zipped, refused)
	}
}

func TestFullView(t *testing.T) {
	t.Parallel()
	s := newService(t)
	e := succeeded(t, "full", "ada", `{"a":1}`)
	e.RedriveCount = 2
	s.apply(e)
	got := s.ask("GET", statusPath+string(e.ARN)+"?view=full", s.key("ada"))
	d := json.NewDecoder(strings.NewReader(got.body))
	var names []string
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch v := token.(type) {
		case json.Delim:
			depth += map[json.Delim]int{'{': 1, '}': -1}[v]
		case string:
			if depth == 2 {
				names = append(names, v)
			}
		}
	}
	all := strings.Join(names, " ")
	for _, pair := range []string{"executionStatus SUCCEEDED", "name full", "error", "source event", "version " + string(e.Version())} {
		if !strings.Contains(all, pair) {
			t.Errorf("no %q in %s", pair, got.body)
		}
	}
	if !strings.Contains(got.body, `"attempt":3,"error":null,"observedAt":"`) {
		t.Errorf("attempt, error or observedAt: %s", got.body)
	}
	if tag := got.header.Get("ETag"); tag == s.ask("GET", statusPath+string(e.ARN), s.key("ada")).header.Get("ETag") {
		t.Errorf("both views have the ETag %s", tag)
	}
	for _, query := range []string{"?view=ful", "?view=full&view=full", "?view=", "?%zz"} {
		if got := s.ask("GET", statusPath+string(e.ARN)+query, s.key("ada")); got.status != 400 {
			t.Errorf("%s: %d", query, got.status)
		}
	}
}

// TestOrderOfChecks: each request has one more thing right than the one before.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.RateLimit = 1 })
	e := succeeded(t, "mine", "ada", `1`)
	s.apply(e)
	eve, ada := s.key("eve"), s.key("ada")
	foreign := statusPath + string(e.ARN)
	spend := func(owner string) { // so that no time fills the bucket while the test runs
		for s.rates.Take(http.Header{}, s.callers.Of(owner).Bucket, time.Now().Add(time.Hour)) == nil {
			continue
		}
	}
	for _, step := range []struct {
		name, method, target, token string
		want                        int
		code                        string
	}{
		{"another path below /v1, no token", "GET", "/v1/nothing", "", 401, "Unauthorized"},
		{"method comes before token", "DELETE", foreign, "", 405, "MethodNotAllowed"},
		{"no token", "GET", statusPath + "garbage", "", 401, "Unauthorized"},
		{"a bad token", "GET", statusPath + "garbage", "csk_live_00000000000000000000000000000000", 401, "Unauthorized"},
		{"validation", "GET", statusPath + "garbage", eve, 400, "ValidationError"},
		{"ownership comes last", "GET", foreign, eve, 403, "Forbidden"},
		{"rate comes before validation", "GET", statusPath + "garbage", eve, 429, "RateLimitExceeded"},
		{"each caller has its own rate limit", "GET", foreign, ada, 200, ""},
		{"unknown", "GET", statusPath + machine + "unknown", ada, 404, "NotFound"},
	} {
		if step.want == 429 {
			spend("eve")
		}
		got := s.ask(step.method, step.target, step.token)
		var envelope struct {
			Success bool
			Error   struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(got.body), &envelope); err != nil || got.status != step.want || envelope.Error.Code != step.code {
			t.Errorf("%s: %d %s (%v)", step.name, got.status, got.body, err)
		}
		if got.status == 429 && got.header.Get("Retry-After") == "" || got.status == 405 && got.header.Get("Allow") != "GET, HEAD" ||
			got.status == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: header is missing: %v", step.name, got.header)
		}
		if got.status == 404 && !strings.Contains(envelope.Error.Message, "15 days") {
			t.Errorf("%s: the message does not name the retention: %s", step.name, got.body)
		}
	}
}

// TestPathTricks: no caller reads an execution of another owner, and a route is found by the
// path as it was sent.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.RateLimit = 0 })
	mapRun := succeeded(t, "child", "ada", `"SECRET"`)
	child, err := cache.ParseARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline/Map:child")
	if err != nil {
		t.Fatal(err)
	}
	mapRun.ARN = child
	plain := succeeded(t, "plain", "ada", `"SECRET"`)
	unicode := succeeded(t, "événement-日本", "ada", `"SECRET"`)
	unowned := succeeded(t, "unowned", "", `"SECRET"`)
	s.apply(mapRun, plain, unicode, unowned)
	ada, eve, operator := s.key("ada"), s.key("eve"), s.key("ops", scope(apikeys.ScopeReadAll))
	register := s.key("generate", scope(apikeys.ScopeRegister))

	forms := func(arn cache.ARN) map[string]string {
		text := string(arn)
		return map[string]string{
			"raw":           statusPath + rawPath(text),
			"encoded":       statusPath + url.PathEscape(text),
			"all encoded":   statusPath + everyByte(text),
			"colons only":   statusPath + strings.ReplaceAll(rawPath(text), ":", "%3A"),
			"lower case %":  statusPath + strings.ReplaceAll(rawPath(text), ":", "%3a"),
			"slash encoded": statusPath + strings.ReplaceAll(rawPath(text), "/", "%2F"),
		}
	}
	for _, e := range []cache.Execution{mapRun, plain, unicode} {
		for form, target := range forms(e.ARN) {
			for who, want := range map[string]int{ada: 200, operator: 200, eve: 403, register: 403, "": 401} {
				if got := s.ask("GET", target, who); got.status != want || (want != 200) == strings.Contains(got.body, "SECRET") {
					t.Errorf("%s, %s: %d %s", form, target, got.status, got.body)
				}
			}
		}
	}
	for who, want := range map[string]int{ada: 403, eve: 403, operator: 200} {
		if got := s.ask("GET", statusPath+string(unowned.ARN), who); got.status != want {
			t.Errorf("without an owner: %d, want %d", got.status, want)
		}
	}
	text := string(plain.ARN)
	for _, tricky := range []string{
		statusPath + url.PathEscape(everyByte(text)), // decoded once, not twice
		statusPath + strings.ReplaceAll(text, ":", "%253A"),
		statusPath + text + "%00", statusPath + text + "/", statusPath + text + "/events", statusPath + text + "%2Fevents",
		statusPath + text + ";x=1", statusPath + "/" + text, statusPath + "./" + text, statusPath + "../status/" + text,
		statusPath + "..%2Fstatus%2F" + text, statusPath + text + "%0d%0aX-Evil:1", statusPath, statusPath + "%",
		statusPath + strings.ToUpper(text), statusPath + text + "%20", statusPath + strings.Repeat("a", 5000),
		"/v1//status/" + text, "//v1/status/" + text, "/v1/status%2F" + text, "/v1%2Fstatus/" + text, "/V1/status/" + text,
		"/v1/./status/" + text, "/v1/x/../status/" + text, "/v1/executions/" + text, "/metrics", "/debug/pprof/", "/readyz",
	} {
		for _, who := range []string{ada, eve, ""} {
			got := s.askQuietly("GET", tricky, who)
			if strings.Contains(got.body, "SECRET") || got.status == 200 || got.status >= 300 && got.status < 400 || got.status >= 500 {
				t.Errorf("%.100s: %d %.200s", tricky, got.status, got.body)
			}
		}
	}
	if got := s.ask("GET", statusPath, ada); got.status != 400 {
		t.Errorf("%s: %d", statusPath, got.status)
	}
}

// askQuietly is ask for targets that a client may refuse to send.
func (s *service) askQuietly(method, target, token string) (got answer) {
	if _, err := url.ParseRequestURI("http://x" + target); err != nil {
		return answer{status: 400}
	}
	return s.ask(method, target, token)
}

// rawPath returns a path in which only bytes that are not ASCII are encoded.
func rawPath(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < 0x80 {
			b.WriteByte(s[i])
		} else {
			b.WriteString(everyByte(s[i : i+1]))
		}
	}
	return b.String()
}

func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[s[i]>>4])) + strings.ToUpper(string("0123456789abcdef"[s[i]&15])))
	}
	return b.String()
}

func TestNoClientGetsAnOlderState(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	e := running(t, "back", "ada")
	s.apply(e)
	target := statusPath + string(e.ARN)
	s.ask("GET", target, ada) // it is near now
	done := e
	done.Status, done.StopDate, done.Output = cache.Succeeded, e.StartDate.Add(time.Second), []byte("1")

	// The client has seen the end elsewhere, and Redis does not know it: an older copy may have
	// become the primary. So the client has the newest version.
	tag := `"` + string(done.Version()) + `-0000000000000000"`
	if got := s.ask("GET", target, ada, header("If-None-Match", `"x", W/`+tag)); got.status != 304 || got.header.Get("ETag") != tag {
		t.Errorf("a client that has seen a newer version gets an older one: %+v", got)
	}
	s.apply(done)
	if got := s.ask("GET", target, ada, header("If-None-Match", tag)); !strings.Contains(got.body, "SUCCEEDED") {
		t.Errorf("the answer has an older version than the client: %s", got.body)
	}
}

func TestRedisIsGone(t *testing.T) {
	t.Parallel()
	s := newHastyService(t)
	ada := s.key("ada")
	e := succeeded(t, "e", "ada", "1")
	s.apply(e)
	s.ask("GET", statusPath+string(e.ARN), ada) // key and record are near
	s.redis.Freeze()
	defer s.redis.Thaw()
	got := s.askOnce("GET", statusPath+machine+"other", ada)
	if got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("a miss: %d %s", got.status, got.body)
	}
	cachetest.Eventually(t, "the near cache is off", func() bool { return s.cache.DB().Ready() != nil })
	got = s.askOnce("GET", statusPath+string(e.ARN), ada)
	if got.status != 503 || strings.Contains(got.body, "SUCCEEDED") {
		t.Errorf("what cannot be known: %d %s", got.status, got.body)
	}
	if got := s.askOnce("GET", statusPath+string(e.ARN), "csk_live_0123456789abcdef0123456789abcdef"); got.status != 503 {
		t.Errorf("a key that cannot be checked: %d", got.status)
	}
	if got := s.askOnce("GET", "/v1/health", ""); got.status != 200 || !strings.Contains(got.body, `"status":"degraded"`) || !strings.Contains(got.body, "redis") {
		t.Errorf("health: %d %s", got.status, got.body)
	}
}

func FuzzStatusPath(f *testing.F) {
	for _, seed := range []string{"/v1/status/" + machine + "x", "/v1/status/%2F", "/v1/status/a%2Fb%3A", "/v1%2Fstatus/x", "/v1/status/%253A"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		text, ok := statusText(u)
		if !ok {
			return
		}
		raw, _, _ := strings.Cut(path, "?")
		if strings.HasPrefix(raw, "http") {
			return // the form of a proxy
		}
		decoded, err := url.PathUnescape(strings.TrimPrefix(raw, statusPath))
		if !strings.HasPrefix(raw, statusPath) || err != nil || decoded != text {
			t.Errorf("%q: %q, want %q", path, text, decoded)
		}
	})
}

// TestRunningExecutionsShowTheUsualDuration in Retry-After, in the full view and in the
// overview. The entity tag covers none of these.
func TestRunningExecutionsShowTheUsualDuration(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many executions")
	s := newService(t)
	ada := s.key("ada")
	late, fresh := running(t, "late", "ada"), running(t, "fresh", "ada")
	late.StartDate = time.Now().Add(-50 * time.Minute).Truncate(time.Second)
	s.apply(late, fresh)
	ask := func(e cache.Execution, query string) answer { return s.ask("GET", statusPath+string(e.ARN)+query, ada) }
	before, fullBefore := ask(late, ""), ask(late, "?view=full")
	if strings.Contains(fullBefore.body, "typicalSeconds") || strings.Contains(fullBefore.body, "overdue") {
		t.Errorf("before any execution has ended: %s", fullBefore.body)
	}
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	var done []cache.Execution
	for i := range 150 {
		e := succeeded(t, fmt.Sprint("done", i), "eve", "1")
		e.StartDate, e.StopDate = start, start.Add(40*time.Minute+time.Duration(i)*10*time.Millisecond)
		done = append(done, e)
	}
	s.apply(done...)
	cachetest.Eventually(t, "an answer knows it", func() bool {
		_, err := s.stats.Durations(t.Context(), stats.Scope{All: true}, "")
		return err == nil && strings.Contains(ask(late, "?view=full").body, `,"typicalSeconds":`)
	})
	cachetest.Eventually(t, "it is overdue", func() bool {
		got := s.ask("GET", "/v1/overview", ada)
		return got.status == 200 && strings.Contains(got.body, `"overdue":1`)
	})
	full := ask(late, "?view=full")
	if !strings.HasSuffix(full.body, `,"overdue":true}}`) || !regexp.MustCompile(`,"typicalSeconds":2[34]\d\d\.`).MatchString(full.body) {
		t.Errorf("%s", full.body)
	}
	if got := ask(fresh, "?view=full"); !strings.HasSuffix(got.body, `,"overdue":false}}`) {
		t.Errorf("%s", got.body)
	}
	if got := ask(done[0], "?view=full"); got.status != 403 {
		t.Errorf("another's: %d", got.status)
	}
	other := running(t, "another", "ada")
	s.apply(other)
	cachetest.Eventually(t, "the pace is that of the others", func() bool { return ask(other, "").header.Get("Retry-After") == "30" })
	if after := ask(late, ""); before.header.Get("ETag") != after.header.Get("ETag") || before.body != after.body {
		t.Errorf("%v\n%v", before, after)
	}
	if fullBefore.header.Get("ETag") != full.header.Get("ETag") {
		t.Error("the usual duration changes the entity tag")
	}
	s.apply(finished(late, "1"))
	cachetest.Eventually(t, "of what has ended it is not said", func() bool {
		got := ask(late, "?view=full")
		return strings.Contains(got.body, "SUCCEEDED") && !strings.Contains(got.body, "overdue")
	})
}
