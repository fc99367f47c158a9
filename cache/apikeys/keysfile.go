package apikeys

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// file has the API keys of API_KEYS_FILE, which survive the loss of Redis. While the file
// cannot be read, the keys that were read before stay in use.
type file struct {
	path   string
	log    *slog.Logger
	seen   os.FileInfo       // of the loaded file; nil: the file must be read
	digest [sha256.Size]byte // of what is loaded
	failed bool              // the latest attempt has, and that is logged
	keys   atomic.Pointer[map[string]*Key]
}

// document is the content of the file.
type document struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

const (
	fileVersion  = 1
	maxFileBytes = 64 << 20
	fileInterval = time.Second // between two looks
	// unsettled is the age from which an unchanged date proves that a file has not changed.
	// Dates are coarse, so a second change may have the date of the first.
	unsettled = 2 * time.Second
)

// openFile loads the file. An empty path means that there is no file.
func openFile(path string, log *slog.Logger) (*file, error) {
	f := &file{path: path, log: log}
	f.keys.Store(&map[string]*Key{})
	if path == "" {
		return f, nil
	}
	return f, f.load()
}

// get returns the record in the file of the key with a hash.
func (f *file) get(hash string) (*Key, bool) {
	k, ok := (*f.keys.Load())[hash]
	return k, ok
}

func (f *file) load() error {
	seen, err := os.Stat(f.path) // before reading: a change meanwhile is noticed next time
	if err != nil {
		return f.unreadable(err)
	}
	keys, digest, err := readFile(f.path)
	if err != nil {
		return f.unreadable(err)
	}
	byHash := make(map[string]*Key, len(keys))
	for i := range keys {
		byHash[keys[i].Hash] = &keys[i]
	}
	f.keys.Store(&byHash)
	f.seen, f.digest = seen, digest
	if time.Since(seen.ModTime()).Abs() < unsettled {
		f.seen = nil
	}
	return nil
}

// unreadable returns an error that says why the file cannot be read, and what to do.
func (f *file) unreadable(err error) error {
	fix := "write it again with statusctl keys export"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fix = "write it with statusctl keys export, or leave API_KEYS_FILE unset"
	case errors.Is(err, fs.ErrPermission):
		fix = "let the user of statusd read it and its directory (chown, chmod)"
	}
	return fmt.Errorf("API_KEYS_FILE: %w; %s", err, fix)
}

// watch loads the file again whenever it changes, and calls changed.
func (f *file) watch(ctx context.Context, changed func()) error {
	if f.path == "" {
		return nil
	}
	tick := time.NewTicker(fileInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if f.reload() {
				changed()
			}
		}
	}
}

// reload reports whether the file has changed. A failure is logged once, and the file is
// read again a second later.
func (f *file) reload() bool {
	if now, err := os.Stat(f.path); err == nil && !f.failed && f.seen != nil && sameFile(now, f.seen) {
		return false
	}
	before := f.digest
	err := f.load()
	switch {
	case err != nil && !f.failed:
		f.log.Error("cannot reload API_KEYS_FILE; the keys loaded before stay in use; retrying every second", "error", err)
	case err == nil && (f.failed || f.digest != before):
		f.log.Info("API_KEYS_FILE was read again", "file", f.path, "keys", len(*f.keys.Load()))
	}
	f.failed = err != nil
	return err == nil && f.digest != before
}

// sameFile reports whether nothing has changed.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// ReadFile reads a file that WriteFile wrote.
func ReadFile(path string) ([]Key, error) {
	keys, _, err := readFile(path)
	return keys, err
}

func readFile(path string) (keys []Key, digest [sha256.Size]byte, err error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxFileBytes {
		return nil, digest, fmt.Errorf("%s has more than %d bytes", path, maxFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, digest, err
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, digest, fmt.Errorf("%s is not a file of API keys: %w", path, err)
	}
	if d.Version != fileVersion {
		return nil, digest, fmt.Errorf("%s is not a file of API keys: version %d, want %d", path, d.Version, fileVersion)
	}
	for _, k := range d.Keys {
		if len(k.Hash) != 2*len(keyHash{}) || k.Owner == "" && k.Scope == ScopeRead {
			return nil, digest, fmt.Errorf("%s: the key %q has no hash or no owner", path, k.Prefix)
		}
	}
	return d.Keys, sha256.Sum256(text), nil
}

// Merge adds keys of others to keys if they are missing there. A key that is revoked in
// one of them is revoked, unless it was restored in the other one since.
func Merge(keys, others []Key) []Key {
	merged, places := slices.Clone(keys), make(map[string]int, len(keys))
	for i := range merged {
		places[merged[i].Hash] = i
	}
	for i := range others {
		if place, listed := places[others[i].Hash]; listed {
			merged[place] = *weigh(&merged[place], &others[i])
		} else {
			merged = append(merged, others[i])
		}
	}
	return merged
}

// WriteFile writes keys to a file atomically, so that no reader gets half of it. An
// existing file keeps its owner, group and mode; only its owner may read a new one.
func WriteFile(path string, keys []Key) error {
	err := withoutPath(writeFile(path, keys))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write API keys to %s: %w; create its directory first", path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("write API keys to %s: %w; give this user the permission to write to its directory", path, err)
	case err != nil:
		return fmt.Errorf("write API keys to %s: %w", path, err)
	}
	return nil
}

// withoutPath removes the name of the temporary file from an error.
func withoutPath(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	if of, ok := errors.AsType[*os.LinkError](err); ok {
		return of.Err
	}
	return err
}

func writeFile(path string, keys []Key) (err error) {
	text, err := json.MarshalIndent(document{fileVersion, keys}, "", "  ")
	if err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = keepOwner(f, path)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// keepOwner gives a file the owner, the group and the mode of the file that it will
// replace, if there is one.
func keepOwner(f *os.File, path string) error {
	before, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	want, have := before.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
	if want.Uid != have.Uid || want.Gid != have.Gid {
		if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return fmt.Errorf("%s belongs to user %d, group %d, and only root can keep that owner; run the command as root or as that user: %w", path, want.Uid, want.Gid, withoutPath(err))
		}
	}
	return f.Chmod(before.Mode().Perm())
}
