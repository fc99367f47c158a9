package redisdb

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/monotonic"
)

// Ping writes to every primary, and waits for its replicas if that is required. While it
// fails, ingest stops receiving: a Redis that is full or has lost its replicas answers
// PING but would refuse every message. Its error says why it fails, and how to fix it.
func (db *DB) Ping(ctx context.Context) error {
	err := db.ping(ctx)
	if forbids(err) { // only a check of all rules finds the missing one
		if named := db.EachPrimary(ctx, db.CheckACL); errors.Is(named, ErrUnfit) {
			err = &explained{strings.TrimPrefix(OneLine(named), ErrUnfit.Error()+": "), err}
		}
	}
	return db.Explain(err)
}

// ping is Ping with the errors of Redis.
func (db *DB) ping(ctx context.Context) error { return errors.Join(db.pings(ctx)...) }

// pings is ping with an error for each primary.
func (db *DB) pings(ctx context.Context) (all []error) {
	ctx, cancel := context.WithTimeout(ctx, db.Limits.Batch)
	defer cancel()
	probes, err := db.primaries.probes(ctx)
	if err != nil {
		return []error{err}
	}
	db.primaries.confirm(ctx, probes...)
	for _, p := range probes {
		all = append(all, p.Err)
	}
	return all
}

const probeLife = time.Minute

// probeScript is the write of a probe. It is a script, because the store depends on
// scripts.
var probeScript = redis.NewScript(probeSource)

//go:embed probe.lua
var probeSource string

// probes returns a write to a partition of every primary.
func (p *primaries) probes(ctx context.Context) ([]*Command, error) {
	var all []*Command
	seen := map[Client]bool{}
	for i := range p.names.Partitions {
		key := p.names.Partitions[i].Probe
		node, err := primaryOf(ctx, p.client, key)
		if err != nil {
			return nil, err
		}
		if !seen[node] {
			seen[node] = true
			all = append(all, NewScript(probeScript, []string{key}, probeLife.Milliseconds()))
		}
	}
	return all, nil
}

// watchPrimaries keeps the demands of the primaries current, and checks whether they
// accept writes, until ctx ends.
func (db *DB) watchPrimaries(ctx context.Context) error {
	return monotonic.Every(ctx, watchEvery, func() {
		db.primaries.watch(ctx)
		if err := db.Ping(ctx); ctx.Err() == nil {
			db.writing.Is(err)
			err = plainly(err)
			db.unwritable.Store(&err)
		}
	})
}

// plainly returns an error for the public: without addresses.
func plainly(err error) error {
	_, plain := errors.AsType[*explained](err)
	if _, replicas := errors.AsType[*replicasError](err); err == nil || plain || replicas {
		return err
	}
	return &explained{"Redis does not answer in time; check that it runs and can be reached from here", err}
}

// Writable returns nil if every primary of Redis accepted a write at the last check, and
// as many replicas confirmed it as required. Otherwise the error says why not, and how to
// fix it. It needs Run, and is at most a few seconds old.
func (db *DB) Writable() error {
	if err := db.unwritable.Load(); err != nil {
		return *err
	}
	return nil
}
