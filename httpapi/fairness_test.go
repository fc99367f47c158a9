package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
	"statuscache/httpapi/internal/envelope"
)

// TestSlowBodiesTakeNoPlaces: requests whose bodies do not arrive take no places of other
// requests, and the bodies of one caller cannot use more than its share.
func TestSlowBodiesTakeNoPlaces(t *testing.T) {
	t.Parallel()
	cachetest.SkipShort(t, "many seconds")
	const limit = 8 * maxSetBody
	s := newService(t, func(o *Options) { o.RateLimit, o.Limits = 0, Limits{Others: 4, Bodies: limit, Body: time.Hour} })
	eve, ada := s.key("eve"), s.key("ada")
	attacker := s.callers.Of("eve")
	held := func() int64 { return attacker.Held(s.bodies) }
	for path, size := range map[string]int{"/v1/status": maxBatchBody, "/v1/wait": maxSetBody} {
		slow := func() net.Conn {
			return openSlow(t, strings.TrimPrefix(s.url, "http://"), fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s"+
				"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", path, eve, size))
		}
		var conns []net.Conn
		for before := held(); before < limit/2; before = held() { // one at a time: several at once may refuse each other
			conns = append(conns, slow())
			cachetest.Eventually(t, "its body is waited for", func() bool { return held() > before })
		}
		for range limit / 2 / size { // the control: as many again
			c := slow()
			_ = c.SetReadDeadline(time.Now().Add(askLimit))
			got, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%s: beyond the caller's share: %v", path, err)
			}
			if _ = got.Body.Close(); got.StatusCode != http.StatusServiceUnavailable || held() > limit/2 {
				t.Errorf("%s: beyond the caller's share: %s; it holds %d of %d", path, got.Status, held(), limit)
			}
		}
		for i := range 20 {
			if got := s.askOnce("POST", path, ada, jsonBody(arnsBody("", machine+"x"))); got.status != http.StatusOK {
				t.Errorf("%s: request %d of another caller: %d %s", path, i, got.status, got.body)
			}
		}
		for _, c := range conns {
			_ = c.Close()
		}
		cachetest.Eventually(t, "none is waited for any more", func() bool { return held() == 0 })
	}
}

// unknownSet is the body of a request that waits for so many unknown executions.
func unknownSet(n, of int) string {
	arns := make([]string, of)
	for i := range arns {
		arns[i] = fmt.Sprintf("%sunknown-%d-%d", machine, n, i)
	}
	return arnsBody("", arns...)
}

// TestASetCountsByItsExecutions: a set takes a place of the waiters for each of its executions,
// so that a few large sets count as much as many small ones.
func TestASetCountsByItsExecutions(t *testing.T) {
	t.Parallel()
	const places, of = 1000, 100
	s := newService(t, func(o *Options) { o.RateLimit, o.Limits.Waiting, o.MaxWait = 0, places, time.Hour })
	e := running(t, "single", "ada")
	s.apply(e)
	eve, ada := s.key("eve"), s.key("ada")
	answers := make(chan answer, 20)
	for n := range cap(answers) {
		set := s.later("POST", "/v1/wait?wait=3600", eve, jsonBody(unknownSet(n, of)))
		go func() { answers <- <-set }()
	}
	const let = 7 // three quarters of the places
	for range cap(answers) - let {
		if got := <-answers; got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("a set too many: %d %s", got.status, got.body)
		}
	}
	s.untilWaiting(let)
	if got := s.waiters.places.InUse(); got != let*of {
		t.Errorf("%d places are taken", got)
	}
	waits := s.later("GET", statusPath+string(e.ARN)+"?wait=3600", ada)
	s.untilWaiting(let + 1)
	s.apply(finished(e, "1"))
	if got := <-waits; got.status != http.StatusOK {
		t.Errorf("another caller that waits: %d %s", got.status, got.body)
	}
	s.waiters.Close()
}

// TestASetIsRatedByItsExecutions: a large set counts as several requests against the rate
// limit, and the answer says how many are left.
func TestASetIsRatedByItsExecutions(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *Options) { o.RateLimit = 50 })
	ada := s.key("ada")
	first := s.askOnce("POST", "/v1/wait?wait=0", ada, jsonBody(unknownSet(0, 1000)))
	if first.status != http.StatusOK || !strings.HasPrefix(first.header.Get("RateLimit"), `"default";r=0;`) {
		t.Errorf("a set of 1000: %d, %s", first.status, first.header.Get("RateLimit"))
	}
	if got := s.askOnce("POST", "/v1/status", s.key("eve"), jsonBody(unknownSet(0, 100))); !strings.HasPrefix(got.header.Get("RateLimit"), `"default";r=99;`) {
		t.Errorf("a batch is not one request: %s", got.header.Get("RateLimit"))
	}
}

// TestLargeSetsAreReadInTurn: however many sets one caller requests at once, the executions
// that are read at once are bounded, and every request is answered.
func TestLargeSetsAreReadInTurn(t *testing.T) {
	t.Parallel()
	counted := &countedReads{}
	s := newService(t, func(o *Options) {
		counted.Executions = o.Cache
		o.RateLimit, o.Cache, o.Limits.Asked, o.Limits.Body = 0, counted, 200, time.Hour
	})
	eve, ada := s.key("eve"), s.key("ada")
	var all []<-chan answer
	for n := range 60 {
		path := []string{"/v1/wait?wait=1", "/v1/wait?wait=0", "/v1/status"}[n%3]
		all = append(all, s.later("POST", path, eve, jsonBody(unknownSet(n, 100))))
	}
	for n := range 10 {
		if got := s.ask("POST", "/v1/status", ada, jsonBody(unknownSet(100+n, 10))); got.status != http.StatusOK {
			t.Errorf("another caller: %d %s", got.status, got.body)
		}
	}
	for _, each := range all {
		if got := <-each; got.status != http.StatusOK && got.status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if most := counted.most.Load(); most > 200 || most < 100 {
		t.Errorf("%d executions were read at once", most)
	}
}

// TestTheSameExecutionIsHeldOnce: an execution that is named a hundred times is in
// memory once, and is reported a hundred times.
func TestTheSameExecutionIsHeldOnce(t *testing.T) {
	t.Parallel()
	const size, times = 80_000, 100
	s := newService(t)
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", size)+`"`)
	s.apply(e)
	ada := s.key("ada")
	arns := make([]string, times)
	for i := range arns {
		arns[i] = string(e.ARN)
	}
	list, err := newItems(arns, times)
	if err != nil || len(list.valid) != 1 || len(list.all) != times {
		t.Fatalf("%d executions are looked up: %v", len(list.valid), err)
	}
	got := s.ask("POST", "/v1/status", ada, jsonBody(arnsBody("", arns...)))
	if n := strings.Count(got.body, strings.Repeat("x", size)); got.status != http.StatusOK || n != times {
		t.Errorf("%d, reported %d times", got.status, n)
	}
	record, err := s.cache.Get(t.Context(), e.ARN)
	if err != nil {
		t.Fatal(err)
	}
	var p envelope.Parts
	for range times {
		p.Text(",")
		p.Shared(record.Data())
	}
	if _, held := p.All(); held > size+10_000 || p.Length() < times*size {
		t.Errorf("%d bytes are held for %d", held, p.Length())
	}
}

// TestLargeAnswersAreBounded: clients that do not read hold no more bytes than their share, and
// others get their answers.
func TestLargeAnswersAreBounded(t *testing.T) {
	t.Parallel()
	const size, limit = 200_000, 10
	s := newService(t, func(o *Options) { o.RateLimit, o.Limits.Answers = 0, limit*(size+1000) })
	large := succeeded(t, "large", "eve", `"`+strings.Repeat("x", size)+`"`)
	mine := succeeded(t, "mine", "ada", `"`+strings.Repeat("x", size)+`"`)
	s.apply(large, mine)
	eve, ada := s.key("eve"), s.key("ada")
	holder := s.callers.Of("eve")
	for s.answers.Take(holder, size) {
		continue
	}
	if held := holder.Held(s.answers) / size; held < limit/2 || held > limit/2+1 {
		t.Errorf("%d answers of %d are being sent to one caller", held, limit)
	}
	body := jsonBody(arnsBody("", string(large.ARN)))
	for name, got := range map[string]answer{
		"one": s.askOnce("GET", statusPath+string(large.ARN), eve), "many": s.askOnce("POST", "/v1/status", eve, body), "a set": s.askOnce("POST", "/v1/wait", eve, body),
	} {
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" || got.header.Get("ETag") != "" || !strings.Contains(got.body, "large answers") {
			t.Errorf("%s: %d %v %.200s", name, got.status, got.header, got.body)
		}
	}
	if got := s.askOnce("GET", statusPath+string(mine.ARN), ada); got.status != http.StatusOK || got.header.Get("ETag") == "" {
		t.Errorf("another caller: %d %.200s", got.status, got.body)
	}
}

// countedReads counts the executions that are being read for batches.
type countedReads struct {
	Executions
	now, most atomic.Int64
}

func (c *countedReads) GetMany(ctx context.Context, arns []cache.ARN) []cache.Found {
	n := int64(len(arns))
	now := c.now.Add(n)
	defer c.now.Add(-n)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
		continue
	}
	return c.Executions.GetMany(ctx, arns)
}

// TestStreamsShareLargeEvents: many streams of one execution share the memory of its data, and
// send the same bytes as one buffer would have.
func TestStreamsShareLargeEvents(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]struct {
		text   string
		shared bool
	}{
		"large":                   {strings.Repeat("x", 10_000), true},
		"large, with line breaks": {strings.Repeat("x\r\n", 10_000), false},
		"small":                   {"{}", false},
	} {
		e := &events{}
		e.event("first", "", []byte("{}"))
		e.event("status", "7", []byte(data.text))
		e.event("end", "", []byte("{}"))
		sent := strings.Join([]string{string(slices.Concat(e.parts...)), string(e.buffer)}, "")
		want := envelope.AppendEvent(envelope.AppendEvent(envelope.AppendEvent(nil, "first", "", []byte("{}")), "status", "7", []byte(data.text)), "end", "", []byte("{}"))
		if sent != string(want) || (len(e.parts) > 0) != data.shared {
			t.Errorf("%s: %d parts, %.200q", name, len(e.parts), sent)
		}
	}
}

// TestABodyThatIsAnnouncedTooLargeIsNotAwaited: the refusal comes before a byte of it.
func TestABodyThatIsAnnouncedTooLargeIsNotAwaited(t *testing.T) {
	t.Parallel()
	s := newService(t)
	key := s.key("ada")
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(c, "POST /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n%s\r\n", key, expect)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%q: %v, %v", expect, answer, err)
		}
		if err == nil {
			_ = answer.Body.Close()
		}
		_ = c.Close()
	}
}
