package apikeys

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
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"statuscache/cache/internal/redisdb"
)

//go:embed store.lua
var storeSource string

// storeScript stores API keys. Its contract is in its first comment.
var storeScript = redis.NewScript(storeSource)

// keysAtOnce is the maximum number of keys in one command, so that other commands need not wait
// long.
const keysAtOnce = 1000

// Create creates an API key with the name, owner, scope and limits of key, and stores it
// without its secret, which is returned only here.
func (k *Keys) Create(ctx context.Context, key Key) (secret string, created Key, err error) {
	if err := k.claimPepper(ctx); err != nil {
		return "", Key{}, err
	}
	random := make([]byte, keySecretLength/2)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret = keyPrefix + hex.EncodeToString(random)
	h := k.hash(secret)
	key.Hash, key.Prefix = hex.EncodeToString(h[:]), secret[:keyNameLength]
	key.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	_, err = k.put(ctx, []Key{key})
	return secret, key, err
}

// Import stores keys from another Redis or a file, and returns how many. A key that is
// revoked here or there stays revoked, unless its prefix is among those to restore. If no
// key has one of these prefixes, the error is ErrNotFound.
func (k *Keys) Import(ctx context.Context, keys []Key, restore ...string) (int, error) {
	keys = slices.Clone(keys)
	if err := k.restore(ctx, keys, restore); err != nil {
		return 0, err
	}
	for some := range slices.Chunk(keys, keysAtOnce) {
		if _, err := k.put(ctx, some); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// restore makes the keys with the given prefixes valid again.
func (k *Keys) restore(ctx context.Context, keys []Key, prefixes []string) error {
	if len(prefixes) == 0 {
		return nil
	}
	present, err := k.List(ctx)
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
			key := &keys[i]
			if key.Prefix != prefix {
				continue
			}
			found = true
			if counts := weigh(key, stored[key.Hash]); counts.Revoked() {
				key.RevokedAt, key.Restored = time.Time{}, counts.Restored+1
			}
		}
		if !found {
			return fmt.Errorf("%s: %w", prefix, ErrNotFound)
		}
	}
	return nil
}

// List returns every API key in Redis, including revoked ones, oldest first.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	texts, err := k.db.Writers.HVals(ctx, k.db.Names.APIKeys).Result()
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

// put stores keys, announces them, and returns them as they are stored now. It
// succeeds only if the replicas that must confirm a write have them.
func (k *Keys) put(ctx context.Context, keys []Key) ([]Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	args := append(make([]any, 0, 1+3*len(keys)), k.db.Publish)
	for i := range keys {
		text, err := json.Marshal(&keys[i])
		if err != nil {
			return nil, fmt.Errorf("store API keys: %w", err)
		}
		args = append(args, keys[i].Hash, text, keys[i].Restored)
	}
	store := redisdb.NewScript(storeScript, []string{k.db.Names.APIKeys, k.db.Names.KeyChanges, k.db.Names.KeyCount}, args...)
	k.db.Confirm(ctx, store)
	if errors.Is(store.Err, redisdb.ErrReplicas) {
		return nil, fmt.Errorf("stored, but not confirmed by the replicas of Redis, so a failover may undo it; run the command again: %w", k.db.Explain(store.Err))
	} else if store.Err != nil {
		return nil, fmt.Errorf("store API keys: %w", k.db.Explain(store.Err))
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
