package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"statuscache/cache"
)

const statusPath = "/v1/status/"

// statusText returns the part of the path behind /v1/status/, decoded exactly
// once. ok is false if the path is another one: an encoded slash is not a
// separator.
func statusText(u *url.URL) (text string, ok bool) {
	if u.RawPath == "" { // then Path, encoded again, is what the caller sent
		return strings.CutPrefix(u.Path, statusPath)
	}
	raw, ok := strings.CutPrefix(u.RawPath, statusPath)
	if !ok {
		return "", false
	}
	text, err := url.PathUnescape(raw)
	return text, err == nil
}

// getStatus is GET /v1/status/{executionArn}.
func (s *Server) getStatus(x *exchange) error {
	full, err := wantsFull(x.r.URL.RawQuery)
	if err != nil {
		return err
	}
	text, _ := statusText(x.r.URL)
	record, err := s.find(x, text)
	if err != nil {
		return err
	}
	if !x.caller.mayRead(record) {
		return forbidden("this execution is not yours to read")
	}
	x.tell(record, full)
	return nil
}

// wantsFull reads the query of a status request.
func wantsFull(query string) (bool, error) {
	if query == "" {
		return false, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return false, invalid("query: malformed")
	}
	switch view := values["view"]; {
	case len(view) == 0:
		return false, nil
	case len(view) == 1 && view[0] == "full":
		return true, nil
	}
	return false, invalid("view: only full is known")
}

// find looks an execution up. Only what the near cache does not know needs to be
// checked: it holds nothing but well-formed ARNs. A caller who has seen a newer
// version than it holds is answered from Redis, so nobody sees time run back.
func (s *Server) find(x *exchange, text string) (*cache.Record, error) {
	seen := seenVersion(x.r.Header)
	if r, ok := s.options.Cache.Peek(text); ok && r.Version >= seen {
		return r, nil
	}
	arn, err := cache.ParseARN(text)
	if err != nil {
		return nil, invalid("executionArn: %s", err)
	}
	r, err := s.options.Cache.GetAtLeast(x.r.Context(), arn, seen)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, notFound(s.unknownMessage)
	}
	return r, err
}

// tell answers with a record, or with 304 where the caller has it.
func (x *exchange) tell(r *cache.Record, full bool) {
	h := x.w.Header()
	answer := r.Plain
	if full {
		answer = r.Full()
	} else if r.Gzip != nil && acceptsGzip(x.r.Header["Accept-Encoding"]) {
		answer = r.Gzip
		h["Content-Encoding"] = gzipCoding
	}
	h["Etag"] = answer.ETag
	h["Cache-Control"] = privateCache
	if r.Gzip != nil {
		h["Vary"] = append(h["Vary"], varyEncoding...) // CORS may have written it too
	}
	if !r.Terminal {
		h["Retry-After"] = pollAgainAfter(x.start.Sub(r.StartDate))
	}
	if match, named := matches(x.r.Header["If-None-Match"], answer.ETag[0]); match {
		if named { // else the tag in this answer tells something new
			x.server.auth.refund(&x.caller, x.start)
		}
		delete(h, "Content-Encoding")
		x.status = http.StatusNotModified
		x.w.WriteHeader(x.status)
		return
	}
	// net/http counts a small body itself. A map of more than eight headers costs
	// twice as much as one of eight.
	if len(answer.Body) > countedByNetHTTP || x.r.Method == http.MethodHead {
		h["Content-Length"] = answer.Length
	}
	x.send(http.StatusOK, jsonType, answer.Body)
}

// countedByNetHTTP is the size of a body up to which net/http finds out its
// length, in bytes.
const countedByNetHTTP = 2048

// pollAgainAfter is the Retry-After of an execution that has been running for a
// while: the longer it took, the longer it may take.
func pollAgainAfter(age time.Duration) []string {
	for _, step := range pollSteps {
		if age < step.below {
			return step.seconds
		}
	}
	return pollSlowest
}

var (
	pollSteps = []struct {
		below   time.Duration
		seconds []string
	}{
		{15 * time.Second, []string{"2"}},
		{30 * time.Second, []string{"3"}},
		{time.Minute, []string{"5"}},
		{2 * time.Minute, []string{"8"}},
	}
	pollSlowest = []string{"10"}
)

// matches reports whether an If-None-Match matches tag, and whether it names it
// or just takes any. The comparison is the weak one of RFC 9110 §13.1.2: a front
// that compresses marks tags as weak.
func matches(ifNoneMatch []string, tag string) (match, named bool) {
	for _, list := range ifNoneMatch {
		for each := range strings.SplitSeq(list, ",") {
			each = strings.TrimSpace(each)
			if strings.TrimPrefix(each, "W/") == tag {
				return true, true
			}
			match = match || each == "*"
		}
	}
	return match, false
}

// seenVersion returns the greatest version in an If-None-Match, by our form of
// entity tags, or nothing.
func seenVersion(h http.Header) (seen cache.Version) {
	for _, list := range h["If-None-Match"] {
		for each := range strings.SplitSeq(list, ",") {
			each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
			if v, ok := cache.ParseVersion(strings.TrimPrefix(each, `"`)); ok && v > seen {
				seen = v
			}
		}
	}
	return seen
}

// acceptsGzip reads an Accept-Encoding.
func acceptsGzip(accept []string) bool {
	for _, list := range accept {
		for each := range strings.SplitSeq(list, ",") {
			coding, parameters, _ := strings.Cut(each, ";")
			if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && !strings.EqualFold(coding, "x-gzip") {
				continue
			}
			return !zeroQuality(parameters)
		}
	}
	return false
}

// zeroQuality reports whether parameters say q=0, with up to three more zeros.
func zeroQuality(parameters string) bool {
	q := strings.ToLower(strings.ReplaceAll(parameters, " ", ""))
	value, found := strings.CutPrefix(q, "q=")
	return found && strings.Trim(value, "0.") == ""
}
