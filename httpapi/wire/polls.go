package wire

// Without TLS, a poll is read and written by system calls while RawConn.Read holds the socket.
// Through the methods of net.Conn a poll costs about a seventh more. While the socket is held,
// nothing else may read from the connection, and closing it waits until the poll is answered.
// So everything that is not a plain poll is left to conn.serve.

// answerPoll answers the request at the beginning of the input if it is a whole poll, and
// reports whether the connection is ready for another one. If not, the rest of the work is
// in the input or in unfinished.
func (c *conn) answerPoll() (ready bool) {
	var s scanner
	size, v := s.scan(c.in.bytes())
	if v != known {
		return false
	}
	var h head
	if h.parse(string(c.in.bytes()[:size])) != known {
		return false
	}
	w, r := c.poll(&h)
	if r == nil || c.enter(busy) != nil {
		return false
	}
	c.in.take(size)
	c.handle(w, func() { c.server.options.Handler.ServeHTTP(w, r) })
	if w.waiting == nil && w.finish() {
		return c.enter(idle) == nil
	}
	c.unfinished = w
	return false
}
