package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
)

// The payload of a compact record is
//
//	coding 1 | source 1 | status 1 | error | stop date | length of the result | result
//
// The first two stand where those of other payloads do. The status is a letter, or 0 and then
// the word. The stop date is 0 for none, else 1 more than the ms from the start, zigzag. The
// result is the JSON text of the output of a success or of the message of a failure. All else
// that an answer says follows from the ARN and the head of the record, so appendState writes
// it again, byte for byte.
const (
	codingResult   = 'r' // the result as it is
	codingPacked   = 's' // the result as an S2 block
	codingDeflated = 'd' // the result as deflate blocks, without syncMarker at the end
)

// From these lengths of a result in bytes on, compression is worth it. Only what is deflated
// goes over the wire as it is stored, but to read it takes some microseconds, a tenth of a
// poll; to read an S2 block takes a tenth of that.
const (
	packAbove    = 128
	deflateAbove = 800
)

// syncMarker ends deflate blocks at a whole byte, with an empty block that is not the last.
const syncMarker = "\x00\x00\xff\xff"

// statusCodes are the words of Step Functions as a compact record holds them.
var statusCodes = map[Status]byte{Running: 'R', PendingRedrive: 'P', Succeeded: 'S', Failed: 'F', TimedOut: 'T', Aborted: 'A'}

// status reads a status as compactPayload writes it.
func (d *payloadReader) status() Status {
	code := d.byte()
	for status, c := range statusCodes {
		if c == code {
			return status
		}
	}
	d.failed = d.failed || code != 0
	return Status(d.text())
}

// compactPayload returns what a compact record holds of e.
func compactPayload(e *Execution) []byte {
	result := storedResult(e)
	coding, stored := compressResult(result)
	p := make([]byte, 0, 32+len(e.Error)+len(stored))
	p = append(p, coding, sourceCodes[e.Source], statusCodes[e.Status])
	if statusCodes[e.Status] == 0 {
		p = appendText(p, string(e.Status))
	}
	p = appendText(p, e.Error)
	p = appendStop(p, e)
	p = binary.AppendUvarint(p, uint64(len(result)))
	return append(p, stored...)
}

// compressResult returns how a result is stored: smaller by an eighth at least, or as it is.
func compressResult(result []byte) (coding byte, stored []byte) {
	coding = codingResult
	switch {
	case len(result) > deflateAbove:
		coding, stored = codingDeflated, deflate(result)
	case len(result) > packAbove:
		coding, stored = codingPacked, s2.Encode(nil, result)
	}
	if coding == codingResult || len(stored) > len(result)-len(result)/8 {
		return codingResult, result
	}
	return coding, stored
}

// isCompact reports whether a payload is that of a compact record.
func isCompact(coding byte) bool {
	return coding == codingResult || coding == codingPacked || coding == codingDeflated
}

// storedResult returns the part of an answer that only the observation knows.
func storedResult(e *Execution) []byte {
	switch publicStatus(e) {
	case Succeeded:
		if e.hasOutput() {
			return e.Output
		}
	case Failed:
		return appendString(nil, e.ErrorMessage)
	}
	return nil
}

func appendStop(p []byte, e *Execution) []byte {
	if e.StopDate.IsZero() {
		return append(p, 0)
	}
	ms := e.StopDate.UnixMilli() - e.StartDate.UnixMilli()
	return binary.AppendUvarint(p, 1+(uint64(ms)<<1^uint64(ms>>63)))
}

// stop reads what appendStop has written.
func (d *payloadReader) stop(start time.Time) time.Time {
	v := d.uvarint()
	if v == 0 {
		return time.Time{}
	}
	v--
	return time.UnixMilli(start.UnixMilli() + int64(v>>1) ^ -int64(v&1))
}

// compactAnswer returns the answer of a record whose payload is p, and the same compressed if
// the result is.
func (r *Record) compactAnswer(p *payloadHead) (plain, zipped []byte, err error) {
	e := Execution{ARN: r.ARN, Status: p.status, StartDate: r.StartDate, StopDate: p.stop, Completeness: r.completeness()}
	b := make([]byte, 0, len(bodyHead)+len(r.ARN)+160+p.length)
	b = appendState(b, &e)
	state := len(b)
	switch public := publicStatus(&e); {
	case public == Failed || public == Succeeded && e.hasOutput():
		b = append(b, resultKey(&e)...)
		state = len(b)
		if b, err = p.appendTo(b); err != nil {
			return nil, nil, err
		}
	case p.length != 0:
		return nil, nil, errBody
	default:
		b = appendResult(b, &e)
	}
	b = append(b, bodyTail...)
	if p.coding == codingDeflated {
		zipped = zip(b, state, p.stored)
	}
	return b, zipped, nil
}

var errBody = errors.New("body of the record has the wrong length")

// appendTo appends the result.
func (p *payloadHead) appendTo(b []byte) ([]byte, error) {
	switch p.coding {
	case codingDeflated:
		return inflate(b, p.stored, p.length)
	case codingPacked:
		return unpack(b, p.stored, p.length)
	}
	if len(p.stored) != p.length {
		return nil, errBody
	}
	return append(b, p.stored...), nil
}

// unpack appends what is in an S2 block of length bytes to b.
func unpack(b, packed []byte, length int) ([]byte, error) {
	if n, err := s2.DecodedLen(packed); err != nil || n != length {
		return nil, errBody
	}
	n := len(b)
	b = append(b, make([]byte, length)...)
	if _, err := s2.Decode(b[n:], packed); err != nil {
		return nil, fmt.Errorf("body of the record: %w", err)
	}
	return b, nil
}

// hasOutput reports whether the output of a success is there.
func (e *Execution) hasOutput() bool {
	return e.Completeness == Complete || e.Completeness == OutputRefetched
}

// completeness returns how much of the observation is there that the record is from.
func (r *Record) completeness() Completeness {
	v := r.head.version()
	if v.hasOutputState() {
		return OutputRefetched + Completeness(r.head.hash()[outputFromDigits]-outputIsBack)
	}
	return Completeness(v[completeAt] - '0')
}

// zip returns a body compressed by gzip. What stands in front of its result is copied, as the
// tail is; the result has been compressed when it was stored.
func zip(body []byte, state int, deflated []byte) []byte {
	b := make([]byte, 0, len(zipHead)+2*5+state+len(deflated)+len(syncMarker)+len(bodyTail)+8)
	b = append(b, zipHead...)
	b = appendBlock(b, 0, body[:state])
	b = append(append(b, deflated...), syncMarker...)
	b = appendBlock(b, 1, body[len(body)-len(bodyTail):])
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return binary.LittleEndian.AppendUint32(b, uint32(len(body)))
}

// zipHead begins what is compressed by gzip: by deflate, fast, nothing known of its time.
const zipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

// appendBlock appends a deflate block of bytes as they are, 65,535 at most.
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

// inflater is a reader of deflate blocks and what it reads from.
type inflater struct {
	blocks io.ReadCloser
	text   bytes.Buffer
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.blocks = flate.NewReader(&i.text)
	return i
}}

// inflate appends what deflate made of length bytes to b.
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
	b = append(b, make([]byte, length)...)
	if _, err := io.ReadFull(i.blocks, b[n:]); err != nil {
		return nil, fmt.Errorf("body of the record: %w", err)
	}
	return b, nil
}
