package apikeys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"statuscache/cache/boundedmap"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
	"statuscache/cache/singleflight"
)

// How long a key that was read is used without reading it again. A revocation is
// announced on the change feed; these times matter if the announcement is lost.
const (
	keyLife           = 20 * time.Second // while the feed works
	keyLifeUnnotified = 2 * time.Second  // while it does not, and for keys that were not found
	maxKeysNear       = 100_000
)

// Options configure how API keys are stored.
type Options struct {
	Pepper []byte // key of the HMAC under which keys are stored; empty: no key is valid
	File   string // file of keys that survives the loss of Redis; empty: none
	Log    *slog.Logger
}

// Keys are the API keys in Redis and in the file, and the rest of their daily limits. A key is
// valid if it is in one of them and revoked in neither. A revocation that this process has seen
// stays in force, even if Redis later returns the key, until the key is restored by name. The
// methods of Keys can be called concurrently.
type Keys struct {
	db      *redisdb.DB
	hashes  *hashes
	pepper  []byte
	file    *file
	near    boundedmap.ByHash[keyEntry]
	revoked revocations
	reads   singleflight.Group[*Key]
	changes atomic.Uint64 // counts announced changes; an answer from before a change is not kept
	watches keyWatches
	found   atomic.Bool // a valid key was found, so the pepper is correct
	quotas  *quotas
}

type keyHash [sha256.Size]byte

type keyEntry struct {
	key   *Key  // nil: not known, or revoked
	read  int64 // by the monotonic clock
	filed bool  // Redis did not answer, so the file decided
}

// Open returns the API keys in a Redis and subscribes to their changes, so it must be
// called before the DB runs. It reads the file but does not connect. Its error says what
// is wrong with the options.
func Open(db *redisdb.DB, o Options) (*Keys, error) {
	f, err := openFile(o.File, o.Log)
	if err != nil {
		return nil, err
	}
	k := &Keys{db: db, hashes: newHashes(o.Pepper), pepper: o.Pepper, file: f, quotas: newQuotas(db)}
	k.near = boundedmap.NewByHash[keyEntry](maxKeysNear)
	k.watches.wake = make(chan struct{}, 1)
	db.Feed.Listeners = append(db.Feed.Listeners, redisdb.Listener{
		Changed: func(channel, payload string) {
			if channel == db.Names.KeyChanges {
				k.announced(payload)
			}
		},
		Reset: k.forget,
	})
	return k, nil
}

// Run reads the file again when it changes, reports changes to watchers and returns
// unused parts of daily limits, until ctx ends. It needs the DB to run.
func (k *Keys) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.file.watch(ctx, k.forget) })
	g.Go(func() error { return k.watch(ctx) })
	g.Go(func() error { return k.quotas.run(ctx) })
	return g.Wait()
}

// hash returns the HMAC of a key.
func (k *Keys) hash(secret string) keyHash { return k.hashes.of(secret) }

// Find returns the API key that a caller sent, or ErrNotFound if it is unknown or
// revoked. Any other error means that it could not be checked.
func (k *Keys) Find(ctx context.Context, secret string) (*Key, error) {
	if len(k.pepper) == 0 || !ValidSecret(secret) {
		return nil, ErrNotFound
	}
	if hash, ok := k.hashes.recall(secret); ok {
		return k.FindByHash(ctx, hash)
	}
	hash := k.hash(secret)
	key, err := k.FindByHash(ctx, hash)
	if err == nil {
		k.hashes.remember(secret, hash)
	}
	return key, err
}

// FindByHash returns the API key with an HMAC (Key.Hash, in bytes), for tokens that were made
// with that key. Its errors are those of Find.
func (k *Keys) FindByHash(ctx context.Context, hash [sha256.Size]byte) (*Key, error) {
	key, err := k.find(ctx, hash)
	if err == nil && key == nil {
		err = ErrNotFound
	}
	return key, err
}

// find returns nil for a key that is not known or revoked.
func (k *Keys) find(ctx context.Context, h keyHash) (*Key, error) {
	if e, ok := k.near.Get(h); ok && k.fresh(e) {
		return e.key, nil
	}
	// After a restart thousands of callers send the same key at once; they share one
	// read. A caller that comes after a change does not share a read from before the
	// change.
	changes := k.changes.Load()
	return k.reads.Do(string(h[:])+strconv.FormatUint(changes, 10), func() (*Key, error) { return k.loadOnce(ctx, h, changes) })
}

func (k *Keys) loadOnce(ctx context.Context, h keyHash, changes uint64) (*Key, error) {
	read := monotonic.Now()
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

func (k *Keys) fresh(e keyEntry) bool {
	life := keyLifeUnnotified
	if e.key != nil && !e.filed && k.db.Feed.Heard() {
		life = keyLife
	}
	return monotonic.Now()-e.read < int64(life)
}

// load reads the record in Redis, and weighs it against that in the file and the
// revocations that this process has seen.
func (k *Keys) load(ctx context.Context, h keyHash) (key *Key, filed bool, err error) {
	// A caller that hangs up must not make it look as if Redis did not answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.db.Limits.Read)
	defer cancel()
	text, err := k.db.Readers.HGet(ctx, k.db.Names.APIKeys, hex.EncodeToString(h[:])).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return k.decide(h, text, err)
}

// decide returns the valid record of a key, nil if the key is not known or revoked. text
// is its record in Redis, empty if there is none; err is why Redis did not answer. In
// that case the file decides, and filed is true.
func (k *Keys) decide(h keyHash, text string, err error) (key *Key, filed bool, _ error) {
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

// announced drops changed keys from memory. payload has their HMACs, one per line; empty:
// any key may have changed.
func (k *Keys) announced(payload string) {
	if payload == "" {
		k.forget()
		return
	}
	var changed []keyHash
	for text := range strings.SplitSeq(payload, "\n") {
		h := unhex(text)
		if len(h) != len(keyHash{}) { // of another release
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

// forget drops all keys from memory, because any of them may have changed.
func (k *Keys) forget() {
	k.changes.Add(1)
	k.near.Clear()
	k.watches.allDue()
}
