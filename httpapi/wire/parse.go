package wire

import (
	"bytes"
	"strings"
)

// The grammar of the requests that are answered here. It is deliberately much narrower
// than RFC 9112: if a proxy and a server read the same bytes in two ways, the answer to
// one caller may reach another (request smuggling). So nothing that can be read in two
// ways is read here. A request outside the grammar goes to net/http with all bytes, and
// the connection never comes back.
//
//	head    = [CRLF] method SP target SP "HTTP/1.1" CRLF *field CRLF
//	method  = 1*( A-Z )
//	target  = "/" *( 0x21-0x7E )
//	field   = token ":" *SP value *SP CRLF
//	value   = *( 0x20-0x7E )
//
// The reasons, in the order of the code:
//
//   - One empty line may come first: old clients send one after a body, which is not part
//     of the body (RFC 9112, section 2.2). There is no other reading of it.
//   - Lines end with CRLF. A bare LF ends a line for some servers and not for others.
//   - Bytes are visible ASCII and space. NUL, CR, tab and non-ASCII bytes are removed,
//     kept or folded, depending on the server.
//   - One space is on each side of the target, which is a path: no absolute form, which
//     would name a second host, and no "*".
//   - HTTP/1.1 exactly, because some servers read 1.10 as 1.1. Earlier versions have other rules
//     for the end of a body and of the connection. HTTP/1.0 has no Transfer-Encoding, and
//     net/http silently drops it. A proxy that uses it finds another end of the body, so this is
//     refused (RFC 9112, section 6.1).
//   - A name is a token directly followed by the colon, so a continuation line (folding)
//     and a space before the colon are not possible.
//   - There is exactly one Host, and it is a plain name: with two, a proxy may use the other one.
//   - The length of a body is given by at most one Content-Length, of at most nine digits
//     and nothing else. With Transfer-Encoding, net/http must find the end of the body. With
//     both, two servers may find two ends, so this is refused here, because net/http would
//     accept it.
//   - Connection has only close and keep-alive: otherwise it could remove fields.
//   - Expect, Upgrade and HTTP2-Settings change what comes next on the connection.

// verdict is the result of the grammar for some bytes.
type verdict int

const (
	more    verdict = iota // they can be the beginning of a head
	blank                  // they begin with an empty line, see emptyLine
	foreign                // not for us
	known                  // they begin with a whole head
	refused                // nothing after it may be read
)

const (
	version      = " HTTP/1.1" // after the target
	olderVersion = " HTTP/1.0"
	emptyLine    = "\r\n" // in front of a head
	// maxLength is how many digits a Content-Length may have. It is more than any handler
	// accepts, and too few digits for an overflow.
	maxLength = 9
)

// head has the parts of a request's head that matter for the connection.
type head struct {
	text   string // all of it, with the empty line
	method string
	target string
	host   string
	length int64 // of the body
	body   bool  // there is a Content-Length
	coded  bool  // there is a Transfer-Encoding
	older  bool  // it is HTTP/1.0
	close  bool  // the connection must be closed after the answer
	hot    bool  // it has only harmless fields, and hot ones that are neither empty nor repeated
	fields [hotFields]string
}

// scanner finds the end of a head in bytes that arrive in pieces, and reads each byte
// once. It detects a foreign head early, so that the connection does not wait for the
// rest of it.
type scanner struct {
	seen int // bytes
	line int // where the current line begins
}

// scan reads the new bytes of b. If the verdict is known, b begins with a head of size
// bytes, whose lines end with CRLF and are otherwise visible ASCII.
func (s *scanner) scan(b []byte) (size int, v verdict) {
	if len(b) > 0 && b[0] != '\r' && !upper(b[0]) {
		return 0, foreign
	}
	for {
		s.seen += visibleRun(b[s.seen:])
		switch end := s.seen; {
		case end == len(b), end+1 == len(b) && b[end] == '\r':
			return 0, more
		case b[end] != '\r' || b[end+1] != '\n':
			return 0, foreign
		case end == 0:
			return len(emptyLine), blank
		case end == s.line:
			return end + len(emptyLine), known
		case s.line == 0 && !bytes.HasSuffix(b[:end], httpVersion) && !bytes.HasSuffix(b[:end], httpOlder):
			return 0, foreign
		}
		s.seen += len(emptyLine)
		s.line = s.seen
	}
}

var httpVersion, httpOlder = []byte(version), []byte(olderVersion)

// parse reads a head that a scanner found.
func (h *head) parse(text string) verdict {
	h.text, h.hot = text, true
	line, rest := cutLine(text)
	if !h.requestLine(line) {
		return foreign
	}
	v, hosts := known, 0
	for line, rest = cutLine(rest); line != ""; line, rest = cutLine(rest) {
		colon := strings.IndexByte(line, ':')
		if colon < 0 || !token(line[:colon]) {
			return foreign
		}
		f := fieldOf(line[:colon])
		if f == hostField {
			hosts++
		}
		if !h.take(f, strings.Trim(line[colon+1:], " ")) {
			v = foreign
		}
	}
	switch {
	case h.coded && (h.body || h.older):
		return refused
	case hosts != 1 || h.older:
		return foreign
	}
	return v
}

// cutLine returns the first line of a head and the rest. A scanner has checked that CR
// occurs only at the end of lines.
func cutLine(text string) (line, rest string) {
	end := strings.IndexByte(text, '\r')
	return text[:end], text[end+2:]
}

// requestLine reads the first line.
func (h *head) requestLine(line string) (ok bool) {
	h.older = strings.HasSuffix(line, olderVersion) // which is as long; a scanner has found one of them
	line = line[:len(line)-len(version)]
	h.method, h.target, ok = strings.Cut(line, " ")
	if !ok || h.method == "" || h.target == "" || h.target[0] != '/' {
		return false
	}
	for i := range len(h.method) {
		if !upper(h.method[i]) {
			return false
		}
	}
	return strings.IndexByte(h.target, ' ') < 0
}

// take takes a field into account. It returns false for a foreign field.
func (h *head) take(f field, value string) bool {
	switch f {
	case hostField:
		h.host = value
		return plainHost(value)
	case lengthField:
		return h.takeLength(value)
	case codingField:
		h.coded = true
		return false
	case connectionField:
		return h.takeConnection(value)
	case foreignField:
		return false
	case unknownField:
		h.hot = false
	case harmlessField:
	default:
		h.hot = h.hot && h.fields[f] == "" && value != ""
		h.fields[f] = value
	}
	return true
}

func (h *head) takeLength(value string) bool {
	again := h.body
	if h.body = true; again || value == "" || len(value) > maxLength {
		return false
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		h.length = 10*h.length + int64(value[i]-'0')
	}
	return true
}

func (h *head) takeConnection(value string) bool {
	for each := range strings.SplitSeq(value, ",") {
		switch each = strings.Trim(each, " "); {
		case strings.EqualFold(each, "close"):
			h.close = true
		case !strings.EqualFold(each, "keep-alive"):
			return false
		}
	}
	return true
}

// visibleRun returns how many of the first bytes of b are visible ASCII or spaces.
func visibleRun(b []byte) int {
	for i, c := range b {
		if c < ' ' || c > '~' {
			return i
		}
	}
	return len(b)
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

func alphanumeric(c byte) bool {
	return upper(c) || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// token reports whether s is a token (RFC 9110 §5.6.2).
func token(s string) bool {
	for i := range len(s) {
		if !inTokens[s[i]] {
			return false
		}
	}
	return s != ""
}

var inTokens = func() (all [256]bool) {
	for c := range all {
		all[c] = alphanumeric(byte(c)) || strings.IndexByte("-!#$%&'*+.^_`|~", byte(c)) >= 0
	}
	return all
}()

// plainHost reports whether s is a name or an address, with or without a port.
func plainHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '.' && c != '-' && c != ':' && c != '_' && c != '[' && c != ']' {
			return false
		}
	}
	return s != ""
}

// pollTarget splits the target of a poll: a read of one execution by a path that begins
// with prefix. The rest of the path has letters, digits, characters that are allowed in
// names, and colons, which may be escaped; the query has only view. So there is only one
// way to decode it, and it must be decoded only once.
func pollTarget(target, prefix string) (path, raw, query string, ok bool) {
	raw, query, asks := strings.Cut(target, "?")
	if view, named := strings.CutPrefix(query, "view="); asks && (!named || !lowercase(view)) {
		return "", "", "", false
	}
	name, ok := strings.CutPrefix(raw, prefix)
	if !ok || name == "" {
		return "", "", "", false
	}
	escaped := false
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case alphanumeric(c), c == ':', c == '-', c == '_', c == '.', c == '~':
		case c == '%' && i+2 < len(name) && name[i+1] == '3' && name[i+2]|0x20 == 'a':
			escaped = true
			i += 2
		default:
			return "", "", "", false
		}
	}
	if !escaped {
		return raw, "", query, true // as in net/url: characters that can be encoded in one way only
	}
	return prefix + colons.Replace(name), raw, query, true
}

var colons = strings.NewReplacer("%3A", ":", "%3a", ":")

func lowercase(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return s != ""
}
