package cache

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"time"

	"statuscache/cache/internal/compression"
	"statuscache/cache/internal/record"
	"statuscache/cache/internal/redisdb"
)

// The payload of a record is
//
//	coding 1 | source 1 | status | error | stop date | length of the body | body
//
// in records of the formats of digits. apply.lua keeps the source when it keeps the date of a
// run, so the position of the first two bytes must not change. Texts are a varint length and
// the bytes, numbers are varints. The body is the answer of GET /v1/status as it is sent,
// compressed if that is worth it.
//
// The payload of a compact record is
//
//	coding 1 | source 1 | status 1 | error | stop date | length of the result | result
//
// The first two fields have the same positions as in other payloads. The status is a letter,
// or 0 followed by the text. The stop date is 0 for none, otherwise the ms since the start,
// zigzag, plus 1. The result is the JSON text of the output of a success or of the message of
// a failure. The rest of an answer follows from the ARN and the head of the record, so
// appendState generates it again, byte for byte.
const (
	codingPlain = 'p'
	codingGzip  = 'g'
)

const (
	compressAbove = 1024    // bytes of a body, from which compression is worth it
	maxBodyLength = 4 << 20 // that a record may claim to decompress to; an event has at most 1 MiB
)

// statusCodes are the codes of the statuses in a compact record.
var statusCodes = map[Status]byte{Running: 'R', PendingRedrive: 'P', Succeeded: 'S', Failed: 'F', TimedOut: 'T', Aborted: 'A'}

// sourceCodes are the codes of the sources in a record. A registration has no payload.
var sourceCodes = map[Source]byte{FromEvent: 'e', FromReplay: 'p', FromDescribe: 'd'}

// statuses and sources map the codes back.
var statuses, sources = byCode(statusCodes), byCode(sourceCodes)

func byCode[W comparable](codes map[W]byte) (words [256]W) {
	for word, code := range codes {
		words[code] = word
	}
	return words
}

func sourceOf(code byte) Source { return cmp.Or(sources[code], FromEvent) }

// payloadOf returns the payload of e for a record in a format of digits.
func payloadOf(e *Execution, body []byte) []byte {
	coding, stored := byte(codingPlain), body
	if len(body) > compressAbove {
		if small := compression.GzipAll(body); len(small) < len(body) {
			coding, stored = codingGzip, small
		}
	}
	p := make([]byte, 0, 48+len(e.Status)+len(e.Error)+len(stored))
	p = append(p, coding, sourceCodes[e.Source])
	p = appendText(p, string(e.Status))
	p = appendText(p, e.Error)
	p = binary.AppendVarint(p, redisdb.Millis(e.StopDate))
	p = binary.AppendUvarint(p, uint64(len(body)))
	return append(p, stored...)
}

// compactPayload returns the payload of e for a compact record.
func compactPayload(e *Execution) []byte {
	result := storedResult(e)
	coding, stored := compression.Best(result)
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

// storedResult returns the part of an answer that does not follow from the ARN and the head.
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

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// payloadHead has the fields of a payload that were read.
type payloadHead struct {
	coding byte
	source Source
	status Status // the word of Step Functions
	error  string
	stop   time.Time // zero while it runs
	length int       // of the body or result, not compressed
	stored []byte    // the body or result, in its coding
}

var errPayload = errors.New("payload of the record is damaged")

// readPayload reads the payload of a record with a start date. The result refers to b. complete
// is false if b ends before the length.
func readPayload(start time.Time, b []byte) (p payloadHead, complete bool, err error) {
	d := payloadReader{rest: b}
	p.coding, p.source = d.byte(), sourceOf(d.byte())
	if compression.Known(p.coding) {
		p.status = d.status()
		p.error, p.stop = d.text(), d.stop(start)
	} else {
		p.status, p.error = Status(d.text()), d.text()
		if stop := d.varint(); stop != 0 {
			p.stop = time.UnixMilli(stop)
		}
	}
	length := d.uvarint()
	if length > maxBodyLength {
		return p, !d.failed, errPayload
	}
	p.length, p.stored = int(length), d.rest
	return p, !d.failed, nil
}

func decodePayload(r *Record, v Version, hash string, b []byte) error {
	p, complete, err := readPayload(r.StartDate, b)
	if err != nil || !complete {
		return errPayload
	}
	r.Status, r.Error, r.Source, r.stopDate = p.status, p.error, p.source, p.stop
	r.Terminal = (&Execution{Status: r.Status, StopDate: r.stopDate}).Terminal()
	if v.AwaitsOutput() {
		r.Status, r.Terminal = Running, false
	}
	plain, zipped, err := r.answer(&p, completenessOf(v, hash))
	if err != nil {
		return err
	}
	tag := record.Tag(v, hash)
	r.Plain = newRepresentation(plain, r.Version, tag)
	if zipped != nil {
		r.Gzip = newRepresentation(zipped, r.Version, tag+"-gzip")
	}
	return nil
}

// answer returns the uncompressed answer and, if it is stored that way, the compressed one.
func (r *Record) answer(p *payloadHead, c Completeness) (plain, zipped []byte, err error) {
	if compression.Known(p.coding) {
		return r.compactAnswer(p, c)
	}
	plain = bytes.Clone(p.stored)
	if p.coding == codingGzip {
		zipped = plain
		if plain, err = compression.Gunzip(zipped, p.length); err != nil {
			return nil, nil, err
		}
	}
	if len(plain) != p.length || len(plain) < len(bodyHead)+len(bodyTail) {
		return nil, nil, compression.ErrLength
	}
	return plain, zipped, nil
}

// compactAnswer returns the answer of a record whose payload is p, and the same compressed if
// the result is.
func (r *Record) compactAnswer(p *payloadHead, c Completeness) (plain, zipped []byte, err error) {
	e := Execution{ARN: r.ARN, Status: p.status, StartDate: r.StartDate, StopDate: p.stop, Completeness: c}
	b := make([]byte, 0, len(r.ARN)+fixedLength+p.length)
	b = appendState(b, &e)
	state := len(b)
	switch public := publicStatus(&e); {
	case public == Failed || public == Succeeded && e.hasOutput():
		b = append(b, resultKey(&e)...)
		state = len(b)
		if b, err = compression.Append(b, p.coding, p.stored, p.length); err != nil {
			return nil, nil, err
		}
	case p.length != 0:
		return nil, nil, compression.ErrLength
	default:
		b = appendResult(b, &e)
	}
	b = append(b, bodyTail...)
	if p.coding == compression.Deflated {
		zipped = compression.Gzip(b, state, len(bodyTail), p.stored)
	}
	return b, zipped, nil
}

// hasOutput reports whether the output of a success is present.
func (e *Execution) hasOutput() bool {
	return e.Completeness == Complete || e.Completeness == OutputRefetched
}

// completenessOf returns the completeness of a record with a version and hash.
func completenessOf(v Version, hash string) Completeness {
	if v.HasOutputState() {
		return OutputRefetched + Completeness(hash[outputFromDigits]-outputIsBack)
	}
	return Completeness(v[completeAt] - '0')
}

// payloadReader reads a payload; once failed, it returns zero values.
type payloadReader struct {
	rest   []byte
	failed bool
}

func (d *payloadReader) take(n int) []byte {
	if d.failed || n < 0 || n > len(d.rest) {
		d.failed = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *payloadReader) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *payloadReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.failed = d.failed || n <= 0
	d.take(n)
	return v
}

func (d *payloadReader) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.failed = d.failed || n <= 0
	d.take(n)
	return v
}

func (d *payloadReader) text() string { return string(d.take(int(min(d.uvarint(), maxBodyLength)))) }

// status reads a status as compactPayload writes it.
func (d *payloadReader) status() Status {
	code := d.byte()
	if status := statuses[code]; status != "" {
		return status
	}
	d.failed = d.failed || code != 0
	return Status(d.text())
}

// stop reads what appendStop has written.
func (d *payloadReader) stop(start time.Time) time.Time {
	v := d.uvarint()
	if v == 0 {
		return time.Time{}
	}
	v--
	return time.UnixMilli(start.UnixMilli() + (int64(v>>1) ^ -int64(v&1)))
}
