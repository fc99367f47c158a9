package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/cache/cachetest"
	"statuscache/ingest/sqstest"
)

// previousRelease is the commit of the release from which an upgrade starts, and to which a
// rollback returns. Change it after each release.
const previousRelease = "999c826ed38c8745f78381e9214bc300eff6c1fd"

// TestThePreviousReleaseRunsBesideThisOne does a rolling update: processes of both releases
// share one queue and one Redis. Either release registers executions and receives events, and
// both must give the same answers about all executions. Then this release is rolled back, and
// nothing is lost.
func TestThePreviousReleaseRunsBesideThisOne(t *testing.T) {
	cachetest.SkipShort(t, "a build of the previous release")
	t.Parallel()
	redis := cachetest.Redis(t)
	endpoint, _ := sqstest.Local(t)
	client := sqstest.Client(t, endpoint)
	queue := sqstest.NewQueue(t, client, nil)
	older := startDaemonOf(t, buildRelease(t, previousRelease), redis, queue, "OWNER_PATH=")
	newer := startDaemon(t, redis, queue, "OWNER_PATH=")
	register, _, err := newer.keys.Create(t.Context(), apikeys.Key{Owner: "generate", Name: "test", Scope: apikeys.ScopeRegister})
	if err != nil {
		t.Fatal(err)
	}

	executions := cachetest.Rounds(42, 200) // 42: every combination of an owner, a status and an order of the events
	apis := []string{older.api, newer.api}
	for n := range executions {
		if n%3 == 0 { // events may arrive before the registration
			send(t, client, queue, statusEvent(n, "RUNNING", 0))
		}
		registerExecution(t, apis[n%2], register, arnOf(t, n), owner(n))
		if n%3 != 0 {
			send(t, client, queue, statusEvent(n, "RUNNING", 0))
		}
		if n%2 == 0 {
			send(t, client, queue, statusEvent(n, "SUCCEEDED", 1000))
		}
	}
	drained := func() bool { return left(t, client, queue) == 0 }
	cachetest.Eventually(t, "both releases have handled every message", drained)
	for n := range executions {
		want := "RUNNING"
		if n%2 == 0 {
			want = "SUCCEEDED"
		}
		checkExecution(t, n, want, newer.cache, newer.key, older, newer)
	}

	newer.Kill() // the rollback
	for n := 1; n < executions; n += 2 {
		send(t, client, queue, statusEvent(n, "SUCCEEDED", 1000))
	}
	cachetest.Eventually(t, "the previous release has handled the rest", drained)
	again := startDaemon(t, redis, queue, "OWNER_PATH=")
	for n := range executions {
		checkExecution(t, n, "SUCCEEDED", again.cache, again.key, older, again)
	}
}

func owner(n int) string { return fmt.Sprintf("owner-%d", n%7) }

// checkExecution checks that all processes give the same answer about an execution, and that
// Redis has its owner.
func checkExecution(t *testing.T, n int, want string, c *cache.Cache, key string, processes ...*daemon) {
	t.Helper()
	arn := arnOf(t, n)
	r, err := c.Get(t.Context(), arn)
	if err != nil || r.Owner != owner(n) {
		t.Fatalf("execution %d: its owner %s is lost: %+v, %v", n, owner(n), r, err)
	}
	cachetest.Eventually(t, fmt.Sprintf("all releases report execution %d as %s, in the same words", n, want), func() bool {
		var first string
		for i, d := range processes {
			status, tag, body := statusWithTag(t, d.api, arn, key)
			if i == 0 {
				first = tag + body
			}
			if status != http.StatusOK || !strings.Contains(body, `"status":"`+want+`"`) || tag+body != first {
				return false // a process may have learned of the change a moment later
			}
		}
		return true
	})
}

func statusWithTag(t *testing.T, api string, arn cache.ARN, key string) (status int, tag, body string) {
	t.Helper()
	cachetest.Eventually(t, "an answer about "+string(arn), func() bool {
		answer := request(t, http.MethodGet, "http://"+api+"/v1/status/"+url.PathEscape(string(arn)), key, nil)
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		status, tag, body = answer.StatusCode, answer.Header.Get("ETag"), string(text)
		return status != http.StatusServiceUnavailable
	})
	return status, tag, body
}

func registerExecution(t *testing.T, api, key string, arn cache.ARN, owner string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"executionArn": string(arn), "owner": owner})
	if err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "the registration of "+string(arn), func() bool {
		answer := request(t, http.MethodPost, "http://"+api+"/v1/executions", key, body)
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusCreated, http.StatusOK:
			return true
		case http.StatusServiceUnavailable: // on a slow machine; a client repeats the request
			return false
		}
		t.Fatalf("registration of %s: %s", arn, answer.Status)
		return false
	})
}

func request(t *testing.T, method, target, key string, body []byte) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// buildRelease returns the path of the statusd of a commit. A commit never changes, so it is
// built only once, because compiling it takes as long as many tests. make clean removes it.
func buildRelease(t *testing.T, commit string) string {
	t.Helper()
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(top, ".tools", "bin")
	name := fmt.Sprintf("statusd-%s-%s", commit, runtime.Version())
	binary := filepath.Join(kept, name)
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	// It is built under another name and then renamed, so that another run never starts an
	// incomplete file.
	building, err := os.MkdirTemp(kept, "building-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(building) })
	source := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	tar, built := source+".tar", filepath.Join(building, name)
	run(t, top, "git", "archive", "-o", tar, commit) // fails if the clone is shallow: git fetch --unshallow
	run(t, source, "tar", "-xf", tar)
	// Its packages are compiled only for this test, so the compiler does not optimize them, and
	// collects garbage less often, to save time. Without the paths of the folder, the next clone
	// finds them compiled. A race in a release that is out is not looked for.
	run(t, source, "env", "GOGC=400", "go", "build", "-buildvcs=false", "-trimpath", "-gcflags=statuscache/...=-N -l", "-ldflags=-w", "-o", built, "./cmd/statusd")
	if err := os.Rename(built, binary); err != nil {
		t.Fatal(err)
	}
	return binary
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c, err, out)
	}
}
