package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"statuscache/cache/internal/redisdb"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed keys.lua
var keysSource string

// keysScript stores API keys. Its contract stands at its head.
var keysScript = redis.NewScript(keysSource)

// keysAtOnce bounds the keys in one command, so that others need not wait long.
const keysAtOnce = 1000

// Revoked reports whether the key is not good any more.
func (k *Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// weigh returns which of two records of a key counts: the one that was restored
// more often, of equals the one that is revoked, else a. Either may be nil.
func weigh(a, b *Key) *Key {
	switch {
	case b == nil || a != nil && a.Restored > b.Restored:
		return a
	case a == nil || a.Restored < b.Restored || b.Revoked() && !a.Revoked():
		return b
	}
	return a
}

// CreateKey makes an API key of what k says about it and stores it without its
// secret, which is returned this once.
func (c *Cache) CreateKey(ctx context.Context, k Key) (secret string, created Key, err error) {
	if len(c.keys.pepper) == 0 {
		return "", Key{}, errors.New("API_KEY_PEPPER: not set, so API keys cannot be stored; set it to the secret of statusd, or a new one (openssl rand -hex 32)")
	}
	if err := c.claimPepper(ctx); err != nil {
		return "", Key{}, err
	}
	random := make([]byte, keySecretLength/2)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret = keyPrefix + hex.EncodeToString(random)
	h := c.keys.hash(secret)
	k.Hash, k.Prefix = hex.EncodeToString(h[:]), secret[:keyNameLength]
	k.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	_, err = c.putKeys(ctx, []Key{k})
	return secret, k, err
}

// ImportKeys stores keys that another Redis or a file holds, and returns how many.
// One that is revoked here or there stays revoked, unless its prefix is among those
// to restore; a prefix of none of the keys is ErrKeyNotFound.
func (c *Cache) ImportKeys(ctx context.Context, keys []Key, restore ...string) (int, error) {
	keys = slices.Clone(keys)
	if err := c.restore(ctx, keys, restore); err != nil {
		return 0, err
	}
	for some := range slices.Chunk(keys, keysAtOnce) {
		if _, err := c.putKeys(ctx, some); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// restore makes those keys good again whose prefixes are given.
func (c *Cache) restore(ctx context.Context, keys []Key, prefixes []string) error {
	if len(prefixes) == 0 {
		return nil
	}
	present, err := c.ListKeys(ctx)
	if err != nil {
		return err
	}
	stored := make(map[string]*Key, len(present))
	for i := range present {
		stored[present[i].Hash] = &present[i]
	}
	for _, prefix := range prefixes {
		found := false
		for i := range keys {
			k := &keys[i]
			if k.Prefix != prefix {
				continue
			}
			found = true
			if counts := weigh(k, stored[k.Hash]); counts.Revoked() {
				k.RevokedAt, k.Restored = time.Time{}, counts.Restored+1
			}
		}
		if !found {
			return fmt.Errorf("%s: %w", prefix, ErrKeyNotFound)
		}
	}
	return nil
}

// ListKeys returns every API key, revoked ones too, oldest first.
func (c *Cache) ListKeys(ctx context.Context) ([]Key, error) {
	texts, err := c.db.Writers.HVals(ctx, c.db.Names.APIKeys).Result()
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	keys := make([]Key, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &keys[i]); err != nil {
			return nil, fmt.Errorf("list API keys: record of a key: %w", err)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if d := a.CreatedAt.Compare(b.CreatedAt); d != 0 {
			return d
		}
		return strings.Compare(a.Hash, b.Hash)
	})
	return keys, nil
}

// RevokeKey ends the API key whose prefix is given, and keeps it on the list. filed
// are keys that a file holds: Redis may have lost them. No such key is
// ErrKeyNotFound.
func (c *Cache) RevokeKey(ctx context.Context, prefix string, filed ...Key) (Key, error) {
	stored, err := c.ListKeys(ctx)
	if err != nil {
		return Key{}, err
	}
	byHash := map[string]*Key{}
	for _, keys := range [][]Key{stored, filed} {
		for i := range keys {
			if k := &keys[i]; k.Prefix == prefix {
				byHash[k.Hash] = weigh(byHash[k.Hash], k)
			}
		}
	}
	var revoked []Key // two keys may share a prefix, very rarely
	for _, k := range byHash {
		if revoked = append(revoked, *k); !k.Revoked() {
			revoked[len(revoked)-1].RevokedAt = time.Now().UTC().Truncate(time.Second)
		}
	}
	if len(revoked) == 0 {
		return Key{}, ErrKeyNotFound
	}
	now, err := c.putKeys(ctx, revoked)
	if err == nil && slices.ContainsFunc(now, func(k Key) bool { return !k.Revoked() }) {
		err = errors.New("the key was restored at the same time; revoke it again")
	}
	if err != nil {
		return Key{}, err
	}
	return now[0], nil
}

// putKeys stores keys, announces them, and returns them as they are stored now. It
// succeeds only if the replicas that must confirm a write have them.
func (c *Cache) putKeys(ctx context.Context, keys []Key) ([]Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	args := append(make([]any, 0, 1+3*len(keys)), c.db.Publish)
	for i := range keys {
		text, err := json.Marshal(&keys[i])
		if err != nil {
			return nil, fmt.Errorf("store API keys: %w", err)
		}
		args = append(args, keys[i].Hash, text, keys[i].Restored)
	}
	store := redisdb.NewScript(keysScript, []string{c.db.Names.APIKeys, c.db.Names.KeyChanges, c.db.Names.KeyCount}, args...)
	c.db.Confirm(ctx, store)
	if errors.Is(store.Err, redisdb.ErrReplicas) {
		return nil, fmt.Errorf("stored, but not confirmed by its replicas, so that a failover may undo it; run it again: %w", c.db.Explain(store.Err))
	} else if store.Err != nil {
		return nil, fmt.Errorf("store API keys: %w", c.db.Explain(store.Err))
	}
	texts, err := store.Answer.StringSlice()
	if err != nil || len(texts) != len(keys) {
		return nil, fmt.Errorf("store API keys: %w", cmp.Or(err, redisdb.ErrAnswer))
	}
	stored := make([]Key, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &stored[i]); err != nil {
			return nil, fmt.Errorf("store API keys: record of a key: %w", err)
		}
	}
	return stored, nil
}
