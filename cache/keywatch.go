package cache

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"statuscache/cache/internal/redisdb"
	"sync"
	"time"
)

// How often the keys of those who wait are looked at. A change that is announced is
// looked at then; these are for what is not heard.
const (
	keysLook        = time.Second      // while the change feed is not heard
	keysLookAllTime = 10 * time.Second // while it is
)

// keyWatches are the keys that somebody waits with.
type keyWatches struct {
	wake chan struct{} // room for one: something is due

	mu      sync.Mutex
	tell    map[keyHash]map[*keyWatch]struct{}
	changed map[keyHash]struct{} // to be looked at now
	all     bool                 // all are
}

type keyWatch struct {
	key  *Key
	tell func(error)
}

// WatchKey tells what becomes of a key that FindKey returned: nil when it was found to
// be good, ErrKeyNotFound when it is revoked or gone, another error when that cannot
// be found out. A change is told at once, and again now and then. It needs Run. stop
// ends it; tell may be called once more then. It is called by another
// goroutine only.
func (c *Cache) WatchKey(k *Key, tell func(error)) (stop func()) {
	h, w := keyHash{}, &keyWatch{k, tell}
	copy(h[:], unhex(k.Hash))
	c.keys.watches.add(h, w)
	// What was announced before is heard by nobody here; then the key is not near.
	if e, ok := c.keys.near.Get(h); !ok || e.key != k {
		c.keys.watches.due(h)
	}
	return func() { c.keys.watches.remove(h, w) }
}

// unhex returns nothing for what is not hexadecimal.
func unhex(text string) []byte {
	b, _ := hex.DecodeString(text)
	return b
}

func (w *keyWatches) add(h keyHash, watch *keyWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tell == nil {
		w.tell = map[keyHash]map[*keyWatch]struct{}{}
	}
	if w.tell[h] == nil {
		w.tell[h] = map[*keyWatch]struct{}{}
	}
	w.tell[h][watch] = struct{}{}
}

func (w *keyWatches) remove(h keyHash, watch *keyWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.tell[h], watch); len(w.tell[h]) == 0 {
		delete(w.tell, h)
	}
}

// due has keys be looked at now.
func (w *keyWatches) due(hashes ...keyHash) {
	w.mu.Lock()
	if w.changed == nil {
		w.changed = map[keyHash]struct{}{}
	}
	for _, h := range hashes {
		w.changed[h] = struct{}{}
	}
	w.mu.Unlock()
	w.signal()
}

// allDue has all keys be looked at now that somebody waits with.
func (w *keyWatches) allDue() {
	w.mu.Lock()
	w.all = true
	w.mu.Unlock()
	w.signal()
}

func (w *keyWatches) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what is due.
func (w *keyWatches) take() (hashes []keyHash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.changed {
		hashes = append(hashes, h)
	}
	if w.all {
		for h := range w.tell {
			if _, listed := w.changed[h]; !listed {
				hashes = append(hashes, h)
			}
		}
	}
	w.changed, w.all = nil, false
	return hashes
}

// restored returns how often a key was restored, as far as those who wait with it know.
func (w *keyWatches) restored(h keyHash) (most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for watch := range w.tell[h] {
		most = max(most, watch.key.Restored)
	}
	return most
}

// found tells those who wait with a key.
func (w *keyWatches) found(h keyHash, err error) {
	w.mu.Lock()
	watches := make([]*keyWatch, 0, len(w.tell[h]))
	for watch := range w.tell[h] {
		watches = append(watches, watch)
	}
	w.mu.Unlock()
	for _, watch := range watches {
		watch.tell(err)
	}
}

// watch looks after the keys of those who wait until ctx ends.
func (k *apiKeys) watch(ctx context.Context) error {
	tick := time.NewTicker(keysLook)
	defer tick.Stop()
	lookedAtAll := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.watches.wake:
		case now := <-tick.C:
			if !k.db.Feed.Heard() || now.Sub(lookedAtAll) >= keysLookAllTime {
				lookedAtAll = now
				k.watches.allDue()
			}
		}
		if k.look(ctx, k.watches.take()) != nil {
			lookedAtAll = time.Time{} // look again soon
		}
	}
}

// look finds out what became of keys, many in one round trip, and tells those who
// wait with them. What the file says is revoked need not wait for Redis. The error is
// why Redis could not be asked.
func (k *apiKeys) look(ctx context.Context, hashes []keyHash) (away error) {
	hashes = slices.DeleteFunc(hashes, func(h keyHash) bool {
		revoked := k.revokedInFile(h)
		if revoked {
			k.watches.found(h, ErrKeyNotFound)
		}
		return revoked
	})
	for some := range slices.Chunk(hashes, keysAtOnce) {
		texts := make([]string, len(some))
		if away == nil { // or each part would wait for a Redis that does not answer
			texts, away = k.readMany(ctx, some)
		}
		if ctx.Err() != nil {
			return nil
		}
		for i, h := range some {
			key, _, err := k.judge(h, texts[i], away)
			if err == nil && key == nil {
				err = ErrKeyNotFound
			}
			k.watches.found(h, err)
		}
	}
	return away
}

// revokedInFile reports whether the file ends a key that somebody waits with, as far as
// is known without asking Redis, where it may have been restored since.
func (k *apiKeys) revokedInFile(h keyHash) bool {
	inFile, known := k.file.get(hex.EncodeToString(h[:]))
	return known && inFile.Revoked() && k.watches.restored(h) <= inFile.Restored
}

// readMany returns the records of keys, empty for those that Redis does not know.
func (k *apiKeys) readMany(ctx context.Context, hashes []keyHash) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.db.ReadLimit())
	defer cancel()
	texts, fields := make([]string, len(hashes)), make([]string, len(hashes))
	for i, h := range hashes {
		fields[i] = hex.EncodeToString(h[:])
	}
	answers, err := k.db.Readers.HMGet(ctx, k.db.Names.APIKeys, fields...).Result()
	if err == nil && len(answers) != len(hashes) {
		err = redisdb.ErrAnswer
	}
	if err != nil {
		return texts, fmt.Errorf("read API keys: %w", err)
	}
	for i, answer := range answers {
		texts[i], _ = answer.(string)
	}
	return texts, nil
}
