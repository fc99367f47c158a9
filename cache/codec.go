package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"statuscache/cache/internal/compression"
	"statuscache/cache/internal/redisdb"
)

// The payload of a record is
//
//	coding 1 | source 1 | status | error | stop date | length of the body | body
//
// in records of the formats of digits (compact.go has that of compact ones). apply.lua keeps
// the source where it keeps the date of a run, so the first two bytes stay
// where they are. Texts are a varint length and the bytes, numbers are varints. The body is the answer of
// GET /v1/status as it goes over the wire, compressed where that is worth it.
const (
	codingPlain = 'p'
	codingGzip  = 'g'
)

// compressAbove is the body size in bytes from which compression is worth it.
const compressAbove = 1024

// maxBodyLength bounds what a record may claim to decompress to, in bytes. An
// event has at most 1 MiB.
const maxBodyLength = 4 << 20

// encoded is an observation as apply.lua wants it.
type encoded struct {
	version Version
	hash    string
	payload []byte
}

func encode(e *Execution, compact bool) encoded {
	body := appendBody(make([]byte, 0, 256+len(e.ARN)+len(e.ErrorMessage)+len(e.Output)), e)
	enc := encoded{version: e.Version(), hash: identityHash(body, e)}
	if compact {
		enc.payload = compactPayload(e)
	} else {
		enc.payload = payloadOf(e, body)
	}
	return enc
}

// payloadOf returns what a record of a format of digits holds of e.
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

// public returns e as the API reports it: a success whose output is awaited still runs.
func public(e *Execution) *Execution {
	if e.Status != Succeeded || e.Completeness != OutputAwaited {
		return e
	}
	return &Execution{Status: Running}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parts are a record taken apart.
type parts struct {
	head      recordHead
	owner     string
	inputType string
	labels    storedLabels
	payload   []byte
	trail     []byte
}

// takeApart reads the head of a record. What it returns refers to b.
func takeApart(b []byte) (p parts, err error) {
	p.head = recordHead(b[:min(len(b), labeledHead)])
	if err := p.head.Known(); err != nil {
		return p, err
	}
	p.head = p.head[:p.head.Length()]
	rest := b[len(p.head):]
	n, err := p.head.Lengths()
	if b[0] == olderFormat {
		n.Payload = max(len(rest)-n.Owner-n.InputType, 0)
	}
	if err != nil || len(rest) < n.Owner+n.InputType+n.Labels+n.Payload || p.head.Observed().IsZero() {
		return p, fmt.Errorf("head of the record is damaged: %w", err)
	}
	p.owner, rest = string(rest[:n.Owner]), rest[n.Owner:]
	p.inputType, rest = string(rest[:n.InputType]), rest[n.InputType:]
	p.labels, rest = storedLabels(rest[:n.Labels]), rest[n.Labels:]
	p.payload, p.trail = rest[:n.Payload], rest[n.Payload:]
	return p, p.labels.check()
}

// decode reads the record of arn. b is not kept.
func decode(arn ARN, b []byte) (*Record, error) {
	p, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	r := &Record{
		ARN:        arn,
		Version:    p.head.PublicVersion(),
		Owner:      p.owner,
		InputType:  p.inputType,
		ObservedAt: p.head.Observed(),
		head:       p.head,
		labels:     p.labels,
	}
	if p.head.Version() == Unobserved {
		text := p.head.Epoch()
		if len(p.payload) > 0 {
			text = string(p.payload)
		}
		start, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("start date of the record is damaged: %w", err)
		}
		return registered(r, time.UnixMilli(start)), nil
	}
	r.StartDate = p.head.Version().StartDate()
	return r, decodePayload(r, p.payload)
}

// registered completes the record of an execution that nothing has been heard
// of. Its payload is the start date that was given, if one was, or else it is
// Redis's to say.
func registered(r *Record, start time.Time) *Record {
	e := &Execution{ARN: r.ARN, Status: Running, StartDate: start}
	body := appendBody(nil, e)
	r.Status, r.StartDate, r.Source = Running, start, FromRegistration
	r.Plain = newRepresentation(body, Unobserved, bodyHash(body, e))
	return r
}

// payloadHead is a payload taken apart, as far as it was read.
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

// readPayload reads the payload of a record of version v. What it returns refers to b.
// whole is false if b does not reach the length.
func readPayload(v Version, b []byte) (p payloadHead, whole bool, err error) {
	d := payloadReader{rest: b}
	p.coding, p.source = d.byte(), sourceOf(d.byte())
	if compression.Known(p.coding) {
		p.status = d.status()
		p.error, p.stop = d.text(), d.stop(v.StartDate())
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

func decodePayload(r *Record, b []byte) error {
	v, tag := r.head.Version(), r.head.Tag()
	p, whole, err := readPayload(v, b)
	if err != nil || !whole {
		return errPayload
	}
	r.Status, r.Error, r.Source, r.stopDate = p.status, p.error, p.source, p.stop
	r.Terminal = (&Execution{Status: r.Status, StopDate: r.stopDate}).Terminal()
	if v.AwaitsOutput() {
		r.Status, r.Terminal = Running, false
	}
	plain, zipped, err := r.answer(&p)
	if err != nil {
		return err
	}
	r.Plain = newRepresentation(plain, r.Version, tag)
	if zipped != nil {
		r.Gzip = newRepresentation(zipped, r.Version, tag+"-gzip")
	}
	return nil
}

// answer returns the answer as it stands and, if it is stored so, compressed.
func (r *Record) answer(p *payloadHead) (plain, zipped []byte, err error) {
	if compression.Known(p.coding) {
		return r.compactAnswer(p)
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

// sourceCodes are the sources as a record holds them. A registration has no
// payload.
var sourceCodes = map[Source]byte{FromEvent: 'e', FromReplay: 'p', FromDescribe: 'd'}

func sourceOf(code byte) Source {
	for source, c := range sourceCodes {
		if c == code {
			return source
		}
	}
	return FromEvent
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
