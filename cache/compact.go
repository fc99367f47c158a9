package cache

import (
	"encoding/binary"
	"time"

	"statuscache/cache/internal/compression"
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

// hasOutput reports whether the output of a success is there.
func (e *Execution) hasOutput() bool {
	return e.Completeness == Complete || e.Completeness == OutputRefetched
}

// completeness returns how much of the observation is there that the record is from.
func (r *Record) completeness() Completeness {
	v := r.head.Version()
	if v.HasOutputState() {
		return OutputRefetched + Completeness(r.head.Hash()[outputFromDigits]-outputIsBack)
	}
	return Completeness(v[completeAt] - '0')
}
