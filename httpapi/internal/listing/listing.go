// Package listing reads the parameters of a request for a list of executions: its filter and
// its cursor.
package listing

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"statuscache/cache"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/envelope"
)

const (
	maxListed     = 100
	defaultListed = 50
	maxText       = 2048 // bytes of q: the URL of a page of the AWS console is long
	maxName       = 320  // bytes: 80 characters
	maxErrorName  = 1024 // bytes
)

// reader reads one parameter into a query. The text is not empty.
type reader func(text string, q *lists.Query, now time.Time) error

// parameters are the parameters of a list, except owner and cursor. Polyfills of
// EventSource send lastEventId, which is ignored because a feed has no ids.
var parameters = map[string]reader{
	"limit": readLimit, "status": readStatus, "stateMachineArn": readStateMachine, "name": readName, "error": readErrorName,
	"label": readLabel, "startedAfter": readStartedAfter, "startedBefore": readStartedBefore, "q": readText, "overdue": readOverdue,
	"owner": nil, "cursor": nil, "lastEventId": nil,
}

// Read returns the query for the parameters of a request, without owner and position. overdue
// is the filter of a request for overdue executions. The error names the parameter.
func Read(values url.Values, now time.Time, overdue func(cache.ARN, time.Time) bool) (lists.Query, error) {
	q := lists.Query{Limit: defaultListed}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // the same error each time
	for _, name := range names {
		read, known := parameters[name]
		switch {
		case !known:
			return q, envelope.Unknown(name, slices.DeleteFunc(slices.Collect(maps.Keys(parameters)), isOfStreams)...)
		case len(values[name]) > 1:
			return q, envelope.Invalid("%s: given more than once", name)
		case read == nil || values[name][0] == "":
			continue
		}
		if err := read(values[name][0], &q, now); err != nil {
			return q, err
		}
	}
	if q.Overdue != nil {
		q.Overdue = overdue
	}
	if !q.StartedAfter.IsZero() && !q.StartedBefore.IsZero() && !q.StartedAfter.Before(q.StartedBefore) {
		return q, envelope.Invalid("startedAfter: must be before startedBefore")
	}
	return q, nil
}

// isOfStreams reports whether a parameter is accepted but not suggested: libraries add it by
// themselves.
func isOfStreams(name string) bool { return name == "lastEventId" }

func readLimit(text string, q *lists.Query, _ time.Time) (err error) {
	if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxListed {
		return envelope.Invalid("limit: must be 1 to %d", maxListed)
	}
	return nil
}

func readStatus(text string, q *lists.Query, _ time.Time) error {
	switch q.Status = cache.Status(text); q.Status {
	case cache.Running, cache.Succeeded, cache.Failed:
		return nil
	}
	return envelope.Invalid("status: must be RUNNING, SUCCEEDED or FAILED")
}

func readStateMachine(text string, q *lists.Query, _ time.Time) error {
	if _, err := cache.ParseMachineARN(text); err != nil {
		return envelope.Invalid("stateMachineArn: not the ARN of a state machine")
	}
	if q.StateMachine != "" && q.StateMachine != text {
		return envelope.Invalid("stateMachineArn: q names another state machine")
	}
	q.StateMachine = text
	return nil
}

func readName(text string, q *lists.Query, _ time.Time) error {
	if !isText(text, maxName) {
		return envelope.Invalid("name: must be the beginning of the name of an execution")
	}
	q.Name = text
	return nil
}

func readErrorName(text string, q *lists.Query, _ time.Time) error {
	if !isText(text, maxErrorName) {
		return envelope.Invalid("error: must be the name of an error, such as States.Timeout")
	}
	q.Error = text
	return nil
}

func readLabel(text string, q *lists.Query, _ time.Time) error {
	name, value, found := strings.Cut(text, ":")
	if !found || !cache.ValidLabelName(name) || !cache.ValidLabelValue(value) {
		return envelope.Invalid("label: must be name:value, with at most %d and %d bytes", cache.MaxLabelName, cache.MaxLabelValue)
	}
	q.Label = lists.Label{Name: name, Value: value}
	return nil
}

func readStartedAfter(text string, q *lists.Query, now time.Time) (err error) {
	q.StartedAfter, err = readTime("startedAfter", text, now)
	return err
}

func readStartedBefore(text string, q *lists.Query, now time.Time) (err error) {
	q.StartedBefore, err = readTime("startedBefore", text, now)
	return err
}

// readTime reads a date, or how long ago it was.
func readTime(name, text string, now time.Time) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		var ago time.Duration
		if ago, err = time.ParseDuration(text); err == nil && ago >= 0 {
			t = now.Add(-ago)
		}
	}
	if ms := t.UnixMilli(); err != nil || t.IsZero() || ms < 1 || ms > cache.MaxTime {
		return t, envelope.Invalid("%s: must be a date and time in RFC 3339, such as 2026-02-10T12:00:00Z, or a duration before now, such as 1h", name)
	}
	return t, nil
}

func readOverdue(text string, q *lists.Query, _ time.Time) error {
	if text != "true" {
		return envelope.Invalid("overdue: must be true")
	}
	q.Overdue = none
	return nil
}

func none(cache.ARN, time.Time) bool { return false }

// isText reports whether s is one line of text, of at most most bytes.
func isText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
