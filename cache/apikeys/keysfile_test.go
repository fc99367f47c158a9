package apikeys

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/monotonic"
	"statuscache/cache/internal/redisdb"
)

func fileKey(first string) Key {
	return Key{
		Hash: first + strings.Repeat("0", 64-len(first)), Prefix: keyPrefix + "0123456" + first, Name: "of " + first, Owner: "ada",
		Scope: ScopeRead, DailyLimit: 10, CreatedAt: time.Date(2026, 2, 10, 12, 0, 0, 0, time.UTC),
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
		got, err := ReadFile(path)
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
		if _, err := ReadFile(path); (err != nil) != test.bad {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestWriteKeysFileNamesWhatFailed(t *testing.T) {
	t.Parallel()
	if err := WriteFile(filepath.Join(t.TempDir(), "none", "keys.json"), nil); err == nil {
		t.Error("a folder that is not there is no error")
	}
	dir := t.TempDir()
	if err := WriteFile(dir, nil); err == nil {
		t.Error("a folder in the place of the file is no error")
	}
}

// TestKeysFileIsReloaded looks at the file as it is replaced, broken, removed and
// correct again.
func TestKeysFileIsReloaded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, fileKey("a"))
	synctest.Test(t, func(t *testing.T) {
		f, err := openFile(path, slog.New(slog.DiscardHandler))
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
			<-time.After(fileInterval + time.Millisecond) // by the clock of the bubble
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
		expect("correct again", 2, "b")
	})
}

// TestAKeysFileThatCannotBeReadIsTriedAgain each second, and that is reported once.
func TestAKeysFileThatCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, fileKey("a"))
	for name, fault := range map[string]func() (repair func() error){
		"unreadable": func() func() error { // root may read anything, so it is a folder for a while
			aside := path + ".aside"
			if err := errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			return func() error { return errors.Join(os.Remove(path), os.Rename(aside, path)) }
		},
		"half written": func() func() error {
			complete, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, complete[:len(complete)/2], 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return os.WriteFile(path, complete, 0o600) }
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			writeKeys(t, path, fileKey("a"))
			var log strings.Builder
			f, err := openFile(path, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			changed := make(chan struct{}, 10)
			go func() { _ = f.watch(t.Context(), func() { changed <- struct{}{} }) }()
			revoked := fileKey("a")
			revoked.RevokedAt = revoked.CreatedAt
			writeKeys(t, path, revoked)
			repair := fault()
			<-time.After(time.Minute) // by the clock of the bubble, as below
			if k, known := f.get(revoked.Hash); !known || k.Revoked() {
				t.Errorf("%s: what was read before is gone", name)
			}
			if err := repair(); err != nil {
				t.Fatal(err)
			}
			<-time.After(fileInterval + time.Millisecond)
			synctest.Wait()
			if k, _ := f.get(revoked.Hash); !k.Revoked() || len(changed) != 1 {
				t.Errorf("%s: correct again, and not read within a second", name)
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "read again\"") {
				t.Errorf("%s: reported %d times\n%s", name, n, log.String())
			}
		})
	}
}

// TestAChangeWithTheSameDateAndSizeIsNoticed: dates are coarse.
func TestAChangeWithTheSameDateAndSizeIsNoticed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, fileKey("a"))
	f, err := openFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), "of a", "of b", 1)), 0o600)
	}
	if err = errors.Join(err, os.Chtimes(path, before.ModTime(), before.ModTime())); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(path); err != nil || !sameFile(before, now) {
		t.Fatalf("the file tells that it has changed: %v", err)
	}
	if k, _ := f.get(fileKey("a").Hash); !f.reload() || k.Name != "of a" {
		t.Error("not read again")
	}
	if k, _ := f.get(fileKey("a").Hash); k.Name != "of b" || f.reload() {
		t.Errorf("%q is known, or read again without a change", k.Name)
	}
}

// TestWriteKeysFileKeepsOwnerAndMode of the file that is there, and a link to it.
func TestWriteKeysFileKeepsOwnerAndMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "keys.json"), filepath.Join(dir, "link.json")
	writeKeys(t, path)
	owner, group := os.Getuid(), os.Getgid()
	if owner == 0 {
		owner, group = 12345, 23456
	}
	if err := errors.Join(os.Chown(path, owner, group), os.Chmod(path, 0o640), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	writeKeys(t, link, fileKey("a"))
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || int(s.Uid) != owner || int(s.Gid) != group {
		t.Errorf("mode %v, user %d, group %d", info.Mode(), s.Uid, s.Gid)
	}
	if target, err := os.Readlink(link); err != nil || target != path {
		t.Errorf("the link became %q, %v", target, err)
	}
	if keys, err := ReadFile(path); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestOpenRefusesABrokenKeysFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	open := func() error {
		log := slog.New(slog.DiscardHandler)
		db, err := redisdb.Open(redisdb.Options{URL: "redis://127.0.0.1:1", Prefix: "sc", Log: log})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(db, Options{File: path, Log: log})
		return errors.Join(err, db.Close())
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "API_KEYS_FILE") {
		t.Errorf("no file: %v", err)
	}
	writeKeys(t, path)
	if err := open(); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}

// TestRevokedKeyStaysRevoked: a file that still calls a key good must not revive
// one that Redis has called revoked, whether a caller hangs up while it is looked for and
// however long Redis takes.
func TestRevokedKeyStaysRevoked(t *testing.T) {
	t.Parallel()
	r := cachetest.Redis(t)
	admin := openIdle(t, r.URL())
	secret, k, err := admin.Create(t.Context(), Key{Name: "x", Owner: "ada", Scope: ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := WriteFile(file, []Key{k}); err != nil {
		t.Fatal(err)
	}
	ks := openTest(t, r.URL(), withFile(file))
	find := func(ctx context.Context) error {
		ks.near.Clear() // as if its life were over
		_, err := ks.Find(ctx, secret)
		return err
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := find(gone); err != nil {
		t.Errorf("the control, a good key of a caller who hung up: %v", err)
	}
	if _, err := admin.Revoke(t.Context(), k.Prefix); err != nil {
		t.Fatal(err)
	}
	if err := find(gone); !errors.Is(err, ErrNotFound) {
		t.Errorf("a caller who hung up: %v", err)
	}
	r.Freeze()
	defer r.Thaw()
	if err := find(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("while Redis is frozen: %v", err)
	}
}

// TestAKeyFromTheFileIsReadAgainSoon: the file decides for as long as Redis cannot
// be asked, and not for longer.
func TestAKeyFromTheFileIsReadAgainSoon(t *testing.T) {
	t.Parallel()
	ks := openTest(t, cachetest.Redis(t).URL())
	for filed, fresh := range map[bool]bool{true: false, false: true} {
		e := keyEntry{key: &Key{}, read: monotonic.Now() - int64(keyLifeUnnotified) - 1, filed: filed}
		if ks.fresh(e) != fresh {
			t.Errorf("filed %v: fresh %v", filed, !fresh)
		}
	}
}
