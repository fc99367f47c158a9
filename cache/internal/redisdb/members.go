package redisdb

import "context"

// machineNames returns the state machines by their identifiers, for Machines.
func (db *DB) machineNames(ctx context.Context) (map[string]string, error) {
	return db.Readers.HGetAll(ctx, db.Names.Counted).Result()
}
