package httpapi

import (
	"net/http"

	"statuscache/cache"
)

// parts is an answer about many executions. What is large in it belongs to the
// records and is not copied: one execution may be named a hundred times, and those
// who read slowly may be many.
type parts struct {
	all     [][]byte
	last    []byte // what is not in all yet
	length  int
	held    int64 // bytes of memory
	records map[*cache.Record]struct{}
}

// copied is the size up to which a copy is cheaper than a write of its own, in
// bytes.
const copied = 4 << 10

func (p *parts) text(s string) {
	p.last = append(p.last, s...)
	p.length += len(s)
}

// own adds what is the answer's own.
func (p *parts) own(b []byte) {
	p.last = append(p.last, b...)
	p.length += len(b)
}

// shared adds what is told of a record.
func (p *parts) shared(r *cache.Record) {
	data := r.Data()
	if len(data) <= copied {
		p.own(data)
		return
	}
	p.all = append(p.all, p.last, data)
	p.held += int64(len(p.last))
	p.last = nil
	p.length += len(data)
	if _, ok := p.records[r]; !ok {
		if p.records == nil {
			p.records = map[*cache.Record]struct{}{}
		}
		p.records[r] = struct{}{}
		p.held += int64(len(data))
	}
}

func (p *parts) send(x *exchange) {
	x.sendParts(http.StatusOK, jsonType, p.held+int64(len(p.last)), append(p.all, p.last)...)
}
