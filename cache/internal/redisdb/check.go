package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// Check connects to every primary. It returns an error if a primary would lose records,
// lacks a needed feature, or accepts no writes. The errors are for operators: one line
// that names the fix. A missing replica is no error: reads do not need it, and Writable
// reports it, so a process can start while it is away.
func (db *DB) Check(ctx context.Context) error {
	err := db.EachPrimary(ctx, db.checkPrimary)
	if err == nil || db.Cluster() && !errors.Is(err, ErrUnfit) { // the error of one primary may explain that of another
		unconfirmed := func(err error) bool { return errors.Is(err, ErrReplicas) }
		err = errors.Join(err, errors.Join(slices.DeleteFunc(db.pings(ctx), unconfirmed)...))
	}
	if err == nil {
		err = db.readInTime(ctx)
	}
	return db.Examine(ctx, err)
}

// readTries is how often Redis may be late before it is too slow: a busy machine is so once.
const readTries = 3

// readInTime returns an error if Redis does not answer within the limit of a read. At a start
// that includes a new connection, as for a request that needs one.
func (db *DB) readInTime(ctx context.Context) (err error) {
	for range readTries {
		within, cancel := context.WithTimeout(ctx, db.Limits.Read)
		err = eachPrimary(within, db.Readers, func(ctx context.Context, node Client) error { return node.Ping(ctx).Err() })
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

func (db *DB) checkPrimary(ctx context.Context, node Client) error {
	refused := db.CheckACL(ctx, node)
	if refused != nil && !isUnknown(refused) { // otherwise the kind of the server may explain the error
		return refused
	}
	info, err := ServerInfo(ctx, node)
	if err != nil {
		return err
	}
	if err := db.CheckKind(info); err != nil {
		return err
	}
	if err := db.CheckVersion(info); err != nil {
		return err
	}
	return cmp.Or(info.CheckEviction(), refused)
}

// CheckKind returns an error for a server whose kind (node, cluster, Sentinel, replica) does not
// match REDIS_URL. A replica may soon become the primary, so that error is not final.
func (db *DB) CheckKind(i Info) error {
	switch {
	case cmp.Or(i["redis_mode"], i["server_mode"]) == "sentinel": // Valkey has renamed the field
		return fmt.Errorf("%w: it is a Sentinel; write redis+sentinel://HOST:PORT/NAME in REDIS_URL, with the name of the primary", ErrUnfit)
	case i["cluster_enabled"] == "1" && !db.Cluster():
		return fmt.Errorf("%w: it is a node of a cluster; write redis+cluster:// in REDIS_URL", ErrUnfit)
	case i["role"] == "slave":
		return &explained{"the server is a replica of " + i["master_host"] + ":" + i["master_port"] +
			" and accepts no writes; name its primary in REDIS_URL, or the Sentinels", errReplica}
	}
	return nil
}

var errReplica = errors.New("it is a replica")

// CheckVersion returns an error for a Redis that is too old for the store. Missing fields
// are ignored, because the Redis of a laptop has none.
func (db *DB) CheckVersion(i Info) error {
	need, why := [2]int{6, 2}, "for SET with PXAT"
	if db.Cluster() {
		need, why = [2]int{7, 0}, "for sharded publish and subscribe"
	}
	var have [2]int
	if _, err := fmt.Sscanf(i["redis_version"], "%d.%d", &have[0], &have[1]); err != nil {
		return nil
	}
	if have[0] < need[0] || have[0] == need[0] && have[1] < need[1] {
		return fmt.Errorf("%w: version %d.%d is too old, %d.%d or newer is needed %s", ErrUnfit, have[0], have[1], need[0], need[1], why)
	}
	return nil
}

// CheckEviction returns an error for policies that evict records of running executions or
// the owners of executions.
func (i Info) CheckEviction() error {
	switch policy := i["maxmemory_policy"]; policy {
	case "", "noeviction", "volatile-ttl":
		return nil
	default:
		return fmt.Errorf("%w: its maxmemory-policy %s evicts records; set it to noeviction (CONFIG SET maxmemory-policy noeviction, or the parameter group of a managed Redis) or volatile-ttl", ErrUnfit, policy)
	}
}
