package envelope

// Parts is the body of an answer about many executions. Large data is shared with the
// records and not copied, because a request may name an execution a hundred times, and
// many clients may read slowly.
type Parts struct {
	all     [][]byte
	last    []byte // what is not in all yet
	length  int
	held    int64              // bytes of memory
	counted map[*byte]struct{} // the first bytes of data that held has
}

// Length returns the length of the body so far, in bytes.
func (p *Parts) Length() int { return p.length }

// Text adds a text.
func (p *Parts) Text(s string) {
	p.last = append(p.last, s...)
	p.length += len(s)
}

// Own adds bytes that only this answer uses.
func (p *Parts) Own(b []byte) {
	p.last = append(p.last, b...)
	p.length += len(b)
}

// Shared adds data that the answer shares with a record.
func (p *Parts) Shared(data []byte) {
	if len(data) <= CopyLimit {
		p.Own(data)
		return
	}
	p.all = append(p.all, p.last, data)
	p.held += int64(len(p.last))
	p.last = nil
	p.length += len(data)
	if _, ok := p.counted[&data[0]]; !ok {
		if p.counted == nil {
			p.counted = map[*byte]struct{}{}
		}
		p.counted[&data[0]] = struct{}{}
		p.held += int64(len(data))
	}
}

// All returns the body, and how many bytes of memory it uses: data that occurs several
// times counts once.
func (p *Parts) All() (parts [][]byte, held int64) {
	return append(p.all, p.last), p.held + int64(len(p.last))
}
