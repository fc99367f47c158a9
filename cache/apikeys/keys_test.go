package apikeys

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"statuscache/cache/cachetest"
)

func TestWellFormed(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdef0123456789abcdef"
	for text, want := range map[string]bool{
		keyPrefix + digits: true, "": false, keyPrefix: false, digits: false, keyPrefix + digits[1:]: false,
		keyPrefix + digits + "0": false, keyPrefix + strings.ToUpper(digits): false, "csk_test_" + digits: false,
		keyPrefix + digits[1:] + "g": false, keyPrefix + digits[1:] + "/": false, " " + keyPrefix + digits: false,
		keyPrefix + digits[1:] + "\x00": false, keyPrefix + digits[2:] + "é": false,
	} {
		if got := WellFormed(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// maxAge is how old what a process knows may be, if the change feed is lost without an error.
const maxAge = 3 * time.Second

func TestKeysAreCreatedFoundListedAndRevoked(t *testing.T) {
	t.Parallel()
	ks := openTest(t, cachetest.Redis(t).URL())
	said := Key{Name: "pipeline", Owner: "ada", Scope: ScopeRegister, StateMachines: []string{"m"}, DailyLimit: 7}
	secret, created := createKey(t, ks, said)
	other, _ := createKey(t, ks, Key{Name: "other", Owner: "eve", Scope: ScopeRead})
	if !WellFormed(secret) || !strings.HasPrefix(secret, created.Prefix) || secret == other || created.CreatedAt.IsZero() {
		t.Errorf("%+v of a key of %d characters", created, len(secret))
	}
	said.Hash, said.Prefix, said.CreatedAt = created.Hash, created.Prefix, created.CreatedAt
	for range 2 { // from Redis, then from near
		found, err := ks.Find(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(said, *found); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := ks.Revoke(t.Context(), keyPrefix+"zzzzzzzz"); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoking an unknown key: %v", err)
	}
	revoked, err := ks.Revoke(t.Context(), created.Prefix)
	if err != nil || !revoked.Revoked() {
		t.Fatalf("revoke: %+v, %v", revoked, err)
	}
	again, err := ks.Revoke(t.Context(), created.Prefix)
	if err != nil || !again.RevokedAt.Equal(revoked.RevokedAt) {
		t.Errorf("revoking again: %+v, %v", again, err)
	}
	cachetest.Eventually(t, "the revoked key is refused", func() bool { return refused(t, ks, secret) })
	if refused(t, ks, other) {
		t.Error("the other key is refused too")
	}
	listed, err := ks.List(t.Context())
	if err != nil || len(listed) != 2 {
		t.Fatalf("listed %v, %v", listed, err)
	}
	stored, err := ks.db.Readers.HGetAll(t.Context(), ks.db.Names.APIKeys).Result()
	if text := fmt.Sprint(stored); err != nil || !strings.Contains(text, created.Hash) || strings.Contains(text, secret[keyNameLength:]) {
		t.Errorf("Redis holds %s, %v", text, err)
	}
}

// TestARevokedKeyIsRefusedEverywhere: another process that has the key
// at hand refuses it at once, and a little later where nothing tells it of the
// change. In the control what is announced has no effect.
func TestARevokedKeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	const promised, always = 2 * time.Second, 30 * time.Second
	for name, test := range map[string]struct {
		deaf, hole bool
		from, to   time.Duration // when it is refused
	}{
		"announced":           {to: promised},
		"in a black hole":     {hole: true, to: maxAge + keyLifeUnnotified},
		"control: not heeded": {deaf: true, from: promised + 1, to: always},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
				var n cachetest.Network
				here, there := openBubble(t, b, new(cachetest.Network)), openBubble(t, b, &n)
				if test.deaf {
					there.db.Feed.Listeners[0].Changed = func(string, string) {}
				}
				runTest(t, there)
				secret, created := createKey(t, here, Key{Owner: "ada", Scope: ScopeRead})
				cachetest.Eventually(t, "the key is near", func() bool {
					e, ok := there.near.Get(there.hash(secret))
					return !refused(t, there, secret) && ok && e.key != nil
				})
				if test.hole {
					n.Begin(cachetest.BlackHole)
				}
				if _, err := here.Revoke(t.Context(), created.Prefix); err != nil {
					t.Fatal(err)
				}
				if !refused(t, here, secret) {
					t.Error("the process that revoked it accepts it")
				}
				if after := cachetest.Took(func() {
					cachetest.Eventually(t, "the key is refused", func() bool { return refused(t, there, secret) })
				}); after < test.from || after > test.to {
					t.Errorf("refused after %v, want %v to %v", after, test.from, test.to)
				}
			})
		})
	}
}

// TestAKeyThatIsRevokedWhileItIsReadIsNotKept holds the answer of Redis back
// until the revocation has been heard.
func TestAKeyThatIsRevokedWhileItIsReadIsNotKept(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		var n cachetest.Network
		here, there := openBubble(t, b, new(cachetest.Network)), openBubble(t, b, &n)
		heard, forget := make(chan struct{}, 10), there.db.Feed.Listeners[0].Changed
		there.db.Feed.Listeners[0].Changed = func(channel, payload string) {
			forget(channel, payload)
			heard <- struct{}{}
		}
		secret, created := createKey(t, here, Key{Owner: "ada", Scope: ScopeRead})
		runTest(t, there)
		h := n.Hold(cachetest.ReadsOf(created.Hash)) // others read the keys, too
		read := make(chan error)
		go func() {
			_, err := there.Find(t.Context(), secret)
			read <- err
		}()
		<-h.Reached
		if _, err := here.Revoke(t.Context(), created.Prefix); err != nil {
			t.Fatal(err)
		}
		<-heard
		h.Release()
		if err := <-read; err != nil && !errors.Is(err, ErrNotFound) { // the revocation may be known by now
			t.Errorf("the read that began before: %v", err)
		}
		if !refused(t, there, secret) {
			t.Error("what was read before the revocation is reported after it")
		}
	})
}

func TestKeysMoveToAnotherRedis(t *testing.T) {
	t.Parallel()
	from, to := openIdle(t, cachetest.Redis(t).URL()), openIdle(t, cachetest.Redis(t).URL())
	good, _ := createKey(t, from, Key{Name: "good", Owner: "ada", Scope: ScopeRead})
	bad, revoked := createKey(t, from, Key{Name: "bad", Owner: "ada", Scope: ScopeRead})
	before, err := from.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.Revoke(t.Context(), revoked.Prefix); err != nil {
		t.Fatal(err)
	}
	after, err := from.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	// The older list comes second: it must not make the revoked key good again.
	for _, keys := range [][]Key{after, before} {
		writeKeys(t, path, keys...)
		read, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := to.Import(t.Context(), read); n != 2 || err != nil {
			t.Fatalf("imported %d, %v", n, err)
		}
		if refused(t, to, good) || !refused(t, to, bad) {
			t.Errorf("good refused %v, revoked refused %v", refused(t, to, good), refused(t, to, bad))
		}
	}
	moved, err := to.List(t.Context())
	if diff := cmp.Diff(after, moved); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if n, err := to.Import(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("nothing imported: %d, %v", n, err)
	}
}

// TestKeysOfTheFileSurviveRedis: Redis has lost everything, or is gone.
func TestKeysOfTheFileSurviveRedis(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	maker := openIdle(t, s.URL())
	filed, _ := createKey(t, maker, Key{Name: "filed", Owner: "ada", Scope: ScopeRead})
	ended, revoked := createKey(t, maker, Key{Name: "ended", Owner: "ada", Scope: ScopeRead})
	if _, err := maker.Revoke(t.Context(), revoked.Prefix); err != nil {
		t.Fatal(err)
	}
	keys, err := maker.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, keys...)
	unfiled, _ := createKey(t, maker, Key{Name: "unfiled", Owner: "ada", Scope: ScopeRead})

	ks := openTest(t, s.URL(), withFile(path))
	expect := func(when string, want map[string]bool) {
		t.Helper()
		ks.forget()
		for secret, good := range want {
			if refused(t, ks, secret) == good {
				t.Errorf("%s: key %s: good %v", when, secret[:keyNameLength], !good)
			}
		}
	}
	expect("at first", map[string]bool{filed: true, ended: false, unfiled: true})
	s.Do("FLUSHALL")
	expect("after the loss of everything", map[string]bool{filed: true, ended: false, unfiled: false})

	again, created := createKey(t, maker, Key{Name: "again", Owner: "ada", Scope: ScopeRead})
	writeKeys(t, path, append(keys, created)...)
	s.Do("FLUSHALL")
	cachetest.Eventually(t, "the file is read again", func() bool { return !refused(t, ks, again) })

	s.Kill()
	expect("without Redis", map[string]bool{filed: true, ended: false, again: true})
	if _, err := ks.Find(t.Context(), unfiled); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("without Redis, a key that the file does not know: %v", err)
	}
}

// TestRedisRevokesKeysOfTheFile: a key is good only if neither says it is not.
func TestRedisRevokesKeysOfTheFile(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	maker := openIdle(t, s.URL())
	secret, created := createKey(t, maker, Key{Owner: "ada", Scope: ScopeRead})
	path := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, path, created)
	ks := openIdle(t, s.URL(), withFile(path))
	if refused(t, ks, secret) {
		t.Error("refused before it is revoked")
	}
	if _, err := maker.Revoke(t.Context(), created.Prefix); err != nil {
		t.Fatal(err)
	}
	ks.forget()
	if !refused(t, ks, secret) {
		t.Error("revoked in Redis, but the file makes it good")
	}
}

func TestKeysNeedTheirPepper(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks := openIdle(t, s.URL())
	other := openIdle(t, s.URL(), func(s *setUp) { s.Pepper = []byte("another pepper") })
	none := openIdle(t, s.URL(), func(s *setUp) { s.Pepper = nil })
	secret, _ := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	if refused(t, ks, secret) || !refused(t, other, secret) || !refused(t, none, secret) {
		t.Error("a key is good with its pepper and with no other")
	}
	if _, _, err := none.Create(t.Context(), Key{Owner: "ada"}); err == nil {
		t.Error("a key was created without a pepper")
	}
}

// TestManyRequestsWithOneKeyReadItOnce: after a restart thousands come back at once.
func TestManyRequestsWithOneKeyReadItOnce(t *testing.T) {
	t.Parallel()
	cachetest.InBubble(t, func(t *testing.T, b *cachetest.Bubble) {
		var n cachetest.Network
		maker, ks := openBubble(t, b, new(cachetest.Network)), openBubble(t, b, &n)
		secret, _ := createKey(t, maker, Key{Owner: "ada", Name: "shared", Scope: ScopeRead})
		h := n.Hold(cachetest.ReadsOf(ks.db.Names.APIKeys))
		find := func() {
			if _, err := ks.Find(t.Context(), secret); err != nil {
				t.Error(err)
			}
		}
		var wg sync.WaitGroup
		for range 3000 {
			wg.Go(find)
		}
		synctest.Wait() // all of them have asked
		h.Release()
		wg.Wait()
		if n := h.Answers.Load(); n != 1 {
			t.Errorf("%d reads of one key", n)
		}
		for range 3 { // the control: who come one after the other, when what is near is too old
			cachetest.Pass(keyLifeUnnotified)
			find()
		}
		if n := h.Answers.Load(); n != 4 {
			t.Errorf("%d reads where 4 are needed: the count cannot be trusted", n)
		}
	})
}
