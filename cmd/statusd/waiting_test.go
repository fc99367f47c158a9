package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/ingest/sqstest"
)

// runs is an execution of ada. It is running or, with an output, has ended.
func runs(t *testing.T, name, output string) cache.Execution {
	t.Helper()
	arn, err := cache.ParseARN("arn:aws:states:us-east-1:123456789012:execution:Pipeline:" + name)
	if err != nil {
		t.Fatal(err)
	}
	e := cache.Execution{ARN: arn, Status: cache.Running, StartDate: started, Completeness: cache.Complete, Owner: "ada", Source: cache.FromEvent}
	if output != "" {
		e.Status, e.StopDate, e.Output = cache.Succeeded, started.Add(time.Second), []byte(output)
	}
	return e
}

func (d *daemon) apply(t *testing.T, executions ...cache.Execution) {
	t.Helper()
	for _, o := range d.cache.Apply(t.Context(), executions) {
		if !o.Final() {
			t.Fatal(o.Err)
		}
	}
}

// TestTerminationWhileManyWait: many long polls and streams (2,000 and 1,000 if THOROUGH is
// set) are open, and messages are in flight, when the process is told to stop. Every poll is
// answered, every stream ends, and every message is handled. In the control, the process is
// killed.
func TestTerminationWhileManyWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal         syscall.Signal
		polls, streams int
	}{"stopped": {syscall.SIGTERM, cachetest.Rounds(500, 2000), cachetest.Rounds(250, 1000)}, "killed": {syscall.SIGKILL, 200, 100}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signal, polls, streams := test.signal, test.polls, test.streams
			endpoint, _ := sqstest.Local(t)
			client := sqstest.Client(t, endpoint)
			queue := sqstest.NewQueue(t, client, nil)
			d := startPatient(t, cachetest.Redis(t), queue, "MAX_WAIT=10m") // all wait at once, even if this takes long
			e := runs(t, "waited-for", "")
			d.apply(t, e)
			var failed atomic.Int64
			var waiting sync.WaitGroup
			for i := range polls + streams {
				waiting.Go(func() {
					if err := waitRaw(t.Context(), d, e.ARN, i < streams); err != nil {
						failed.Add(1)
					}
				})
			}
			cachetest.Eventually(t, "all wait", func() bool {
				_, text := get("http://"+d.admin+"/metrics", "")
				return strings.Contains(text, fmt.Sprintf("statuscache_waiting_requests %d\n", polls+streams))
			})
			messages := cachetest.Rounds(60, 200)
			for n := range messages {
				send(t, client, queue, statusEvent(n, "RUNNING", 0))
			}
			d.Signal(signal)
			code := d.Wait()
			waiting.Wait()
			if signal == syscall.SIGKILL {
				if failed.Load() == 0 {
					t.Error("no request failed when the process was killed, so the count proves nothing")
				}
				return
			}
			if n := failed.Load(); n > 0 || code != 0 {
				t.Errorf("%d of %d requests failed, exit code %d", n, polls+streams, code)
			}
			again := startDaemon(t, d.redis, queue)
			cachetest.Eventually(t, "every message is handled", func() bool { return left(t, client, queue) == 0 })
			for n := range messages {
				if status, body := again.status(arnOf(t, n), again.key); status != 200 {
					t.Errorf("execution %d: %d %s", n, status, body)
				}
			}
		})
	}
}

// waitRaw waits for a running execution, and reports whether the answer was complete.
func waitRaw(ctx context.Context, d *daemon, arn cache.ARN, stream bool) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", d.api)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	query, accept := "?wait=600", "*/*"
	if stream {
		query, accept = "", "text/event-stream"
	}
	if _, err := fmt.Fprintf(c, "GET /v1/status/%s%s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		url.PathEscape(string(arn)), query, accept, d.key); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"status":"RUNNING"`):
		return fmt.Errorf("%d %s", answer.StatusCode, body)
	case !stream && answer.Header.Get("Connection") != "close" && !answer.Close:
		return fmt.Errorf("the connection stays open for another request")
	}
	return nil
}

// TestABrowserFollowsThroughARestart: a real browser follows executions with the sample of
// /docs while the service is killed and started again. Executions end before, during and after
// this.
func TestABrowserFollowsThroughARestart(t *testing.T) {
	t.Parallel()
	redis := cachetest.Redis(t)
	endpoint, _ := sqstest.Local(t)
	queue := sqstest.NewQueue(t, sqstest.Client(t, endpoint), nil)
	first := startPatient(t, redis, queue)
	const executions = 3 // a browser opens at most six connections to one origin
	var arns []string
	for i := range executions {
		e := runs(t, fmt.Sprint("followed-", i), "")
		first.apply(t, e)
		arns = append(arns, string(e.ARN))
	}
	seen := follow(t, first, arns)
	cachetest.Eventually(t, "the browser shows all as running", func() bool { return seen.count("RUNNING") == executions })
	end := func(third int) {
		for i := range executions {
			if i%3 == third {
				first.apply(t, runs(t, fmt.Sprint("followed-", i), fmt.Sprintf(`{"n":%d}`, i)))
			}
		}
	}
	end(0)
	cachetest.Eventually(t, "some have ended", func() bool { return seen.count("SUCCEEDED") == executions/3 })
	first.Kill()
	end(1)
	second := startPatient(t, redis, queue, "LISTEN_ADDR="+first.api)
	cachetest.Eventually(t, "the browser shows the executions that ended during the restart", func() bool { return seen.count("SUCCEEDED") == 2*executions/3 })
	_ = second
	end(2)
	cachetest.Eventually(t, "the browser shows the rest", func() bool { return seen.count("SUCCEEDED") == executions })
	cachetest.Eventually(t, "every stream has ended", func() bool { return seen.count("ended") == executions })
	if n := seen.count("RUNNING"); n != executions {
		t.Errorf("RUNNING was sent %d times: known states are sent again", n)
	}
}

// reported has what the page in the browser has received.
type reported struct {
	mu   sync.Mutex
	says map[string]int
}

func (r *reported) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.says[what]
}

func follow(t *testing.T, d *daemon, arns []string) *reported {
	t.Helper()
	tools, err := filepath.Abs("../../.tools/clients")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(tools, "follow.mjs"), chromium(), "http://" + d.api, d.key}, arns...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &reported{says: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line struct{ Status, Ended string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue // the output of the browser itself
			}
			r.mu.Lock()
			if line.Ended != "" {
				line.Status = "ended"
			}
			r.says[line.Status]++
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		<-done
		if err := cmd.Wait(); err != nil && t.Failed() {
			t.Logf("the browser: %v\n%s", err, said.String())
		}
	})
	return r
}
