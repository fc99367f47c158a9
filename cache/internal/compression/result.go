package compression

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
)

// ErrLength means that a stored result does not have its declared length.
var ErrLength = errors.New("body of the record has the wrong length")

// Codings of a stored result.
const (
	AsIs         = 'r' // as it is
	codingPacked = 's' // as an S2 block
	Deflated     = 'd' // as deflate blocks, without syncMarker at the end
)

// Compression is worth it from these lengths of a result, in bytes. Deflate blocks can be sent
// as they are stored, but S2 blocks cannot. Reading a deflate block takes some microseconds, a
// tenth of a poll. Reading an S2 block takes a tenth of that.
const (
	packAbove    = 128
	deflateAbove = 800
)

// syncMarker ends deflate blocks at a whole byte, with an empty block that is not the last.
const syncMarker = "\x00\x00\xff\xff"

// Best returns the coding and the stored form of a result: compressed if that makes it at least
// an eighth smaller, otherwise unchanged.
func Best(result []byte) (coding byte, stored []byte) {
	coding = AsIs
	switch {
	case len(result) > deflateAbove:
		coding, stored = Deflated, deflate(result)
	case len(result) > packAbove:
		coding, stored = codingPacked, s2.Encode(nil, result)
	}
	if coding == AsIs || len(stored) > len(result)-len(result)/8 {
		return AsIs, result
	}
	return coding, stored
}

// Known reports whether this package knows a coding.
func Known(coding byte) bool {
	return coding == AsIs || coding == codingPacked || coding == Deflated
}

// Append appends to b the result that is stored in a coding. The result must have length bytes.
func Append(b []byte, coding byte, stored []byte, length int) ([]byte, error) {
	switch coding {
	case Deflated:
		return inflate(b, stored, length)
	case codingPacked:
		return unpack(b, stored, length)
	}
	if len(stored) != length {
		return nil, ErrLength
	}
	return append(b, stored...), nil
}

// unpack appends the content of an S2 block, which must have length bytes, to b.
func unpack(b, packed []byte, length int) ([]byte, error) {
	if n, err := s2.DecodedLen(packed); err != nil || n != length {
		return nil, ErrLength
	}
	n := len(b)
	b = slices.Grow(b, length)[:n+length]
	if _, err := s2.Decode(b[n:], packed); err != nil {
		return nil, fmt.Errorf("body of the record: %w", err)
	}
	return b, nil
}

// Gzip returns a body compressed with gzip. Its result was deflated when it was stored. The
// state bytes before the result and the tail after it are copied without compression.
func Gzip(body []byte, state, tail int, deflated []byte) []byte {
	b := make([]byte, 0, len(zipHead)+2*5+state+len(deflated)+len(syncMarker)+tail+8)
	b = append(b, zipHead...)
	b = appendBlock(b, 0, body[:state])
	b = append(append(b, deflated...), syncMarker...)
	b = appendBlock(b, 1, body[len(body)-tail:])
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return binary.LittleEndian.AppendUint32(b, uint32(len(body)))
}

// zipHead is the gzip header: deflate, fast, without a time.
const zipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

// appendBlock appends a deflate block of at most 65,535 uncompressed bytes.
func appendBlock(b []byte, last byte, text []byte) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, last), uint16(len(text)))
	b = binary.LittleEndian.AppendUint16(b, ^uint16(len(text)))
	return append(b, text...)
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// deflate returns text as deflate blocks, without syncMarker.
func deflate(text []byte) []byte {
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	var b bytes.Buffer
	b.Grow(len(text)/2 + 64)
	w.Reset(&b)
	_, _ = w.Write(text) // a bytes.Buffer does not fail
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(syncMarker))
}

// inflater is a reader of deflate blocks, and its source.
type inflater struct {
	blocks io.ReadCloser
	text   bytes.Buffer
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.blocks = flate.NewReader(&i.text)
	return i
}}

// inflate appends to b the length bytes from which deflate made the blocks.
func inflate(b, deflated []byte, length int) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.text.Reset()
	i.text.Write(deflated)
	i.text.WriteString(syncMarker)
	if err := i.blocks.(flate.Resetter).Reset(&i.text, nil); err != nil {
		return nil, fmt.Errorf("body of the record: %w", err)
	}
	n := len(b)
	b = slices.Grow(b, length)[:n+length]
	if _, err := io.ReadFull(i.blocks, b[n:]); err != nil {
		return nil, fmt.Errorf("body of the record: %w", err)
	}
	return b, nil
}
