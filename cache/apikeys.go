package cache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"statuscache/cache/bounded"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/internal/uptime"
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
// its loss. A key is good if either knows it and neither says it is revoked. What
// this process has seen revoked stays so whatever Redis becomes, until it is
// restored by name.
type apiKeys struct {
	db      *redisdb.DB
	macs    sync.Pool // of hash.Hash
	pepper  []byte
	file    *keysFile
	near    bounded.ByHash[keyEntry]
	revoked revocations
	reads   singleflight.Group
	changes atomic.Uint64 // counts what was announced; an answer from before is not kept
	watches keyWatches
	found   atomic.Bool // a key that is good was found, so the pepper is right
}

type keyHash [sha256.Size]byte

type keyEntry struct {
	key   *Key  // nil: not known, or revoked
	read  int64 // by uptime
	filed bool  // Redis could not be asked, so the file's word was taken
}

func newAPIKeys(db *redisdb.DB, o Options) (*apiKeys, error) {
	file, err := openKeysFile(o.KeysFile, o.Log)
	if err != nil {
		return nil, err
	}
	k := &apiKeys{db: db, pepper: o.KeyPepper, file: file}
	k.macs.New = func() any { return hmac.New(sha256.New, k.pepper) }
	k.near = bounded.NewByHash[keyEntry](maxKeysNear)
	k.watches.wake = make(chan struct{}, 1)
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
	if e, ok := k.near.Get(h); ok && k.fresh(e) {
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
	read := uptime.Now()
	key, filed, err := k.load(ctx, h)
	if key != nil {
		k.found.Store(true)
	}
	if err == nil && k.changes.Load() == changes {
		k.near.Set(h, keyEntry{key, read, filed})
		if k.changes.Load() != changes { // announced between the two lines above
			k.near.Delete(h)
		}
	}
	return key, err
}

// revocations are the keys that Redis has called revoked.
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

func (k *apiKeys) fresh(e keyEntry) bool {
	life := keyLifeUnheard
	if e.key != nil && !e.filed && k.db.Feed.Heard() {
		life = keyLife
	}
	return uptime.Now()-e.read < int64(life)
}

// load asks Redis, and weighs its word against that of the file and what this
// process has seen.
func (k *apiKeys) load(ctx context.Context, h keyHash) (key *Key, filed bool, err error) {
	// A caller who hangs up must not make it look as if Redis could not be asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.db.ReadLimit())
	defer cancel()
	text, err := k.db.Readers.HGet(ctx, k.db.Names.APIKeys, hex.EncodeToString(h[:])).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return k.judge(h, text, err)
}

// judge returns the key that counts, nil if it is not known or revoked. text is its
// record, empty if Redis does not know it; err is why Redis could not be asked. Then
// the word of the file holds; filed reports that it does.
func (k *apiKeys) judge(h keyHash, text string, err error) (key *Key, filed bool, _ error) {
	inFile, _ := k.file.get(hex.EncodeToString(h[:]))
	seen := k.revoked.get(h)
	if err == nil && text != "" {
		key = new(Key)
		if err = json.Unmarshal([]byte(text), key); err != nil {
			key = nil
		} else if key.Revoked() {
			k.revoked.add(h, key)
		}
	}
	filed = key == nil
	switch key = weigh(weigh(key, inFile), seen); {
	case key == nil && err != nil:
		return nil, false, fmt.Errorf("find API key: %w", err)
	case key == nil || key.Revoked():
		return nil, false, nil
	}
	return key, filed, nil
}

// announced drops what is known of keys that have changed. payload is their HMACs, a
// line each; empty: any may have.
func (k *apiKeys) announced(payload string) {
	if payload == "" {
		k.forget()
		return
	}
	var changed []keyHash
	for text := range strings.SplitSeq(payload, "\n") {
		h := unhex(text)
		if len(h) != len(keyHash{}) { // another release
			k.forget()
			return
		}
		changed = append(changed, keyHash(h))
	}
	k.changes.Add(1)
	for _, h := range changed {
		k.near.Delete(h)
	}
	k.watches.due(changed...)
}

// forget drops what is known of keys because any may have changed.
func (k *apiKeys) forget() {
	k.changes.Add(1)
	k.near.Clear()
	k.watches.allDue()
}
