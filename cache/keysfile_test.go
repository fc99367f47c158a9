package cache

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fileKey(first string) Key {
	return Key{
		Hash: first + strings.Repeat("0", 64-len(first)), Prefix: keyPrefix + "0123456" + first, Name: "of " + first, Owner: "ada",
		Scope: ScopeRead, DailyLimit: 10, CreatedAt: time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC),
	}
}

func writeKeys(t *testing.T, path string, keys ...Key) {
	t.Helper()
	if err := WriteKeysFile(path, keys); err != nil {
		t.Fatal(err)
	}
}

func TestKeysFileRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.json")
	revoked := fileKey("b")
	revoked.RevokedAt, revoked.Scope, revoked.StateMachines = revoked.CreatedAt.Add(time.Hour), ScopeRegister, []string{"m"}
	for _, keys := range [][]Key{{fileKey("a"), revoked}, nil, {revoked}} {
		writeKeys(t, path, keys...)
		got, err := ReadKeysFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(keys, got); diff != "" {
			t.Error(diff)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestReadKeysFileRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"version":1,"keys":[{"hash":"H","prefix":"csk_live_a","name":"n","owner":"ada","scope":"read","createdAt":"2026-02-10T12:00:00Z"}]}`
	complete := strings.Replace(good, `"H"`, `"`+strings.Repeat("0", 64)+`"`, 1)
	for what, test := range map[string]struct {
		text string
		bad  bool
	}{
		"a complete one":  {complete, false},
		"nothing":         {"", true},
		"half of it":      {complete[:len(complete)/2], true},
		"two documents":   {complete + complete, true},
		"a list":          {`[]`, true},
		"another version": {strings.Replace(complete, `:1,`, `:2,`, 1), true},
		"no version":      {strings.Replace(complete, `"version":1,`, ``, 1), true},
		"a short hash":    {good, true},
		"no owner":        {strings.Replace(complete, `"ada"`, `""`, 1), true},
		"a broken date":   {strings.Replace(complete, `2026-02-10T`, `yesterday `, 1), true},
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeysFile(path); (err != nil) != test.bad {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ReadKeysFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestWriteKeysFileNamesWhatFailed(t *testing.T) {
	t.Parallel()
	if err := WriteKeysFile(filepath.Join(t.TempDir(), "none", "keys.json"), nil); err == nil {
		t.Error("a folder that is not there is no error")
	}
	dir := t.TempDir()
	if err := WriteKeysFile(dir, nil); err == nil {
		t.Error("a folder in the place of the file is no error")
	}
}

// TestKeysFileIsReloaded looks at the file as it is replaced, broken, removed and
// mended.
func TestKeysFileIsReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, fileKey("a"))
	synctest.Test(t, func(t *testing.T) {
		f, err := openKeysFile(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changes := 0
		go func() { _ = f.watch(ctx, func() { changes++ }) }()
		defer synctest.Wait()
		defer cancel()
		expect := func(what string, wantChanges int, known ...string) {
			t.Helper()
			<-time.After(keysFileInterval + time.Millisecond) // by the clock of the bubble
			synctest.Wait()
			if changes != wantChanges {
				t.Errorf("%s: %d changes, want %d", what, changes, wantChanges)
			}
			for _, first := range []string{"a", "b"} {
				_, found := f.get(fileKey(first).Hash)
				if want := strings.Contains(strings.Join(known, ""), first); found != want {
					t.Errorf("%s: key %s known %v", what, first, found)
				}
			}
		}
		expect("untouched", 0, "a")
		writeKeys(t, path, fileKey("a"), fileKey("b"))
		expect("a key more", 1, "a", "b")
		expect("untouched again", 1, "a", "b")
		if err := os.WriteFile(path, []byte(`{"version":1,`), 0o600); err != nil {
			t.Fatal(err)
		}
		expect("broken", 1, "a", "b")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("gone", 1, "a", "b")
		expect("still gone", 1, "a", "b")
		writeKeys(t, path, fileKey("b"))
		expect("mended", 2, "b")
	})
}

func TestOpenRefusesABrokenKeysFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	open := func() error {
		c, err := Open(Options{URL: "redis://127.0.0.1:1", Prefix: "sc", KeysFile: path, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "API_KEYS_FILE") {
		t.Errorf("no file: %v", err)
	}
	writeKeys(t, path)
	if err := open(); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}
