//go:build !unix

package wire

func (c *conn) fillEmpty() error { return c.fillBehindOne() }

func (c *conn) readNow(uintptr) bool { return true }

// awaitFirst does not wait, so the time limit of a handshake begins with the connection.
func (c *conn) awaitFirst() error { return nil }
