package httpapi

import (
	"strconv"
	"time"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// view is a form of the answer about one execution. A new one is a row of views, the
// rendering in cache/answer.go, and its schema in docs/openapi.yaml.
type view struct {
	name   string
	render func(*exchange, *cache.Record) *cache.Representation // not compressed
	result bool                                                 // it has output and errorMessage
}

// plainView is the view without the parameter: the documented keys.
var plainView = &view{result: true, render: func(_ *exchange, r *cache.Record) *cache.Representation { return r.Plain }}

// views are the values of the parameter view.
var views = map[string]*view{
	"full":   {name: "full", result: true, render: (*exchange).full},
	"status": {name: "status", render: func(_ *exchange, r *cache.Record) *cache.Representation { return r.StatusOnly() }},
}

// parseView returns the view that a request names.
func parseView(values []string) (*view, error) {
	if len(values) == 0 {
		return plainView, nil
	}
	if v, known := views[values[0]]; known && len(values) == 1 {
		return v, nil
	}
	return nil, envelope.Invalid("view: must be full or status, and given once")
}

// coded returns the compressed view if there is one and the client accepts it.
func (x *exchange) coded(v *view, r *cache.Record) *cache.Representation {
	if v == plainView && r.Gzip != nil && headers.AcceptsGzip(x.r.Header["Accept-Encoding"]) {
		return r.Gzip
	}
	return v.render(x, r)
}

// full is everything that is known about an execution and, while it runs, the usual
// duration of such executions. The entity tag does not cover the usual duration: it changes
// with time, and a client that waits for a change of the state would be woken by it.
func (x *exchange) full(r *cache.Record) *cache.Representation {
	complete := r.Full(x.server.confirmedUntil(r.ARN))
	typical := x.server.options.Typical
	if typical == nil || r.PublicStatus() != cache.Running {
		return complete
	}
	d, _ := typical.Typical(r.ARN.StateMachine())
	deadline, enough := d.Deadline()
	if !enough { // with few executions it would reveal the durations of other owners
		return complete
	}
	const decimals = 3
	b := strconv.AppendFloat([]byte(`,"typicalSeconds":`), d.Quantile(.5).Seconds(), 'f', decimals, 64)
	b = strconv.AppendBool(append(b, `,"overdue":`...), time.Since(r.StartDate) > deadline)
	return complete.With(b)
}
