package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
)

// streamsAtOnce is the number of requests that a connection may have in progress.
const streamsAtOnce = 100

// Frames of HTTP/2 (RFC 9113 §6).
const (
	dataFrame         = 0
	headersFrame      = 1
	goAwayFrame       = 7
	continuationFrame = 9
	endStream         = 1
	endHeaders        = 4
	priorityFrame     = 2
	resetFrame        = 3
	settings          = 4
	pingFrame         = 6
	windowUpdateFrame = 8
	unknownFrame      = 0xfa
	settingsAck       = 1
)

// rawHTTP2 is a client of HTTP/2 that does what no library lets it do.
type rawHTTP2 struct {
	net.Conn

	mu     sync.Mutex
	stream uint32          // the next one
	heads  map[uint32]bool // by stream, whether that ended with it
	first  map[uint32]byte // by stream, of the head
	resets int
	away   bool // asked to go
	closed bool
}

// withTLS makes a service speak HTTP/2.
func withTLS(t *testing.T) func(*Options) {
	t.Helper()
	files := testCertificate(t)
	return func(o *Options) { o.TLS = files }
}

// dialHTTP2 connects and lets the server send so many bytes of each answer.
func dialHTTP2(t *testing.T, addr string, window uint32) *rawHTTP2 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &rawHTTP2{Conn: conn, stream: 1, heads: map[uint32]bool{}, first: map[uint32]byte{}}
	t.Cleanup(func() { _ = conn.Close() })
	const initialWindowSize = 4
	setting := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, initialWindowSize), window)
	c.send(t, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, setting))
	go c.read()
	return c
}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

func (c *rawHTTP2) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	if _, err := c.Write(bytes.Join(frames, nil)); err != nil {
		t.Fatal(err)
	}
}

// get asks for a path with headers by name and value.
func (c *rawHTTP2) get(path string, headers ...string) []byte {
	c.mu.Lock()
	stream := c.stream
	c.stream += 2
	c.mu.Unlock()
	var block []byte
	literal := func(s string) {
		block = append(block, 127) // the length does not fit into seven bits
		for n := len(s) - 127; ; n >>= 7 {
			if n < 128 {
				block = append(block, byte(n))
				break
			}
			block = append(block, byte(n&127|128))
		}
		block = append(block, s...)
	}
	short := func(s string) { block = append(append(block, byte(len(s))), s...) }
	fields := append([]string{":method", "GET", ":scheme", "https", ":authority", "x", ":path", path}, headers...)
	for i, s := range fields {
		if i%2 == 0 {
			block = append(block, 0) // not to be remembered
		}
		if len(s) < 127 {
			short(s)
		} else {
			literal(s)
		}
	}
	return frame(headersFrame, endStream|endHeaders, stream, block)
}

func (c *rawHTTP2) read() {
	defer func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
	}()
	var head [9]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		stream := binary.BigEndian.Uint32(head[5:])
		c.mu.Lock()
		switch kind, flags := head[3], head[4]; {
		case kind == headersFrame:
			c.heads[stream] = flags&endStream != 0
			c.first[stream] = append(payload, 0)[0]
		case kind == dataFrame && flags&endStream != 0:
			c.heads[stream] = true
		case kind == resetFrame:
			c.resets++
		case kind == goAwayFrame:
			c.away = true
		case kind == settings && flags&settingsAck == 0:
			_, _ = c.Write(frame(settings, settingsAck, 0, nil))
		case kind == pingFrame && flags&settingsAck == 0:
			_, _ = c.Write(frame(pingFrame, settingsAck, 0, payload))
		}
		c.mu.Unlock()
	}
}

// count returns how many answers have begun, how many of them are whole, and how
// many requests were reset.
func (c *rawHTTP2) count() (begun, complete, reset int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ended := range c.heads {
		begun++
		if ended {
			complete++
		}
	}
	return begun, complete, c.resets
}

// TestAClosedWindowIsGivenUp: over HTTP/2 a client can refuse to receive a body and keep the
// connection. Its requests end nevertheless, and free the places that others need.
func TestAClosedWindowIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t), func(o *Options) { o.RateLimit, o.Limits.Taken = 0, time.Second })
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", 200_000)+`"`)
	s.apply(e)
	ada := "Bearer " + s.key("ada")
	half := strings.Repeat("x", 5_000)
	for name, request := range map[string]struct {
		path    string
		headers []string
	}{
		"without a token": {statusPath + string(e.ARN), nil},
		"an error":        {statusPath + "x", []string{"authorization", ada}},
		"a list":          {"/v1/executions", []string{"authorization", ada}},
		"a large answer":  {statusPath + string(e.ARN), []string{"authorization", ada}},
		"a stream":        {statusPath + string(e.ARN), []string{"authorization", ada, "accept", "text/event-stream"}},
		"a page":          {"/openapi.json", nil},
		"huge headers":    {"/v1/health", []string{"x-a", half, "x-b", half}}, // net/http answers by itself
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialHTTP2(t, strings.TrimPrefix(s.url, "http://"), 0)
			const requests = 20
			for range requests {
				c.send(t, c.get(request.path, request.headers...))
			}
			cachetest.Eventually(t, "every answer has begun, which is the control", func() bool {
				begun, complete, _ := c.count()
				if complete > 0 {
					t.Errorf("%d answers need no window", complete)
				}
				return begun == requests
			})
			cachetest.Eventually(t, "every answer is given up", func() bool {
				_, _, reset := c.count()
				return reset == requests
			})
		})
	}
}

// TestASlowReaderOverHTTP2IsNotCutOff takes a large answer in small parts, each of
// them in time, for longer than one part may take.
func TestASlowReaderOverHTTP2IsNotCutOff(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", 1_000_000)+`"`)
	s.apply(e)
	const window = 64 << 10
	c := dialHTTP2(t, strings.TrimPrefix(s.url, "http://"), window)
	c.send(t, c.get(statusPath+string(e.ARN), "authorization", "Bearer "+s.key("ada")))
	for range 1_000_000/window + 1 {
		more := binary.BigEndian.AppendUint32(nil, window)
		c.send(t, frame(windowUpdateFrame, 0, 0, more), frame(windowUpdateFrame, 0, 1, more))
	}
	cachetest.Eventually(t, "the answer is whole", func() bool {
		_, complete, _ := c.count()
		return complete == 1
	})
}

// TestOneCallerCannotTakeAllPlaces: a caller that takes as many places as it can leaves some
// for others, over any number of connections, with or without a token.
func TestOneCallerCannotTakeAllPlaces(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t), func(o *Options) {
		o.RateLimit, o.Limits = 0, Limits{Reads: 40, Others: 40, Taken: time.Hour}
	})
	large := succeeded(t, "large", "eve", `"`+strings.Repeat("x", 200_000)+`"`)
	mine := succeeded(t, "mine", "ada", "1")
	s.apply(large, mine)
	eve, ada := "Bearer "+s.key("eve"), s.key("ada")
	addr := strings.TrimPrefix(s.url, "http://")
	s.url = "https://" + addr
	var attackers []*rawHTTP2
	for range 5 {
		c := dialHTTP2(t, addr, 0)
		attackers = append(attackers, c)
		for range 30 {
			c.send(t, c.get(statusPath+string(large.ARN), "authorization", eve), c.get("/v1/executions", "authorization", eve),
				c.get(statusPath+string(large.ARN)))
		}
	}
	const all = 5 * 30 * 3
	cachetest.Eventually(t, "every request of the attack is answered or stuck", func() bool {
		begun := 0
		for _, c := range attackers {
			n, _, _ := c.count()
			begun += n
		}
		return begun == all
	})
	held := s.callers.Of("eve").Total()
	if held < 40 {
		t.Errorf("the control: only %d places are held", held)
	}
	for range 20 {
		for _, path := range []string{statusPath + string(mine.ARN), "/v1/executions"} {
			if got := s.askTLS(path, ada); got != http.StatusOK {
				t.Fatalf("another caller: %s: %d", path, got)
			}
		}
	}
}

// askTLS asks over a connection of its own and returns the status.
func (s *service) askTLS(path, token string) int {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	got, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = got.Body.Close()
	return got.StatusCode
}

// stuck is a cache that answers no call before it is released, not even if the caller has gone.
type stuck struct {
	Executions
	asked   atomic.Int64
	release chan struct{}
}

func (s *stuck) GetAtLeast(ctx context.Context, arn cache.ARN, v cache.Version) (*cache.Record, error) {
	s.asked.Add(1)
	<-s.release
	return s.Executions.GetAtLeast(ctx, arn, v)
}

// TestAFloodOfResetsIsBounded: a client that resets each request at once has no more requests
// in progress than a connection allows, and loses the connection. Other clients are not
// affected.
func TestAFloodOfResetsIsBounded(t *testing.T) {
	t.Parallel()
	blocked := &stuck{release: make(chan struct{})}
	s := newService(t, withTLS(t), func(o *Options) {
		blocked.Executions = o.Cache
		o.RateLimit, o.Cache = 0, blocked
	})
	release := sync.OnceFunc(func() { close(blocked.release) })
	t.Cleanup(release) // before the server ends
	s.url = "https://" + strings.TrimPrefix(s.url, "http://")
	eve := "Bearer " + s.key("eve")
	c := dialHTTP2(t, strings.TrimPrefix(s.url, "https://"), 1<<20)
	for n := range 10 * streamsAtOnce {
		stream := uint32(2*n + 1)
		request := append(c.get(statusPath+machine+"x?wait=0", "authorization", eve), frame(resetFrame, 0, stream, make([]byte, 4))...)
		if _, err := c.Write(request); err != nil {
			break // the server has closed the connection
		}
	}
	cachetest.Eventually(t, "the connection is ended", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.closed
	})
	cachetest.Eventually(t, "as many as may are at work, which is the control", func() bool { return blocked.asked.Load() == streamsAtOnce })
	if got := s.askTLS("/v1/executions", s.key("ada")); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
	release()
	cachetest.Eventually(t, "nothing is held", func() bool {
		return s.callers.Of("eve").Total() == 0
	})
	if n := blocked.asked.Load(); n != streamsAtOnce {
		t.Errorf("%d were in progress", n)
	}
}
