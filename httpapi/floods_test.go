package httpapi

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestAFloodOfFramesIsCut: frames of any kind without a request end their connection. Other
// clients are not affected.
func TestAFloodOfFramesIsCut(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	addr := strings.TrimPrefix(s.url, "http://")
	s.url = "https://" + addr
	ping := make([]byte, 8)
	for name, flood := range map[string]struct{ first, frame []byte }{
		"CONTINUATION":      {frame(headersFrame, endStream, 1, nil), frame(continuationFrame, 0, 1, nil)},
		"SETTINGS":          {nil, frame(settings, 0, 0, nil)},
		"SETTINGS acks":     {nil, frame(settings, settingsAck, 0, nil)}, // none is awaited
		"PING":              {nil, frame(pingFrame, 0, 0, ping)},
		"PING acks":         {nil, frame(pingFrame, settingsAck, 0, ping)},
		"RST_STREAM":        {(&rawHTTP2{stream: 1}).get("/v1/health"), frame(resetFrame, 0, 1, make([]byte, 4))},
		"PRIORITY":          {nil, frame(priorityFrame, 0, 3, make([]byte, 5))},
		"WINDOW_UPDATE":     {(&rawHTTP2{stream: 1}).get("/v1/health"), frame(windowUpdateFrame, 0, 1, []byte{0, 0, 0, 1})},
		"an unknown kind":   {nil, frame(unknownFrame, 0, 0, nil)},
		"empty DATA":        {frame(headersFrame, endHeaders, 1, post("/v1/status")), frame(dataFrame, 0, 1, nil)},
		"malformed HEADERS": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialHTTP2(t, addr, 1<<20)
			_, err := c.Write(flood.first)
			const most, atOnce = 2_000_000, 100
			sent := 0
			for ; err == nil && sent < most; sent += atOnce {
				batch := bytes.Repeat(flood.frame, atOnce)
				for n := sent; flood.frame == nil && n < sent+atOnce; n++ {
					batch = append(batch, frame(headersFrame, endStream|endHeaders, uint32(2*n+1), []byte{0, 1, 'A', 0})...)
				}
				_, err = c.Write(batch)
			}
			if err == nil {
				t.Fatalf("%d frames were accepted", sent)
			}
			cachetest.Eventually(t, "the connection is closed", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.closed
			})
			if got := s.askTLS("/v1/health", ""); got != http.StatusOK {
				t.Errorf("another client: %d", got)
			}
		})
	}
}

// TestHeadersThatAreTooLargeGetOurErrorOverHTTP2, whatever their size: up to a
// limit the answer is an ordinary one, above it the last one of the connection.
func TestHeadersThatAreTooLargeGetOurErrorOverHTTP2(t *testing.T) {
	cachetest.SkipShort(t, "curl and Node")
	t.Parallel()
	s := newService(t, withTLS(t))
	url := strings.Replace(s.url, "http:", "https:", 1) + "/v1/health"
	// It sends what Go's client and curl refuse to.
	const program = `const http2 = require("node:http2");
const [url, bytes] = process.argv.slice(1);
const client = http2.connect(url, { rejectUnauthorized: false, maxSendHeaderBlockLength: 1 << 23 });
client.on("error", () => {});
const headers = { ":path": "/v1/health" };
for (let left = bytes, n = 0; left > 0; left -= 30000) headers["x-" + n++] = "x".repeat(Math.min(left, 30000));
const request = client.request(headers);
request.setEncoding("utf8");
request.on("response", (h) => console.log(h[":status"], h["content-type"], h["x-request-id"] !== undefined));
request.on("data", (text) => console.log(text));
request.on("end", () => process.exit());
request.on("error", (err) => { console.log(err); process.exit(); });`
	for _, size := range []string{"40000", "130000", "140000", "200000", "250000", "300000", "500000", "1000000"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			out := runClient(t, nil, "node", "-e", program, url, size)
			if !strings.HasPrefix(out, "431 application/json true\n"+`{"success":false,"error":{"code":"HeadersTooLarge",`) {
				t.Errorf("%s", out)
			}
		})
	}
	out := runClient(t, nil, "curl", "--silent", "--insecure", "--http2", "--write-out", " %{http_version} %{http_code}", "--header", "X-A: "+strings.Repeat("x", 60_000), url)
	if !strings.HasPrefix(out, `{"success":false,"error":{"code":"HeadersTooLarge",`) || !strings.HasSuffix(out, " 2 431") {
		t.Errorf("curl: %s", out)
	}
}

// post is the header block of a POST whose body follows.
func post(path string) []byte {
	block := []byte{0x83, 0x87, 0x04, byte(len(path))} // :method POST, :scheme https, :path
	return append(append(block, path...), 0x01, 1, 'x')
}

// TestABusyClientIsNotCut sends far more frames than the budget can hold, and is answered in
// between.
func TestABusyClientIsNotCut(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	c := dialHTTP2(t, strings.TrimPrefix(s.url, "http://"), 1<<20)
	const requests, atOnce = 4000 / 5, 50 // with nine frames each
	more := frame(windowUpdateFrame, 0, 0, binary.BigEndian.AppendUint32(nil, 1000))
	for sent := 0; sent < requests; sent += atOnce {
		for range atOnce {
			c.send(t, c.get("/v1/health"), more, more, more, more, more, more, more, frame(pingFrame, 0, 0, make([]byte, 8)))
		}
		cachetest.Eventually(t, "the requests are answered", func() bool {
			_, complete, _ := c.count()
			return complete == sent+atOnce
		})
	}
	if n := s.counter("statuscache_http2_floods_total"); n != 0 {
		t.Errorf("%v connections were cut", n)
	}
}

// TestALargeAnswerOverHTTP2IsComplete for a client that updates its windows often.
func TestALargeAnswerOverHTTP2IsComplete(t *testing.T) {
	t.Parallel()
	s := newService(t, withTLS(t))
	e := succeeded(t, "large", "ada", `"`+strings.Repeat("x", 3_000_000)+`"`)
	s.apply(e)
	ada := s.key("ada")
	client := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	complete := func() bool { // the machine may be so busy that a piece of it takes too long
		r, err := http.NewRequest(http.MethodGet, strings.Replace(s.url, "http:", "https:", 1)+statusPath+string(e.ARN), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+ada)
		got, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, got.Body)
		_ = got.Body.Close()
		if got.ProtoMajor != 2 || got.StatusCode != 200 || err == nil && n < 3_000_000 {
			t.Fatalf("%s %d, %d bytes, %v", got.Proto, got.StatusCode, n, err)
		}
		return err == nil
	}
	for range 10 {
		cachetest.Eventually(t, "the answer is complete", complete)
	}
	if n := s.counter("statuscache_http2_floods_total"); n != 0 {
		t.Errorf("%v connections were cut", n)
	}
}
