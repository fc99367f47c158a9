package cache

import (
	"context"
	"io"
	"net"
	"statuscache/cache/internal/redisdb"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// network opens connections to Redis whose answers pass through a fault.
type network struct {
	fault   atomic.Pointer[fault]
	connect redisdb.Dialer // nil: net.Dialer
}

// fault looks at a connection on which an answer has just come in. The answer
// vanishes without an error if lost is true; with an error the connection ends.
// It may wait, and then so does the answer.
type fault func(*faultyConn) (lost bool, err error)

// through makes a cache use the network.
func through(n *network) func(*Options) {
	return func(o *Options) { o.dial = n.dial }
}

func (n *network) dial(ctx context.Context, kind, addr string) (net.Conn, error) {
	connect := n.connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	c, err := connect(ctx, kind, addr)
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: c, network: n}, nil
}

// begin puts a fault into every connection, those that are open too.
func (n *network) begin(f fault) { n.fault.Store(&f) }

// end lets every answer through again.
func (n *network) end() { n.fault.Store(nil) }

// hold is a fault that keeps answers back until they are released.
type hold struct {
	whose    func(*faultyConn) bool
	reached  chan struct{} // closed when the first answer is kept back
	released chan struct{}
	answers  atomic.Int64 // that came, kept back or not
}

// hold keeps back the answers on connections that are whose, from here on.
func (n *network) hold(whose func(*faultyConn) bool) *hold {
	h := &hold{whose: whose, reached: make(chan struct{}), released: make(chan struct{})}
	n.begin(h.fault)
	return h
}

func (h *hold) fault(c *faultyConn) (lost bool, err error) {
	if h.whose(c) {
		if h.answers.Add(1) == 1 {
			close(h.reached)
		}
		<-h.released
	}
	return false, nil
}

// dropOne is a fault that swallows the first answer to a question about something,
// and with it the connection.
func dropOne(about string) fault {
	var dropped atomic.Bool
	return func(c *faultyConn) (bool, error) {
		if c.asked(about) && dropped.CompareAndSwap(false, true) {
			return true, io.ErrUnexpectedEOF
		}
		return false, nil
	}
}

// release lets through what was kept back, and all that follows.
func (h *hold) release() { close(h.released) }

// readsOf is whose answers a hold keeps back: those to questions about something,
// but not what a subscription brings.
func readsOf(about string) func(*faultyConn) bool {
	return func(c *faultyConn) bool { return c.asked(about) && !c.subscriber() }
}

type faultyConn struct {
	net.Conn
	network *network

	mu         sync.Mutex
	sent       string // last
	subscribed bool
}

func (c *faultyConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.sent = string(b)
	c.subscribed = c.subscribed || strings.Contains(strings.ToLower(c.sent), "subscribe")
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *faultyConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		f := c.network.fault.Load()
		if err != nil || f == nil {
			return n, err
		}
		lost, err := (*f)(c)
		if err != nil {
			_ = c.Close() // the error says enough
			return 0, err
		}
		if !lost {
			return n, nil
		}
	}
}

// subscriber reports whether the connection listens to channels.
func (c *faultyConn) subscriber() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscribed
}

// asked reports whether what was sent last holds a text.
func (c *faultyConn) asked(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.sent, text)
}

// calls returns how often Redis has run a command.
func calls(t *testing.T, c *Cache, command string) int {
	t.Helper()
	text, err := c.db.Writers.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	n, _, _ := strings.Cut(rest, ",")
	count, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	return count
}
