package redisdb

import (
	"context"
	"fmt"
)

// ARNs returns the ARNs of what the indexes of executions hold (package member). It is empty
// for one whose state machine Redis does not know any more.
func (db *DB) ARNs(ctx context.Context, members []string) ([]string, error) {
	arns, err := db.machines.ARNs(ctx, members)
	if err != nil {
		return nil, fmt.Errorf("read the names of state machines: %w", err)
	}
	return arns, nil
}

func (db *DB) machineNames(ctx context.Context) (map[string]string, error) {
	return db.Readers.HGetAll(ctx, db.Names.Counted).Result()
}
