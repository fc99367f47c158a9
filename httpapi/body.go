package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"statuscache/httpapi/internal/envelope"
)

// bodyLimit is how long the body of a request may take to arrive.
const bodyLimit = 5 * time.Second

// byteOrderMark is U+FEFF in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// readJSON reads a body of at most limit bytes into v. Its errors tell the caller what is
// wrong.
func (x *exchange) readJSON(limit int, v any) error {
	if kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return envelope.UnsupportedMediaType()
	}
	body, err := x.readBody(limit)
	if err != nil {
		return err
	}
	body = bytes.TrimPrefix(body, byteOrderMark) // some clients send it, and RFC 8259 allows a parser to ignore it
	err = json.Unmarshal(body, v, json.RejectUnknownMembers(true))
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		return envelope.Unknown(semantic.JSONPointer.LastToken(), names(v)...)
	case errors.As(err, &semantic) && semantic.JSONPointer != "":
		return envelope.Invalid("%s: of the wrong type", envelope.Shown(strings.TrimPrefix(string(semantic.JSONPointer), "/")))
	case err != nil:
		return envelope.Invalid("body: must be one JSON object, with each name only once")
	}
	return nil
}

// names returns the names of the members that a body may have.
func names(v any) (all []string) {
	for field := range reflect.TypeOf(v).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name)
	}
	return all
}

// bodyCost is the minimum cost of a body, in bytes: the memory of its connection while the
// body arrives.
const bodyCost = 16 << 10

// readBody reads the body of a request. A body may arrive slowly, so meanwhile the
// request does not occupy a place of the route.
func (x *exchange) readBody(limit int) ([]byte, error) {
	if x.r.ContentLength > int64(limit) { // so that the client need not send it
		return nil, envelope.PayloadTooLarge(limit)
	}
	x.leave()
	cost := int64(limit)
	if n := x.r.ContentLength; n >= 0 {
		cost = min(n, cost)
	}
	cost = max(cost, bodyCost)
	if !x.server.bodies.Take(x.holder, cost) {
		return nil, envelope.Unavailable("too many requests arrive at the same time", nil)
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, int64(limit)))
	x.server.bodies.Give(x.holder, cost)
	if err := x.enter(); err != nil {
		return nil, err
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, envelope.PayloadTooLarge(limit)
	case err != nil:
		return nil, envelope.Invalid("body: could not be read")
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) // the body has arrived
	return body, nil
}

// post serves a route of another program.
func (s *Server) post(p Post) func(*exchange) error {
	return func(x *exchange) error {
		var body jsontext.Value
		if err := x.readJSON(p.Limit, &body); err != nil {
			return err
		}
		status, data, err := p.Answer(x.r.Context(), &x.caller, body)
		if err != nil {
			return err
		}
		x.w.Header()["Cache-Control"] = envelope.NoStore
		x.send(status, envelope.JSONType, envelope.Success(data))
		return nil
	}
}
