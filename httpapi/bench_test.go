package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// sink is a response writer that costs next to nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

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
