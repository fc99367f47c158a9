package wire

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	// smallHead is the size of the read buffers. Nearly every request fits into one, and
	// a poll must fit.
	smallHead = 4 << 10
	// largeHead is the maximum size of a head. It is more than handlers accept, so that
	// they refuse heads that are too large; net/http refuses even larger ones.
	largeHead = 40 << 10
)

// The buffers of all connections. A connection does not see old bytes of another one,
// because it knows how much it has read.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallHead]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeHead]byte) }}
)

// input has the bytes that were read from a connection and belong to no request yet. It
// has a buffer only while it is not empty.
type input struct {
	buffer     []byte // nil, from one of the pools, or from keep
	start, end int    // of what is in it
}

func (in *input) bytes() []byte { return in.buffer[in.start:in.end] }

func (in *input) empty() bool { return in.start == in.end }

// take removes the first n bytes.
func (in *input) take(n int) {
	if in.start += n; in.empty() {
		in.drop()
	}
}

// drop gives the buffer back and discards its bytes.
func (in *input) drop() {
	switch len(in.buffer) {
	case smallHead:
		smallBuffers.Put((*[smallHead]byte)(in.buffer))
	case largeHead:
		largeBuffers.Put((*[largeHead]byte)(in.buffer))
	}
	*in = input{}
}

// keep moves the bytes into a buffer of exactly their size.
func (in *input) keep() {
	if !in.empty() {
		rest := bytes.Clone(in.bytes())
		in.drop()
		in.buffer, in.end = rest, len(rest)
	}
}

// free returns the free part of the buffer. It is empty if the input is as large as a
// head may be.
func (in *input) free() []byte {
	if in.end == len(in.buffer) {
		switch there := in.end - in.start; {
		case there < smallHead:
			in.move(smallBuffers.Get().(*[smallHead]byte)[:])
		case there < largeHead:
			in.move(largeBuffers.Get().(*[largeHead]byte)[:])
		}
	}
	return in.buffer[in.end:]
}

// move moves the bytes to another buffer.
func (in *input) move(buffer []byte) {
	n := copy(buffer, in.bytes())
	in.drop()
	in.buffer, in.end = buffer, n
}

// fill reads bytes from the client. While there is nothing to read, an empty input has no
// buffer.
func (c *conn) fill() error {
	if c.in.buffer == nil {
		return c.fillBehindOne()
	}
	n, err := c.Read(c.in.free())
	if c.in.end += n; n > 0 {
		return nil // the next read returns the error again
	}
	return err
}

// fillBehindOne waits for one byte, for which no buffer is needed.
func (c *conn) fillBehindOne() error {
	n, err := c.Read(c.one[:])
	if n == 0 {
		return err
	}
	c.in.free()[0] = c.one[0]
	c.in.end = 1
	return nil
}

// body is the body of a request with a known length. It reads no bytes after the body.
type body struct {
	conn *conn
	left int64
	err  error
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.left == 0:
		return 0, io.EOF
	case b.err != nil:
		return 0, b.err
	}
	p = p[:min(int64(len(p)), b.left)]
	if in := &b.conn.in; !in.empty() {
		n = copy(p, in.bytes())
		in.take(n)
	} else if n, b.err = b.conn.Read(p); errors.Is(b.err, io.EOF) {
		b.err = io.ErrUnexpectedEOF
	}
	b.left -= int64(n)
	return n, b.err
}

// Close implements io.Closer. The rest of the body is read after the answer.
func (b *body) Close() error { return nil }
