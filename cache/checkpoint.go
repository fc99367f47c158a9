package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkpointLife is how long a place in a list of Step Functions is good for.
const checkpointLife = 24 * time.Hour

// SaveCheckpoint remembers where a backfill goes on that is named by what it fills;
// empty: from the beginning.
func (c *Cache) SaveCheckpoint(ctx context.Context, name, place string) error {
	key := c.checkpoint(name)
	var err error
	if place == "" {
		err = c.db.Writers.Del(ctx, key).Err()
	} else {
		err = c.db.Writers.Set(ctx, key, place, checkpointLife).Err()
	}
	if err != nil {
		return fmt.Errorf("save where the backfill goes on: %w", err)
	}
	return nil
}

// Checkpoint returns what SaveCheckpoint remembered, empty if that is nothing.
func (c *Cache) Checkpoint(ctx context.Context, name string) (string, error) {
	place, err := c.db.Writers.Get(ctx, c.checkpoint(name)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("look where the backfill goes on: %w", err)
	}
	return place, nil
}

func (c *Cache) checkpoint(name string) string {
	sum := sha256.Sum256([]byte(name))
	return c.db.Names.Backfill(hex.EncodeToString(sum[:16]))
}
