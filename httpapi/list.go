package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"statuscache/cache"
	"statuscache/httpapi/internal/envelope"
	"statuscache/httpapi/internal/headers"
)

const (
	maxListed     = 100
	defaultListed = 50
	relistEvery   = 5 * time.Second // of a live feed, for changes that were not reported
)

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
		return x.detach(1, streamEnd(), func(x *exchange) error { return x.feed(q) })
	}
	page, err := s.options.Lists.List(x.r.Context(), q)
	if err != nil {
		return err
	}
	counts, err := s.options.Lists.Counts(x.r.Context(), q.Owner, q.All)
	if err != nil {
		return err
	}
	x.w.Header()["Cache-Control"] = envelope.NoStore
	x.send(http.StatusOK, envelope.JSONType, x.listBody(q, page, counts))
	return nil
}

var errNoRead = envelope.Forbidden("this token may not read executions")

// listQuery reads the query of a request for a list.
func (x *exchange) listQuery() (cache.Query, error) {
	values, err := x.query()
	if err != nil {
		return cache.Query{}, err
	}
	for _, name := range []string{"limit", "status", "stateMachineArn", "cursor", "owner"} {
		if len(values[name]) > 1 {
			return cache.Query{}, envelope.Invalid("%s: given more than once", name)
		}
	}
	q := cache.Query{Owner: x.caller.Owner, All: x.caller.ReadAll, Limit: defaultListed}
	if owner := values.Get("owner"); owner != "" {
		if !x.caller.ReadAll && owner != x.caller.Owner {
			return q, envelope.Forbidden("these executions are not yours to read")
		}
		q.Owner, q.All = owner, false
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > maxListed {
			return q, envelope.Invalid("limit: must be 1 to %d", maxListed)
		}
	}
	switch q.Status = cache.Status(values.Get("status")); q.Status {
	case "", cache.Running, cache.Succeeded, cache.Failed:
	default:
		return q, envelope.Invalid("status: must be RUNNING, SUCCEEDED or FAILED")
	}
	if q.StateMachine = values.Get("stateMachineArn"); q.StateMachine != "" && !isStateMachine(q.StateMachine) {
		return q, envelope.Invalid("stateMachineArn: not the ARN of a state machine")
	}
	if cursor := values.Get("cursor"); cursor != "" {
		if q.After, err = x.readCursor(q, cursor); err != nil {
			return q, err
		}
	}
	return q, nil
}

// isStateMachine reports whether an execution could belong to it.
func isStateMachine(s string) bool {
	_, err := cache.ParseMachineARN(s)
	return err == nil
}

// cursorBinding is how much of a hash ties a cursor to its caller and filter, in
// bytes.
const cursorBinding = 8

// binding is the caller and the filter in a few bytes. It keeps a cursor from
// being used where it makes no sense. It guards nothing: a cursor only says where
// in the caller's own list to continue.
func (x *exchange) binding(q cache.Query) []byte {
	h := sha256.New()
	for _, text := range []string{x.caller.Bucket(), q.Owner, strconv.FormatBool(q.All), string(q.Status), q.StateMachine} {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(text)))) // a hash does not fail
		_, _ = h.Write([]byte(text))
	}
	return h.Sum(nil)[:cursorBinding]
}

func (x *exchange) cursor(q cache.Query, p cache.Position) string {
	b := x.binding(q)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Start))
	return base64.RawURLEncoding.EncodeToString(append(b, p.ARN...))
}

func (x *exchange) readCursor(q cache.Query, cursor string) (cache.Position, error) {
	const head = cursorBinding + 8
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) < head {
		return cache.Position{}, envelope.Invalid("cursor: malformed; begin again without one")
	}
	if string(b[:cursorBinding]) != string(x.binding(q)) {
		return cache.Position{}, envelope.Invalid("cursor: it belongs to another caller or another filter; begin again without one")
	}
	start := binary.BigEndian.Uint64(b[cursorBinding:head])
	arn, err := cache.ParseARN(string(b[head:]))
	if err != nil || start > cache.MaxTime {
		return cache.Position{}, envelope.Invalid("cursor: malformed; begin again without one")
	}
	return cache.Position{Start: int64(start), ARN: arn}, nil
}

func (x *exchange) listBody(q cache.Query, page cache.Page, counts cache.Counts) []byte {
	b := append(make([]byte, 0, 512*(len(page.Executions)+1)), envelope.SuccessBegin+`{"executions":[`...)
	for i, r := range page.Executions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.Summary()...)
	}
	b = append(b, `],"nextCursor":`...)
	if page.Next == (cache.Position{}) {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), x.cursor(q, page.Next)...), '"')
	}
	b = append(b, `,"counts":{"RUNNING":`...)
	b = strconv.AppendInt(b, int64(counts.Running), 10)
	b = append(b, `,"SUCCEEDED":`...)
	b = strconv.AppendInt(b, int64(counts.Succeeded), 10)
	b = append(b, `,"FAILED":`...)
	b = strconv.AppendInt(b, int64(counts.Failed), 10)
	return append(b, `}}`+envelope.SuccessEnd...)
}

// feed is the live form of a list: what it shows now, and then each change.
type feed struct {
	*events
	query cache.Query
	list  func(context.Context, cache.Query) (cache.Page, error)
	next  func(ctx context.Context, early <-chan time.Time) (changed []*cache.Record, lost bool, err error)
	// shown is what the client has of executions that a list would show.
	shown  map[cache.ARN]cache.Version
	listed time.Time // when the list was looked at last
}

// maxShown is for how many executions a feed remembers what it has sent. Beyond it the
// client begins a new feed.
const maxShown = 10_000

// feed sends the newest executions and then each change of the caller's. It ends
// when the client cannot keep up: it connects again and gets a new feed.
func (x *exchange) feed(q cache.Query) error {
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

var errTooManyShown = errors.New("the feed has sent too many executions to remember them")

func (f *feed) run(page cache.Page) error {
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

// untilDue is how long to wait for changes before a list or a heartbeat is due.
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
		f.event("status", "", r.Summary())
	}
}

// concerns reports whether a record belongs in the feed. One that no longer matches the
// filter does, once: the client has to remove it from its list.
func (f *feed) concerns(r *cache.Record, known bool) bool {
	if f.query.StateMachine != "" && !r.ARN.BelongsTo(f.query.StateMachine) {
		return false
	}
	if !f.query.All && r.Owner != f.query.Owner || !f.x.caller.MayRead(r) {
		return false
	}
	return known || f.query.Status == "" || r.PublicStatus() == f.query.Status
}
