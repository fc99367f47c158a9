//go:build !unix

package wire

func (c *conn) polls() (*Response, error) { return nil, nil }

func (c *conn) readable(uintptr) bool { return true }

func (c *conn) writeNow([]byte) int { return 0 }

// awaitFirst does not wait, so the time limit of a handshake begins with the connection.
func (c *conn) awaitFirst() error { return nil }
