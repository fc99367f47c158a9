// Command fasthttp is a server that hot reads are compared with: fasthttp, which answers
// everything with the same headers and body.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/valyala/fasthttp"
)

// answer is the fixed answer, as the bench writes it to the file that BENCH_ANSWER names.
type answer struct {
	Headers [][2]string
	Body    []byte
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	text, err := os.ReadFile(os.Getenv("BENCH_ANSWER"))
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(x *fasthttp.RequestCtx) {
		for _, each := range a.Headers {
			x.Response.Header.Set(each[0], each[1])
		}
		x.SetBody(a.Body)
	}}
	return server.Serve(l)
}
