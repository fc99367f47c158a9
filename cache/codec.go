package cache

import (
	"fmt"
	"strconv"
	"time"
)

// encoded is an observation in the form of apply.lua.
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

// public returns e as the API reports it: a success whose output is awaited still runs.
func public(e *Execution) *Execution {
	if e.Status != Succeeded || e.Completeness != OutputAwaited {
		return e
	}
	return &Execution{Status: Running}
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

// registered completes the record of an execution without any observation. Its start date
// is the one of the registration, or else the time of Redis.
func registered(r *Record, start time.Time) *Record {
	e := &Execution{ARN: r.ARN, Status: Running, StartDate: start}
	body := appendBody(nil, e)
	r.Status, r.StartDate, r.Source = Running, start, FromRegistration
	r.Plain = newRepresentation(body, Unobserved, bodyHash(body, e))
	return r
}
