package httpapi

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// soakRequests is how many requests the soak sends; `make soak` sends a million.
var soakRequests = flag.Int("soak", cachetest.Rounds(2_500, 10_000), "requests of TestEachOfManyCallersGetsItsOwnAnswers")

const (
	soakCallers = 64
	oneInSwaps  = 200 // answers of the control that are out of step
)

// TestEachOfManyCallersGetsItsOwnAnswers: 64 callers, each with its own owner, share the
// connections that one nginx keeps open. They poll, wait, read batches, hang up within streams
// and long polls, and make mistakes. Every answer must have the id of its request, and must be
// about an execution of its caller.
func TestEachOfManyCallersGetsItsOwnAnswers(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "nginx")
	s, callers := newSoak(t)
	wrong := s.soak(t, callers, strings.TrimPrefix(s.url, "http://"), *soakRequests)
	for _, each := range wrong[:min(len(wrong), 10)] {
		t.Error(each)
	}
	t.Logf("%d requests, %d wrong answers", *soakRequests, len(wrong))
}

// TestAnswersOutOfStepAreNoticed is the control: on its connections, one answer in two hundred
// is replaced by the previous one.
func TestAnswersOutOfStepAreNoticed(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "nginx")
	s, callers := newSoak(t)
	faulty := &swappingListener{Listener: listenLocal(t)}
	s.serveOn(faulty)
	wrong := s.soak(t, callers, faulty.Addr().String(), 10*oneInSwaps)
	noticed := slices.DeleteFunc(wrong, func(err error) bool { return !errors.Is(err, errOutOfStep) })
	if swapped := int(faulty.swapped.Load()); swapped == 0 || len(noticed) != swapped {
		t.Errorf("%d answers were out of step, and %d were noticed: %.1000v", swapped, len(noticed), noticed)
	}
}

var (
	errOutOfStep = errors.New("the answer to another request")
	errBusy      = errors.New("refused for now") // a slow machine may do that; the caller tries again
)

// soakCaller is a client with its own owner, token and executions.
type soakCaller struct {
	owner, token string
	ended, runs  []cache.ARN
	client       *http.Transport // to nginx
	base         string
	sent         int
}

func newSoak(t *testing.T) (*service, []*soakCaller) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the configuration is for Debian's nginx")
	}
	s := newService(t, func(o *Options) { o.RateLimit, o.AccessLog = 0, io.Discard })
	callers := make([]*soakCaller, soakCallers)
	var all []cache.Execution
	for i := range callers {
		c := &soakCaller{owner: fmt.Sprintf("owner-%02d", i), client: &http.Transport{DisableCompression: i%2 == 0}}
		t.Cleanup(c.client.CloseIdleConnections)
		for n, size := range []int{10, 1000, 5000, 100_000} {
			e := succeeded(t, fmt.Sprintf("%s-ended-%d", c.owner, n), c.owner, fmt.Sprintf(`{"of":%q,"text":%q}`, c.owner, strings.Repeat("x", size)))
			c.ended, all = append(c.ended, e.ARN), append(all, e)
		}
		for n := range 2 {
			e := running(t, fmt.Sprintf("%s-runs-%d", c.owner, n), c.owner)
			c.runs, all = append(c.runs, e.ARN), append(all, e)
		}
		c.token = s.key(c.owner)
		callers[i] = c
	}
	s.apply(all...)
	return s, callers
}

// soak sends requests through nginx and returns what was wrong with the answers.
func (s *service) soak(t *testing.T, callers []*soakCaller, service string, requests int) (wrong []error) {
	t.Helper()
	port := cachetest.FreePort(t)
	config := strings.NewReplacer("SERVICE", service, "PORT", strconv.Itoa(port)).Replace(soakNginx)
	startFront(t, "nginx", config, port, "-p", "DIR", "-e", "stderr", "-c", "CONFIG")()
	var (
		mu   sync.Mutex
		left atomic.Int64
		work sync.WaitGroup
	)
	left.Store(int64(requests))
	for i, c := range callers {
		c.base = "http://127.0.0.1:" + strconv.Itoa(port)
		random := rand.New(rand.NewPCG(uint64(i), uint64(requests)))
		work.Go(func() {
			for left.Add(-1) >= 0 {
				err := errBusy
				for errors.Is(err, errBusy) {
					err = c.askOne(t.Context(), random, callers[(i+1)%len(callers)])
				}
				if err != nil {
					mu.Lock()
					wrong = append(wrong, fmt.Errorf("%s: %w", c.owner, err))
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	return wrong
}

// soakNginx keeps about as many connections as there are callers, and uses each for the next
// request.
const soakNginx = `
daemon off; worker_processes 1; pid DIR/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
 access_log off;
 client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
 keepalive_requests 1000000;
 upstream service { server SERVICE; keepalive 64; keepalive_requests 1000000; }
 server {
  listen 127.0.0.1:PORT;
  location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }
 }
}
`

// askOne sends a request of some kind and checks its answer.
func (c *soakCaller) askOne(ctx context.Context, random *rand.Rand, other *soakCaller) error {
	ended, runs := c.ended[random.IntN(len(c.ended)-1)], c.runs[random.IntN(len(c.runs))]
	switch n := random.IntN(1000); {
	case n < 2:
		return c.expect(ctx, runs, "?wait=1", 200)
	case n < 4:
		return c.leave(ctx, runs)
	case n < 10:
		return c.abort(ctx, runs)
	case n < 30:
		return c.expect(ctx, ended, "?wait=20", 200) // answered at once
	case n < 60:
		return c.batch(ctx)
	case n < 80:
		return c.expect(ctx, other.ended[0], "", 403)
	case n < 100:
		return c.expect(ctx, cache.ARN(machine+c.owner+"-unknown"), "", 404)
	case n < 110:
		return c.expect(ctx, ended, "", 401, header("Authorization", "Bearer none"))
	case n < 115:
		return c.expect(ctx, c.ended[len(c.ended)-1], "", 200) // a large one
	case n < 120:
		return c.expect(ctx, "no-arn", "", 400)
	case n < 150:
		return c.expect(ctx, ended, "?view=full", 200)
	case n < 200:
		return c.expect(ctx, ended, "", 304, header("If-None-Match", "*"))
	}
	return c.expect(ctx, ended, "", 200)
}

// expect reads one execution. The answer must be about the caller's execution.
func (c *soakCaller) expect(ctx context.Context, about cache.ARN, query string, status int, change ...func(*http.Request)) error {
	got, body, err := c.ask(ctx, http.MethodGet, statusPath+string(about)+query, nil, change...)
	switch {
	case err != nil:
		return err
	case got != status:
		return fmt.Errorf("%s%s: %d and not %d: %.300s", about, query, got, status, body)
	case status == http.StatusOK && !bytes.Contains(body, []byte(`"executionArn":"`+string(about)+`"`)):
		return fmt.Errorf("%s%s: another execution: %.300s", about, query, body)
	}
	return nil
}

// batch reads all executions that have ended.
func (c *soakCaller) batch(ctx context.Context) error {
	sent, err := json.Marshal(map[string][]cache.ARN{"executionArns": c.ended})
	if err != nil {
		return err
	}
	status, body, err := c.ask(ctx, http.MethodPost, "/v1/status", bytes.NewReader(sent), header("Content-Type", "application/json"))
	if err != nil {
		return err
	}
	for _, arn := range c.ended {
		if status != http.StatusOK || bytes.Count(body, []byte(`"executionArn":"`+string(arn)+`"`)) == 0 {
			return fmt.Errorf("a batch without %s: %d %.300s", arn, status, body)
		}
	}
	return nil
}

// ask sends a request and reads the answer to its end.
func (c *soakCaller) ask(ctx context.Context, method, target string, body io.Reader, change ...func(*http.Request)) (int, []byte, error) {
	got, err := c.begin(ctx, method, target, body, change...)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%s: cut off: %w", target, err)
	case got.StatusCode == http.StatusServiceUnavailable && got.Header.Get("Retry-After") != "":
		return 0, nil, cmp.Or(c.own(text), errBusy)
	}
	return got.StatusCode, text, c.own(text)
}

// begin sends a request, and reads the head of an answer that has the id of the request.
func (c *soakCaller) begin(ctx context.Context, method, target string, body io.Reader, change ...func(*http.Request)) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+target, body)
	if err != nil {
		return nil, err
	}
	c.sent++
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("X-Request-Id", fmt.Sprintf("%s.%d", c.owner, c.sent))
	for _, f := range change {
		f(r)
	}
	got, err := c.client.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if said, id := got.Header.Get("X-Request-Id"), r.Header.Get("X-Request-Id"); said != id {
		_ = got.Body.Close()
		return nil, fmt.Errorf("%s: %w: to %s and not to %s", target, errOutOfStep, said, id)
	}
	return got, nil
}

// own returns an error if a text names another caller.
func (c *soakCaller) own(text []byte) error {
	if bytes.Count(text, []byte("owner-")) != bytes.Count(text, []byte(c.owner)) {
		return fmt.Errorf("another caller is named: %.300s", text)
	}
	return nil
}

// abort opens a stream, reads its first event, and hangs up.
func (c *soakCaller) abort(ctx context.Context, about cache.ARN) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	got, err := c.begin(ctx, http.MethodGet, statusPath+string(about), nil, header("Accept", "text/event-stream"), hangsUp)
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	var event []byte
	for lines := bufio.NewScanner(got.Body); lines.Scan() && !bytes.HasPrefix(event, []byte("data: ")); {
		event = lines.Bytes()
	}
	if got.StatusCode != http.StatusOK || !bytes.Contains(event, []byte(about)) {
		return fmt.Errorf("a stream of %s begins with %d %q", about, got.StatusCode, event)
	}
	return c.own(event)
}

// leave begins to wait, and hangs up.
func (c *soakCaller) leave(ctx context.Context, about cache.ARN) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { hangUp() }})
	got, err := c.begin(ctx, http.MethodGet, statusPath+string(about)+"?wait=20", nil, hangsUp)
	if err == nil {
		_ = got.Body.Close()
		return fmt.Errorf("the wait for %s was answered with %d", about, got.StatusCode)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func hangsUp(r *http.Request) { r.Header.Set("X-Request-Id", r.Header.Get("X-Request-Id")+hungUp) }

// hungUp is the end of the request ids of clients that do not wait for the answer.
const hungUp = ".hung-up"

// swappingListener has connections that, after every so many answers, send the previous answer
// again instead of the right one.
type swappingListener struct {
	net.Listener
	answers, swapped atomic.Int64
}

func (l *swappingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &swappingConn{Conn: c, from: l}, err
}

type swappingConn struct {
	net.Conn
	from   *swappingListener
	before []byte // the last whole answer
}

// Write takes answers that are written in one piece, which nearly all are.
func (c *swappingConn) Write(b []byte) (int, error) {
	if !completeAnswer(b) {
		return c.Conn.Write(b)
	}
	before := c.before
	c.before = bytes.Clone(b)
	if before == nil || c.from.answers.Add(1)%oneInSwaps != 0 || bytes.Contains(b, []byte(hungUp)) {
		return c.Conn.Write(b)
	}
	c.from.swapped.Add(1)
	_, err := c.Conn.Write(before)
	return len(b), err
}

// completeAnswer reports whether b is an answer with all of its body.
func completeAnswer(b []byte) bool {
	in := bufio.NewReader(bytes.NewReader(b))
	got, err := http.ReadResponse(in, nil)
	if err != nil {
		return false
	}
	defer func() { _ = got.Body.Close() }()
	n, err := io.Copy(io.Discard, got.Body)
	return err == nil && n == got.ContentLength && in.Buffered() == 0
}
