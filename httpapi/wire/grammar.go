package wire

import (
	"bytes"
	"strings"
)

// The grammar of the requests that are answered here. It is far narrower than RFC 9112,
// and that is its purpose: where a proxy and a server read the same bytes in two ways,
// the answer to one caller reaches another (request smuggling). So nothing that can be
// read in two ways is read here. What the grammar does not know goes to net/http with
// every byte, and the connection never comes back.
//
//	head    = [CRLF] method SP target SP "HTTP/1.1" CRLF *field CRLF
//	method  = 1*( A-Z )
//	target  = "/" *( 0x21-0x7E )
//	field   = token ":" *SP value *SP CRLF
//	value   = *( 0x20-0x7E )
//
// The reasons, in the order of the code:
//
//   - One empty line may stand in front: old clients send one behind a body, which is not
//     part of it (RFC 9112, section 2.2). Nobody reads it as anything else.
//   - Lines end with CRLF. A bare LF ends a line for some and not for others.
//   - Bytes are visible ASCII and space. NUL, CR, tab and what is beyond ASCII is cut,
//     kept or folded, depending on who reads it.
//   - One space stands on each side of the target, which is a path: no absolute form,
//     which would name a second host, and no "*".
//   - HTTP/1.1 exactly, as 1.10 is read as 1.1 by some. Earlier versions have other rules
//     for the end of a body and of the connection. HTTP/1.0 has no Transfer-Encoding, and
//     net/http drops it without a word: where a proxy goes by it, it finds another end, so
//     that is refused (RFC 9112, section 6.1).
//   - A name is a token with the colon right behind it, so a line that continues the one
//     before (folding) and a space before the colon have no place.
//   - Host stands there once and is a plain name: with two, a proxy may choose the other.
//   - The length of a body is given by at most one Content-Length, of at most nine digits
//     and nothing else. With Transfer-Encoding the end of the body is for net/http to find.
//     With both, two readers find two ends, so that is refused here: net/http would take it.
//   - Connection says nothing but close and keep-alive: it could take away fields.
//   - Expect, Upgrade and HTTP2-Settings change what comes next on the connection.

// verdict is what the grammar says about bytes.
type verdict int

const (
	more    verdict = iota // as far as they go, they can begin a head
	blank                  // they begin with an empty line, see emptyLine
	foreign                // not for us
	known                  // they begin with a whole head
	refused                // nobody shall read on
)

const (
	version      = " HTTP/1.1" // behind the target
	olderVersion = " HTTP/1.0"
	emptyLine    = "\r\n" // in front of a head
	// maxLength is how many digits a Content-Length may have. No body that a handler takes
	// comes near it, and no number of so few digits overflows.
	maxLength = 9
)

// head is the head of a request, as far as it matters for the connection.
type head struct {
	text   string // all of it, with the empty line
	method string
	target string
	host   string
	length int64 // of the body
	body   bool  // there is a Content-Length
	coded  bool  // there is a Transfer-Encoding
	older  bool  // it is HTTP/1.0
	close  bool  // the connection is to be closed behind the answer
	hot    bool  // every field is in the list of hot fields
	fields [hotFields]string
}

// scanner finds the end of a head in bytes that come in pieces, and looks at each byte
// once. It finds early what will not be a head of ours, so that nobody waits for the
// rest of it.
type scanner struct {
	seen int // bytes
	line int // where the line begins that is being read
}

// scan looks at what is new in b. With known, b begins with a head of size bytes, whose
// lines end with CRLF and are visible otherwise.
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

// cutLine returns the first line of a head and what follows. A scanner has found that CR
// stands at the end of lines only.
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

// take takes a field into account. It reports false for one that is foreign.
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

// visibleRun returns how many bytes b begins with that are visible ASCII or spaces.
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
// with prefix. The rest of the path is letters, digits and what stands in names, and
// colons, which may be escaped; the query is view and nothing else. So there is one way
// to decode it, which needs to be done once.
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
		return raw, "", query, true // as net/url has it: what can be encoded in one way only
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
