package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"statuscache/cache"
)

// oldEndpoint answers like the service, except for executions whose answers a test changes.
type oldEndpoint struct {
	t       *testing.T
	service string
	token   string

	mu     sync.Mutex
	change map[string]func(status int, body string) (int, string) // by name of the execution
	asked  map[string]int
}

func (o *oldEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arn, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/old/v1/status/"))
	if err != nil || r.URL.RawQuery != "" || r.Header.Get("Authorization") != "Bearer old-token" {
		o.t.Errorf("requested %s with %q", r.URL, r.Header.Get("Authorization"))
	}
	request, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, o.service+"v1/status/"+url.PathEscape(arn), nil)
	request.Header.Set("Authorization", "Bearer "+o.token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Error(err)
		return
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	status, text := answer.StatusCode, string(body)
	o.mu.Lock()
	defer o.mu.Unlock()
	name := strings.TrimPrefix(arn, executions)
	o.asked[name]++
	if change := o.change[name]; change != nil {
		status, text = change(status, text)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func replaced(old, new string) func(int, string) (int, string) {
	return func(status int, body string) (int, string) {
		if !strings.Contains(body, old) {
			return 500, fmt.Sprintf("the test is wrong: no %s in %s", old, body)
		}
		return status, strings.Replace(body, old, new, 1)
	}
}

func answers(status int, body string) func(int, string) (int, string) {
	return func(int, string) (int, string) { return status, body }
}

// TestCompareFindsWhatDiffers: it reports each planted difference with its kind and its
// execution, and nothing else.
func TestCompareFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	c, env := service(t)
	old := &oldEndpoint{t: t, change: map[string]func(int, string) (int, string){}, asked: map[string]int{}}
	server := httptest.NewServer(old)
	t.Cleanup(server.Close)
	old.service, old.token = strings.TrimPrefix(env[0], "STATUS_URL="), strings.TrimPrefix(env[1], "STATUS_TOKEN=")
	env = append(env, "STATUS_AGAINST_TOKEN=old-token")
	failed := execution(t, "message", cache.Failed)
	failed.ErrorMessage = "TierLimitExceeded: Monthly limit"
	all := []cache.Execution{failed, execution(t, "runs", cache.Running)}
	for _, name := range []string{"same", "status", "start", "stop", "output", "order", "here", "refused", "keys", "settles", "busy"} {
		all = append(all, execution(t, name, cache.Succeeded))
	}
	apply(t, c, all...)
	names := []string{"there"}
	for _, e := range all {
		names = append(names, e.ARN.Name())
	}
	file := filepath.Join(t.TempDir(), "arns")
	text := executions + strings.Join(append(names, "nowhere"), "\n"+executions) + "\n\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	compare := func(code int, more ...string) (r report) {
		out := ctl(t, env, code, append([]string{"compare", "--against", server.URL + "/old", "--rate", "1000", "--settle", "1ms", "--json"}, more...)...)
		if at := strings.Index(out, "{\n"); at < 0 {
			t.Fatalf("no JSON: %s", out)
		} else if err := json.Unmarshal([]byte(out[at:]), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r
	}
	nowhere := answers(404, `{"success":false,"error":{"code":"NotFound","message":"other words"}}`)
	old.mu.Lock()
	old.change["nowhere"], old.change["there"] = nowhere, nowhere
	old.mu.Unlock()
	if r := compare(0, "--arns", file); r.Different > 0 || r.Unanswered > 0 || r.Compared != len(names)+1 {
		t.Errorf("without differences: %+v", r)
	}
	if r := compare(0, "--sample", "5"); r.Compared != 5 || r.Different > 0 {
		t.Errorf("a sample: %+v", r)
	}
	settles, busy := 0, 0
	old.mu.Lock()
	maps.Copy(old.change, map[string]func(int, string) (int, string){
		"status":  replaced(`"SUCCEEDED"`, `"FAILED"`),
		"start":   replaced(`Z","stopDate"`, `.000Z","stopDate"`),
		"stop":    replaced(`:05Z"`, `:06Z"`),
		"output":  replaced("9007199254740993", "9007199254740992"),
		"order":   replaced(`{"metadata":{"n"`, `{"metadata": {"n"`),
		"message": replaced("Monthly limit", "monthly limit"),
		"there":   answers(200, `{"success":true,"data":{"status":"RUNNING","executionArn":"`+executions+`there","startDate":"2026-01-01T00:00:00Z"}}`),
		"here":    nowhere,
		"refused": answers(403, `{"success":false,"error":{"code":"Forbidden","message":"no"}}`),
		"keys":    replaced(`"startDate"`, `"extra":1,"startDate"`),
		"settles": func(status int, body string) (int, string) {
			if settles++; settles > 1 {
				return status, body
			}
			return status, strings.Replace(body, "SUCCEEDED", "RUNNING", 1)
		},
		"busy": func(status int, body string) (int, string) {
			if busy++; busy%2 == 0 {
				return 503, `{"success":false,"error":{"code":"ServiceUnavailable","message":"later"}}`
			}
			return status, body
		},
	})
	old.mu.Unlock()
	r := compare(1, "--arns", file)
	want := map[string][]string{
		"status": {"status"}, "startDate": {"start"}, "stopDate": {"stop"}, "output": {"output", "order"}, "errorMessage": {"message"},
		onlyThere: {"there"}, onlyHere: {"here"}, refusals: {"refused"}, keysDiffer: {"keys"},
	}
	for kind, examples := range want {
		found := r.Differences[kind]
		if found == nil {
			t.Errorf("%s: not found", kind)
			continue
		}
		var got []string
		for _, e := range found.Examples {
			got = append(got, strings.TrimPrefix(e.ExecutionARN, executions))
			if e.Other == e.This {
				t.Errorf("%s: the example shows no difference: %+v", kind, e)
			}
		}
		slices.Sort(got)
		slices.Sort(examples)
		if !slices.Equal(got, examples) || found.Count != len(examples) {
			t.Errorf("%s: %v, want %v", kind, got, examples)
		}
	}
	if len(r.Differences) != len(want) || r.Different != 10 || r.Unanswered > 0 {
		t.Errorf("%d kinds, %d different, %d not answered: %v", len(r.Differences), r.Different, r.Unanswered, r.Errors)
	}
	old.mu.Lock()
	if old.asked["same"] > 4 || old.asked["status"] < 3 {
		t.Errorf("asked: %v", old.asked)
	}
	old.change["same"] = answers(502, "<html>")
	old.mu.Unlock()
	out := ctl(t, env, exitCouldNotAsk, "compare", "--against", server.URL+"/old", "--rate", "1000", "--settle", "1ms", "--arns", file)
	for _, words := range []string{"not answered: " + executions + "same", "only to the other endpoint: 1", "output: 2", "(byte "} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is missing: %s", words, out)
		}
	}
}

func TestCompareRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	env := []string{"STATUS_TOKEN=x"}
	for want, args := range map[string][]string{
		"--against: not set": {}, "--rate": {"--against", "http://h", "--rate", "0"}, "--sample": {"--against", "http://h", "--sample", "0"},
		"--settle": {"--against", "http://h", "--settle", "-1s"}, "--against: \"h\" is not the URL": {"--against", "h"}, "--arns: ": {"--against", "http://h", "--arns", "/nonexistent"},
	} {
		if out := ctl(t, env, exitCouldNotAsk, append([]string{"compare"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("%v: %s", args, out)
		}
	}
}
