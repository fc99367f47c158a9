package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

const statusPath = "/v1/status/"

// statusText returns the decoded part of the path after /v1/status/. ok is false for
// other paths.
func statusText(u *url.URL) (text string, ok bool) { return decodedARN(u, statusPath, "") }

// decodedARN returns the part of a path between a prefix and a suffix, decoded exactly
// once: an encoded slash is not a separator.
func decodedARN(u *url.URL, before, behind string) (text string, ok bool) {
	path := u.RawPath
	if path == "" { // the caller sent the default encoding of Path
		path = u.Path
	}
	if text, ok = strings.CutPrefix(path, before); !ok {
		return "", false
	}
	if text, ok = strings.CutSuffix(text, behind); !ok || u.RawPath == "" {
		return text, ok
	}
	text, err := url.PathUnescape(text)
	return text, err == nil
}

// getStatus is GET /v1/status/{executionArn}.
func (s *Server) getStatus(x *exchange) error {
	w, err := x.waitOptions()
	if err != nil {
		return err
	}
	text, _ := statusText(x.r.URL)
	if !x.caller.Covers(text) {
		return errOtherLink // before the look-up, so that the answer does not reveal whether the execution is known
	}
	arn, r, err := s.find(x, text)
	if err != nil && (arn == "" || !w.explicit || w.wait == 0) {
		return err
	}
	ready, err := x.ready(w, r)
	switch {
	case err != nil:
		return err
	case ready && w.stream:
		return x.stream(arn, r, w.view)
	case ready, w.wait == 0:
		return x.answer(r, w, nil)
	}
	if !w.explicit {
		return x.hold(arn, w, r)
	}
	return x.wait(1, w.until(x.start), (&longPoll{arn: arn, options: w}).step)
}

// find looks an execution up; the record is nil if the execution is not known. An ARN in
// the near cache is well formed, so only other ARNs are parsed. If the caller has a newer
// version than the near cache, the answer comes from Redis, so that no client gets an
// older version than before. The ARN is empty if the text is not an ARN.
func (s *Server) find(x *exchange, text string) (cache.ARN, *cache.Record, error) {
	seen, _ := headers.SeenVersion(x.r.Header)
	if r, ok := s.options.Cache.Peek(text); ok && r.Version >= seen {
		return r.ARN, r, nil
	}
	arn, err := cache.ParseARN(strings.Clone(text)) // it may be kept for longer than the request
	if err != nil {
		return "", nil, envelope.Invalid("executionArn: %s", err)
	}
	r, err := s.options.Cache.GetAtLeast(x.r.Context(), arn, seen)
	if errors.Is(err, cache.ErrNotFound) {
		return arn, nil, nil
	}
	return arn, r, err
}

// answer sends the record, or an error if there is none or if the caller may not read it.
func (x *exchange) answer(r *cache.Record, w waitOptions, err error) error {
	switch {
	case err != nil:
		return err
	case r == nil:
		return x.server.unknown()
	case !x.caller.MayRead(r):
		return errForeign
	}
	if w.stream {
		return x.stream(r.ARN, r, w.view)
	}
	x.sendRecord(r, w.view)
	return nil
}

var errForeign = envelope.Forbidden("you may not read this execution")

// unknownFor is the Retry-After for an unknown execution.
const unknownFor = 2 * time.Second

func (s *Server) unknown() *envelope.Error {
	p := envelope.NotFound(s.unknownMessage)
	p.RetryAfter = unknownFor
	return p
}

// sendRecord answers with a record, or with 304 if the caller has it or a newer one. The
// caller has a newer one if a replica of Redis that was behind has become the primary.
func (x *exchange) sendRecord(r *cache.Record, v *view) {
	h := x.w.Header()
	answer := x.coded(v, r)
	tag := answer.ETag
	h["Cache-Control"] = envelope.PrivateCache
	if r.Gzip != nil {
		h["Vary"] = append(h["Vary"], envelope.VaryEncoding...) // CORS may have written it too
	}
	if !r.Terminal {
		h["Retry-After"] = x.server.paces.After(r, time.Now())
	}
	match, named := headers.Matches(x.r.Header["If-None-Match"], tag[0])
	if seen, own := headers.SeenVersion(x.r.Header); seen > r.Version {
		match, named = true, own
	}
	if named != "" && named != tag[0] {
		tag = []string{named} // a client may have stored the answer with the tag of a proxy
	}
	h["Etag"] = tag
	if match {
		if named != "" { // otherwise the tag in this answer is new to the client
			x.server.auth.Refund(&x.caller, x.start)
		}
		x.sendHead(http.StatusNotModified)
		return
	}
	if answer == r.Gzip {
		h["Content-Encoding"] = envelope.GzipCoding
	}
	// net/http counts a small body itself, which saves a header: a map of more than eight
	// headers costs twice as much as one of eight.
	if len(answer.Body) > countedByNetHTTP || x.r.Method == http.MethodHead {
		h["Content-Length"] = answer.Length
	}
	x.send(http.StatusOK, envelope.JSONType, answer.Body)
}

// countedByNetHTTP is the size of a body up to which net/http computes its length, in
// bytes.
const countedByNetHTTP = 2048
