package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/waiting"
	"statuscache/httpapi/issuertest"
)

// madeLink is the data of an answer of POST /v1/links.
type madeLink struct {
	Token        string
	URL          string
	ExpiresAt    time.Time
	ExecutionARN string
}

// linkTo makes a link to an execution.
func (s *service) linkTo(name, token string) (m madeLink) {
	s.t.Helper()
	got := s.ask("POST", "/v1/links", token, jsonBody(fmt.Sprintf(`{"executionArn":%q}`, machine+name)))
	var body struct{ Data madeLink }
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusCreated {
		s.t.Fatalf("no link: %d %s", got.status, got.body)
	}
	return body.Data
}

// TestALinkReadsAndFollowsOneExecution in every way that an execution can be read, as a bearer
// token and in the URL. It can do nothing else.
func TestALinkReadsAndFollowsOneExecution(t *testing.T) {
	t.Parallel()
	s := newService(t, fromApp)
	e := running(t, "mine", "ada")
	s.apply(e, running(t, "other", "ada"), running(t, "eves", "eve"))
	ada := s.key("ada")
	made := s.linkTo("mine", ada)
	if life := time.Until(made.ExpiresAt); life > time.Hour || life < time.Hour-askLimit || made.ExecutionARN != string(e.ARN) {
		t.Errorf("%+v", made)
	}
	if made.URL != s.url+statusPath+string(e.ARN)+"?link="+made.Token {
		t.Errorf("the address is %s", made.URL)
	}
	mine := statusPath + string(e.ARN)
	for method, want := range map[string]int{"GET": 200, "HEAD": 200} {
		for _, got := range []answer{s.ask(method, mine, made.Token), s.ask(method, mine+"?link="+made.Token, "")} {
			if got.status != want || got.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %+v", method, got)
			}
		}
	}
	if got := s.ask("GET", mine+"?view=full&wait=0&%6Cink="+made.Token, "", header("Origin", app)); got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("from another page: %+v", got)
	}
	waits := s.later("GET", mine+"?wait=3600&link="+made.Token, "")
	stream := s.open(asIs, mine+"?link="+made.Token, "", func(r *http.Request) { r.Header.Del("Authorization") })
	if stream.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the stream: %v", stream.header)
	}
	s.untilWaiting(2)
	for name, target := range map[string]string{"another": "other", "of another owner": "eves", "unknown": "unknown"} {
		for _, got := range []answer{s.ask("GET", statusPath+machine+target, made.Token), s.ask("GET", statusPath+machine+target+"?wait=5&link="+made.Token, "")} {
			if got.status != 403 || !strings.Contains(got.body, "another execution") {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
	}
	for path, rt := range New(Options{}).routeTable() {
		if rt.open || path == statusRoute {
			continue
		}
		for _, method := range rt.methods {
			if got := s.ask(method, path, made.Token, jsonBody(fmt.Sprintf(`{"executionArn":%q,"executionArns":[%[1]q]}`, e.ARN))); got.status != 403 || method != "HEAD" && !strings.Contains(got.body, "a link reads and follows one execution") {
				t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
			}
		}
	}
	s.apply(finished(e, `"done"`))
	if got := <-waits; got.status != 200 || !strings.Contains(got.body, "done") {
		t.Errorf("the wait: %+v", got)
	}
	if first, last := stream.next(), stream.next(); !strings.Contains(first, "RUNNING") || !strings.Contains(last, "done") {
		t.Errorf("the stream: %q, %q", first, last)
	}
	if log := s.log.String(); strings.Contains(log, made.Token[4:]) || !strings.Contains(log, `"caller":"link:ada"`) {
		t.Error("the log has the link, or not who made it")
	}
}

// TestALinkIsRefused for each thing that can be wrong with it, and the message does not say
// which.
func TestALinkIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(running(t, "mine", "ada"))
	ada := s.key("ada")
	made := s.linkTo("mine", ada)
	mine := statusPath + machine + "mine"
	withLink := func(text string) string { return mine + "?link=" + text }
	for name, test := range map[string]struct {
		target, token string
		want          int
		says          string
	}{
		"and a header":          {withLink(made.Token), ada, 400, "Authorization"},
		"and the same":          {withLink(made.Token), made.Token, 400, "Authorization"},
		"twice":                 {withLink(made.Token) + "&link=" + made.Token, "", 400, "link: given more than once"},
		"an API key":            {withLink(ada), "", 401, "the link is not valid"},
		"empty":                 {withLink(""), "", 401, "the link is not valid"},
		"malformed":             {withLink("%zz"), "", 401, "the link is not valid"},
		"huge":                  {withLink("csl_" + strings.Repeat("A", 6000)), "", 401, "the link is not valid"},
		"cut off":               {withLink(made.Token[:len(made.Token)-1]), "", 401, "the link is not valid"},
		"with padding":          {withLink(made.Token + "="), "", 401, "the link is not valid"},
		"as a bearer, cut off":  {mine, made.Token[:len(made.Token)-1], 401, "the link is not valid"},
		"as a bearer, extended": {mine, made.Token + "A", 401, "the link is not valid"},
	} {
		got := s.ask("GET", test.target, test.token)
		if got.status != test.want || !strings.Contains(got.body, test.says) || strings.Contains(got.body, made.Token[4:]) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for name, body := range map[string]string{
		"no ARN":               `{}`,
		"not an ARN":           `{"executionArn":"x"}`,
		"ARN of another type":  `{"executionArn":7}`,
		"another field":        `{"executionArn":"ARN","x":1}`,
		"twice":                `{"executionArn":"ARN","executionArn":"ARN"}`,
		"no time":              `{"executionArn":"ARN","expiresIn":0}`,
		"negative":             `{"executionArn":"ARN","expiresIn":-1}`,
		"a part of a second":   `{"executionArn":"ARN","expiresIn":1.5}`,
		"a part of one, text":  `{"executionArn":"ARN","expiresIn":"1500ms"}`,
		"more than a day":      `{"executionArn":"ARN","expiresIn":86401}`,
		"more than a day, too": `{"executionArn":"ARN","expiresIn":"24h1s"}`,
		"beyond all numbers":   `{"executionArn":"ARN","expiresIn":1e300}`,
		"beyond 64 bits":       `{"executionArn":"ARN","expiresIn":99999999999999999999}`,
		"wraps around":         `{"executionArn":"ARN","expiresIn":18446744074}`,
		"no duration":          `{"executionArn":"ARN","expiresIn":"soon"}`,
		"a list":               `{"executionArn":"ARN","expiresIn":[60]}`,
		"true":                 `{"executionArn":"ARN","expiresIn":true}`,
	} {
		got := s.ask("POST", "/v1/links", ada, jsonBody(strings.ReplaceAll(body, "ARN", machine+"mine")))
		part := "executionArn"
		if strings.Contains(body, "expiresIn") {
			part = "expiresIn"
		}
		if name == "another field" {
			part = "x:"
		}
		if name == "twice" {
			part = "body"
		}
		if got.status != 400 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for _, good := range []string{`60`, `86400`, `"30m"`, `"1h"`, `"24h"`, `"90s"`, `null`} {
		if got := s.ask("POST", "/v1/links", ada, jsonBody(`{"executionArn":"`+machine+`mine","expiresIn":`+good+`}`)); got.status != 201 {
			t.Errorf("%s: %d %s", good, got.status, got.body)
		}
	}
}

// TestLinksLeakNothing: a link cannot read what its maker may not read, and a link to one
// execution is of no use for another.
func TestLinksLeakNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(running(t, "adas", "ada"), running(t, "eves", "eve"), running(t, "nobodys", ""))
	keys := map[string]string{"adas": s.key("ada"), "eves": s.key("eve")}
	registrar, operator := s.key("ada", scope(apikeys.ScopeRegister)), s.key("", scope(apikeys.ScopeReadAll))
	for name, key := range keys {
		for _, other := range []string{"adas", "eves", "nobodys"} {
			got := s.ask("POST", "/v1/links", key, jsonBody(`{"executionArn":"`+machine+other+`"}`))
			if want := map[bool]int{true: 201, false: 403}[name == other]; got.status != want {
				t.Errorf("%s makes a link to %s: %d %s", name, other, got.status, got.body)
			}
			link := s.linkTo(name, key).Token
			if got := s.ask("GET", statusPath+machine+other+"?link="+link, ""); (got.status == 200) != (name == other) {
				t.Errorf("a link to %s reads %s: %d", name, other, got.status)
			}
		}
	}
	if got := s.ask("POST", "/v1/links", registrar, jsonBody(`{"executionArn":"`+machine+`adas"}`)); got.status != 403 {
		t.Errorf("a key that only registers: %d", got.status)
	}
	if got := s.ask("POST", "/v1/links", keys["adas"], jsonBody(`{"executionArn":"`+machine+`unknown"}`)); got.status != 404 {
		t.Errorf("an unknown execution: %d %s", got.status, got.body)
	}
	if got := s.ask("GET", statusPath+machine+"nobodys", s.linkTo("nobodys", operator).Token); got.status != 200 {
		t.Errorf("a link of an operator: %d %s", got.status, got.body)
	}
	link := s.linkTo("adas", keys["adas"]).Token
	if err := s.cache.Erase(t.Context(), "ada", func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	again := running(t, "adas", "eve")
	s.apply(again)
	cachetest.Eventually(t, "the execution of that name is another owner's", func() bool {
		return s.ask("GET", statusPath+machine+"adas", keys["eves"]).status == 200
	})
	if got := s.ask("GET", statusPath+machine+"adas", link); got.status != 403 {
		t.Errorf("the link reads what has the name now: %d %s", got.status, got.body)
	}
}

// TestALinkEndsWithTheKeyThatMadeIt, in another process too, and with its streams and waits.
func TestALinkEndsWithTheKeyThatMadeIt(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.apply(running(t, "mine", "ada"))
	ada := s.key("ada")
	made := s.linkTo("mine", ada)
	mine := statusPath + machine + "mine?link=" + made.Token
	if s.redis != nil {
		replica := newServiceOn(t, s.redis.URL())
		if got := replica.ask("GET", mine, ""); got.status != 200 {
			t.Errorf("another process: %d %s", got.status, got.body)
		}
	}
	stream := s.open(asIs, mine, "", func(r *http.Request) { r.Header.Del("Authorization") })
	poll := s.later("GET", mine+"&wait=3600", "")
	s.untilWaiting(2)
	if _, err := s.keys.Revoke(t.Context(), ada[:17]); err != nil {
		t.Fatal(err)
	}
	for stream.next() != "" {
	}
	if got := <-poll; got.status != 401 {
		t.Errorf("a poll that waits: %+v", got)
	}
	if got := s.ask("GET", mine, ""); got.status != 401 {
		t.Errorf("then: %d %s", got.status, got.body)
	}
}

// TestALinkEndsWithTheTokenOfItsMaker: the user of a JWT is known to be allowed only until the
// JWT expires.
func TestALinkEndsWithTheTokenOfItsMaker(t *testing.T) {
	t.Parallel()
	i := issuertest.New(t)
	s := newService(t, withJWT(i))
	s.apply(running(t, "mine", "ada"), running(t, "eves", "eve"))
	cachetest.Eventually(t, "the keys are there", func() bool { return s.auth.Ready() == nil })
	soon := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	token := func(change ...func(jwt.MapClaims)) string {
		return i.Sign(t, i.Claims(append(change, issuertest.Set("exp", soon.Unix()))...))
	}
	made := s.linkTo("mine", token())
	if !made.ExpiresAt.Equal(soon) {
		t.Errorf("it expires at %v, and the token at %v", made.ExpiresAt, soon)
	}
	if got := s.ask("GET", statusPath+machine+"mine", made.Token); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.ask("POST", "/v1/links", token(), jsonBody(`{"executionArn":"`+machine+`eves"}`)); got.status != 403 {
		t.Errorf("to another's: %d", got.status)
	}
	operators := s.linkTo("eves", token(issuertest.Set("scope", "status/read:all")))
	if got := s.ask("GET", statusPath+machine+"eves", operators.Token); got.status != 200 {
		t.Errorf("an operator's: %d %s", got.status, got.body)
	}
	if encoded, _ := json.Marshal(made); strings.Contains(string(encoded), "\"ada\"") || strings.Contains(s.log.String(), made.Token) {
		t.Error("the link reveals the owner, or the log the link")
	}
}

func TestLinksNeedAPepper(t *testing.T) {
	t.Parallel()
	with := newService(t)
	with.apply(running(t, "mine", "ada"))
	link := with.linkTo("mine", with.key("ada")).Token
	s := newService(t, func(o *Options) { o.Links = nil })
	s.apply(running(t, "mine", "ada"))
	if got := s.askOnce("POST", "/v1/links", s.key("ada"), jsonBody(`{"executionArn":"`+machine+`mine"}`)); got.status != 503 || !strings.Contains(got.body, "set API_KEY_PEPPER") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.ask("GET", statusPath+machine+"mine?link="+link, ""); got.status != 401 {
		t.Errorf("a link of another service: %d %s", got.status, got.body)
	}
}

// TestLinksShareABucketOfTheirMaker: the maker keeps its own rate limit, and more links allow
// no more requests.
func TestLinksShareABucketOfTheirMaker(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.RateLimit = 1 })
	s.apply(running(t, "mine", "ada"), running(t, "other", "ada"))
	i := func(name, link string) int { return s.askOnce("GET", statusPath+machine+name+"?link="+link, "").status }
	ada := s.key("ada")
	mine, other := s.linkTo("mine", ada).Token, s.linkTo("other", ada).Token
	cachetest.Eventually(t, "one link uses the limit up", func() bool { return i("mine", mine) == 429 })
	cachetest.Eventually(t, "of the other too", func() bool { return i("mine", mine) == 429 && i("other", other) == 429 })
	cachetest.Eventually(t, "but not of their maker", func() bool {
		return i("mine", mine) == 429 && s.askOnce("GET", statusPath+machine+"mine", ada).status == 200
	})
}

// TestARequestThroughALinkCountsForTheKeyThatMadeIt: links are no way around a daily limit.
func TestARequestThroughALinkCountsForTheKeyThatMadeIt(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	s := newService(t)
	s.apply(running(t, "mine", "ada"))
	link := s.linkTo("mine", s.key("ada", func(k *apikeys.Key) { k.DailyLimit = 3 })).Token
	for i, want := range []int{200, 200, 429} {
		if got := s.ask("GET", statusPath+machine+"mine?link="+link, ""); got.status != want {
			t.Errorf("request %d: %d %s", i, got.status, got.body)
		}
	}
}

// Derive and FindByHash implement auth.LinkKeys.
func (*fakeKeys) Derive(purpose string) []byte { return []byte(purpose) }

func (k *fakeKeys) FindByHash(ctx context.Context, _ [sha256.Size]byte) (*apikeys.Key, error) {
	return k.Find(ctx, "")
}

// TestWaitsEndWithTheirLink lets a request that came with a link of two minutes wait for an
// hour, in a bubble of time.
func TestWaitsEndWithTheirLink(t *testing.T) {
	t.Parallel()
	for name, maker := range map[string]auth.Principal{"of an API key": {}, "of a JWT": {Owner: "ada", Read: true, Expires: time.Now().AddDate(200, 0, 0)}} {
		synctest.Test(t, func(t *testing.T) {
			keys := &fakeKeys{}
			var pools fairness.Pools
			w := newWaiters(auth.New(keys, keys, nil, nil, nil), pools.New(10, fairness.Nearly))
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _ = w.Run(ctx) }()
			if maker.Owner == "" {
				var err error
				if maker, err = w.auth.Authenticate(ctx, []string{"Bearer csk_live_0123456789abcdef0123456789abcdef"}); err != nil {
					t.Fatal(err)
				}
			}
			token, expires, err := w.auth.NewLink(&maker, arn(t, "mine"), 2*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			x := &exchange{server: &Server{auth: w.auth}, w: httptest.NewRecorder(), holder: pools.NewHolder(nil, 1)}
			x.r = httptest.NewRequest(http.MethodGet, "/?"+url.Values{"link": {token}}.Encode(), nil)
			if x.caller, err = x.authenticate(); err != nil {
				t.Fatal(err)
			}
			if err := w.add(x, 1, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			why := untilEnded(x.waiter)
			if late := time.Since(expires); late < 0 || late > 30*time.Second || !errors.Is(why, waiting.ErrRevoked) {
				t.Errorf("%s: %v after it expired: %v", name, late, why)
			}
			w.remove(x)
			cancel()
			synctest.Wait()
		})
	}
}
