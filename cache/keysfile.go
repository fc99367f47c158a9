package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// keysFile holds the API keys of API_KEYS_FILE, which survive the loss of
// Redis. A file that is replaced by a broken one stays as it was.
type keysFile struct {
	path string
	log  *slog.Logger
	seen os.FileInfo // of what is loaded
	keys atomic.Pointer[map[string]*Key]
}

// keysDocument is the file.
type keysDocument struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

const (
	keysVersion      = 1
	maxKeysFileBytes = 64 << 20
	keysFileInterval = 2 * time.Second // between two looks
)

// openKeysFile loads the file. No path means no file.
func openKeysFile(path string, log *slog.Logger) (*keysFile, error) {
	f := &keysFile{path: path, log: log}
	f.keys.Store(&map[string]*Key{})
	if path == "" {
		return f, nil
	}
	return f, f.load()
}

// get returns what the file says about the key with a hash.
func (f *keysFile) get(hash string) (*Key, bool) {
	k, ok := (*f.keys.Load())[hash]
	return k, ok
}

func (f *keysFile) load() error {
	seen, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("API_KEYS_FILE: %w", err)
	}
	keys, err := ReadKeysFile(f.path)
	if err != nil {
		return fmt.Errorf("API_KEYS_FILE: %w", err)
	}
	byHash := make(map[string]*Key, len(keys))
	for i := range keys {
		byHash[keys[i].Hash] = &keys[i]
	}
	f.keys.Store(&byHash)
	f.seen = seen
	return nil
}

// watch loads the file again whenever it changes, and calls changed.
func (f *keysFile) watch(ctx context.Context, changed func()) error {
	if f.path == "" {
		return nil
	}
	tick := time.NewTicker(keysFileInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := os.Stat(f.path)
		if err == nil && sameFile(now, f.seen) {
			continue
		}
		f.seen = now
		if err := f.load(); err != nil {
			f.log.Error("API keys not reloaded; the ones loaded before stay", "error", err)
			continue
		}
		changed()
	}
}

// sameFile reports whether nothing has changed; both may be nil.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// ReadKeysFile reads a file that WriteKeysFile wrote.
func ReadKeysFile(path string) ([]Key, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxKeysFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxKeysFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d keysDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s is not a file of API keys: %w", path, err)
	}
	if d.Version != keysVersion {
		return nil, fmt.Errorf("%s is not a file of API keys: version %d, want %d", path, d.Version, keysVersion)
	}
	for _, k := range d.Keys {
		if len(k.Hash) != 2*len(keyHash{}) || k.Owner == "" && k.Scope == ScopeRead {
			return nil, fmt.Errorf("%s: the key %q has no hash or no owner", path, k.Prefix)
		}
	}
	return d.Keys, nil
}

// WriteKeysFile writes keys to a file that only its owner may read, in one step,
// so that nobody ever reads half of it.
func WriteKeysFile(path string, keys []Key) error {
	text, err := json.MarshalIndent(keysDocument{keysVersion, keys}, "", "  ")
	if err != nil {
		return fmt.Errorf("write API keys: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write API keys: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone if all went well
	if _, err := f.Write(append(text, '\n')); err != nil {
		_ = f.Close()
		return fmt.Errorf("write API keys: %w", err)
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fmt.Errorf("write API keys: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write API keys: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write API keys: %w", err)
	}
	return nil
}
