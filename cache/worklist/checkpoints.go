package worklist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// checkpointLife is how long a position in a list of Step Functions is valid.
const checkpointLife = 24 * time.Hour

// Checkpoints has the positions at which interrupted backfills continue.
type Checkpoints struct{ db *redisdb.DB }

// NewCheckpoints returns the checkpoints in a Redis.
func NewCheckpoints(db *redisdb.DB) *Checkpoints { return &Checkpoints{db} }

// Save stores the position at which the named backfill continues; empty: the beginning.
func (c *Checkpoints) Save(ctx context.Context, name, place string) error {
	key := c.key(name)
	var err error
	if place == "" {
		err = c.db.Writers.Del(ctx, key).Err()
	} else {
		err = c.db.Writers.Set(ctx, key, place, checkpointLife).Err()
	}
	if err != nil {
		return fmt.Errorf("store where the backfill continues: %w", err)
	}
	return nil
}

// Load returns the position that Save stored, empty if there is none.
func (c *Checkpoints) Load(ctx context.Context, name string) (string, error) {
	place, err := c.db.Writers.Get(ctx, c.key(name)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read where the backfill continues: %w", err)
	}
	return place, nil
}

func (c *Checkpoints) key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return c.db.Names.Backfill(hex.EncodeToString(sum[:16]))
}
