package cache

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

// API keys are stored by their HMAC under API_KEY_PEPPER. Under another pepper every key
// is unknown, which looks like a wrong key. So a fingerprint of the pepper stands beside
// the keys from the first one on, and every process compares.

const (
	pepperMark   = "statuscache fingerprint of API_KEY_PEPPER" // is no API key
	pepperLength = 32                                          // hex digits
)

// ErrPepper says that the API keys in Redis were created with another pepper, and what to
// do. Everybody may read it.
var ErrPepper error = misfitError("API_KEY_PEPPER is not the one with which the API keys in Redis were created, so those keys are refused with 401; " +
	"set API_KEY_PEPPER to that secret and restart, or revoke those keys (statusctl keys list, revoke) and create new ones")

// fingerprint returns what distinguishes peppers. It reveals nothing else.
func (k *apiKeys) fingerprint() string {
	sum := k.hash(pepperMark)
	return fmt.Sprintf("%x", sum[:])[:pepperLength]
}

// CheckPepper returns ErrPepper if the API keys in Redis were created with another pepper.
// compared is false where there is nothing to compare: no pepper is set, or no key was
// created yet.
func (c *Cache) CheckPepper(ctx context.Context) (compared bool, err error) {
	if len(c.keys.pepper) == 0 {
		return false, nil
	}
	stored, err := c.db.Writers.Get(ctx, c.db.Names.Pepper).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the fingerprint of API_KEY_PEPPER: %w", err)
	case !hmac.Equal([]byte(stored), []byte(c.keys.fingerprint())):
		return true, ErrPepper
	}
	return true, nil
}

// watchPepper is CheckPepper, and stores the fingerprint again where it is missing although a
// key of ours was found: Redis was emptied and the keys imported, or an earlier release made
// them.
func (c *Cache) watchPepper(ctx context.Context) error {
	compared, err := c.CheckPepper(ctx)
	if err == nil && !compared && c.keys.found.Load() {
		return c.storePepper(ctx, "NX")
	}
	return err
}

// claimPepper stores the fingerprint before a key is created. It refuses a pepper that is
// not that of the keys that are good.
func (c *Cache) claimPepper(ctx context.Context) error {
	err := c.storePepper(ctx, "NX")
	if err == nil {
		_, err = c.CheckPepper(ctx)
	}
	if !errors.Is(err, ErrPepper) {
		return err
	}
	keys, err := c.ListKeys(ctx)
	if err != nil {
		return err
	}
	for i := range keys {
		if !keys[i].Revoked() {
			return ErrPepper
		}
	}
	return c.storePepper(ctx) // all that were created with the other are revoked
}

func (c *Cache) storePepper(ctx context.Context, condition ...any) error {
	name := c.db.Names.Pepper
	set := redisdb.NewCommand(name, append([]any{"SET", name, c.keys.fingerprint()}, condition...)...)
	if c.db.Confirm(ctx, set); set.Err != nil {
		return fmt.Errorf("store the fingerprint of API_KEY_PEPPER: %w", c.db.Explain(set.Err))
	}
	return nil
}
