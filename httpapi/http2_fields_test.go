package httpapi

import (
	"maps"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// What the answer to a request over HTTP/2 begins with (RFC 7541 appendix A).
const (
	status200 = 0x88
	status400 = 0x8c
)

// refusedOverHTTP2 are fields that a request must not have (RFC 9113 §8.2), name and value.
var refusedOverHTTP2 = map[string][]string{
	"Connection":                    {"connection", "close"},
	"Connection that names a field": {"connection", "x-request-id"},
	"Keep-Alive":                    {"keep-alive", "timeout=5"},
	"Proxy-Connection":              {"proxy-connection", "keep-alive"},
	"Transfer-Encoding":             {"transfer-encoding", "chunked"},
	"another Transfer-Encoding":     {"transfer-encoding", "identity"},
	"an empty Transfer-Encoding":    {"transfer-encoding", ""},
	"Upgrade":                       {"upgrade", "h2c"},
	"TE with a coding":              {"te", "chunked"},
	"TE with more than trailers":    {"te", "trailers, chunked"},
	"two of TE":                     {"te", "trailers", "te", "chunked"},
}

// malformedOverHTTP2 are fields that no request can have, whatever they mean.
var malformedOverHTTP2 = map[string][]string{
	"a capital letter":         {"Transfer-Encoding", "chunked"},
	"a space in a name":        {"transfer-encoding ", "chunked"},
	"a colon in a name":        {"transfer-encoding:", "chunked"},
	"a line break in a name":   {"x\r\ntransfer-encoding", "chunked"},
	"a line break in a value":  {"x-a", "b\r\ntransfer-encoding: chunked"},
	"NUL in a value":           {"x-a", "b\x00"},
	"a second path":            {":path", "/v1/executions"},
	"an unknown pseudo-header": {":protocol", "websocket"},
	"the status of an answer":  {":status", "200"},
}

// TestFieldsOfConnectionsAreRefusedOverHTTP2: such fields mean nothing there, and a server that
// obeyed them could take a body for another request. A request with such a field gets an error,
// and no handler sees it. The requests before and after it on the connection are answered.
func TestFieldsOfConnectionsAreRefusedOverHTTP2(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	const smuggled = "0\r\n\r\nGET /v1/health HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n"
	for name, fields := range refusedOverHTTP2 {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.sendBetween(t, name, fields, smuggled)
		})
	}
	for name, fields := range malformedOverHTTP2 {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.sendBetween(t, name, fields, "")
		})
	}
}

// begun returns the first byte of the head of each answer, by stream.
func (c *rawHTTP2) begun() map[uint32]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.first)
}

// sendBetween sends a request with fields that it must not have between two others.
func (s *service) sendBetween(t *testing.T, name string, fields []string, body string) {
	t.Helper()
	id := func(which string) string { return which + "." + strings.ReplaceAll(name, " ", "-") }
	c := dialHTTP2(t, strings.TrimPrefix(s.url, "http://"), 1<<20)
	request := func(which string, more ...string) []byte {
		return c.get("/v1/health", append([]string{"x-request-id", id(which)}, more...)...)
	}
	before, wrong, after := request("before"), request("wrong", fields...), request("after")
	if body != "" {
		wrong[4] &^= endStream // the flags
		wrong = append(wrong, frame(dataFrame, endStream, 3, []byte(body))...)
	}
	c.send(t, before, wrong, after)
	cachetest.Eventually(t, "all three are answered", func() bool {
		first := c.begun()
		_, _, resets := c.count()
		refused := first[3] == status400 || first[3] == 0 && resets > 0
		return first[1] == status200 && refused && first[5] == status200
	})
	// The log has those that a handler has seen, which is the control.
	cachetest.Eventually(t, "the others are logged", func() bool {
		return strings.Contains(s.log.String(), id("before")) && strings.Contains(s.log.String(), id("after"))
	})
	if log := s.log.String(); strings.Contains(log, id("wrong")) || strings.Contains(log, "smuggled") {
		t.Errorf("a handler has seen it:\n%s", log)
	}
	if n := len(c.begun()); n > 3 {
		t.Errorf("%d answers", n)
	}
}

// TestTrailersMayBeAnnouncedOverHTTP2 is a control: TE has one value that is allowed.
func TestTrailersMayBeAnnouncedOverHTTP2(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	c := dialHTTP2(t, strings.TrimPrefix(s.url, "http://"), 1<<20)
	c.send(t, c.get("/v1/health", "te", "trailers"))
	cachetest.Eventually(t, "it is answered", func() bool { return c.begun()[1] == status200 })
}
