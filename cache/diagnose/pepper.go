package diagnose

import (
	"context"
	"errors"

	"statuscache/cache"
	"statuscache/cache/internal/redisdb"
)

// diagnosePepper says whether the API keys in Redis can be found with our pepper.
func diagnosePepper(ctx context.Context, c *cache.Cache, reached bool) Finding {
	const name = "API key pepper"
	if !reached {
		return NotChecked(name, "Redis cannot be asked")
	}
	switch compared, err := c.CheckPepper(ctx); {
	case errors.Is(err, cache.ErrPepper):
		return unfit(name, err)
	case err != nil:
		return NotChecked(name, redisdb.OneLine(err))
	case !compared:
		return Undecided(name, "API_KEY_PEPPER is not set, or no API key was created in this Redis yet")
	}
	return Finding{Check: name, Detail: "API_KEY_PEPPER is the one with which the API keys in Redis were created"}
}
