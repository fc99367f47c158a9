package cache

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

	"github.com/prometheus/client_golang/prometheus"

	"statuscache/cache/cachetest"
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

// waiters remember what they were told last, by the HMAC of the key.
type waiters struct {
	mu   sync.Mutex
	told map[string]error
}

func (w *waiters) wait(c *Cache, keys []Key) {
	w.told = map[string]error{}
	for i := range keys {
		hash := keys[i].Hash
		c.WatchKey(&keys[i], func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told[hash] = err
		})
	}
}

// count returns how many were told what is wanted.
func (w *waiters) count(want error) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.told {
		if errors.Is(err, want) {
			n++
		}
	}
	return n
}

// TestWhoWaitsWithARevokedKeyIsToldHoweverManyWait: nothing is asked for each of them.
func TestWhoWaitsWithARevokedKeyIsToldHoweverManyWait(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	keys := manyKeys(3000)
	if _, err := c.ImportKeys(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	var w waiters
	w.wait(c, keys)
	cachetest.Eventually(t, "all are found to be good", func() bool { return w.count(nil) == len(keys) })
	before := s.Calls("hget") + s.Calls("hmget")
	if _, err := c.RevokeKey(t.Context(), keys[471].Prefix); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "it is told", func() bool { return w.count(ErrKeyNotFound) == 1 })
	if n := s.Calls("hget") + s.Calls("hmget") - before; n > len(keys)/10 { // it, and now and then all, a thousand in one call
		t.Errorf("%d reads", n)
	}
	if w.count(nil) != len(keys)-1 {
		t.Error("others were told something else")
	}
	// A release that does not name the key, or a feed that was lost.
	revoked := keys[42]
	revoked.RevokedAt = revoked.CreatedAt
	c.keys.revoked.add(keyHash(unhex(revoked.Hash)), &revoked)
	if err := c.db.Writers.Publish(t.Context(), c.db.Names.KeyChanges, "").Err(); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "all are looked at", func() bool { return w.count(ErrKeyNotFound) == 2 })
}

// TestTheFileEndsAKeyWhileRedisIsFrozen: at once, however many wait.
func TestTheFileEndsAKeyWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	keys := manyKeys(8000)
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, keys...)
	synctest.Test(t, func(t *testing.T) {
		c, err := Open(Options{
			URL: "redis://frozen:6379", Prefix: "sc", KeysFile: path, KeyPepper: []byte("pepper"), Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
			Dial: func(context.Context, string, string) (net.Conn, error) {
				here, _ := net.Pipe() // nobody reads
				return here, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var g sync.WaitGroup
		g.Go(func() { _ = c.keys.watch(ctx) })
		g.Go(func() { _ = c.keys.file.watch(ctx, c.keys.forget) })
		var w waiters
		w.wait(c, keys)
		<-time.After(time.Minute) // by the clock of the bubble, as below
		if n := w.count(nil); n != len(keys) {
			t.Errorf("%d of %d keys of the file are good", n, len(keys))
		}
		keys[4711].RevokedAt = keys[4711].CreatedAt
		writeKeys(t, path, keys...)
		<-time.After(2 * time.Second)
		if n := w.count(ErrKeyNotFound); n != 1 || w.count(nil) != len(keys)-1 {
			t.Errorf("told of %d revoked keys, want 1, and of %d good ones", n, w.count(nil))
		}
		cancel()
		g.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
