package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

func TestRequestNumbers(t *testing.T) {
	t.Parallel()
	q := numbered("/v1/status/x-", "?y", 100, "Authorization: Bearer z")
	text := []byte(q.text)
	for i, want := range map[int]string{0: "0000000", 42: "0000042", 9_999_999: "9999999"} {
		q.write(text, i)
		if got, want := string(text), "GET /v1/status/x-"+want+"?y HTTP/1.1\r\n"; !strings.HasPrefix(got, want) {
			t.Errorf("%d: got %q, want %q at its head", i, got, want)
		}
	}
	if !strings.HasSuffix(q.text, "\r\nAuthorization: Bearer z\r\n\r\n") {
		t.Errorf("the headers do not end as they must: %q", q.text)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	paths, clients := map[string]bool{}, map[string]bool{}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		paths[r.URL.Path], clients[r.RemoteAddr] = true, true
		_, _ = w.Write([]byte("x"))
	}))
	defer server.Close()
	l := load{addr: server.Listener.Addr().String(), connections: 3, request: numbered("/", "", 2)}
	cachetest.Eventually(t, "there is time for a request of each connection", func() bool {
		mu.Lock()
		asked = 0
		clear(clients)
		mu.Unlock()
		n, err := l.run(t.Context(), 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if n != asked || len(clients) > 3 {
			t.Fatalf("counted %d of %d requests over %d connections, want all over 3", n, asked, len(clients))
		}
		return len(clients) == 3
	})
	mu.Lock()
	defer mu.Unlock()
	for path := range paths {
		if path != "/0000000" && path != "/0000001" {
			t.Errorf("requested %q", path)
		}
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"no body":  func(http.ResponseWriter, *http.Request) {},
		"a cut":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.Close()
			l := load{addr: server.Listener.Addr().String(), connections: 1, request: numbered("/", "", 0)}
			if n, err := l.run(t.Context(), time.Minute); err == nil {
				t.Errorf("%d requests and no error", n)
			}
		})
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := load{addr: server.Listener.Addr().String(), connections: 1, request: numbered("/", "", 0)}
	if _, err := l.run(ctx, time.Minute); err == nil {
		t.Error("it continued after its context had ended")
	}
}
