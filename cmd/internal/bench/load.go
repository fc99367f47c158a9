package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// load keeps an HTTP peer busy: each connection sends the next request when the last one was
// answered.
type load struct {
	addr        string
	connections int
	request     request
	other       *request // every tenth is this one; nil: none is
	secure      bool     // over TLS
}

// request is a request of which one number may differ from time to time.
type request struct {
	text  string
	place int // of the number in text
	count int // of numbers; 0: always the same
}

// digits is the width of the numbers that distinguish executions.
const digits = 7

// numbered returns a request for one of count executions; prefix and suffix surround the number
// in its path. More header lines may follow.
func numbered(prefix, suffix string, count int, headers ...string) request {
	text := "GET " + prefix
	place := len(text)
	text += fmt.Sprintf("%0*d%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n", digits, 0, suffix)
	for _, h := range headers {
		text += h + "\r\n"
	}
	return request{text + "\r\n", place, count}
}

// write puts the number i into b, which already has the text of the request.
func (q *request) write(b []byte, i int) {
	number := strconv.AppendInt(make([]byte, 0, 2*digits), int64(tenTo(digits)+i), 10)
	copy(b[q.place:q.place+digits], number[1:]) // the first digit keeps the zeros
}

func tenTo(n int) int {
	power := 1
	for range n {
		power *= 10
	}
	return power
}

// grace is how long a connection may continue beyond the time of a load before the
// peer counts as hung.
const grace = 5 * time.Second

// run keeps the peer busy for d and returns how often it answered.
func (l load) run(ctx context.Context, d time.Duration) (int, error) {
	counts := make([]int, l.connections)
	g, ctx := errgroup.WithContext(ctx)
	end := time.Now().Add(d)
	for i := range counts {
		g.Go(func() (err error) {
			counts[i], err = l.connection(ctx, end)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum, nil
}

func (l load) connection(ctx context.Context, end time.Time) (int, error) {
	open := dial
	if l.secure {
		open = dialTLS
	}
	c, err := open(ctx, l.addr, end.Add(grace))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	answers, text, other := newResponses(c), []byte(l.request.text), []byte(nil)
	if l.other != nil {
		other = []byte(l.other.text)
	}
	for n := 0; ; n++ {
		if !time.Now().Before(end) || ctx.Err() != nil {
			return n, ctx.Err()
		}
		if l.request.count > 0 {
			l.request.write(text, rand.IntN(l.request.count))
		}
		next := text
		if other != nil && n%10 == 9 {
			next = other
		}
		if _, err := c.Write(next); err != nil {
			return n, err
		}
		status, body, err := answers.next()
		if err != nil {
			return n, err
		}
		if status != http.StatusOK || len(body) == 0 {
			return n, fmt.Errorf("a peer answered %d with %d bytes: %.200s", status, len(body), body)
		}
	}
}

func dial(ctx context.Context, addr string, deadline time.Time) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(deadline)
}
