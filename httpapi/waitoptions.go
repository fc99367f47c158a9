package httpapi

import (
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

// waitOptions are the options of a read that may wait.
type waitOptions struct {
	wait time.Duration // how long to wait; 0: not at all
	// explicit reports whether the request has a wait option. Otherwise the wait is the
	// grace for unknown executions, which ends when the execution is known.
	explicit bool
	view     *view // of the answer
	stream   bool  // the answer is a stream
}

// waitOptions reads the query and the headers of a status request.
func (x *exchange) waitOptions() (waitOptions, error) {
	values, err := x.query()
	if err != nil {
		return waitOptions{}, err
	}
	w, err := x.parseWait(values["wait"])
	if err != nil {
		return w, err
	}
	if w.view, err = parseView(values["view"]); err != nil {
		return w, err
	}
	w.stream = headers.WantsStream(x.r)
	return w, nil
}

// query returns the parameters of the request.
func (x *exchange) query() (url.Values, error) {
	if x.r.URL.RawQuery == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, envelope.Invalid("query: malformed")
	}
	return values, nil
}

// parseWait reads the wait option of a request. For a wait in Prefer, the answer has a
// Preference-Applied header.
func (x *exchange) parseWait(values []string) (waitOptions, error) {
	limit := x.server.options.MaxWait
	switch {
	case len(values) == 0:
	case len(values) > 1:
		return waitOptions{}, envelope.Invalid("wait: given more than once")
	default:
		wait, ok := headers.Seconds(values[0])
		if !ok {
			return waitOptions{}, envelope.Invalid("wait: must be a whole number of seconds, 0 or more")
		}
		return waitOptions{wait: min(wait, limit), explicit: true}, nil
	}
	if wait, ok := headers.PreferredWait(x.r.Header["Prefer"]); ok {
		wait = min(wait, limit)
		x.w.Header()["Preference-Applied"] = []string{"wait=" + strconv.Itoa(int(wait/time.Second))}
		return waitOptions{wait: wait, explicit: true}, nil
	}
	return waitOptions{wait: x.server.options.Grace}, nil
}

// jitterAbove is the length from which a wait ends a little earlier, by a random time, so
// that clients that began at the same time do not come back at the same time.
const jitterAbove = 10 * time.Second

// until returns the end of a wait that began at start.
func (w waitOptions) until(start time.Time) time.Time {
	wait := w.wait
	if wait >= jitterAbove {
		wait -= rand.N(wait / 16)
	}
	return start.Add(wait)
}
