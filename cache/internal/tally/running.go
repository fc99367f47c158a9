package tally

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"statuscache/cache/internal/luascript"
	"statuscache/cache/internal/redisdb"
)

//go:embed recount.lua
var recountSource string

var recountScript = luascript.New(constants(), recountSource)

// RecountRunning counts the running executions of each state machine again, in every
// partition where no process has done this within goodFor.
func RecountRunning(ctx context.Context, db *redisdb.DB, goodFor time.Duration) error {
	for i := range db.Names.Partitions {
		p := &db.Names.Partitions[i]
		if err := recountScript.Run(ctx, db.Writers, []string{p.Running, p.Counts}, goodFor.Milliseconds()).Err(); err != nil {
			return fmt.Errorf("count what runs: %w", err)
		}
	}
	return nil
}
