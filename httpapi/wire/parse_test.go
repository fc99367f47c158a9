package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const (
	hotPrefix = "/v1/status/"
	aPoll     = "GET /v1/status/arn:aws:x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\n\r\n"
)

// read returns what a connection reads from bytes that arrive in pieces of a length.
func read(all string, piece int) (h head, _ verdict) {
	var s scanner
	for n := 0; n < len(all); {
		n = min(n+piece, len(all))
		switch size, v := s.scan([]byte(all[:n])); v {
		case blank:
			if all = all[size:]; strings.HasPrefix(all, emptyLine) {
				return head{}, foreign
			}
			s, n = scanner{}, 0
		case foreign:
			return head{}, foreign
		case known:
			v := h.parse(all[:size])
			return h, v
		}
	}
	return head{}, more
}

func lines(all ...string) string { return strings.Join(all, "\r\n") + "\r\n\r\n" }

// TestAmbiguousRequestsAreHandedOver lists the ways to make a proxy and a server see different
// requests in the same bytes.
func TestAmbiguousRequestsAreHandedOver(t *testing.T) {
	t.Parallel()
	const get, post, host = "GET / HTTP/1.1", "POST / HTTP/1.1", "Host: x"
	for name, test := range map[string]struct {
		text string
		want verdict
	}{
		"a bare LF behind the request line":    {"GET / HTTP/1.1\nHost: x\r\n\r\n", foreign},
		"a bare LF behind a field":             {"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", foreign},
		"a bare LF as the empty line":          {"GET / HTTP/1.1\r\nHost: x\r\n\n", foreign},
		"a bare CR in a value":                 {lines(get, host, "A: b\rC: d"), foreign},
		"two CR at the end of a line":          {"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", foreign},
		"two empty lines first":                {"\r\n\r\n" + lines(get, host), foreign},
		"a bare LF first":                      {"\n" + lines(get, host), foreign},
		"a bare CR first":                      {"\r" + lines(get, host), foreign},
		"a space before the colon":             {lines(get, "Host : x"), foreign},
		"a space before the colon of length":   {lines(post, host, "Content-Length : 3"), foreign},
		"a tab before the colon":               {lines(get, host, "A\t: b"), foreign},
		"a tab before the value":               {lines(post, host, "Content-Length:\t3"), foreign},
		"a name with a space":                  {lines(get, host, "A B: c"), foreign},
		"a field without a name":               {lines(get, host, ": b"), foreign},
		"a field without a colon":              {lines(get, host, "Content-Length"), foreign},
		"two lengths that differ":              {lines(post, host, "Content-Length: 3", "Content-Length: 4"), foreign},
		"two lengths alike":                    {lines(post, host, "Content-Length: 3", "Content-Length: 3"), foreign},
		"a list of lengths":                    {lines(post, host, "Content-Length: 3, 3"), foreign},
		"a signed length":                      {lines(post, host, "Content-Length: +3"), foreign},
		"a negative length":                    {lines(post, host, "Content-Length: -3"), foreign},
		"a length that overflows 32 bits":      {lines(post, host, "Content-Length: 4294967299"), foreign},
		"a length that overflows 64 bits":      {lines(post, host, "Content-Length: 18446744073709551619"), foreign},
		"a length with many zeros":             {lines(post, host, "Content-Length: 0000000003"), foreign},
		"a length in hex":                      {lines(post, host, "Content-Length: 0x3"), foreign},
		"a length with a unit":                 {lines(post, host, "Content-Length: 3 bytes"), foreign},
		"a length with a digit of its own":     {lines(post, host, "Content-Length: 1_0"), foreign},
		"no length":                            {lines(post, host, "Content-Length:"), foreign},
		"a length and a coding":                {lines(post, host, "Content-Length: 3", "Transfer-Encoding: chunked"), refused},
		"a coding and a length":                {lines(post, host, "Transfer-Encoding: chunked", "Content-Length: 3"), refused},
		"an odd coding and a length":           {lines(post, host, "Transfer-Encoding: xchunked", "Content-Length: 3"), refused},
		"a coding and an odd length":           {lines(post, host, "transfer-encoding: chunked", "content-length: +3"), refused},
		"a coding":                             {lines(post, host, "Transfer-Encoding: chunked"), foreign},
		"a coding of a GET":                    {lines(get, host, "Transfer-Encoding: chunked"), foreign},
		"a coding of HTTP/1.0":                 {lines("POST / HTTP/1.0", host, "Transfer-Encoding: chunked"), refused},
		"a coding and a length of HTTP/1.0":    {lines("POST / HTTP/1.0", "Connection: keep-alive", "Content-Length: 3", "Transfer-Encoding: chunked"), refused},
		"a trailer":                            {lines(post, host, "Trailer: A"), foreign},
		"no host":                              {lines(get, "A: b"), foreign},
		"two hosts":                            {lines(get, host, "Host: y"), foreign},
		"two hosts alike":                      {lines(get, host, host), foreign},
		"an empty host":                        {lines(get, "Host:"), foreign},
		"a host with a path":                   {lines(get, "Host: x/y"), foreign},
		"two hosts in one":                     {lines(get, "Host: x,y"), foreign},
		"a host with a user":                   {lines(get, "Host: u@x"), foreign},
		"two spaces before the target":         {lines("GET  / HTTP/1.1", host), foreign},
		"two spaces behind the target":         {lines("GET /  HTTP/1.1", host), foreign},
		"a tab before the target":              {lines("GET\t/ HTTP/1.1", host), foreign},
		"a space before the method":            {lines(" GET / HTTP/1.1", host), foreign},
		"a space behind the version":           {lines("GET / HTTP/1.1 ", host), foreign},
		"no target":                            {lines("GET HTTP/1.1", host), foreign},
		"no version":                           {lines("GET /", host), foreign},
		"a version of two digits":              {lines("GET / HTTP/1.10", host), foreign},
		"a version with a sign":                {lines("GET / HTTP/+1.1", host), foreign},
		"a version in lower case":              {lines("GET / http/1.1", host), foreign},
		"a version to come":                    {lines("GET / HTTP/1.2", host), foreign},
		"an earlier version":                   {lines("GET / HTTP/1.0", host), foreign},
		"another protocol":                     {lines("GET / RTSP/1.1", host), foreign},
		"the preface of HTTP/2":                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", foreign},
		"a method in lower case":               {lines("get / HTTP/1.1", host), foreign},
		"a method with a hyphen":               {lines("GET-ALL / HTTP/1.1", host), foreign},
		"an absolute target":                   {lines("GET http://y/ HTTP/1.1", host), foreign},
		"a target that is a host":              {lines("CONNECT y:443 HTTP/1.1", host), foreign},
		"a target that is an asterisk":         {lines("OPTIONS * HTTP/1.1", host), foreign},
		"a folded field":                       {lines(get, host, "A: b", " c"), foreign},
		"a field folded by a tab":              {lines(get, host, "A: b", "\tc"), foreign},
		"a folded first field":                 {lines(get, " A: b", host), foreign},
		"NUL in the target":                    {lines("GET /\x00 HTTP/1.1", host), foreign},
		"NUL in a name":                        {lines(get, host, "A\x00: b"), foreign},
		"NUL in a value":                       {lines(get, host, "A: b\x00"), foreign},
		"DEL in a value":                       {lines(get, host, "A: b\x7f"), foreign},
		"a vertical tab in a value":            {lines(get, host, "A: b\v"), foreign},
		"UTF-8 in a value":                     {lines(get, host, "A: ä"), foreign},
		"UTF-8 in a name":                      {lines(get, host, "Ä: b"), foreign},
		"UTF-8 in the target":                  {lines("GET /ä HTTP/1.1", host), foreign},
		"a byte of Latin-1 in a value":         {lines(get, host, "A: \xe4"), foreign},
		"an upgrade":                           {lines(get, host, "Connection: Upgrade", "Upgrade: websocket"), foreign},
		"an upgrade to HTTP/2":                 {lines(get, host, "Upgrade: h2c", "HTTP2-Settings: AA"), foreign},
		"an expectation":                       {lines(post, host, "Expect: 100-continue", "Content-Length: 3"), foreign},
		"a connection that takes a field away": {lines(get, host, "Connection: close, Authorization"), foreign},
		"a connection with an empty element":   {lines(get, host, "Connection: close,,"), foreign},
		"an empty connection":                  {lines(get, host, "Connection:"), foreign},
		"more lines than one at a time":        {lines(get, host, "A: b\r\n\r\n"), known},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1, 2, 3, 7, len(test.text)} {
				if _, v := read(test.text, piece); v != test.want {
					t.Errorf("in pieces of %d: verdict %d, want %d", piece, v, test.want)
				}
			}
		})
	}
}

// TestForeignBytesAreFoundBeforeTheirEnd: a connection does not wait for the rest of a request
// that is foreign.
func TestForeignBytesAreFoundBeforeTheirEnd(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x16\x03\x01", "\n", "GET / HTTP/0.9\r\n", "GET / HTTP/1.1\n", "hello", "PRI * HTTP/2.0\r\n", aPoll[:20] + "\x00"} {
		if _, v := read(text, 1); v != foreign {
			t.Errorf("%q: verdict %d", text, v)
		}
	}
	for n := range aPoll {
		if _, v := read(aPoll[:n], n+1); v != more {
			t.Errorf("%q: verdict %d", aPoll[:n], v)
		}
	}
}

// TestConnectionClosesByAnyElementOfTheList, in any of several fields.
func TestConnectionClosesByAnyElementOfTheList(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]bool{
		"A: close": false, "Connection: keep-alive": false, "Connection: Close": true, "Connection: keep-alive , close": true,
		"Connection: close, keep-alive": true, "Connection: keep-alive\r\nConnection: close": true, "Connection: close\r\nConnection: keep-alive": true,
	} {
		if h, v := read(lines("GET / HTTP/1.1", "Host: x", fields), 1); v != known || h.close != want {
			t.Errorf("%q: %v, verdict %d", fields, h.close, v)
		}
	}
}

// TestOnlyThePlainFormOfAPollIsHot: everything else takes the ordinary way, where it gets
// the same answer.
func TestOnlyThePlainFormOfAPollIsHot(t *testing.T) {
	t.Parallel()
	const token = "Authorization: Bearer y"
	request := func(target string, fields ...string) string {
		return lines(append([]string{"GET " + target + " HTTP/1.1", "Host: x"}, fields...)...)
	}
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"a poll":                     {aPoll, true},
		"HEAD":                       {lines("HEAD /v1/status/x HTTP/1.1", "Host: x", token), true},
		"escaped colons":             {request("/v1/status/arn%3Aaws%3ax", token), true},
		"a view":                     {request("/v1/status/x?view=full", token), true},
		"proxies":                    {request("/v1/status/x", token, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8", "Via: 1.1 y"), true},
		"conditions":                 {request("/v1/status/x", token, `If-None-Match: "a", "b"`, "Accept-Encoding: gzip, br", "Accept: */*", "X-Request-Id: 1"), true},
		"keep-alive":                 {request("/v1/status/x", token, "Connection: keep-alive"), true},
		"POST":                       {lines("POST /v1/status/x HTTP/1.1", "Host: x", token), false},
		"another path":               {request("/v1/executions", token), false},
		"the path alone":             {request("/v1/status/", token), false},
		"a path below":               {request("/v1/status/x/y", token), false},
		"an escaped slash":           {request("/v1/status/x%2Fy", token), false},
		"what is escaped twice":      {request("/v1/status/x%253Ay", token), false},
		"an escape that is cut":      {request("/v1/status/x%3", token), false},
		"an escaped letter":          {request("/v1/status/%78", token), false},
		"a parameter of the path":    {request("/v1/status/x;y", token), false},
		"another query":              {request("/v1/status/x?wait=1", token), false},
		"two parameters":             {request("/v1/status/x?view=full&wait=1", token), false},
		"an empty view":              {request("/v1/status/x?view=", token), false},
		"an empty query":             {request("/v1/status/x?", token), false},
		"no token":                   {request("/v1/status/x"), false},
		"an empty token":             {request("/v1/status/x", "Authorization:"), false},
		"two tokens":                 {request("/v1/status/x", token, token), false},
		"two conditions":             {request("/v1/status/x", token, `If-None-Match: "a"`, `If-None-Match: "b"`), false},
		"a body":                     {request("/v1/status/x", token, "Content-Length: 3"), false},
		"a body of nothing":          {request("/v1/status/x", token, "Content-Length: 0"), false},
		"an underscore for a hyphen": {request("/v1/status/x", token, "Content_Length: 3"), false},
		"a preference":               {request("/v1/status/x", token, "Prefer: wait=1"), false},
		"a page of another origin":   {request("/v1/status/x", token, "Origin: https://y"), false},
		"a stream that is resumed":   {request("/v1/status/x", token, "Last-Event-ID: 1"), false},
		"a field that nobody knows":  {request("/v1/status/x", token, "X-Odd: 1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, v := read(test.text, 1)
			if v != known {
				t.Fatalf("verdict %d", v)
			}
			c := &conn{Conn: Conn{Conn: nowhere{}}, server: New(Options{Hot: hotPrefix}), ctx: t.Context()}
			if _, r := c.poll(&h); (r != nil) != test.want {
				t.Errorf("hot: %v", r != nil)
			}
		})
	}
}

// FuzzHead compares the grammar with net/http: net/http must read a known head in the same way,
// to the same byte. It may accept more.
func FuzzHead(f *testing.F) {
	for _, text := range []string{
		aPoll, strings.ReplaceAll(aPoll, ":", "%3A"), aPoll + aPoll,
		"HEAD /v1/status/x?view=full HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\nIf-None-Match: W/\"a\"\r\nConnection: close\r\n\r\n",
		"POST /v1/status HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nContent-Type: application/json\r\n\r\nabcGET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA:\r\nB:   c  d \r\n\r\n",
		"GET /v%/status/x HTTP/1.1\r\nHost: x\r\n\r\n", emptyLine + aPoll,
	} {
		f.Add([]byte(text), uint8(1))
	}
	server := New(Options{Hot: hotPrefix})
	f.Fuzz(func(t *testing.T, all []byte, piece uint8) {
		h, v := read(string(all), int(piece)+1)
		if complete, again := read(string(all), len(all)); again != v || complete != h {
			t.Fatalf("in pieces verdict %d, as a whole %d", v, again)
		}
		if v != known {
			return
		}
		all = bytes.TrimPrefix(all, []byte(emptyLine))
		in := bufio.NewReader(bytes.NewReader(all))
		want, err := http.ReadRequest(in)
		c := &conn{Conn: Conn{Conn: nowhere{}}, server: server, ctx: t.Context()}
		if err != nil { // it may not like the target; then it gets the connection
			if _, r := c.request(&h, v); r != nil {
				t.Fatalf("taken, but net/http: %v", err)
			}
			return
		}
		if want.Method != h.method || want.RequestURI != h.target || want.Host != h.host || want.ContentLength != h.length || want.Close != h.close || want.TransferEncoding != nil {
			t.Fatalf("%+v, want %+v", h, want)
		}
		if rest, _ := io.ReadAll(in); !bytes.Equal(rest, all[len(h.text):]) {
			t.Fatalf("then %q, want %q", all[len(h.text):], rest)
		}
		if ordinary(&h) == nil {
			t.Fatal("net/http reads the head otherwise when it has nothing else")
		}
		if _, r := c.poll(&h); r != nil {
			samePoll(t, r, want)
			c.hot.forget()
			if !reflect.DeepEqual(c.hot.request, c.newHot().request) {
				t.Fatalf("something of the poll is left: %+v", c.hot.request)
			}
		}
	})
}

// samePoll compares what handlers see of two polls.
func samePoll(t *testing.T, got, want *http.Request) {
	t.Helper()
	if got.Method != want.Method || *got.URL != *want.URL || got.RequestURI != want.RequestURI || got.Host != want.Host || got.Close != want.Close ||
		got.Proto != want.Proto || got.ContentLength != want.ContentLength {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for _, name := range hotNames {
		if !reflect.DeepEqual(got.Header[name], want.Header[name]) && len(want.Header.Get(name)) > 0 {
			t.Fatalf("%s: %q, want %q", name, got.Header[name], want.Header[name])
		}
	}
	for name := range got.Header {
		if want.Header[name] == nil {
			t.Fatalf("%s: %q, want none", name, got.Header[name])
		}
	}
	for _, name := range []string{"Prefer", "Last-Event-Id", "Origin", "Expect", "Upgrade"} {
		if want.Header[name] != nil {
			t.Fatalf("hot with %s", name)
		}
	}
}
