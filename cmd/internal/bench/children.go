package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"statuscache/cmd/internal/app"
)

// The environment of those peers that are this program itself.
const (
	envNearBytes = "BENCH_NEAR_BYTES" // bound of the near cache of serve
	envNetHTTP   = "BENCH_NET_HTTP"   // serve leaves every connection to net/http; empty: none
	envAnswer    = "BENCH_ANSWER"     // file with the answer of floor
	envRedis     = "BENCH_REDIS"      // host:port
)

// children are the peers that are this program itself. Each listens on a free
// port of loopback, prints one line about it, and runs until it is killed.
var children = map[string]func(context.Context) error{
	"serve":  serveStatus,
	"floor":  serveFloor,
	"hmget":  serveHMGet,
	"ingest": runIngest,
	"set":    runSet,
	"hold":   hold,
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// serveStatus is statusd with the settings of its environment. Its log, which
// has a line for each request, goes to /dev/null.
func serveStatus(ctx context.Context) error {
	config, err := app.Load(pflag.NewFlagSet("", pflag.ContinueOnError), os.Getenv)
	if err != nil {
		return err
	}
	var nearBytes int64
	if text := os.Getenv(envNearBytes); text != "" {
		if nearBytes, err = strconv.ParseInt(text, 10, 64); err != nil {
			return err
		}
	}
	public, err := listen()
	if err != nil {
		return err
	}
	admin, err := listen()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Println(public.Addr(), admin.Addr())
	return app.Run(ctx, config, app.Program{
		Version: "bench", Log: null, Public: public, Admin: admin, NearBytes: nearBytes, NetHTTP: os.Getenv(envNetHTTP) != "",
	})
}

// fixedAnswer is what floor and fasthttp answer to everything.
type fixedAnswer struct {
	Headers [][2]string
	Body    []byte
}

// serveFloor is the least that a handler of net/http can do.
func serveFloor(context.Context) error {
	text, err := os.ReadFile(os.Getenv(envAnswer))
	if err != nil {
		return err
	}
	var answer fixedAnswer
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	return serveHandler(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for _, each := range answer.Headers {
			h.Set(each[0], each[1])
		}
		_, _ = w.Write(answer.Body)
	})
}

// serveHMGet is the least that a handler with a Redis can do.
func serveHMGet(context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(envRedis)})
	return serveHandler(func(w http.ResponseWriter, r *http.Request) {
		fields, err := client.HMGet(r.Context(), r.URL.Path[1:], "body", "etag").Result()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		body, ok1 := fields[0].(string)
		etag, ok2 := fields[1].(string)
		if !ok1 || !ok2 {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Etag", etag)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write([]byte(body))
	})
}

func serveHandler(h http.HandlerFunc) error {
	l, err := listen()
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: h}
	if cert := os.Getenv(envCert); cert != "" {
		return server.ServeTLS(l, cert, os.Getenv(envKey))
	}
	return server.Serve(l)
}
