package tally

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"statuscache/cache/internal/arn"
	"statuscache/cache/internal/luascript"
	"statuscache/cache/internal/redisdb"
)

//go:embed examples.lua
var examplesSource string

var examplesScript = luascript.New(constants(), examplesSource)

// maxExamplesAtOnce is how many executions are removed from the examples in one call.
const maxExamplesAtOnce = 500

// RemoveExamples removes executions from the examples of failures.
func RemoveExamples(ctx context.Context, db *redisdb.DB, arns []arn.Execution) error {
	of := map[*redisdb.Partition][]any{}
	for _, execution := range arns {
		p, machine := db.Names.Partition(string(execution)), MachineOf(execution.StateMachine())
		of[p] = append(of[p], string(machine[:])+execution.Name())
	}
	for p, names := range of {
		for some := range slices.Chunk(names, maxExamplesAtOnce) {
			if err := removeExamplesIn(ctx, db, p, some); err != nil {
				return fmt.Errorf("remove examples of failures: %w", err)
			}
		}
	}
	return nil
}

func removeExamplesIn(ctx context.Context, db *redisdb.DB, p *redisdb.Partition, names []any) error {
	counts, err := db.Writers.HGetAll(ctx, p.Counts).Result()
	if err != nil {
		return err
	}
	for field := range counts {
		if field[0] != 'f' {
			continue
		}
		hour := field[1:]
		keys, args := []string{p.Failures + hour, p.Counts}, append([]any{hour}, names...)
		if err := examplesScript.Run(ctx, db.Writers, keys, args...).Err(); err != nil {
			return err
		}
	}
	return nil
}
