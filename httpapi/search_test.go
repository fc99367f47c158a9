package httpapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// listed is the data of a list.
type listed struct {
	Executions []struct {
		Name, Status, Error, ExecutionStatus, StateMachineARN string
		Attempt                                               int
		Labels                                                map[string]string
	}
	NextCursor string
	Partial    bool
}

// listNames asks for a list, page by page, and returns the names in it.
func (s *service) listNames(token, query string) (names []string) {
	s.t.Helper()
	for cursor := ""; ; {
		got := s.ask("GET", "/v1/executions?limit=2&"+query+cursor, token)
		var answer struct{ Data listed }
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != 200 {
			s.t.Fatalf("%s: %+v", query, got)
		}
		for _, e := range answer.Data.Executions {
			names = append(names, e.Name)
		}
		if answer.Data.NextCursor == "" {
			slices.Sort(names)
			return names
		}
		cursor = "&cursor=" + url.QueryEscape(answer.Data.NextCursor)
	}
}

// searchable fills a service with executions of two owners.
func searchable(t *testing.T, s *service) {
	t.Helper()
	other := func(e cache.Execution) cache.Execution {
		e.ARN = cache.ARN(strings.Replace(string(e.ARN), ":Pipeline:", ":Other:", 1))
		return e
	}
	with := func(e cache.Execution, labels cache.Labels, ago time.Duration) cache.Execution {
		e.Labels = labels
		e.StartDate = time.Now().Add(-ago).Truncate(time.Millisecond)
		if !e.StopDate.IsZero() {
			e.StopDate = e.StartDate.Add(time.Second)
		}
		return e
	}
	for _, owner := range []string{"ada", "eve"} {
		s.apply(
			with(running(t, owner+"-run", owner), cache.Labels{"customer": "acme", "ruleset": "r:1"}, time.Second),
			with(succeeded(t, owner+"-done", owner, `{}`), cache.Labels{"customer": "acme"}, time.Minute),
			with(failure(t, owner+"-timeout", owner, "States.Timeout", "States.Timeout: late"), cache.Labels{"customer": "zeta"}, 2*time.Hour),
			with(failure(t, owner+"-broken", owner, "Boom", "Boom: no"), nil, 3*time.Hour),
			other(with(failure(t, owner+"-other", owner, "Boom", "Boom: no"), cache.Labels{"ruleset": "acme"}, 4*time.Hour)),
		)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := newService(t)
	searchable(t, s)
	ada, root := s.key("ada"), s.key("ops", scope(apikeys.ScopeReadAll))
	const pipeline, others = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline", "arn:aws:states:eu-west-1:123456789012:stateMachine:Other"
	arn := func(name string) string { return machine + name }
	console := "https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/"
	hourAgo := url.QueryEscape(time.Now().Add(-time.Hour).Format(time.RFC3339))
	for query, want := range map[string]string{
		"":                                      "run done timeout broken other",
		"status=FAILED":                         "timeout broken other",
		"error=Boom":                            "broken other",
		"error=States.Timeout":                  "timeout",
		"error=boom":                            "",
		"label=customer:acme":                   "run done",
		"label=ruleset:r:1":                     "run",
		"label=customer:acm":                    "",
		"label=customer:acme&status=RUNNING":    "run",
		"name=ada-":                             "run done timeout broken other",
		"name=ada-b":                            "broken",
		"name=ada-broken":                       "broken",
		"startedAfter=1h":                       "run done",
		"startedAfter=" + hourAgo:               "run done",
		"startedBefore=1h":                      "timeout broken other",
		"startedAfter=150m&startedBefore=1h":    "timeout",
		"startedBefore=1h&error=Boom":           "broken other",
		"stateMachineArn=" + others:             "other",
		"stateMachineArn=" + others + "&q=acme": "other",
		"q=acme":                                "run done other",
		"q=ada-d":                               "done",
		"q=ada-done":                            "done",
		"q=%20ada-done%20":                      "done",
		"q=" + url.QueryEscape(arn("ada-done")): "done",
		"q=" + url.QueryEscape(console+url.PathEscape(arn("ada-done"))):                   "done",
		"q=" + url.QueryEscape(console+arn("ada-done")+"?tab=1"):                          "done",
		"q=" + url.QueryEscape(strings.ReplaceAll(console, "/v2/executions", "/")+others): "other",
		"q=" + url.QueryEscape(others):                                                    "other",
		"q=" + url.QueryEscape(pipeline) + "&status=FAILED":                               "timeout broken",
		"q=" + url.QueryEscape(arn("ada-done")) + "&status=FAILED":                        "",
		"q=" + url.QueryEscape(arn("nobody-knows")):                                       "",
		"q=%25":        "",
		"overdue=true": "",
	} {
		var wanted []string
		for name := range strings.FieldsSeq(want) {
			wanted = append(wanted, "ada-"+name)
		}
		slices.Sort(wanted)
		if got := s.listNames(ada, query); !slices.Equal(got, wanted) {
			t.Errorf("%s: %v, want %v", query, got, wanted)
		}
		if got := s.listNames(root, query+"&owner=ada"); !slices.Equal(got, wanted) {
			t.Errorf("%s of ada for an operator: %v, want %v", query, got, wanted)
		}
		if strings.Contains(query, "ada") {
			continue
		}
		for name := range strings.FieldsSeq(want) {
			wanted = append(wanted, "eve-"+name)
		}
		slices.Sort(wanted)
		if got := s.listNames(root, query); !slices.Equal(got, wanted) {
			t.Errorf("%s for an operator: %v, want %v", query, got, wanted)
		}
	}
}

// TestAnExactNameIsFoundBeyondTheIndex: the index of an owner holds the newest only.
func TestAnExactNameIsFoundBeyondTheIndex(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, eve, root := s.key("ada"), s.key("eve"), s.key("ops", scope(apikeys.ScopeReadAll))
	old := succeeded(t, "the-old-one", "ada", `{}`)
	s.apply(old)
	for _, key := range s.indexes("ada") {
		if err := s.cache.DB().Writers.Del(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.listNames(ada, ""); len(got) != 0 {
		t.Fatalf("it is in an index still: %v", got)
	}
	for _, query := range []string{"name=the-old-one", "q=the-old-one", "q=" + url.QueryEscape(string(old.ARN)), "name=the-old-one&stateMachineArn=" + old.ARN.StateMachine()} {
		for who, token := range map[string]string{"its owner": ada, "an operator": root} {
			if got := s.listNames(token, query); !slices.Equal(got, []string{"the-old-one"}) {
				t.Errorf("%s, %s: %v", query, who, got)
			}
		}
		if got := s.listNames(eve, query); len(got) != 0 {
			t.Errorf("%s, another owner: %v", query, got)
		}
	}
}

// indexes are the keys of the indexes that list executions.
func (s *service) indexes(owner string) (keys []string) {
	names := s.cache.DB().Names
	for i := range names.Partitions {
		keys = append(keys, names.Partitions[i].Recent, names.Partitions[i].Running)
	}
	return append(keys, names.Owner(owner))
}

// TestSearchLeaksNothing uses every filter to ask for executions of another owner, and also the
// cursors of another caller.
func TestSearchLeaksNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	searchable(t, s)
	ada, eve := s.key("ada"), s.key("eve")
	for _, query := range []string{
		"", "status=FAILED", "error=Boom", "label=customer:acme", "name=eve", "name=eve-done", "startedAfter=5h", "startedBefore=1s",
		"q=acme", "q=eve-done", "q=" + url.QueryEscape(machine+"eve-done"), "stateMachineArn=arn:aws:states:eu-west-1:123456789012:stateMachine:Other", "owner=ada", "overdue=true",
	} {
		got := s.ask("GET", "/v1/executions?limit=1&"+query, ada)
		if got.status != 200 || strings.Contains(got.body, "eve-") {
			t.Errorf("%s: %+v", query, got)
		}
		feed := s.open(asIs, "/v1/executions?"+query, ada, header("Accept", "text/event-stream"))
		for {
			event := feed.next()
			if strings.Contains(event, "eve-") {
				t.Errorf("%s in the feed: %s", query, event)
			}
			if event == "" || strings.Contains(event, "event: live") {
				break
			}
		}
		feed.close()
		foreign := strings.NewReplacer("eve", "ada", "owner=ada", "owner=eve").Replace(query)
		var theirs struct{ Data listed }
		if err := json.Unmarshal([]byte(s.ask("GET", "/v1/executions?limit=1&"+foreign, eve).body), &theirs); err != nil {
			t.Fatal(err)
		}
		if cursor := theirs.Data.NextCursor; cursor != "" {
			if got := s.ask("GET", "/v1/executions?limit=1&"+query+"&cursor="+cursor, ada); got.status != 400 || !strings.Contains(got.body, `"message":"cursor: `) {
				t.Errorf("%s with the cursor of another owner: %+v", query, got)
			}
		}
	}
	operator := s.key("ops", scope(apikeys.ScopeReadAll))
	for _, query := range []string{"", "owner=ada", "owner=eve", "label=customer:acme"} {
		var page struct{ Data listed }
		if err := json.Unmarshal([]byte(s.ask("GET", "/v1/executions?limit=1&"+query, operator).body), &page); err != nil || page.Data.NextCursor == "" {
			t.Fatalf("%s: %+v %v", query, page, err)
		}
		if got := s.ask("GET", "/v1/executions?limit=1&cursor="+page.Data.NextCursor, ada); got.status != 400 || strings.Contains(got.body, "eve-") {
			t.Errorf("%s with the cursor of an operator: %+v", query, got)
		}
	}
	if got := s.ask("GET", "/v1/executions?owner=eve&label=customer:acme", ada); got.status != 403 {
		t.Errorf("the executions of another owner: %+v", got)
	}
}

func TestWrongFiltersAreRefusedByName(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	huge := strings.Repeat("x", 3000) // a longer target is refused before it is read
	for _, test := range []struct{ query, name string }{
		{"label=acme", "label"}, {"label=:acme", "label"}, {"label=customer:", "label"}, {"label=a%20b:c", "label"}, {"label=a:" + huge, "label"}, {"label=" + huge + ":a", "label"}, {"label=a:%00", "label"}, {"label=a:%ff", "label"},
		{"startedAfter=yesterday", "startedAfter"}, {"startedAfter=-1h", "startedAfter"}, {"startedAfter=1", "startedAfter"}, {"startedBefore=2026-02-30T00:00:00Z", "startedBefore"},
		{"startedBefore=0001-01-01T00:00:00Z", "startedBefore"}, {"startedAfter=9999999h", "startedAfter"}, {"startedBefore=" + huge, "startedBefore"},
		{"startedAfter=1h&startedBefore=2h", "startedAfter"},
		{"name=" + huge, "name"}, {"name=a%0ab", "name"}, {"name=%ff", "name"}, {"error=" + huge, "error"}, {"error=%00", "error"},
		{"q=" + huge, "q"}, {"q=%0a%0b", "q"}, {"q=a%00", "q"}, {"q=%20", "q"}, {"overdue=false", "overdue"}, {"overdue=1", "overdue"}, {"overdue=TRUE", "overdue"},
		{"status=running", "status"}, {"limit=0", "limit"}, {"limit=1e1", "limit"}, {"limit=99999999999999999999", "limit"}, {"stateMachineArn=x", "stateMachineArn"},
		{"cursor=x", "cursor"}, {"cursor=" + huge, "cursor"}, {"sort=name", "sort"}, {"Status=FAILED", "Status"}, {huge + "=1", "xxxx"}, {"%0a%22=1", "?"},
		{"q=arn:aws:states:eu-west-1:123456789012:stateMachine:A&stateMachineArn=arn:aws:states:eu-west-1:123456789012:stateMachine:B", "stateMachineArn"},
	} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			got := s.ask("GET", "/v1/executions?"+test.query, ada, header("Accept", accept))
			if got.status != 400 || !strings.Contains(got.body, `"message":"`+test.name) || len(got.body) > 300 {
				t.Errorf("%.60s: %+v", test.query, got)
			}
		}
	}
	for _, text := range []string{"yesterday", "2026-02-10", "12:00", "-1h", "1770724800"} { // it says what would be right
		got := s.ask("GET", "/v1/executions?startedAfter="+text, ada)
		if got.status != 400 || !strings.Contains(got.body, "startedAfter: must be a date and time in RFC 3339") || !strings.Contains(got.body, "duration") || !strings.Contains(got.body, "1h") {
			t.Errorf("%s: %+v", text, got)
		}
	}
	for _, name := range []string{"limit", "status", "stateMachineArn", "cursor", "owner", "name", "error", "label", "startedAfter", "startedBefore", "q", "overdue"} {
		if got := s.ask("GET", fmt.Sprintf("/v1/executions?%s=a&%s=a", name, name), ada); got.status != 400 || !strings.Contains(got.body, `"message":"`+name+`: given more than once`) {
			t.Errorf("%s twice: %+v", name, got)
		}
	}
}

func TestRowsOfAList(t *testing.T) {
	t.Parallel()
	s := newService(t)
	searchable(t, s)
	got := s.ask("GET", "/v1/executions?label=customer:zeta", s.key("ada"))
	var answer struct{ Data listed }
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer.Data.Executions) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	row := answer.Data.Executions[0]
	if row.Error != "States.Timeout" || row.ExecutionStatus != "FAILED" || row.Attempt != 1 || row.Labels["customer"] != "zeta" || !strings.HasSuffix(row.StateMachineARN, ":stateMachine:Pipeline") {
		t.Errorf("%+v", row)
	}
}

// TestTheFeedHonoursFilters: an execution that does not match is not sent. One that has matched
// before is sent once more when it has changed.
func TestTheFeedHonoursFilters(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	feed := s.open(asIs, "/v1/executions?label=customer:acme&startedAfter=1h&name=in", ada, header("Accept", "text/event-stream"))
	defer feed.close()
	for !strings.Contains(feed.next(), "event: live") {
	}
	other, match := running(t, "in-other", "ada"), running(t, "in-match", "ada")
	other.Labels, match.Labels = cache.Labels{"customer": "zeta"}, cache.Labels{"customer": "acme"}
	elsewhere := match
	elsewhere.ARN = arn(t, "out")
	s.apply(other, elsewhere)
	for _, e := range []cache.Execution{match, finished(match, `{}`)} {
		s.apply(e) // each after the previous one has been sent; otherwise only the newest would be
		want, event := `"`+string(e.Status)+`"`, feed.next()
		for strings.HasPrefix(event, ":") {
			event = feed.next()
		}
		if !strings.Contains(event, "in-match") || !strings.Contains(event, want) {
			t.Errorf("%s, want %s of in-match", event, want)
		}
	}
}
