package cache

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// The form of an API key: the prefix and 32 lower-case hex digits.
const (
	keyPrefix       = "csk_live_"
	keySecretLength = 32
	keyNameLength   = len(keyPrefix) + 8 // what a key is listed and revoked by
)

// How long an answer about a key may be told again. A revocation is announced
// on the change feed; these are for when that is lost.
const (
	keyLife        = 20 * time.Second // while the feed is heard
	keyLifeUnheard = 2 * time.Second  // while it is not, and for keys not found
	maxKeysNear    = 100_000
)

// IsAPIKey reports whether s has the form of an API key.
func IsAPIKey(s string) bool {
	rest, found := strings.CutPrefix(s, keyPrefix)
	if !found || len(rest) != keySecretLength {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// apiKeys finds API keys by their HMAC, in Redis and in the file that survives
// its loss. A key is good if either knows it and neither says it is revoked.
type apiKeys struct {
	client  redis.UniversalClient
	names   *names
	limit   time.Duration // of one question to Redis
	heard   func() bool   // the change feed
	macs    sync.Pool     // of hash.Hash
	pepper  []byte
	file    *keysFile
	near    *otter.Cache[keyHash, keyEntry]
	revoked *otter.Cache[keyHash, struct{}] // keys that Redis has called revoked
	reads   singleflight.Group
	changes atomic.Uint64 // counts what was announced; an answer from before is not kept
}

type keyHash [sha256.Size]byte

type keyEntry struct {
	key   *Key  // nil: not known, or revoked
	read  int64 // by uptime
	filed bool  // Redis could not be asked, so the file's word was taken
}

func newAPIKeys(client redis.UniversalClient, n *names, o Options, heard func() bool) (*apiKeys, error) {
	file, err := openKeysFile(o.KeysFile, o.Log)
	if err != nil {
		return nil, err
	}
	k := &apiKeys{client: client, names: n, limit: o.ReadLimit, heard: heard, pepper: o.KeyPepper, file: file}
	k.macs.New = func() any { return hmac.New(sha256.New, k.pepper) }
	k.near = otter.Must(&otter.Options[keyHash, keyEntry]{MaximumSize: maxKeysNear})
	k.revoked = otter.Must(&otter.Options[keyHash, struct{}]{MaximumSize: maxKeysNear})
	return k, nil
}

// hash returns the HMAC of a key. Finding a key by it takes no time that would
// tell anything about the key itself.
func (k *apiKeys) hash(secret string) (sum keyHash) {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(secret))
	mac.Sum(sum[:0])
	return sum
}

// FindKey returns the API key that a caller presents, or ErrKeyNotFound if it
// is unknown or revoked. Any other error means that it could not be checked.
func (c *Cache) FindKey(ctx context.Context, secret string) (*Key, error) {
	if len(c.keys.pepper) == 0 || !IsAPIKey(secret) {
		return nil, ErrKeyNotFound
	}
	key, err := c.keys.find(ctx, c.keys.hash(secret))
	if err == nil && key == nil {
		err = ErrKeyNotFound
	}
	return key, err
}

// find returns nil for a key that is not known or revoked.
func (k *apiKeys) find(ctx context.Context, h keyHash) (*Key, error) {
	if e, ok := k.near.GetIfPresent(h); ok && k.fresh(e) {
		return e.key, nil
	}
	// Thousands may come back at once with the same key. Who comes behind a change
	// does not join a read from before it.
	changes := k.changes.Load()
	found, err, _ := k.reads.Do(string(h[:])+strconv.FormatUint(changes, 10), func() (any, error) {
		return k.loadOnce(ctx, h, changes)
	})
	key, _ := found.(*Key)
	return key, err
}

func (k *apiKeys) loadOnce(ctx context.Context, h keyHash, changes uint64) (*Key, error) {
	read := uptime()
	key, filed, err := k.load(ctx, h)
	if err == nil && k.changes.Load() == changes {
		k.near.Set(h, keyEntry{key, read, filed})
		if k.changes.Load() != changes { // announced between the two lines above
			k.near.Invalidate(h)
		}
	}
	return key, err
}

func (k *apiKeys) fresh(e keyEntry) bool {
	life := keyLifeUnheard
	if e.key != nil && !e.filed && k.heard() {
		life = keyLife
	}
	return uptime()-e.read < int64(life)
}

// load asks the file and Redis. Where Redis does not know the key or cannot be
// asked, what the file says holds, unless this process has seen it revoked.
func (k *apiKeys) load(ctx context.Context, h keyHash) (key *Key, filed bool, err error) {
	name := hex.EncodeToString(h[:])
	inFile, known := k.file.get(name)
	if known && inFile.Revoked() {
		return nil, false, nil
	}
	// A caller who hangs up must not make it look as if Redis could not be asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.limit)
	defer cancel()
	stored, err := k.read(ctx, name)
	switch {
	case err == nil && stored.Revoked():
		k.revoked.Set(h, struct{}{})
		return nil, false, nil
	case err == nil:
		return stored, false, nil
	case known && !k.seenRevoked(h):
		return inFile, true, nil
	case known || errors.Is(err, redis.Nil):
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("find API key: %w", err)
}

func (k *apiKeys) seenRevoked(h keyHash) bool {
	_, seen := k.revoked.GetIfPresent(h)
	return seen
}

func (k *apiKeys) read(ctx context.Context, hash string) (*Key, error) {
	text, err := k.client.HGet(ctx, k.names.apiKeys, hash).Bytes()
	if err != nil {
		return nil, err
	}
	key := new(Key)
	if err := json.Unmarshal(text, key); err != nil {
		return nil, fmt.Errorf("record of the key: %w", err)
	}
	return key, nil
}

// forget drops what is known of keys because one of them has changed.
func (k *apiKeys) forget() {
	k.changes.Add(1)
	k.near.InvalidateAll()
}

// Revoked reports whether the key is not good any more.
func (k *Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// CreateKey makes an API key of what k says about it and stores it without its
// secret, which is returned this once.
func (c *Cache) CreateKey(ctx context.Context, k Key) (secret string, created Key, err error) {
	if len(c.keys.pepper) == 0 {
		return "", Key{}, errors.New("API_KEY_PEPPER: not set, so API keys cannot be stored; set it to the secret of statusd, or a new one (openssl rand -hex 32)")
	}
	random := make([]byte, keySecretLength/2)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret = keyPrefix + hex.EncodeToString(random)
	h := c.keys.hash(secret)
	k.Hash, k.Prefix = hex.EncodeToString(h[:]), secret[:keyNameLength]
	k.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	return secret, k, c.putKeys(ctx, []Key{k})
}

// ImportKeys stores keys that another Redis or a file holds. One that is
// revoked here or there stays revoked. It returns how many there are.
func (c *Cache) ImportKeys(ctx context.Context, keys []Key) (int, error) {
	present, err := c.ListKeys(ctx)
	if err != nil {
		return 0, err
	}
	revoked := map[string]time.Time{}
	for _, k := range present {
		revoked[k.Hash] = k.RevokedAt
	}
	keys = slices.Clone(keys)
	for i := range keys {
		if at := revoked[keys[i].Hash]; !at.IsZero() {
			keys[i].RevokedAt = at
		}
	}
	return len(keys), c.putKeys(ctx, keys)
}

// ListKeys returns every API key, revoked ones too, oldest first.
func (c *Cache) ListKeys(ctx context.Context) ([]Key, error) {
	texts, err := c.writers.HVals(ctx, c.names.apiKeys).Result()
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

// RevokeKey ends the API key whose prefix is given, and keeps it on the list. No
// such key is ErrKeyNotFound.
func (c *Cache) RevokeKey(ctx context.Context, prefix string) (Key, error) {
	keys, err := c.ListKeys(ctx)
	if err != nil {
		return Key{}, err
	}
	keys = slices.DeleteFunc(keys, func(k Key) bool { return k.Prefix != prefix })
	if len(keys) == 0 {
		return Key{}, ErrKeyNotFound
	}
	for i := range keys { // two keys may share a prefix, once in a blue moon
		if !keys[i].Revoked() {
			keys[i].RevokedAt = time.Now().UTC().Truncate(time.Second)
		}
	}
	return keys[0], c.putKeys(ctx, keys)
}

// putKeys stores keys and announces the change.
func (c *Cache) putKeys(ctx context.Context, keys []Key) error {
	fields := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		text, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("store API key: %w", err)
		}
		fields = append(fields, k.Hash, text)
	}
	if len(fields) == 0 {
		return nil
	}
	if err := c.writers.HSet(ctx, c.names.apiKeys, fields...).Err(); err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	if err := c.writers.Do(ctx, c.publish, c.names.keyChanges, "").Err(); err != nil {
		return fmt.Errorf("announce API key: %w", err)
	}
	return nil
}
