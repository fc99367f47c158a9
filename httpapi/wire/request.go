package wire

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// maxBody is the maximum length of a body that is read here, in bytes. It is more than
// any handler accepts.
const maxBody = 16 << 20

// hot has the parts that the polls of a connection reuse. They contain nothing of the
// previous poll.
type hot struct {
	request  *http.Request
	response Response
	values   [hotFields][1]string // of the header of the request
}

// request makes the request of a head, and its response, and removes the head from the
// input. It returns nil for a foreign request, and then removes nothing.
func (c *conn) request(h *head, v verdict) (*Response, *http.Request) {
	if v != known || h.length > maxBody {
		return nil, nil
	}
	if w, r := c.poll(h); r != nil {
		c.in.take(len(h.text))
		return w, r
	}
	r := ordinary(h)
	if r == nil {
		return nil, nil
	}
	c.in.take(len(h.text))
	r = r.WithContext(c.ctx)
	r.RemoteAddr = c.RemoteAddr().String()
	w := &Response{conn: c, header: http.Header{}, method: h.method, closing: h.close}
	if r.Body = http.NoBody; h.length > 0 {
		w.body = &body{conn: c, left: h.length}
		r.Body = w.body
	}
	return w, r
}

// poll makes the http.Request of a poll, without net/http. It returns nil for other requests.
func (c *conn) poll(h *head) (*Response, *http.Request) {
	prefix := c.server.options.Hot
	if !h.hot || prefix == "" || h.body || len(h.text) > smallHead || h.fields[authorizationField] == "" || h.method != http.MethodGet && h.method != http.MethodHead {
		return nil, nil
	}
	path, raw, query, ok := pollTarget(h.target, prefix)
	if !ok {
		return nil, nil
	}
	if c.hot == nil {
		c.hot = c.newHot()
	}
	p := c.hot
	r := p.request
	r.Method, r.RequestURI, r.Host, r.Close = h.method, h.target, h.host, h.close
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, raw, query
	for f, value := range h.fields {
		if value != "" {
			p.values[f][0] = value
			r.Header[hotNames[f]] = p.values[f][:]
		}
	}
	p.response.method, p.response.closing = h.method, h.close
	return &p.response, r
}

func (c *conn) newHot() *hot {
	r := (&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: new(url.URL), Header: http.Header{}, Body: http.NoBody,
		RemoteAddr: c.RemoteAddr().String(),
	}).WithContext(c.ctx)
	h := &hot{request: r}
	h.response = Response{conn: c, header: http.Header{}, hot: h}
	return h
}

// forget removes the data of a poll.
func (h *hot) forget() {
	r := h.request
	r.Method, r.RequestURI, r.Host, r.Close = "", "", "", false
	*r.URL = url.URL{}
	clear(r.Header)
	clear(h.values[:])
	clear(h.response.header)
	h.response = Response{conn: h.response.conn, header: h.response.header, hot: h}
}

var headReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, smallHead) }}

// ordinary lets net/http read a head. It returns nil if net/http reads it differently
// than the grammar; then net/http gets the whole connection.
func ordinary(h *head) *http.Request {
	in := headReaders.Get().(*bufio.Reader)
	defer headReaders.Put(in)
	in.Reset(strings.NewReader(h.text))
	r, err := http.ReadRequest(in)
	if err != nil || in.Buffered() > 0 || r.Method != h.method || r.RequestURI != h.target || r.Host != h.host ||
		r.ContentLength != h.length || r.Close != h.close || r.TransferEncoding != nil {
		return nil
	}
	return r
}
