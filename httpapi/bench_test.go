package httpapi

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/cachetest"
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
	number  []byte // a part of it that is another random number each time; nil: none
	left    int    // requests
	sent    int    // bytes of one
}

func (c *endless) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.request[c.sent:])
	if c.sent += n; c.sent == len(c.request) {
		c.sent, c.left = 0, c.left-1
		for i := range c.number {
			c.number[i] = '0' + byte(rand.N(10))
		}
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
			begun := processorTime(b)
			server.Serve(b.Context(), wire.Conn{Conn: &endless{request: []byte(request), left: b.N}})
			b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkMiss shows what a poll costs that must read Redis, while 64 run at once. It counts
// the CPU time of this process, without the work of the kernel for HTTP.
func BenchmarkMiss(b *testing.B) {
	s := newServiceWith(b, cache.Options{URL: cachetest.Redis(b).URL(), NearBytes: 1, ReadLimit: redisLimit}, func(o *Options) { o.AccessLog = io.Discard; o.RateLimit = 0 })
	const connections, digits, count = 64, 3, 1000
	batch := make([]cache.Execution, count)
	for i := range batch {
		batch[i] = succeeded(b, fmt.Sprintf("miss-%0*d", digits, i), "ada", `"`+strings.Repeat("0123456789abcdef", 48)+`"`)
	}
	s.apply(batch...)
	before := "GET " + statusPath + string(arn(b, "miss-"))
	request := before + strings.Repeat("0", digits) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nAuthorization: Bearer " + s.key("ada") + "\r\n\r\n"
	server := wire.New(wire.Options{Handler: s.Handler(), Hot: statusPath, Context: s.withAddress, Draining: &s.draining, Log: s.options.Log})
	b.ReportAllocs()
	b.ResetTimer()
	begun := processorTime(b)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			text := []byte(request)
			server.Serve(b.Context(), wire.Conn{Conn: &endless{request: text, number: text[len(before):][:digits], left: b.N/connections + 1}})
		})
	}
	all.Wait()
	b.ReportMetric(float64(processorTime(b)-begun)/float64(b.N), "cpu-ns/op")
}

// processorTime returns what this process has used.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkHotRead shows what a read from the near cache costs without net/http. The comparison
// is a handler that only writes the same answer. make bench measures everything together.
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
