package httpapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"time"
)

// Bounds of a request, in bytes. A browser sends the cookies of every program on
// the same host, and a load balancer that signs people in adds tokens of its own.
const (
	maxHeaderBytes = 32 << 10
	maxPathBytes   = 4 << 10
)

// route is one resource and how it is served.
type route struct {
	name    string // as metrics and the log call it
	methods []string
	open    bool // no token needed
	handle  func(*exchange) error
	places  *pool // for requests that are being answered
	metrics *routeMetrics
	waits   *routeMetrics // of requests that waited, which say nothing about how fast the service is
}

// exchange is one request and the answer to it.
type exchange struct {
	server *Server
	route  *route
	w      http.ResponseWriter
	r      *http.Request
	start  time.Time
	id     [1]string // of the request; an array, so that it is a header value as it stands
	caller Principal // the zero value until the token was checked
	holder *holder   // who takes room for it: its address, and from when its token was checked its caller
	inside bool      // it has a place of its route
	guest  *guest    // while it waits or after it did
	moved  bool      // it is answered by a copy of this, see linger
	status int       // of the answer; 0: none yet
	bytes  int       // of its body
	failed error
}

// Header values that never change.
var (
	jsonType     = []string{jsonMedia}
	streamType   = []string{eventStream + "; charset=utf-8"} // without it some clients read Latin-1
	noSniff      = []string{"nosniff"}
	noStore      = []string{"no-store, no-transform"}
	privateCache = []string{"private, no-cache, no-transform"}
	streamCache  = []string{"no-store, no-cache, no-transform"} // what compresses it would hold events back
	varyEncoding = []string{"Accept-Encoding"}
	gzipCoding   = []string{"gzip"}
	closing      = []string{"close"}
	hsts         = []string{"max-age=31536000"}
)

// serve answers one request: it is the one way in for every route.
func (s *Server) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	x := &exchange{server: s, route: rt, w: w, r: r, start: time.Now(), holder: s.addressOf(r.Context())}
	x.id[0] = requestID(r)
	h := w.Header()
	h["X-Request-Id"] = x.id[:]
	h["X-Content-Type-Options"] = noSniff
	if s.draining.Load() {
		h["Connection"] = closing // the next request goes to another process
	}
	if s.options.TLS != nil {
		h["Strict-Transport-Security"] = hsts
	}
	if r.ContentLength != 0 { // also -1, of unknown length
		x.boundBody()
	}
	defer x.end()
	if err := x.run(); err != nil {
		x.fail(err)
	}
}

// run takes the request through the checks in the order that doc.go gives.
func (x *exchange) run() error {
	if !x.allowed() {
		if x.r.Method == http.MethodOptions {
			return x.options()
		}
		return methodNotAllowed(x.route.methods)
	}
	if err := x.enter(); err != nil {
		return err
	}
	defer x.leave()
	if headerBytes(x.r.Header) > maxHeaderBytes {
		return headersTooLarge()
	}
	if !x.route.open {
		if err := x.admit(); err != nil {
			return err
		}
	}
	if len(x.r.URL.Path) > maxPathBytes || len(x.r.URL.RawPath) > 3*maxPathBytes || len(x.r.URL.RawQuery) > maxPathBytes {
		return invalid("the path or the query is longer than %d bytes", maxPathBytes)
	}
	return x.route.handle(x)
}

// enter takes a place of the route.
func (x *exchange) enter() error {
	if x.inside = x.route.places.take(x.holder, 1); !x.inside {
		return errCrowded
	}
	return nil
}

// leave gives the place to another request of the route.
func (x *exchange) leave() {
	if x.inside {
		x.inside = false
		x.route.places.give(x.holder, 1)
	}
}

var errCrowded = unavailable("too many requests at once", nil)

// boundBody gives the body a while to arrive, whether anybody reads it or not:
// net/http waits for the rest of it before it answers. A deadline of the server
// would end every long answer too.
func (x *exchange) boundBody() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(bodyLimit)) // only a test's writer has none
}

func (x *exchange) allowed() bool {
	// Without methods there is no such path, and the token is asked for first.
	return x.route.methods == nil || slices.Contains(x.route.methods, x.r.Method)
}

func (x *exchange) options() error {
	p := methodNotAllowed(x.route.methods)
	p.writeHeaders(x.w.Header())
	x.status = http.StatusNoContent
	x.w.WriteHeader(x.status)
	return nil
}

// admit finds out who is calling, and whether they may call again so soon.
func (x *exchange) admit() error {
	var err error
	if x.caller, err = x.server.auth.authenticate(x.r.Context(), x.r.Header["Authorization"]); err != nil {
		return err
	}
	caller := x.server.callers.of(x.caller.bucket())
	if !x.route.places.pass(x.holder, caller, 1) {
		return errCrowded
	}
	x.holder = caller
	if err := x.server.rates.take(x.w.Header(), caller.bucket, x.start); err != nil {
		return err
	}
	return x.server.auth.spend(x.r.Context(), &x.caller)
}

func (x *exchange) fail(err error) {
	if errors.Is(err, errGone) {
		x.status = statusGone // nobody reads an answer
		return
	}
	p := problemOf(err)
	if p.status >= http.StatusInternalServerError {
		x.failed = err
	}
	if p.refused != nil {
		x.tellRefusal(p.refused)
	}
	if x.status != 0 {
		return // too late to say anything else
	}
	p.writeHeaders(x.w.Header())
	if p.status == http.StatusRequestHeaderFieldsTooLarge && !x.shared() {
		// As net/http does with what is larger still. Over HTTP/2 it would end what others
		// ask for over the connection, and Java's client loses the answer itself.
		x.w.Header()["Connection"] = closing
	}
	x.refuse(p)
}

// refuse tells what is wrong. It needs no place of the route, so over HTTP/2, where
// a client can refuse to take a body, a bound of its own holds: beyond it there is
// only the head, which nobody can refuse.
func (x *exchange) refuse(p *problem) {
	body := p.body()
	if x.shared() {
		clear(x.r.Header) // they may be large, and the client slow
		if x.server.refusals.take(x.holder, 1) {
			defer x.server.refusals.give(x.holder, 1)
		} else {
			body = nil
		}
	}
	x.send(p.status, jsonType, body)
}

// statusGone is logged for a client that hung up before it was answered, as nginx
// does.
const statusGone = 499

// end accounts for the request, whatever became of it.
func (x *exchange) end() {
	if v := recover(); v != nil {
		x.panicked(v)
	}
	if x.moved {
		return
	}
	took := time.Since(x.start)
	if x.guest != nil {
		x.route.waits.observe(x.status, took)
	} else {
		x.route.metrics.observe(x.status, took)
	}
	x.server.log.write(x, took)
}

func (x *exchange) panicked(v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // it asks for the connection to be cut, quietly
	}
	x.server.options.Log.Error("panic", "request", x.id[0], "route", x.route.name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	x.server.metrics.panics.Inc()
	x.fail(internal(fmt.Errorf("panic: %v", v)))
}

// requestID returns the caller's id for the request, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header["X-Request-Id"]; len(id) == 1 && validRequestID(id[0]) {
		return id[0]
	}
	return newRequestID()
}

func newRequestID() string {
	const digits = "0123456789abcdef"
	var id [16]byte
	n := rand.Uint64() // to be told apart, not to be secret
	for i := range id {
		id[i] = digits[n>>(4*i)&15]
	}
	return string(id[:])
}

func validRequestID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func headerBytes(h http.Header) int {
	const separators = 4 // ": " and the line break
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + separators
		}
	}
	return n
}
