package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"statuscache/cache"
	"statuscache/httpapi/auth"
	"statuscache/httpapi/internal/accesslog"
	"statuscache/httpapi/internal/conns"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/fairness"
	"statuscache/httpapi/internal/traces"
	"statuscache/httpapi/internal/waiting"
)

// maxPathBytes is the maximum length of the path of a request, and of its query, in bytes.
const maxPathBytes = 4 << 10

// route is one resource, and how it is served.
type route struct {
	name    string // its name in metrics and the log
	methods []string
	open    bool // no token needed
	links   bool // a link is enough
	handle  func(*exchange) error
	places  *fairness.Pool // for requests that are being answered
	metrics *routeMetrics
	waits   *routeMetrics // for requests that waited, because they do not show how fast the service is
}

// exchange is one request and the answer to it.
type exchange struct {
	server  *Server
	route   *route
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time
	id      [1]string        // of the request; an array, so that id[:] is a header value without an allocation
	caller  auth.Principal   // the zero value until the token was checked
	holder  *fairness.Holder // who takes places for it: its address, then its caller once the token is checked
	inside  bool             // it has a place of its route
	waiter  *waiting.Waiter  // while it waits or after it did
	cost    int64            // how many places of the waiters it takes
	signals waiting.Signals  // wake it where its goroutine waits
	step    step             // of a request that waits
	waits   bool             // it is to be continued by a step
	status  int              // of the answer; 0: none yet
	bytes   int              // of its body
	failed  error
	span    trace.Span // nil: it is not traced
}

// serve answers one request to any route.
func (s *Server) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	x := &exchange{server: s, route: rt, w: w, r: r, start: time.Now(), holder: s.addressOf(r.Context())}
	x.id[0] = requestID(r)
	if s.traces != nil {
		x.r, x.span = s.traces.Start(r, rt.name, x.id[0], rt.methods != nil, x.start)
	}
	h := w.Header()
	h["X-Request-Id"] = x.id[:]
	h["X-Content-Type-Options"] = envelope.NoSniff
	if s.draining.Load() || uncertain(r) {
		h["Connection"] = envelope.Closing // the next request must go to another process, or its beginning is uncertain
	}
	if s.options.TLS != nil {
		h["Strict-Transport-Security"] = envelope.HSTS
	}
	if r.ContentLength != 0 { // also -1, of unknown length
		x.boundBody()
	}
	defer x.end()
	if err := x.run(); err != nil {
		x.fail(err)
	}
}

// uncertain reports whether a proxy may see a different end of the request, so that the
// following bytes must not be read as the next request (RFC 9112, section 6.1). A chunked
// body may also have had a Content-Length, and an HTTP/1.0 request a Transfer-Encoding:
// net/http silently removes them.
func uncertain(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.TransferEncoding != nil || r.ProtoMinor == 0)
}

// run checks the request in the order that doc.go describes.
func (x *exchange) run() error {
	if !x.allowed() {
		if x.r.Method == http.MethodOptions {
			return x.options()
		}
		return envelope.MethodNotAllowed(x.route.methods)
	}
	if err := x.enter(); err != nil {
		return err
	}
	defer x.leave()
	if headerBytes(x.r.Header) > conns.MaxHeaderBytes {
		return envelope.HeadersTooLarge(conns.MaxHeaderBytes)
	}
	if !x.route.open {
		if err := x.admit(); err != nil {
			return err
		}
	}
	if len(x.r.URL.Path) > maxPathBytes || len(x.r.URL.RawPath) > 3*maxPathBytes || len(x.r.URL.RawQuery) > maxPathBytes {
		return envelope.Invalid("the path or the query is longer than %d bytes", maxPathBytes)
	}
	return x.route.handle(x)
}

// enter takes a place of the route.
func (x *exchange) enter() error {
	if x.inside = x.route.places.Take(x.holder, 1); !x.inside {
		return errCrowded
	}
	return nil
}

// leave gives the place to another request of the route.
func (x *exchange) leave() {
	if x.inside {
		x.inside = false
		x.route.places.Give(x.holder, 1)
	}
}

var errCrowded = envelope.Unavailable("too many requests at the same time", nil)

// boundBody limits the time in which the body must arrive, even if no handler reads it:
// net/http waits for the rest of the body before it answers. A read deadline of the
// server would also end every long answer.
func (x *exchange) boundBody() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.server.limits.Body)) // fails only for the writers of tests
}

func (x *exchange) allowed() bool {
	// A route without methods stands for unknown paths. They are refused after the token is checked.
	return x.route.methods == nil || slices.Contains(x.route.methods, x.r.Method)
}

func (x *exchange) options() error {
	p := envelope.MethodNotAllowed(x.route.methods)
	p.WriteHeaders(x.w.Header())
	x.sendHead(http.StatusNoContent)
	return nil
}

// admit checks the token and the limits of the caller.
func (x *exchange) admit() error {
	var err error
	if x.caller, err = x.authenticate(); err != nil {
		return err
	}
	caller := x.server.callers.Of(x.caller.Bucket())
	if !x.route.places.Pass(x.holder, caller, 1) {
		return errCrowded
	}
	x.holder = caller
	if err := x.server.rates.Take(x.w.Header(), caller.Bucket, x.start); err != nil {
		return err
	}
	if x.caller.Linked() && !x.route.links {
		return errLinked
	}
	return x.server.auth.Spend(x.r.Context(), &x.caller)
}

func (x *exchange) fail(err error) {
	if errors.Is(err, waiting.ErrClientGone) {
		x.status = statusGone // no client reads an answer
		return
	}
	if errors.Is(err, cache.ErrPanicked) {
		x.notePanic(err)
		err = envelope.Internal(err)
	}
	p := envelope.ErrorOf(err)
	if p.Status >= http.StatusInternalServerError {
		x.failed = err
	}
	if why, ok := errors.AsType[*auth.Refusal](p.Cause); ok {
		x.noteRefusal(why)
	}
	if x.status != 0 {
		return // too late for another answer
	}
	p.WriteHeaders(x.w.Header())
	if p.Status == http.StatusRequestHeaderFieldsTooLarge && !x.shared() {
		// net/http does the same with even larger headers. Over HTTP/2 this would end
		// other requests on the connection, and Java's client would lose the answer.
		x.w.Header()["Connection"] = envelope.Closing
	}
	x.refuse(p)
}

// refuse sends an error. It needs no place of the route. Over HTTP/2 a client can refuse
// to receive a body, so a separate bound applies: above it only the head is sent, which
// no client can refuse.
func (x *exchange) refuse(p *envelope.Error) {
	body := p.Body()
	if x.shared() {
		clear(x.r.Header) // they may be large, and the client slow
		if x.server.refusals.Take(x.holder, 1) {
			defer x.server.refusals.Give(x.holder, 1)
		} else {
			body = nil
		}
	}
	x.send(p.Status, envelope.JSONType, body)
}

// statusGone is logged for a client that hung up before it was answered, as nginx
// does.
const statusGone = 499

// end logs and counts the request, whatever its result.
func (x *exchange) end() {
	if v := recover(); v != nil {
		x.waits = false
		x.panicked(v)
	}
	if x.waits {
		return
	}
	took := time.Since(x.start)
	if x.waiter != nil {
		x.route.waits.observe(x.status, took)
	} else {
		x.route.metrics.observe(x.status, took)
	}
	line := &accesslog.Request{
		Start: x.start, Took: took, ID: x.id[0], Method: x.r.Method, Path: x.r.URL.Path,
		Status: x.status, Bytes: x.bytes, Caller: x.caller.Name(), Failed: x.failed,
	}
	if x.span != nil {
		c := x.span.SpanContext()
		line.TraceID, line.SpanID = c.TraceID().String(), c.SpanID().String()
		traces.End(x.span, x.status, x.failed)
	}
	x.server.log.Write(line)
}

// noteRefusal counts and logs why a request got 401. The level is debug, because anyone
// can cause many of these lines.
func (x *exchange) noteRefusal(why *auth.Refusal) {
	x.server.metrics.unauthorized.WithLabelValues(why.Reason).Inc()
	log := x.server.options.Log
	if !log.Enabled(x.r.Context(), slog.LevelDebug) {
		return
	}
	values := []any{"reason", why.Reason, "request", x.id[0]}
	if why.Key != "" {
		values = append(values, "key", why.Key)
	}
	if why.Detail != "" {
		values = append(values, "detail", why.Detail)
	}
	log.DebugContext(x.r.Context(), "token refused", values...)
}

func (x *exchange) panicked(v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // which means: close the connection without a log line
	}
	x.notePanic(fmt.Errorf("%v\n%s", v, debug.Stack()))
	x.fail(envelope.Internal(fmt.Errorf("panic: %v", v)))
}

// notePanic logs a panic with its stack, and counts it.
func (x *exchange) notePanic(err error) {
	x.server.options.Log.ErrorContext(x.r.Context(), "a request handler panicked; this is a bug in statusd", "request", x.id[0], "route", x.route.name, "panic", err)
	x.server.metrics.panics.Inc()
}

// requestID returns the caller's ID for the request, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header["X-Request-Id"]; len(id) == 1 && validRequestID(id[0]) {
		return id[0]
	}
	return envelope.NewRequestID()
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
