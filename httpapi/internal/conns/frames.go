package conns

import (
	"encoding/binary"
	"strconv"
	"strings"

	"statuscache/httpapi/internal/envelope"
)

// The HTTP/2 frames (RFC 9113 §6) that are distinguished here.
const (
	frameHead         = 9 // bytes
	dataFrame         = 0x0
	headersFrame      = 0x1
	goAwayFrame       = 0x7
	continuationFrame = 0x9
	endStream         = 0x1
	endHeaders        = 0x4
	noError           = 0x0
	enhanceYourCalm   = 0xb
)

// headerBlock is the HPACK form of the head of an error (RFC 7541 §6.2.2), without
// entries for the dynamic table.
func headerBlock(e *envelope.Error) []byte {
	block := appendField(nil, ":status", strconv.Itoa(e.Status))
	for name, values := range e.RawHeaders() {
		block = appendField(block, strings.ToLower(name), values[0])
	}
	return block
}

// appendField appends a field whose name and value have less than 127 bytes each.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, 0, byte(len(name))), name...)
	return append(append(b, byte(len(value))), value...)
}

func appendFrame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), kind, flags)
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// goAway is a frame that ends a connection. It does not say which requests were answered,
// because all of them may have been.
func goAway(code uint32) []byte {
	const lastStream = 1<<31 - 1
	payload := binary.BigEndian.AppendUint32(nil, lastStream)
	return appendFrame(nil, goAwayFrame, 0, 0, binary.BigEndian.AppendUint32(payload, code))
}

// frameHeader is the header of a frame.
type frameHeader struct {
	length int // of the payload
	kind   byte
	flags  byte
	stream uint32
}

// frameScanner finds frames in bytes that come in pieces of any length.
type frameScanner struct {
	head [frameHead]byte
	have int // bytes of the head
	rest int // bytes of the payload that are still to come
}

// scan calls found for each frame whose head ends within b.
func (s *frameScanner) scan(b []byte, found func(frameHeader)) {
	for len(b) > 0 {
		if s.rest > 0 {
			n := min(s.rest, len(b))
			s.rest -= n
			b = b[n:]
			continue
		}
		n := copy(s.head[s.have:], b)
		s.have += n
		b = b[n:]
		if s.have == frameHead {
			h := parseFrameHeader(s.head)
			s.have, s.rest = 0, h.length
			found(h)
		}
	}
}

// between reports whether a whole number of frames has passed.
func (s *frameScanner) between() bool { return s.have == 0 && s.rest == 0 }

func parseFrameHeader(b [frameHead]byte) frameHeader {
	return frameHeader{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}
