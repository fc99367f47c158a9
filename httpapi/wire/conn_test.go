package wire

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/httpapi/internal/envelope"
)

// TestEachRequestOnAConnectionGetsItsOwnAnswer, whatever comes before and after it, and in any
// pieces.
func TestEachRequestOnAConnectionGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	for _, real := range []bool{true, false} {
		for seed := range uint64(40) {
			random := rand.New(rand.NewPCG(seed, 1))
			b := connect(t, real, echo)
			var all []some
			for range 5 {
				all = append(all, numbered(len(all))...)
			}
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			text := ""
			for _, each := range all {
				text += each.text
			}
			go func() {
				for len(text) > 0 {
					n := min(len(text), 1+random.IntN(1<<random.IntN(14)))
					if _, err := io.WriteString(b.client, text[:n]); err != nil {
						return
					}
					text = text[n:]
				}
			}()
			for i, each := range all {
				if got, body := b.next(); got.StatusCode != 200 || body != each.want {
					t.Fatalf("seed %d, request %d: %d %s, want %s", seed, i, got.StatusCode, body, each.want)
				}
			}
			_ = b.client.Close()
			cachetest.Eventually(t, "the connection is forgotten", func() bool { return len(b.all()) == 0 })
		}
	}
}

// TestForeignProtocolsAreHandedOverUnread, with every byte that has not been answered, also
// after other requests on the connection.
func TestForeignProtocolsAreHandedOverUnread(t *testing.T) {
	t.Parallel()
	before := numbered(0)
	for _, foreign := range []string{
		"GET / HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", largeHead) + "\r\n\r\n", "\x16\x03\x01", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n",
	} {
		b := connect(t, true, echo)
		for _, each := range before {
			b.send(each.text)
			if _, body := b.next(); body != each.want {
				t.Fatalf("%s, want %s", body, each.want)
			}
		}
		b.send(foreign + aPoll)
		h := <-b.handed
		_ = b.client.(interface{ CloseWrite() error }).CloseWrite()
		rest, err := io.ReadAll(h)
		if got := string(h.read) + string(rest); got != foreign+aPoll || err != nil {
			t.Errorf("handed over %.100q, want %.100q; %v", got, foreign, err)
		}
		if len(b.all()) > 0 {
			t.Error("it is still served here")
		}
	}
}

// TestARequestWithTwoLengthsIsRefused, and nothing after it is read.
func TestARequestWithTwoLengthsIsRefused(t *testing.T) {
	t.Parallel()
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		b := connect(t, true, echo)
		b.send(head + "0\r\n\r\n" + aPoll)
		got, body := b.next()
		if got.StatusCode != 400 || !got.Close || !strings.HasPrefix(body, `{"success":false,"error":{"code":"ValidationError"`) || got.Header.Get("Content-Type") != envelope.JSONMedia {
			t.Errorf("%q: %d %v %s", head, got.StatusCode, got.Header, body)
		}
		b.mustEnd("refused")
	}
}

// TestAnEmptyLineMayComeBeforeARequest: old clients send one after a body. It may arrive in
// pieces, or long before the request. A connection with two empty lines goes to net/http.
func TestAnEmptyLineMayComeBeforeARequest(t *testing.T) {
	t.Parallel()
	for _, piece := range []int{1, 2, 3, 1000} {
		b := connect(t, true, echo)
		for _, each := range numbered(0) {
			sent := make(chan struct{}) // some bodies are answered before they are there
			go func() {
				defer close(sent)
				for text := emptyLine + each.text; len(text) > 0; text = text[min(piece, len(text)):] {
					_, _ = io.WriteString(b.client, text[:min(piece, len(text))])
				}
			}()
			if got, body := b.next(); got.StatusCode != 200 || body != each.want {
				t.Fatalf("%q in pieces of %d: %d %s", each.text, piece, got.StatusCode, body)
			}
			<-sent
		}
		b.send(emptyLine + emptyLine + aPoll)
		if h := <-b.handed; !strings.HasPrefix(string(h.read), emptyLine) {
			t.Errorf("handed over %q", h.read)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, false, echo)
		b.run()
		b.send(emptyLine)
		<-time.After(60 * time.Second)
		b.send(aPoll)
		if got, _ := b.next(); got.StatusCode != 200 {
			t.Errorf("later: %d", got.StatusCode)
		}
	})
}

// TestTheConnectionIsClosedAfterAnAnswer that says so, or that may be incomplete.
func TestTheConnectionIsClosedAfterAnAnswer(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, test := range map[string]struct {
		sent   string
		answer func(b *bench, w http.ResponseWriter, r *http.Request)
		says   bool // in the header Connection
	}{
		"the client wants it":  {lines("GET / HTTP/1.1", "Host: x", "Connection: keep-alive, close"), nil, true},
		"the client of a poll": {lines("GET /v1/status/x HTTP/1.1", "Host: x", "Authorization: Bearer y", "Connection: close"), nil, true},
		"the handler wants it": {get, func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.Header()["Connection"] = envelope.Closing }, true},
		"the server drains":    {get, func(b *bench, _ http.ResponseWriter, _ *http.Request) { b.drain.Store(true) }, true},
		"the server stops":     {get, func(b *bench, _ http.ResponseWriter, _ *http.Request) { b.stopping.Store(true) }, true},
		"a stream": {get, func(_ *bench, w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = envelope.EventStreamType
		}, true},
		"much of a body is unread": {lines("POST / HTTP/1.1", "Host: x", "Content-Length: 300000") + strings.Repeat("x", 300_000), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b *bench
			ready := make(chan struct{})
			b = connect(t, true, func(w http.ResponseWriter, r *http.Request) {
				<-ready
				if test.answer != nil {
					test.answer(b, w, r)
				}
				_, _ = io.WriteString(w, "ok")
			})
			close(ready)
			b.send(test.sent + get)
			if got, body := b.next(); got.Close != test.says || body != "ok" {
				t.Errorf("%v %s", got.Header, body)
			}
			b.mustEnd(name)
		})
	}
}

// TestAnIncompleteAnswerEndsTheConnection: its end could be taken for the beginning of the
// next one.
func TestAnIncompleteAnswerEndsTheConnection(t *testing.T) {
	t.Parallel()
	length := func(w http.ResponseWriter, n string) { w.Header()["Content-Length"] = []string{n} }
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string // of the body
		err    error
	}{
		"shorter than it says": {func(w http.ResponseWriter) { length(w, "5"); _, _ = io.WriteString(w, "abc") }, "abc", io.ErrUnexpectedEOF},
		"longer than it says": {func(w http.ResponseWriter) {
			length(w, "3")
			_, _ = io.WriteString(w, "ab")
			_, _ = io.WriteString(w, "cd")
		}, "ab", io.ErrUnexpectedEOF},
		"longer at once":      {func(w http.ResponseWriter) { length(w, "1"); _, _ = io.WriteString(w, "ab") }, "", nil},
		"a panic before it":   {func(http.ResponseWriter) { panic("x") }, "", nil},
		"a panic within it":   {func(w http.ResponseWriter) { length(w, "5"); _, _ = io.WriteString(w, "abc"); panic("x") }, "abc", io.ErrUnexpectedEOF},
		"an abort":            {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "", nil},
		"a break in a header": {func(w http.ResponseWriter) { w.Header()["A"] = []string{"b\r\nC: d"}; _, _ = io.WriteString(w, "abc") }, "", nil},
		"a CR in a header":    {func(w http.ResponseWriter) { w.Header()["A"] = []string{"b\rC"}; _, _ = io.WriteString(w, "abc") }, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connect(t, true, func(w http.ResponseWriter, _ *http.Request) { test.answer(w) })
			b.send(aPoll + aPoll)
			got, err := http.ReadResponse(b.in, nil)
			if test.want == "" {
				if err == nil {
					t.Fatalf("answered: %+v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			_ = got.Body.Close()
			if string(body) != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q, %v", body, err)
			}
			b.mustEnd(name)
		})
	}
}

// TestAnswersWithoutABodyHaveNone: otherwise a client would take the next answer for the body.
func TestAnswersWithoutABodyHaveNone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method string
		status int
		length string
		want   string // Content-Length
	}{
		{"GET", 304, "5", ""}, {"GET", 204, "", ""}, {"GET", 200, "", "0"}, {"GET", 308, "", "0"}, {"HEAD", 200, "5", "5"}, {"HEAD", 304, "5", ""}, {"HEAD", 404, "", ""},
	} {
		b := connect(t, true, func(w http.ResponseWriter, _ *http.Request) {
			if test.length != "" {
				w.Header()["Content-Length"] = []string{test.length}
			}
			w.WriteHeader(test.status)
		})
		for range 2 {
			b.send(test.method + " / HTTP/1.1\r\nHost: x\r\n\r\n")
			got, err := http.ReadResponse(b.in, &http.Request{Method: test.method})
			if err == nil {
				_ = got.Body.Close()
			}
			if err != nil || got.StatusCode != test.status || got.Header.Get("Content-Length") != test.want || got.Header.Get("Date") == "" {
				t.Fatalf("%+v: %+v, %v", test, got, err)
			}
		}
	}
}

// TestAConnectionOpenedAheadOfNeedMayBeIdle, before its first request and after each.
func TestAConnectionOpenedAheadOfNeedMayBeIdle(t *testing.T) {
	t.Parallel()
	for _, silence := range []time.Duration{0, 4 * time.Second, 5200 * time.Millisecond, 30 * time.Second, 73 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := connect(t, false, echo)
			b.run()
			for range 2 {
				<-time.After(silence)
				b.send(aPoll)
				if got, _ := b.next(); got.StatusCode != 200 {
					t.Errorf("after %v: %d", silence, got.StatusCode)
				}
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, false, echo)
		b.run()
		begun := time.Now()
		if b.mustEnd("idle"); time.Since(begun) > 76*time.Second || time.Since(begun) < 74*time.Second {
			t.Errorf("it ended after %v", time.Since(begun))
		}
	})
}

// TestAfterTheFirstByteTheHeadHasFiveSeconds to arrive completely.
func TestAfterTheFirstByteTheHeadHasFiveSeconds(t *testing.T) {
	t.Parallel()
	for _, silence := range []time.Duration{0, time.Second, 60 * time.Second} {
		for _, before := range []int{0, 1} { // requests
			synctest.Test(t, func(t *testing.T) {
				b := connect(t, false, echo)
				b.run()
				for range before {
					b.send(aPoll)
					b.next()
				}
				<-time.After(silence)
				begun := time.Now()
				var writer sync.WaitGroup
				writer.Go(func() { // a byte each second
					for i := range len(aPoll) {
						if _, err := io.WriteString(b.client, aPoll[i:i+1]); err != nil {
							return
						}
						<-time.After(time.Second)
					}
				})
				b.mustEnd("slow")
				if took := time.Since(begun); took > 6*time.Second || took < 4*time.Second {
					t.Errorf("silent for %v: closed after %v", silence, took)
				}
				writer.Wait()
			})
		}
	}
}

// TestABeginningBehindARequestHasFiveSeconds: also if it arrived together with that request, so
// that no read waited for it. Otherwise the connection would stay forever and delay the
// shutdown.
func TestABeginningBehindARequestHasFiveSeconds(t *testing.T) {
	t.Parallel()
	for _, before := range []string{aPoll, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "GET /waits?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			b := connect(t, false, echo)
			b.run()
			b.send(before + aPoll[:10])
			b.next()
			begun, stuck := time.Now(), time.AfterFunc(time.Minute, func() { _ = b.client.Close() })
			b.mustEnd("half a head")
			if took := time.Since(begun); !stuck.Stop() || took > 6*time.Second || took < 4*time.Second {
				t.Errorf("%.20q: closed after %v", before, took)
			}
		})
	}
}

// TestAConnectionWithoutARequestHasNoBuffer, nor has one whose request waits.
func TestAConnectionWithoutARequestHasNoBuffer(t *testing.T) {
	t.Parallel()
	end, waits := make(chan struct{}), make(chan struct{})
	b := connect(t, true, func(w http.ResponseWriter, r *http.Request) {
		if out := w.(*Response); r.URL.Path == "/waits" {
			out.Detach(waitingFor(func() { close(waits); <-end }))
		}
	})
	buffered := func() bool {
		all := b.all()
		return len(all) != 1 || all[0].in.buffer != nil
	}
	b.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
	<-waits
	if buffered() {
		t.Error("while a request waits")
	}
	close(end)
	b.next()
	cachetest.Eventually(t, "it rests", func() bool { return stage(b.all()[0].stage.Load()>>32) == idle })
}

// TestADisconnectEndsAWait, also after bytes that were not read. Nothing else ends it.
func TestADisconnectEndsAWait(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"", "G", strings.Repeat(aPoll, 1000)} {
		var gone atomic.Bool
		first := make(chan struct{}, 1)
		b := connect(t, true, func(w http.ResponseWriter, _ *http.Request) {
			out := w.(*Response)
			out.Detach(waits{func() bool { first <- struct{}{}; return !gone.Load() }, func() { gone.Store(true); out.Wake() }})
		})
		b.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + behind)
		<-first
		for range 200 {
			b.sweep()
		}
		if gone.Load() {
			t.Fatal("the wait ended although the client is still there")
		}
		_ = b.client.Close()
		cachetest.Eventually(t, "the wait ends", func() bool { b.sweep(); return gone.Load() })
		cachetest.Eventually(t, "the connection is closed", func() bool { return len(b.all()) == 0 })
	}
}

// TestEveryWakeIsFollowedByAStep, from any goroutine and at any time; no two steps run at once,
// and between two there is no goroutine.
func TestEveryWakeIsFollowedByAStep(t *testing.T) {
	t.Parallel()
	const wakers, times = 8, 500
	var out *Response
	var notified, within atomic.Int64
	seen := int64(-1)
	step := func() bool {
		if within.Add(1) != 1 {
			t.Error("two steps at once")
		}
		defer within.Add(-1)
		if seen = notified.Load(); seen < wakers*times {
			return true
		}
		_, _ = io.WriteString(out, "answer")
		return false
	}
	detached := make(chan struct{})
	b := connect(t, true, func(w http.ResponseWriter, _ *http.Request) {
		out = w.(*Response)
		out.Detach(waits{step, func() {}})
		close(detached)
	})
	b.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
	<-detached
	cachetest.Eventually(t, "it has no goroutine", func() bool { return out.turn.Load() == parked })
	for range wakers {
		go func() {
			for range times {
				notified.Add(1)
				out.Wake()
			}
		}()
	}
	if _, body := b.next(); body != "answer" || seen != wakers*times {
		t.Errorf("%q after %d of %d", body, seen, wakers*times)
	}
}

// TestStopWaitsForRequestsUnderWay: connections without a request are closed, a connection that
// was just opened has time for its first request, and every other connection is closed after
// its answer.
func TestStopWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after string // of the stop
		answered      bool
		took          time.Duration // at most
	}{
		"idle":                          {aPoll, "", false, time.Second},
		"just opened":                   {"", aPoll, true, time.Second},
		"opened in vain":                {"", "", false, freshSpare},
		"within a head":                 {aPoll[:10], aPoll[10:], true, time.Second},
		"within a head, and no further": {aPoll[:10], "", false, freshSpare + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := connect(t, false, echo)
				b.run()
				b.send(test.before)
				if test.before == aPoll {
					b.next()
				}
				synctest.Wait()
				begun, stopped := time.Now(), make(chan error)
				go func() {
					b.Stop(t.Context())
					stopped <- b.Drain(t.Context())
				}()
				synctest.Wait()
				b.send(test.after)
				if test.answered {
					if got, _ := b.next(); got.StatusCode != 200 || !got.Close {
						t.Errorf("%+v", got)
					}
				}
				b.mustEnd(name)
				if err, took := <-stopped, time.Since(begun); err != nil || took > test.took+100*time.Millisecond {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// TestAnAnswerIsSentBehindItsHandler, so that its log line and its metrics are there when the
// client reads it: nothing reads from the pipe until the handler has returned.
func TestAnAnswerIsSentBehindItsHandler(t *testing.T) {
	t.Parallel()
	for _, wait := range []bool{false, true} {
		done := make(chan struct{})
		answer := func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "whole")
			close(done)
		}
		b := connect(t, false, func(w http.ResponseWriter, _ *http.Request) {
			if !wait {
				answer(w)
				return
			}
			w.(*Response).Detach(waitingFor(func() { answer(w) }))
		})
		b.send(aPoll)
		<-done
		if _, body := b.next(); body != "whole" {
			t.Errorf("waiting %v: %q", wait, body)
		}
	}
}
