package httpapi

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"statuscache/httpapi/internal/conns"
)

const aRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// refusedByNetHTTP are requests that no handler sees, and the answers that they must get.
var refusedByNetHTTP = map[string]struct {
	sent, code string
	status     int
}{
	"headers above our limit":   {"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", "HeadersTooLarge", 431},
	"headers above net/http's":  {"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 16*conns.MaxHeaderBytes) + "\r\n\r\n", "HeadersTooLarge", 431},
	"a target above net/http's": {"GET /" + strings.Repeat("a", 16*conns.MaxHeaderBytes) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HeadersTooLarge", 431},
	"no HTTP":                   {"hello there, it is me\r\n\r\n", "ValidationError", 400},
	"no HTTP, and short":        {"hello\r\n\r\n", "ValidationError", 400},
	"half a preface of HTTP/2":  {"PRI * HTTP/2\r\n\r\n", "ValidationError", 400},
	"no host":                   {"GET /v1/health HTTP/1.1\r\n\r\n", "ValidationError", 400},
	"two hosts":                 {"GET /v1/health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "ValidationError", 400},
	"a malformed host":          {"GET /v1/health HTTP/1.1\r\nHost: a b\r\n\r\n", "ValidationError", 400},
	"a malformed header":        {"GET /v1/health HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", "ValidationError", 400},
	"two lengths":               {"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "ValidationError", 400},
	"NUL in the target":         {"GET /v1/status/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", "ValidationError", 400},
	"an unknown coding":         {"POST /v1/status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", "ValidationError", 501},
	"an unknown expectation":    {"GET /v1/health HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\n\r\n", "ValidationError", 417},
	"a future version":          {"GET /v1/health HTTP/3.0\r\nHost: x\r\n\r\n", "ValidationError", 505},
}

// TestRefusalsOfNetHTTPHaveTheFormOfOurErrors, so that a client needs only one way to read
// errors.
func TestRefusalsOfNetHTTPHaveTheFormOfOurErrors(t *testing.T) {
	t.Parallel()
	plain, secure := newService(t), newService(t, withTLS(t))
	http1 := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	for how, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", strings.TrimPrefix(plain.url, "http://")) },
		"TLS":   func() (net.Conn, error) { return tls.Dial("tcp", strings.TrimPrefix(secure.url, "http://"), http1) },
	} {
		for name, test := range refusedByNetHTTP {
			t.Run(how+", "+name, func(t *testing.T) {
				t.Parallel()
				c, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				go func() { _, _ = io.WriteString(c, test.sent) }() // the server may not read all of it
				got, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(got.Body)
				_ = got.Body.Close()
				if want := fmt.Sprintf(`{"success":false,"error":{"code":%q,`, test.code); got.StatusCode != test.status || err != nil ||
					got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Request-Id") == "" ||
					!strings.HasPrefix(string(body), want) || !got.Close {
					t.Errorf("%d %v %s %v", got.StatusCode, got.Header, body, err)
				}
			})
		}
	}
}

// TestARequestInPiecesIsTakenOverTLS: whatever its first bytes are, and however few
// come at a time.
func TestARequestInPiecesIsTakenOverTLS(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	for _, method := range []string{"GET", "POST", "PRI", "PRIX", "P"} {
		for _, piece := range []int{1, 7, 14, 15, 24} {
			c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(c)
			for range 2 { // the connection is kept
				request := method + " /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
				for part := range slices.Chunk([]byte(request), piece) {
					if _, err := c.Write(part); err != nil {
						t.Fatal(err)
					}
				}
				got, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("%s in pieces of %d: %v", method, piece, err)
				}
				_, _ = io.Copy(io.Discard, got.Body)
				_ = got.Body.Close()
				if want := map[bool]int{true: 200, false: 405}[method == "GET"]; got.StatusCode != want {
					t.Errorf("%s in pieces of %d: %d", method, piece, got.StatusCode)
				}
			}
			_ = c.Close()
		}
	}
}

// TestPlainHTTPToAPortWithTLSGetsAnError in the form of our errors.
func TestPlainHTTPToAPortWithTLSGetsAnError(t *testing.T) {
	t.Parallel()
	s, _ := overTLS(t, 1)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, aRequest); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	if got.StatusCode != 400 || err != nil || !strings.HasPrefix(string(body), `{"success":false,`) || !strings.Contains(string(body), "HTTPS") {
		t.Errorf("%d %s %v", got.StatusCode, body, err)
	}
}

// TestHeadersThatOthersAddAreTaken: the cookies of other programs on the same host, and the
// tokens of a load balancer that signs users in.
func TestHeadersThatOthersAddAreTaken(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.key("ada")
	s.apply(succeeded(t, "mine", "ada", "1"))
	cookie := func(name string, size int) string { return name + "=" + strings.Repeat("x", size) }
	for name, headers := range map[string]http.Header{
		"cookies": {"Cookie": {strings.Join([]string{cookie("a", 2200), cookie("b", 2200), cookie("c", 2200), cookie("d", 2200)}, "; ")}},
		"a load balancer with OIDC": {
			"Cookie":                  {cookie("AWSELBAuthSessionCookie-0", 3900) + "; " + cookie("AWSELBAuthSessionCookie-1", 3900)},
			"X-Amzn-Oidc-Accesstoken": {strings.Repeat("x", 2316)}, "X-Amzn-Oidc-Data": {strings.Repeat("x", 1800)},
			"X-Padding": {strings.Repeat("x", 2323)},
		},
		"31 KiB": {"Cookie": {cookie("a", 15<<10), cookie("b", 16<<10)}},
	} {
		for target, token := range map[string]string{"/docs": "", "/v1/health": "", statusPath + machine + "mine": ada} {
			got := s.ask("GET", target, token, func(r *http.Request) {
				maps.Copy(r.Header, headers)
			})
			if got.status != 200 {
				t.Errorf("%s, %s: %d %s", name, target, got.status, got.body)
			}
		}
	}
}
