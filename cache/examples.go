package cache

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

//go:embed examples.lua
var examplesSource string

var examplesScript = redis.NewScript(countingConstants() + examplesSource)

// maxExamplesAtOnce is how many executions are taken out of the examples in one call.
const maxExamplesAtOnce = 500

// forgetExamples takes executions out of the examples of failures.
func (c *Cache) forgetExamples(ctx context.Context, arns []ARN) error {
	of := map[*redisdb.Partition][]any{}
	for _, arn := range arns {
		p, machine := c.db.Names.Partition(string(arn)), c.machines.id(arn.StateMachine())
		of[p] = append(of[p], string(machine[:])+arn.Name())
	}
	for p, names := range of {
		for some := range slices.Chunk(names, maxExamplesAtOnce) {
			if err := c.forgetExamplesIn(ctx, p, some); err != nil {
				return fmt.Errorf("forget examples of failures: %w", err)
			}
		}
	}
	return nil
}

func (c *Cache) forgetExamplesIn(ctx context.Context, p *redisdb.Partition, names []any) error {
	counts, err := c.db.Writers.HGetAll(ctx, p.Counts).Result()
	if err != nil {
		return err
	}
	for field := range counts {
		if field[0] != 'f' {
			continue
		}
		hour := field[1:]
		keys, args := []string{p.Failures + hour, p.Counts}, append([]any{hour}, names...)
		if err := examplesScript.Run(ctx, c.db.Writers, keys, args...).Err(); err != nil {
			return err
		}
	}
	return nil
}
