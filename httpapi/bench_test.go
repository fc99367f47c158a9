package httpapi

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"statuscache/httpapi/wire"
)

// sink is a response writer that costs next to nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// endless is a connection whose client sends the same request again and again.
type endless struct {
	net.Conn
	request []byte
	left    int // requests
	sent    int // bytes of one
}

func (c *endless) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.request[c.sent:])
	if c.sent += n; c.sent == len(c.request) {
		c.sent, c.left = 0, c.left-1
	}
	return n, nil
}
func (c *endless) Write(b []byte) (int, error)     { return len(b), nil }
func (c *endless) Close() error                    { return nil }
func (c *endless) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *endless) SetReadDeadline(time.Time) error { return nil }

// BenchmarkPoll shows what a poll costs with everything but the kernel.
func BenchmarkPoll(b *testing.B) {
	s := newService(b, func(o *Options) { o.AccessLog = io.Discard; o.RateLimit = 1_000_000 })
	s.apply(succeeded(b, "hot", "ada", `{"rules":[],"metadata":{"inputType":"url","rulesGenerated":5}}`))
	key := s.key("ada")
	for s.ask("GET", statusPath+string(arn(b, "hot")), key).status != http.StatusOK {
	}
	request := "GET " + statusPath + string(arn(b, "hot")) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer " + key + "\r\n\r\n"
	for name, hot := range map[string]string{"hot": statusPath, "ordinary": ""} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			server := wire.New(wire.Options{Handler: s.Handler(), Hot: hot, Context: s.withAddress, Draining: &s.draining, Log: s.options.Log})
			server.Serve(b.Context(), wire.Conn{Conn: &endless{request: []byte(request), left: b.N}})
		})
	}
}

// BenchmarkHotRead shows what a read from the near cache costs beside net/http,
// against a handler that does nothing but write the same. make bench measures
// the whole.
func BenchmarkHotRead(b *testing.B) {
	s := newService(b, func(o *Options) { o.AccessLog = io.Discard; o.RateLimit = 1_000_000 })
	s.apply(succeeded(b, "hot", "ada", `{"rules":[],"metadata":{"inputType":"url","rulesGenerated":5}}`))
	r := httptest.NewRequest(http.MethodGet, statusPath+string(arn(b, "hot")), nil)
	r.Header.Set("Authorization", "Bearer "+s.key("ada"))
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "bench")
	recorder := httptest.NewRecorder()
	s.Handler().ServeHTTP(recorder, r)
	want := recorder.Result().Header
	body := recorder.Body.Bytes()

	for name, handler := range map[string]http.Handler{
		"status": s.Handler(),
		"bare": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range want {
				if name != "Content-Length" {
					w.Header().Set(name, values[0])
				}
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(&sink{http.Header{}}, r)
			}
		})
	}
}
