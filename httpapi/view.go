package httpapi

import (
	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// view is a form of the answer about one execution. A new one is a row of views, the
// rendering in cache/answer.go, and its schema in docs/openapi.yaml.
type view func(*exchange, *cache.Record) *cache.Representation

// views are the values of the parameter view.
var views = map[string]view{"full": (*exchange).full}

// parseView returns the view that a request names.
func parseView(values []string) (view, error) {
	if len(values) == 0 {
		return (*exchange).plain, nil
	}
	if v, known := views[values[0]]; known && len(values) == 1 {
		return v, nil
	}
	return nil, envelope.Invalid("view: only full is known")
}

// plain is the view without a name: the documented keys, compressed where the client
// takes that.
func (x *exchange) plain(r *cache.Record) *cache.Representation {
	if r.Gzip != nil && headers.AcceptsGzip(x.r.Header["Accept-Encoding"]) {
		return r.Gzip
	}
	return r.Plain
}

// full is the view of everything that is known.
func (x *exchange) full(r *cache.Record) *cache.Representation {
	return r.Full(x.server.confirmedUntil(r.ARN))
}
