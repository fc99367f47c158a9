package apikeys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// manyKeys returns keys that differ in their HMACs.
func manyKeys(n int) []Key {
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = fileKey("a")
		keys[i].Hash, keys[i].Prefix = fmt.Sprintf("%064x", i+1), fmt.Sprintf("%s%08x", keyPrefix, i+1)
	}
	return keys
}

// reports are what was reported last of each key, by its HMAC.
type reports struct {
	mu     sync.Mutex
	newest map[string]error
}

func (r *reports) watch(ks *Keys, keys []Key) {
	r.newest = map[string]error{}
	for i := range keys {
		hash := keys[i].Hash
		ks.Watch(&keys[i], func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.newest[hash] = err
		})
	}
}

// count returns of how many keys err was reported.
func (r *reports) count(err error) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reported := range r.newest {
		if errors.Is(reported, err) {
			n++
		}
	}
	return n
}

// TestARevocationIsReportedHoweverManyKeysAreWatched: a few reads cover all of them.
func TestARevocationIsReportedHoweverManyKeysAreWatched(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks := openTest(t, s.URL())
	keys := manyKeys(3000)
	if _, err := ks.Import(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	var r reports
	r.watch(ks, keys)
	cachetest.Eventually(t, "all are found to be good", func() bool { return r.count(nil) == len(keys) })
	before := s.Calls("hget") + s.Calls("hmget")
	if _, err := ks.Revoke(t.Context(), keys[471].Prefix); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "it is reported", func() bool { return r.count(ErrNotFound) == 1 })
	if r.count(nil) != len(keys)-1 {
		t.Error("something else was reported of others")
	}
	// A release that does not name the key, or a feed that was lost.
	revoked := keys[42]
	revoked.RevokedAt = revoked.CreatedAt
	ks.revoked.add(keyHash(unhex(revoked.Hash)), &revoked)
	if err := ks.db.Writers.Publish(t.Context(), ks.db.Names.KeyChanges, "").Err(); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "all are checked", func() bool { return r.count(ErrNotFound) == 2 })
	if n := s.Calls("hget") + s.Calls("hmget") - before; n > len(keys)/10 { // it, and some times all, a thousand in one call
		t.Errorf("%d reads", n)
	}
}

// TestTheFileEndsAKeyWhileRedisIsFrozen: at once, however many keys are watched.
func TestTheFileEndsAKeyWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	keys := manyKeys(8000)
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, keys...)
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		db, err := redisdb.Open(redisdb.Options{URL: "redis://frozen:6379", Prefix: "sc", Log: log, Dial: func(context.Context, string, string) (net.Conn, error) {
			here, _ := net.Pipe() // nobody reads
			return here, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		ks, err := Open(db, Options{File: path, Pepper: []byte("pepper"), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var g sync.WaitGroup
		g.Go(func() { _ = ks.Run(ctx) })
		var r reports
		r.watch(ks, keys)
		<-time.After(time.Minute) // by the clock of the bubble, as below
		if n := r.count(nil); n != len(keys) {
			t.Errorf("%d of %d keys of the file are good", n, len(keys))
		}
		keys[4711].RevokedAt = keys[4711].CreatedAt
		writeKeys(t, path, keys...)
		<-time.After(2 * time.Second)
		if n := r.count(ErrNotFound); n != 1 || r.count(nil) != len(keys)-1 {
			t.Errorf("%d keys were reported revoked, want 1, and %d good", n, r.count(nil))
		}
		cancel()
		g.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}
