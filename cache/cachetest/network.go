package cachetest

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Network opens connections to Redis whose answers pass through a fault.
type Network struct {
	connect dialer // nil: net.Dialer
	fault   atomic.Pointer[Fault]
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Fault is called for a connection on which an answer has just arrived. If lost is true,
// the answer is dropped without an error; an error ends the connection. A fault that
// waits delays the answer.
type Fault func(*Conn) (lost bool, err error)

// Silent is a Fault that drops every answer, without an error.
func Silent(*Conn) (lost bool, err error) { return true, nil }

// BlackHole is a Fault that drops everything that subscribers would receive, without an
// error.
func BlackHole(c *Conn) (lost bool, err error) { return c.Subscriber(), nil }

// DropOne returns a Fault that drops the first answer to a command that contains a text,
// and ends its connection.
func DropOne(text string) Fault {
	var dropped atomic.Bool
	return func(c *Conn) (bool, error) {
		if c.Asked(text) && dropped.CompareAndSwap(false, true) {
			return true, io.ErrUnexpectedEOF
		}
		return false, nil
	}
}

// Dial opens a connection through the network.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	connect := n.connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	c, err := connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, network: n}, nil
}

// Begin puts a fault into every connection, including open ones.
func (n *Network) Begin(f Fault) { n.fault.Store(&f) }

// End lets every answer through again.
func (n *Network) End() { n.fault.Store(nil) }

// Hold keeps answers back until Release is called.
type Hold struct {
	Reached chan struct{} // closed when the first answer is kept back
	Answers atomic.Int64  // that came, kept back or not

	match    func(*Conn) bool
	released chan struct{}
}

// Hold keeps back the answers on the matching connections, from now on.
func (n *Network) Hold(match func(*Conn) bool) *Hold {
	h := &Hold{match: match, Reached: make(chan struct{}), released: make(chan struct{})}
	n.Begin(h.fault)
	return h
}

func (h *Hold) fault(c *Conn) (lost bool, err error) {
	if h.match(c) {
		if h.Answers.Add(1) == 1 {
			close(h.Reached)
		}
		<-h.released
	}
	return false, nil
}

// Release lets the kept answers through, and all that follow.
func (h *Hold) Release() { close(h.released) }

// ReadsOf matches the connections whose last command contains a text, but no subscriptions.
func ReadsOf(text string) func(*Conn) bool {
	return func(c *Conn) bool { return c.Asked(text) && !c.Subscriber() }
}

// Conn is a connection of a Network.
type Conn struct {
	net.Conn
	network *Network

	mu         sync.Mutex
	sent       string // last
	subscribed bool
}

// Write remembers what is sent, and sends it.
func (c *Conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.sent = string(b)
	c.subscribed = c.subscribed || strings.Contains(strings.ToLower(c.sent), "subscribe")
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// Read returns what the fault lets through.
func (c *Conn) Read(b []byte) (int, error) {
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

// Subscriber reports whether the connection listens to channels.
func (c *Conn) Subscriber() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscribed
}

// Asked reports whether the last command contains a text.
func (c *Conn) Asked(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.sent, text)
}
