package apikeys

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"statuscache/cache/internal/redisdb"
)

// How often watched keys are checked. An announced change is checked at once; these times
// matter for changes without a notification.
const (
	checkUnnotified = time.Second      // while the change feed does not work
	checkHeard      = 10 * time.Second // while it works
)

// keyWatches are the watches of keys.
type keyWatches struct {
	wake chan struct{} // capacity 1: something is due

	mu      sync.Mutex
	byKey   map[keyHash]map[*keyWatch]struct{}
	changed map[keyHash]struct{} // keys to check now
	all     bool                 // all keys must be checked now
}

type keyWatch struct {
	key    *Key
	report func(error)
}

// Watch reports the state of a key that Find returned: nil if it is valid, ErrNotFound if it
// is revoked or gone, another error if that cannot be checked. It reports a change at once,
// and the state every few seconds. It needs Run. report is called by other goroutines only.
// stop ends the watch; one call of report may follow it.
func (k *Keys) Watch(key *Key, report func(error)) (stop func()) {
	h, w := keyHash{}, &keyWatch{key, report}
	copy(h[:], unhex(key.Hash))
	k.watches.add(h, w)
	// A change that was announced before has removed the key from near.
	if e, ok := k.near.Get(h); !ok || e.key != key {
		k.watches.due(h)
	}
	return func() { k.watches.remove(h, w) }
}

// unhex returns nothing for what is not hexadecimal.
func unhex(text string) []byte {
	b, _ := hex.DecodeString(text)
	return b
}

func (w *keyWatches) add(h keyHash, watch *keyWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = map[keyHash]map[*keyWatch]struct{}{}
	}
	if w.byKey[h] == nil {
		w.byKey[h] = map[*keyWatch]struct{}{}
	}
	w.byKey[h][watch] = struct{}{}
}

func (w *keyWatches) remove(h keyHash, watch *keyWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.byKey[h], watch); len(w.byKey[h]) == 0 {
		delete(w.byKey, h)
	}
}

// due makes keys be checked now.
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

// allDue makes all watched keys be checked now.
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

// take returns the keys that are due.
func (w *keyWatches) take() (hashes []keyHash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.changed {
		hashes = append(hashes, h)
	}
	if w.all {
		for h := range w.byKey {
			if _, listed := w.changed[h]; !listed {
				hashes = append(hashes, h)
			}
		}
	}
	w.changed, w.all = nil, false
	return hashes
}

// restored returns how often a key was restored, according to its watches.
func (w *keyWatches) restored(h keyHash) (most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for watch := range w.byKey[h] {
		most = max(most, watch.key.Restored)
	}
	return most
}

// report reports the state of a key to its watches.
func (w *keyWatches) report(h keyHash, err error) {
	w.mu.Lock()
	watches := make([]*keyWatch, 0, len(w.byKey[h]))
	for watch := range w.byKey[h] {
		watches = append(watches, watch)
	}
	w.mu.Unlock()
	for _, watch := range watches {
		watch.report(err)
	}
}

// watch checks the watched keys until ctx ends.
func (k *Keys) watch(ctx context.Context) error {
	tick := time.NewTicker(checkUnnotified)
	defer tick.Stop()
	checkedAll := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.watches.wake:
		case now := <-tick.C:
			if !k.db.Feed.Heard() || now.Sub(checkedAll) >= checkHeard {
				checkedAll = now
				k.watches.allDue()
			}
		}
		if k.check(ctx, k.watches.take()) != nil {
			checkedAll = time.Time{} // check again soon
		}
	}
}

// check reads keys, many in one round trip, and reports their states to their watches. A
// key that the file revokes need not wait for Redis. The error says why Redis could not
// be read.
func (k *Keys) check(ctx context.Context, hashes []keyHash) (away error) {
	hashes = slices.DeleteFunc(hashes, func(h keyHash) bool {
		revoked := k.revokedInFile(h)
		if revoked {
			k.watches.report(h, ErrNotFound)
		}
		return revoked
	})
	for some := range slices.Chunk(hashes, keysAtOnce) {
		texts := make([]string, len(some))
		if away == nil { // otherwise each part would wait for a Redis that does not answer
			texts, away = k.readMany(ctx, some)
		}
		if ctx.Err() != nil {
			return nil
		}
		for i, h := range some {
			key, _, err := k.decide(h, texts[i], away)
			if err == nil && key == nil {
				err = ErrNotFound
			}
			k.watches.report(h, err)
		}
	}
	return away
}

// revokedInFile reports whether the file revokes a watched key. It does not read Redis,
// where the key may have been restored since.
func (k *Keys) revokedInFile(h keyHash) bool {
	inFile, known := k.file.get(hex.EncodeToString(h[:]))
	return known && inFile.Revoked() && k.watches.restored(h) <= inFile.Restored
}

// readMany returns the records of keys, empty for those that Redis does not know.
func (k *Keys) readMany(ctx context.Context, hashes []keyHash) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.db.Limits.Read)
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
