package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache/apikeys"
	"statuscache/httpapi/internal/conns"
)

// ways are the same service behind connections of several kinds: with the hot route, without
// it, with everything handed over to net/http, and behind a server of net/http alone.
type ways struct {
	*service
	addrs map[string]string
}

func newWays(t testing.TB, change ...func(*Options)) *ways {
	t.Helper()
	s := newService(t, append([]func(*Options){func(o *Options) { o.RateLimit, o.MaxWait = 0, time.Second }}, change...)...)
	w := &ways{service: s, addrs: map[string]string{"hot": strings.TrimPrefix(s.url, "http://")}}
	w.addrs["without the hot route"] = s.listenWithout(func(o *conns.Options) { o.Hot = "" })
	w.addrs["handed over"] = s.listenWithout(func(o *conns.Options) { o.NetHTTP = true })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bare := &http.Server{Handler: s.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	go func() { _ = bare.Serve(l) }()
	t.Cleanup(func() { _ = bare.Close() })
	w.addrs["net/http"] = l.Addr().String()
	return w
}

// listenWithout serves on a socket with changed options, until the test ends.
func (s *service) listenWithout(change func(*conns.Options)) (addr string) {
	s.t.Helper()
	o := s.publicOptions(conns.Options{Log: s.options.Log, Draining: new(atomic.Bool), ShutdownLimit: askLimit, BeforeShutdown: func() {}})
	change(&o)
	public := listenLocal(s.t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- conns.Serve(ctx, public, o) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	return public.Addr().String()
}

// answers sends requests over a new connection. It returns the parts of the answers that must
// be the same in all ways.
func (w *ways) answers(way string, requests ...string) (all []string, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), askLimit)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", w.addrs[way])
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(askLimit))
	if _, err := io.WriteString(c, strings.Join(requests, "")); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	for i, request := range requests {
		method, _, _ := strings.Cut(request, " ")
		got, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return all, fmt.Errorf("answer %d: %w", i, err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if err != nil {
			return all, fmt.Errorf("answer %d: %w", i, err)
		}
		if all = append(all, shown(got, body)); got.Close {
			break
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		return all, fmt.Errorf("then %q, %w", rest, err)
	}
	return all, nil
}

// shown returns an answer without the parts that differ from one time to the next.
func shown(got *http.Response, body []byte) string {
	h := got.Header.Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Connection"} {
		if len(h[name]) > 0 && !strings.HasPrefix(h.Get(name), "id-") {
			h.Del(name)
		}
	}
	text := fmt.Sprintf("%d close %v, %d bytes\n", got.StatusCode, got.Close, len(body))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		text += fmt.Sprintf("%s: %q\n", name, h[name])
	}
	if strings.Contains(got.Header.Get("Content-Encoding"), "gzip") {
		return text
	}
	return text + string(bytes.TrimSpace(body))
}

// prepared is what the requests of these tests ask for.
func (w *ways) prepared() (replace *strings.Replacer) {
	e := succeeded(w.t, "small", "ada", `{"a":1}`)
	large := succeeded(w.t, "large", "ada", `"`+strings.Repeat("x", 5000)+`"`)
	huge := succeeded(w.t, "huge", "ada", `"`+strings.Repeat("0123456789abcdef", 10_000)+`"`)
	foreign := succeeded(w.t, "foreign", "eve", "1")
	runs := running(w.t, "runs", "ada")
	runs.StartDate = time.Now().Add(-time.Hour).Truncate(time.Millisecond) // whose Retry-After stays as it is
	w.apply(e, large, huge, foreign, runs)
	ada := w.key("ada")
	tag := w.ask("GET", statusPath+string(e.ARN), ada).header.Get("Etag")
	return strings.NewReplacer("\n", "\r\n", "ARN:", statusPath+machine, "TOKEN", "Authorization: Bearer "+ada, "ESC:", statusPath+strings.ReplaceAll(machine, ":", "%3A"),
		"TAG", tag, "OPS", "Authorization: Bearer "+w.key("ops", scope(apikeys.ScopeReadAll)))
}

// asked are requests that take the hot route, and requests that nearly do.
var asked = []string{
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\n\n", "HEAD ARN:small HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ESC:small HTTP/1.1\nHost: x\nTOKEN\nX-Request-Id: id-1\n\n",
	"GET ARN:small?view=full HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:small?view=none HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:small?view=Full HTTP/1.1\nHost: x\nTOKEN\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: TAG\n\n", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: W/TAG, \"x\"\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: *\n\n", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: \"a\"\nIf-None-Match: TAG\n\n",
	"HEAD ARN:small HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: TAG\n\n",
	"GET ARN:large HTTP/1.1\nHost: x\nTOKEN\nAccept-Encoding: gzip\n\n", "GET ARN:large HTTP/1.1\nHost: x\nTOKEN\n\n", "HEAD ARN:large HTTP/1.1\nHost: x\nTOKEN\nAccept-Encoding: br, gzip;q=0\n\n",
	"GET ARN:huge HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:runs HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:runs?wait=1 HTTP/1.1\nHost: x\nTOKEN\nIf-None-Match: \"x\"\n\n",
	"GET ARN:runs?wait=1 HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:runs HTTP/1.1\nHost: x\nTOKEN\nPrefer: wait=1\n\n",
	"GET ARN:foreign HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:foreign HTTP/1.1\nHost: x\nOPS\n\n", "GET ARN:unknown HTTP/1.1\nHost: x\nTOKEN\n\n", "GET /v1/status/x HTTP/1.1\nHost: x\nTOKEN\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\n\n", "GET ARN:small HTTP/1.1\nHost: x\nAuthorization: Bearer x\n\n", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nTOKEN\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nAuthorization: bearer  x\n\n", "GET ARN:small HTTP/1.1\nHost: x\nAuthorization: Basic x\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nAccept: application/json\nUser-Agent: y\nCookie: a=b\n\n", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nX-Odd: y\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nOrigin: https://y\n\n", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nConnection: keep-alive\n\n",
	"GET /v1/status/ HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:small%2Fx HTTP/1.1\nHost: x\nTOKEN\n\n", "GET ARN:small%253A HTTP/1.1\nHost: x\nTOKEN\n\n",
	"POST ARN:small HTTP/1.1\nHost: x\nTOKEN\nContent-Length: 3\n\nabc", "GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nContent-Length: 3\n\nabc", "DELETE ARN:small HTTP/1.1\nHost: x\nTOKEN\n\n",
	"OPTIONS ARN:small HTTP/1.1\nHost: x\n\n", "GET /docs HTTP/1.1\nHost: x\n\n", "HEAD /docs HTTP/1.1\nHost: x\n\n", "GET /nowhere HTTP/1.1\nHost: x\n\n", "GET /v1/nowhere HTTP/1.1\nHost: x\nTOKEN\n\n",
	"POST /v1/status HTTP/1.1\nHost: x\nTOKEN\nContent-Type: application/json\nContent-Length: 23\n\n{\"executionArns\":[\"x\"]}",
	"POST /v1/status HTTP/1.1\nHost: x\nTOKEN\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n17\n{\"executionArns\":[\"x\"]}\n0\n\n",
	"POST /v1/status HTTP/1.1\nHost: x\nTOKEN\nContent-Type: text/plain\nContent-Length: 3\n\nabc", "GET ARN:small HTTP/1.0\nHost: x\nTOKEN\nConnection: keep-alive\n\n",
	"GET ARN:small HTTP/1.1\nHost: x\nTOKEN\nConnection: close\n\n",
}

// TestTheAnswerIsTheSameOnEachPath: alone, and behind another one on the same
// connection.
func TestTheAnswerIsTheSameOnEachPath(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"as it is": func(*Options) {}, "with origins": func(o *Options) { o.Origins = []string{"https://y"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWays(t, change)
			replace := w.prepared()
			for i, text := range asked {
				request, before := replace.Replace(text), replace.Replace(asked[(i*7+3)%len(asked)])
				w.mustAgree(request)
				if !testing.Short() || i%5 == 0 {
					w.mustAgree(before, request)
				}
			}
		})
	}
}

// mustAgree fails the test unless requests get the same answers in all ways.
func (w *ways) mustAgree(requests ...string) {
	w.t.Helper()
	want, err := w.answers("net/http", requests...)
	if err != nil {
		w.t.Fatalf("%.300q by net/http: %v", requests, err)
	}
	for _, way := range []string{"hot", "without the hot route", "handed over"} {
		got, err := w.answers(way, requests...)
		if err != nil || !slices.Equal(withoutLength(got), withoutLength(want)) {
			w.t.Errorf("%.300q %s: %v\n%.500q\nwant\n%.500q", requests, way, err, got, want)
		}
	}
}

var lengthLine = regexp.MustCompile(`Content-Length: .*\n`)

// withoutLength removes the lengths from answers, because net/http sends some in chunks.
func withoutLength(answers []string) (all []string) {
	for _, each := range answers {
		all = append(all, lengthLine.ReplaceAllString(each, ""))
	}
	return all
}

// FuzzBytesGetTheSameAnswersWithAndWithoutTheHotRoute compares the hot route with the other
// ways, for any bytes.
func FuzzBytesGetTheSameAnswersWithAndWithoutTheHotRoute(f *testing.F) {
	if testing.Short() {
		f.Skip("its seeds are in TestTheAnswerIsTheSameOnEachPath")
	}
	w := newWays(f, func(o *Options) { o.MaxWait = 0 })
	replace := w.prepared()
	for _, text := range asked {
		f.Add([]byte(replace.Replace(text)))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		hot, cold := w.raw(t, "hot", sent), w.raw(t, "without the hot route", sent)
		if hot != cold {
			t.Fatalf("%q\nwant\n%q", hot, cold)
		}
	})
}

var ownLine = regexp.MustCompile(`(Date|X-Request-Id): [^\r]*\r\n`)

// raw returns all that comes back for bytes, with the headers in order.
func (w *ways) raw(t *testing.T, way string, sent []byte) string {
	c, err := net.Dial("tcp", w.addrs[way])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(askLimit))
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(ownLine.ReplaceAllString(string(all), ""), "\r\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
