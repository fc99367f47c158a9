package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache/internal/shortname"
	"statuscache/cache/outage"
)

// Errors that callers check for.
var (
	// ErrUnfit means that a Redis cannot be used: it would lose records, or lacks a needed feature.
	ErrUnfit = errors.New("this Redis cannot be used")
	// ErrReplicas means that a write was stored but not confirmed by its replicas.
	ErrReplicas = errors.New("too few replicas confirmed the write")
	// ErrAnswer means that a script returned a malformed answer.
	ErrAnswer = errors.New("the script's answer is damaged")
)

// Options configure where Redis is and how to connect to it.
type Options struct {
	URL         string // REDIS_URL in one of its forms, see url.go
	Prefix      string // of every Redis key
	ReplicaAcks int    // replicas that must confirm a write; AutoAcks: 1 where there is or was one
	Log         *slog.Logger

	TLS       TLS       // beyond what rediss in the URL says
	Passwords Passwords // nil: the password is in the URL and never changes

	ReadLimit  time.Duration // of one read; 0: 300 ms
	WriteLimit time.Duration // of one answer to a write; 0: 500 ms

	Dial   Dialer        // nil: net.Dialer; tests put faults into it
	Reload time.Duration // how often the primaries of a cluster are read again; 0: 1 s
}

// AutoAcks requires the confirmation of one replica of each primary that has one, or
// has had one within the hour.
const AutoAcks = -1

// Limits are how long Redis may take.
type Limits struct {
	Read  time.Duration // one read
	Write time.Duration // one answer to a write
	Batch time.Duration // many commands in a few pipelines, and a script that must be loaded
}

// batchLimit is the minimum of Limits.Batch, which is never less than Limits.Write.
const batchLimit = 2 * time.Second

// DB is a Redis in any of its forms. Its methods can be called concurrently.
type DB struct {
	Names *Names
	Feed  *Feed

	// One client for each purpose, so that a burst of one does not make the others wait.
	Readers Client
	Writers Client // repeats nothing by itself
	feeders Client

	Publish     string // the command that announces a change
	ReplicaAcks int    // replicas that must confirm a write, or AutoAcks
	Limits      Limits

	options    Options
	address    *address
	primaries  *primaries          // of Writers
	Machines   shortname.Directory // state machines, by their identifiers in the indexes
	unwritable atomic.Pointer[error]
	writing    outage.Part
}

// Open returns a DB. It does not connect: Check does. Its error says what is wrong
// with the options.
func Open(o Options) (*DB, error) {
	a, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	o.ReadLimit, o.WriteLimit = cmp.Or(o.ReadLimit, DefaultReadLimit), cmp.Or(o.WriteLimit, DefaultWriteLimit)
	a.files, a.credentials = o.TLS, newCredentials(a.username, o)
	a.readLimit, a.writeLimit, a.reload = o.ReadLimit, o.WriteLimit, o.Reload
	redis.SetLogger(silence{}) // everything that it would print is also returned as an error
	db := &DB{
		Names:   newNames(o.Prefix, a.mode),
		Readers: a.connect(reads, o.Dial),
		Writers: a.connect(writes, o.Dial),
		feeders: a.connect(notifications, o.Dial),
		Publish: "PUBLISH", ReplicaAcks: o.ReplicaAcks,
		Limits:  Limits{Read: o.ReadLimit, Write: o.WriteLimit, Batch: max(batchLimit, o.WriteLimit)},
		options: o,
		address: a,
	}
	if db.Cluster() {
		db.Publish = "SPUBLISH" // it is not sent to every node, as PUBLISH is
	}
	db.primaries = newPrimaries(db.Writers, a, db.Names, o)
	db.writing = outage.Part{Log: o.Log, Lost: "Redis does not accept writes; no event is applied until it does", Back: "Redis accepts writes again"}
	db.Machines.Load = db.machineNames
	db.Feed = newFeed(db)
	return db, nil
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Cluster reports whether Redis is a cluster, so that one call must stay within a slot.
func (db *DB) Cluster() bool { return db.address.mode == cluster }

// Run receives changes, watches the primaries and keeps the password current until ctx ends.
func (db *DB) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return db.Feed.run(ctx) })
	g.Go(func() error { return db.watchPrimaries(ctx) })
	g.Go(func() error { return db.address.credentials.run(ctx) })
	return g.Wait()
}

// Close ends every connection. Run must have ended.
func (db *DB) Close() error {
	return errors.Join(db.Readers.Close(), db.Writers.Close(), db.feeders.Close(), db.primaries.close())
}

// Ready returns nil if Redis answers and the change feed works, otherwise the reason, for
// operators.
func (db *DB) Ready() error { return db.Explain(db.Feed.ready()) }

// Confirm sends commands to the primaries of their keys, the commands for one primary in
// one pipeline and in order. It returns when each command is confirmed (run by the
// primary, and received by as many replicas as required) or has an error.
func (db *DB) Confirm(ctx context.Context, commands ...*Command) {
	db.primaries.confirm(ctx, commands...)
}

// PrimaryOf returns a client of the primary that has a key, with the limits of writes.
func (db *DB) PrimaryOf(ctx context.Context, key string) (Client, error) {
	return primaryOf(ctx, db.Writers, key)
}

// ReaderOf is PrimaryOf with the limits of reads.
func (db *DB) ReaderOf(ctx context.Context, key string) (Client, error) {
	return primaryOf(ctx, db.Readers, key)
}

// EachPrimary calls f with a client of every primary, concurrently if there are several,
// and joins the errors.
func (db *DB) EachPrimary(ctx context.Context, f func(context.Context, Client) error) error {
	return eachPrimary(ctx, db.Writers, f)
}

// Now returns the time by the clock of Redis, in whole ms.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	now, err := db.Writers.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the time: %w", err)
	}
	return now.Truncate(time.Millisecond), nil
}

// Time returns the time of a text with milliseconds since 1970, the zero time for other
// texts.
func Time(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Millis returns t in ms since 1970, 0 for the zero time. Time reads it.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
