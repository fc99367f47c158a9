package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"statuscache/cache/cachetest"
	"statuscache/cmd/internal/apptest"
)

// serves starts a statusd without a queue.
func serves(t *testing.T, start func(env []string) *apptest.Process) *daemon {
	t.Helper()
	return startDaemonBy(t, start, cachetest.Redis(t), "", "ROLE=api")
}

// metric returns the value of a metric without labels, -1 for none.
func (d *daemon) metric(name string) float64 {
	_, text := get("http://"+d.admin+"/metrics", "")
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		return -1
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return -1
	}
	return value
}

// prints is a program that only prints, and like most programs, stops if it cannot.
func prints() {
	for {
		if _, err := fmt.Fprintln(os.Stderr, "a line"); err != nil {
			os.Exit(1)
		}
	}
}

// TestTheReaderOfTheLogEnds: the service continues when its log is no longer read, and counts
// the lost lines. The control is another program, which is killed.
func TestTheReaderOfTheLogEnds(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	control := apptest.StartTo(t, write, "prints", nil)
	d := serves(t, func(env []string) *apptest.Process { return apptest.StartTo(t, write, "statusd", env) })
	_ = write.Close()
	_ = read.Close()
	if code := control.Wait(); code != -1 {
		t.Errorf("the control ended by itself, with %d", code)
	}
	e := runs(t, "logged", "1")
	d.apply(t, e)
	cachetest.Eventually(t, "lines are lost", func() bool {
		if status, body := d.status(e.ARN, d.key); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		return d.metric("statuscache_log_lines_dropped_total") > 0
	})
	d.Signal(syscall.SIGTERM)
	if code := d.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestAnUnreadLogBlocksNothing: requests are answered while the pipe of the log is full. The
// content of the pipe is the control.
func TestAnUnreadLogBlocksNothing(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		t.Fatal(err)
	}
	d := serves(t, func(env []string) *apptest.Process { return apptest.StartTo(t, write, "statusd", env) })
	full := func() bool {
		writable, err := unix.Poll([]unix.PollFd{{Fd: int32(write.Fd()), Events: unix.POLLOUT}}, 0)
		return err == nil && writable == 0
	}
	cachetest.Eventually(t, "the pipe is full", func() bool {
		_, _ = d.status(arnOf(t, 1), d.key)
		return full()
	})
	e := runs(t, "unread", "1")
	d.apply(t, e)
	for range 200 {
		if status, body := d.status(e.ARN, d.key); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if !full() {
		t.Error("the control: the log is read")
	}
}

// fewFiles is a statusd with a low limit of open files.
func fewFiles() {
	few := syscall.Rlimit{Cur: 100, Max: 100}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		panic(err)
	}
	main()
}

// TestNoFilesAreLeft: without free file descriptors, new connections are closed soon, and the
// log, health and metrics report this. Open connections continue. When descriptors are free
// again, all clients are served.
func TestNoFilesAreLeft(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	d := serves(t, func(env []string) *apptest.Process { return apptest.Start(t, "few-files", env) })
	if limit, open := d.metric("process_max_fds"), d.metric("process_open_fds"); limit != 100 || open <= 0 {
		t.Errorf("metrics: %v files of %v", open, limit)
	}
	if !strings.Contains(d.Output(), "limit of open files is too low") || !strings.Contains(d.Output(), "LimitNOFILE") {
		t.Errorf("no warning at the start: %s", d.Output())
	}
	health := keptAlive(t, "http://"+d.api+"/v1/health")
	cachetest.Eventually(t, "health is ok before", func() bool { return strings.Contains(health(), `"status":"ok"`) })
	begun := time.Now()
	var conns []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", d.api) // the kernel completes the connection before statusd accepts it
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		conns = append(conns, c)
	}
	cachetest.Eventually(t, "the log reports it", func() bool { return strings.Contains(d.Output(), "no file descriptors are left") })
	if got := health(); !strings.Contains(got, `"degraded"`) || !strings.Contains(got, "not all are accepted") {
		t.Errorf("health during the fault: %s", got)
	}
	if n := d.metric("statuscache_accept_errors_total"); n < 1 { // descriptors are reserved for the admin port
		t.Errorf("%v errors are counted during the fault", n)
	}
	last := make(chan error, 1)
	go func() {
		_, err := conns[len(conns)-1].Read(make([]byte, 1))
		last <- err
	}()
	cachetest.Eventually(t, "the last waiting connection is closed, too, so its client can use another process", func() bool {
		select {
		case err := <-last:
			return err != nil
		default:
			return false
		}
	})
	for _, c := range conns {
		_ = c.Close()
	}
	e := runs(t, "after", "1")
	d.apply(t, e)
	cachetest.Eventually(t, "all clients are served again", func() bool {
		status, _ := d.status(e.ARN, d.key)
		return status == http.StatusOK
	})
	if n := d.metric("statuscache_accept_errors_total"); n < 1 {
		t.Errorf("%v errors are counted", n)
	}
	minutes := int(time.Since(begun).Minutes())
	if n := strings.Count(d.Output(), "no file descriptors are left"); n > 2+minutes { // once a minute, even on a slow machine
		t.Errorf("reported %d times in %d minutes", n, minutes)
	}
}

// keptAlive returns a function that requests a URL over one connection.
func keptAlive(t *testing.T, target string) func() string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	return func() string {
		got, err := client.Get(target)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = got.Body.Close() }()
		body, err := io.ReadAll(got.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	}
}

// TestRedisTakesNoMoreConnections: while Redis has its maximum number of clients, or none of
// its connections answers, requests get 503. Afterwards they are answered again. The control:
// they were answered before.
func TestRedisTakesNoMoreConnections(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "a process")
	for name, begin := range map[string]func(*testing.T, *daemon) (end func()){
		"maxclients": func(t *testing.T, d *daemon) func() {
			only, err := net.Dial("tcp", d.redis.Addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = only.Close() })
			answers := bufio.NewReader(only)
			say := func(commands ...string) {
				for _, command := range commands {
					if _, err := io.WriteString(only, command+"\r\n"); err != nil {
						t.Fatal(err)
					}
					if answer, err := answers.ReadString('\n'); err != nil || answer[0] == '-' {
						t.Fatalf("%s: %q, %v", command, answer, err)
					}
				}
			}
			say("CONFIG SET maxclients 1", "CLIENT KILL TYPE normal SKIPME yes", "CLIENT KILL TYPE pubsub")
			return func() { say("CONFIG SET maxclients 1000") }
		},
		"the pool is used up": func(_ *testing.T, d *daemon) func() {
			d.redis.Freeze()
			return d.redis.Thaw
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := serves(t, func(env []string) *apptest.Process { return apptest.Start(t, "statusd", env) })
			// No process caches unknown executions, so each of these requests needs Redis.
			ask := func(n int) int {
				status, _ := getOnce("http://"+d.api+"/v1/status/"+url.PathEscape(string(arnOf(t, n)))+"?wait=0", d.key)
				return status
			}
			cachetest.Eventually(t, "requests reach Redis", func() bool { return ask(0) == http.StatusNotFound })
			end := begin(t, d)
			cachetest.Eventually(t, "requests are refused", func() bool { return ask(1) == http.StatusServiceUnavailable })
			var refused atomic.Int64
			var asking sync.WaitGroup
			const many = 300
			for n := range many {
				asking.Go(func() {
					if ask(2+n) == http.StatusServiceUnavailable {
						refused.Add(1)
					}
				})
			}
			asking.Wait()
			if refused.Load() != many {
				t.Errorf("%d of %d are refused", refused.Load(), many)
			}
			end()
			cachetest.Eventually(t, "requests are answered again", func() bool { return ask(many+2) == http.StatusNotFound })
		})
	}
}
