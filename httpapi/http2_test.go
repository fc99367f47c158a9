package httpapi

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// Frames of HTTP/2 (RFC 9113 §6).
const (
	dataFrame    = 0
	headersFrame = 1
	resetFrame   = 3
	settingsAck  = 1
	settings     = 4
	pingFrame    = 6
	goAwayFrame  = 7
	endStream    = 1
	endHeaders   = 4
)

// rawHTTP2 is a client of HTTP/2 that does what no library lets it do.
type rawHTTP2 struct {
	net.Conn

	mu     sync.Mutex
	stream uint32          // the next one
	heads  map[uint32]bool // by stream, whether that ended with it
	resets int
	away   bool // told to go
	closed bool
}

// withTLS makes a service speak HTTP/2.
func withTLS(t *testing.T) func(*Options) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, "test")
	certificate, err := LoadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.TLS = certificate }
}

// dialHTTP2 connects and lets the server send so many bytes of each answer.
func dialHTTP2(t *testing.T, addr string, window uint32) *rawHTTP2 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &rawHTTP2{Conn: conn, stream: 1, heads: map[uint32]bool{}}
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
func (c *rawHTTP2) count() (begun, whole, reset int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ended := range c.heads {
		begun++
		if ended {
			whole++
		}
	}
	return begun, whole, c.resets
}

// TestAClosedWindowIsGivenUp: over HTTP/2 a client can refuse to take a body and
// go on with the connection. What it asked for is let go all the same, and with it
// the places that others need.
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
				begun, whole, _ := c.count()
				if whole > 0 {
					t.Errorf("%d answers need no window", whole)
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
	const windowUpdate = 8
	for range 1_000_000/window + 1 {
		more := binary.BigEndian.AppendUint32(nil, window)
		c.send(t, frame(windowUpdate, 0, 0, more), frame(windowUpdate, 0, 1, more))
	}
	cachetest.Eventually(t, "the answer is whole", func() bool {
		_, whole, _ := c.count()
		return whole == 1
	})
}

// TestOneCallerLeavesPlaces: who holds as many places as are to be had leaves some
// to others, over any number of connections, with a token or without.
func TestOneCallerLeavesPlaces(t *testing.T) {
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
	held := int64(0)
	for i := range s.callers.of("eve").held {
		held += s.callers.of("eve").held[i].Load()
	}
	if held < 40 {
		t.Errorf("the control: only %d places are held", held)
	}
	for range 20 {
		for _, path := range []string{statusPath + string(mine.ARN), "/v1/executions"} {
			if got := s.askTLS(path, ada); got != http.StatusOK {
				t.Fatalf("somebody else: %s: %d", path, got)
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

// TestPoolsAreShared: however many want all of it, whoever comes next gets a part.
func TestPoolsAreShared(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		greed  int64
		greedy int
		each   int64 // what each of the greedy has in the end, nearly
	}{{shareEvenly, 1, 500}, {shareEvenly, 4, 200}, {shareNearly, 1, 750}, {shareNearly, 3, 300}} {
		s := &Server{rates: nil}
		p := s.newPool(1000, test.greed)
		all := make([]*holder, test.greedy)
		for i := range all {
			all[i] = s.newHolder(nil)
		}
		for range 1000 {
			for _, h := range all {
				p.take(h, 1)
			}
		}
		for i, h := range all {
			if got := h.held[0].Load(); got < test.each-2 || got > test.each+2 {
				t.Errorf("%+v: number %d has %d", test, i, got)
			}
		}
		late := s.newHolder(nil)
		if !p.take(late, 10) {
			t.Errorf("%+v: nothing is left for somebody new", test)
		}
		p.give(late, 10)
		for _, h := range all {
			p.give(h, h.held[0].Load())
		}
		if p.taken.Load() != 0 || !p.take(late, 1000) || p.take(all[0], 1) {
			t.Errorf("%+v: not given back, or more than there is", test)
		}
	}
}

func TestAddressesOfOneClient(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := neighbourhood(&net.TCPAddr{IP: net.ParseIP(addr), Port: 1}).String(); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := neighbourhood(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("no address of a network: %s", got)
	}
}
