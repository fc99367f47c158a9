package httpapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"statuscache/cache"
	"statuscache/cache/lists"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
	"statuscache/httpapi/internal/listing"
)

// relistEvery is how often a live feed reads the list again, for changes that were not reported.
const relistEvery = 5 * time.Second

// getExecutions is GET /v1/executions: the caller's executions as a list, or as a
// live feed.
func (s *Server) getExecutions(x *exchange) error {
	if !x.caller.Read && !x.caller.ReadAll {
		return errNoRead
	}
	q, err := x.listQuery()
	if err != nil {
		return err
	}
	if headers.WantsStream(x.r) {
		return x.detach(1, streamEnd(), func(x *exchange) error { return x.feed(q.Query) })
	}
	counted := s.options.Lists.BeginCounts(x.r.Context(), q.Owner, q.All) // while the page is read
	page, err := s.options.Lists.List(x.r.Context(), q.Query)
	if err != nil {
		return err
	}
	counts, err := counted(x.r.Context())
	if err != nil {
		return err
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, x.listBody(q, page, counts))
	return nil
}

var errNoRead = envelope.Forbidden("this token may not read executions")

// list is a request for a list.
type list struct {
	lists.Query
	binding listing.Binding
}

// listQuery reads the query of a request for a list.
func (x *exchange) listQuery() (list, error) {
	values, err := x.query()
	if err != nil {
		return list{}, err
	}
	q, err := listing.Read(values, x.start, x.server.overdue)
	if err != nil {
		return list{}, err
	}
	q.Owner, q.All = x.caller.Owner, x.caller.ReadAll
	if owner := values.Get("owner"); owner != "" {
		if !x.caller.ReadAll && owner != x.caller.Owner {
			return list{}, envelope.Forbidden("you may not read the executions of this owner")
		}
		q.Owner, q.All = owner, false
	}
	l := list{q, listing.Bind(x.caller.Bucket(), &q, values)}
	if cursor := values.Get("cursor"); cursor != "" {
		l.After, err = l.binding.Position(cursor)
	}
	return l, err
}

// overdue reports from memory whether a running execution takes longer than usual.
func (s *Server) overdue(arn cache.ARN, start time.Time) bool {
	if s.options.Typical == nil {
		return false
	}
	typical, known := s.options.Typical.Typical(arn.StateMachine())
	if !known {
		return false
	}
	limit, known := typical.Deadline()
	return known && time.Since(start) > limit
}

func (x *exchange) listBody(l list, page lists.Page, counts lists.Counts) []byte {
	b := append(make([]byte, 0, 512*(len(page.Executions)+1)), envelope.SuccessBegin+`{"executions":[`...)
	for i, r := range page.Executions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, x.summary(r)...)
	}
	b = append(b, `],"nextCursor":`...)
	if page.Next == (lists.Position{}) {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), l.binding.Cursor(page.Next)...), '"')
	}
	if page.Partial {
		b = append(b, `,"partial":true`...)
	}
	b = append(b, `,"counts":{"RUNNING":`...)
	b = strconv.AppendInt(b, int64(counts.Running), 10)
	b = append(b, `,"SUCCEEDED":`...)
	b = strconv.AppendInt(b, int64(counts.Succeeded), 10)
	b = append(b, `,"FAILED":`...)
	b = strconv.AppendInt(b, int64(counts.Failed), 10)
	return append(b, `}}`+envelope.SuccessEnd...)
}

// summary returns the row of an execution.
func (x *exchange) summary(r *cache.Record) []byte {
	row := r.Summary()
	if r.Terminal || !x.server.overdue(r.ARN, r.StartDate) {
		return row
	}
	return append(bytes.TrimSuffix(bytes.Clone(row), []byte("}")), `,"overdue":true}`...)
}

// feed is the live form of a list: its current executions, and then each change.
type feed struct {
	*events
	query lists.Query
	list  func(context.Context, lists.Query) (lists.Page, error)
	next  func(ctx context.Context, early <-chan time.Time) (changed []*cache.Record, lost bool, err error)
	// shown has the version of each execution that the client has received.
	shown  map[cache.ARN]cache.Version
	listed time.Time // when the list was last read
}

// maxShown is the number of executions for which a feed remembers what it has sent. After
// more, the client must begin a new feed.
const maxShown = 10_000

// feed sends the newest executions of the caller and then each change. It ends when the
// client is too slow; the client then connects again and gets a new feed.
func (x *exchange) feed(q lists.Query) error {
	lists := x.server.options.Lists
	follow := x.server.options.Changes.Follow(q.Owner, q.All)
	defer follow.Close()
	page, err := lists.List(x.r.Context(), q)
	if err != nil {
		return err
	}
	e, err := x.openStream()
	defer e.close()
	f := &feed{events: e, query: q, list: lists.List, next: follow.Next, shown: map[cache.ARN]cache.Version{}}
	if err == nil {
		_ = f.run(page) // however it ends, the client connects again
	}
	return nil
}

var errTooManyShown = errors.New("the feed has sent more executions than it can remember")

func (f *feed) run(page lists.Page) error {
	f.listed = time.Now()
	f.show(page.Executions)
	f.event("live", "", []byte("{}"))
	if err := f.flush(); err != nil {
		return err
	}
	timer := time.NewTimer(f.untilDue())
	defer timer.Stop()
	for {
		changed, lost, err := f.next(f.ctx, timer.C)
		if err != nil {
			return err
		}
		f.show(changed)
		if lost || time.Since(f.listed) >= relistEvery {
			f.relist()
		}
		if len(f.shown) > maxShown {
			return errTooManyShown
		}
		if time.Since(f.sent) >= heartbeatEvery {
			f.buffer = envelope.AppendHeartbeat(f.buffer)
		}
		if err := f.flush(); err != nil {
			return err
		}
		timer.Reset(f.untilDue())
	}
}

// untilDue is the time until the next list or heartbeat is due.
func (f *feed) untilDue() time.Duration {
	return min(time.Until(f.listed.Add(relistEvery)), time.Until(f.sent.Add(heartbeatEvery)))
}

// relist adds changes that were not reported.
func (f *feed) relist() {
	f.listed = time.Now()
	if page, err := f.list(f.ctx, f.query); err == nil { // else the next time
		f.show(page.Executions)
	}
}

// show adds what the client does not have yet, oldest first.
func (f *feed) show(records []*cache.Record) {
	for _, r := range slices.Backward(records) {
		shown, known := f.shown[r.ARN]
		if known && r.Version <= shown || !f.concerns(r, known) {
			continue
		}
		f.shown[r.ARN] = r.Version
		f.event("status", "", f.x.summary(r))
	}
}

// concerns reports whether a record belongs in the feed. A record that no longer matches
// the filter is sent once more, so that the client can remove it from its list.
func (f *feed) concerns(r *cache.Record, known bool) bool {
	if !f.query.MatchesAlways(r) || !f.query.All && r.Owner != f.query.Owner || !f.x.caller.MayRead(r) {
		return false
	}
	return known || f.query.Matches(r)
}
