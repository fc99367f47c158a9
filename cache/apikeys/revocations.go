package apikeys

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Revoke revokes the API key with the given prefix, and keeps it on the list. filed are
// keys in the file, because Redis may have lost them. If there is no such key, the error
// is ErrNotFound.
func (k *Keys) Revoke(ctx context.Context, prefix string, filed ...Key) (Key, error) {
	stored, err := k.List(ctx)
	if err != nil {
		return Key{}, err
	}
	byHash := map[string]*Key{}
	for _, keys := range [][]Key{stored, filed} {
		for i := range keys {
			if key := &keys[i]; key.Prefix == prefix {
				byHash[key.Hash] = weigh(byHash[key.Hash], key)
			}
		}
	}
	var revoked []Key // two keys may share a prefix, very rarely
	for _, key := range byHash {
		if revoked = append(revoked, *key); !key.Revoked() {
			revoked[len(revoked)-1].RevokedAt = time.Now().UTC().Truncate(time.Second)
		}
	}
	if len(revoked) == 0 {
		return Key{}, ErrNotFound
	}
	now, err := k.put(ctx, revoked)
	if err == nil && slices.ContainsFunc(now, func(key Key) bool { return !key.Revoked() }) {
		err = errors.New("the key was restored at the same time; revoke it again")
	}
	if err != nil {
		return Key{}, err
	}
	return now[0], nil
}

// Reassert stores the revocations that this process or its file knows again, after Redis
// has lost them.
func (k *Keys) Reassert(ctx context.Context) error {
	revoked := map[string]Key{}
	for hash, key := range *k.file.keys.Load() {
		if key.Revoked() {
			revoked[hash] = *key
		}
	}
	for _, key := range k.revoked.all() {
		revoked[key.Hash] = *key
	}
	for some := range slices.Chunk(slices.Collect(maps.Values(revoked)), keysAtOnce) {
		if _, err := k.put(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// revocations are the keys that Redis has reported as revoked.
type revocations struct {
	mu   sync.Mutex
	keys map[keyHash]*Key
}

// get returns nil for a key that was not seen revoked.
func (r *revocations) get(h keyHash) *Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[h]
}

func (r *revocations) add(h keyHash, k *Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys = map[keyHash]*Key{}
	}
	if _, known := r.keys[h]; known || len(r.keys) < maxKeysNear {
		r.keys[h] = k
	}
}

func (r *revocations) all() []*Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.keys))
}
