package apikeys

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"statuscache/cache/cachetest"
	"statuscache/cache/internal/redisdb"
)

// TestARevocationBesideAnImportIsFinal holds one of the two up at what it reads
// first until the other is done.
func TestARevocationBesideAnImportIsFinal(t *testing.T) {
	t.Parallel()
	for name, revokesFirst := range map[string]bool{"the import is held up": true, "the revocation is held up": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cachetest.Redis(t)
			var n cachetest.Network
			quick, slow := openIdle(t, s.URL()), openIdle(t, s.URL(), through(&n))
			secret, created := createKey(t, quick, Key{Owner: "ada", Scope: ScopeRead})
			revoke := func(ks *Keys) error {
				_, err := ks.Revoke(t.Context(), created.Prefix)
				return err
			}
			store := func(ks *Keys) error {
				_, err := ks.Import(t.Context(), []Key{created})
				return err
			}
			first, second := revoke, store
			if !revokesFirst {
				first, second = store, revoke
			}
			inHand, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			n.Begin(func(conn *cachetest.Conn) (bool, error) {
				if conn.Asked(slow.db.Names.APIKeys) {
					once.Do(func() { close(inHand); <-release })
				}
				return false, nil
			})
			done := make(chan error)
			go func() { done <- second(slow) }()
			<-inHand
			if err := first(quick); err != nil {
				t.Error(err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := store(quick); err != nil { // after it, too
				t.Error(err)
			}
			if !refused(t, openIdle(t, s.URL()), secret) {
				t.Error("the revoked key is good again")
			}
		})
	}
}

func TestARevokedKeyIsRestoredByNameOnly(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks, other := openIdle(t, s.URL()), openTest(t, s.URL())
	secret, created := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	stays, alsoRevoked := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	keys := []Key{created, alsoRevoked}
	revoke := func() {
		t.Helper()
		for _, k := range keys {
			if _, err := ks.Revoke(t.Context(), k.Prefix); err != nil {
				t.Fatal(err)
			}
		}
		cachetest.Eventually(t, "a process that has seen it good refuses it", func() bool { return refused(t, other, secret) })
	}
	revoke()
	if _, err := ks.Import(t.Context(), keys, keyPrefix+"zzzzzzzz"); !errors.Is(err, ErrNotFound) {
		t.Errorf("restoring a key that is not there: %v", err)
	}
	for range 2 { // also one that was restored before
		for _, restored := range [][]string{nil, {created.Prefix}} {
			if _, err := ks.Import(t.Context(), keys, restored...); err != nil {
				t.Fatal(err)
			}
			cachetest.Eventually(t, "it is good exactly if it was named", func() bool {
				return refused(t, other, secret) == (restored == nil) && refused(t, openIdle(t, s.URL()), secret) == (restored == nil)
			})
			if !refused(t, other, stays) {
				t.Error("one that was not named is good again")
			}
		}
		revoke()
	}
}

// TestAnOldCopyOfRedisDoesNotRestoreARevokedKey: as far as a process knows that it
// was revoked, or the file does.
func TestAnOldCopyOfRedisDoesNotRestoreARevokedKey(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks := openTest(t, s.URL())
	secret, created := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	before := ks.db.Writers.HGet(t.Context(), ks.db.Names.APIKeys, created.Hash).Val()
	revoked, err := ks.Revoke(t.Context(), created.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/keys.json"
	writeKeys(t, path, revoked)
	cachetest.Eventually(t, "the revocation has arrived", func() bool {
		return ks.revoked.get(ks.hash(secret)) != nil
	})
	if err := ks.db.Writers.HSet(t.Context(), ks.db.Names.APIKeys, created.Hash, before).Err(); err != nil {
		t.Fatal(err)
	}
	ks.forget()
	if !refused(t, ks, secret) {
		t.Error("a process that has seen the revocation accepts the old copy")
	}
	if !refused(t, openIdle(t, s.URL(), withFile(path)), secret) {
		t.Error("a process whose file has the revocation believes the old copy")
	}
	if refused(t, openIdle(t, s.URL()), secret) {
		t.Error("refused by a process that cannot know: the others show nothing")
	}
}

func TestAKeyThatOnlyTheFileKnowsIsRevoked(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks := openIdle(t, s.URL())
	secret, created := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	path := t.TempDir() + "/keys.json"
	writeKeys(t, path, created)
	s.Do("FLUSHALL")
	serving := openIdle(t, s.URL(), withFile(path))
	if refused(t, serving, secret) {
		t.Fatal("a key of the file is refused")
	}
	if k, err := ks.Revoke(t.Context(), created.Prefix, created); err != nil || !k.Revoked() {
		t.Fatalf("revoke: %+v, %v", k, err)
	}
	serving.forget()
	if !refused(t, serving, secret) {
		t.Error("the file makes the revoked key good")
	}
}

// replicated is a primary with a replica that takes its place when promote is called.
// Cut off, the replica keeps what it has and learns nothing.
func replicated(t *testing.T) (primary, replica *cachetest.Server) {
	t.Helper()
	primary = cachetest.Redis(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica = cachetest.Redis(t, "--replicaof", host, port)
	cachetest.Eventually(t, "the replica is in step", func() bool { return replica.Info("master_link_status") == "up" })
	return primary, replica
}

// TestAnUnconfirmedWriteFails: a failover would undo it. In the control nobody asks
// for confirmation, and the failover does.
func TestAnUnconfirmedWriteFails(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	for name, acks := range map[string]int{"confirmation is required": 1, "control: it is not": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, replica := replicated(t)
			ks := openIdle(t, primary.URL(), func(s *setUp) { s.redis.ReplicaAcks = 1 })
			cachetest.Eventually(t, "the replica confirms", func() bool { return ks.db.Ping(t.Context()) == nil })
			secret, created := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead, DailyLimit: 100})
			replica.Do("REPLICAOF 127.0.0.1 1")
			ks = openIdle(t, primary.URL(), func(s *setUp) { s.redis.ReplicaAcks = acks })

			_, _, createErr := ks.Create(t.Context(), Key{Owner: "ada", Scope: ScopeRead})
			_, importErr := ks.Import(t.Context(), []Key{created})
			_, spendErr := ks.SpendQuota(t.Context(), &created)
			spent := int64(0)
			if spendErr == nil {
				spent = 1 + spendAll(t, ks, &created)
			}
			_, revokeErr := ks.Revoke(t.Context(), created.Prefix)
			_, revokeAgainErr := ks.Revoke(t.Context(), created.Prefix)
			for what, err := range map[string]error{
				"create": createErr, "import": importErr, "spend": spendErr, "revoke": revokeErr, "revoke again": revokeAgainErr,
			} {
				if (err != nil) != (acks > 0) || err != nil && !errors.Is(err, redisdb.ErrReplicas) && what != "spend" { // which waits less
					t.Errorf("%s: %v", what, err)
				}
			}
			if revokeErr != nil && !strings.Contains(revokeErr.Error(), "run the command again") {
				t.Errorf("it does not say what to do: %v", revokeErr)
			}

			primary.Kill()
			replica.Do("REPLICAOF NO ONE")
			after := openIdle(t, replica.URL())
			if refused(t, after, secret) {
				t.Error("the replica knows of the revocation: the fault is another one")
			}
			if spent += spendAll(t, after, &created); (spent > created.DailyLimit) != (acks == 0) {
				t.Errorf("spent %d of %d", spent, created.DailyLimit)
			}
		})
	}
}

// TestKeysAndLimitsOutliveAFailover has a replica take over behind Sentinel.
func TestKeysAndLimitsOutliveAFailover(t *testing.T) {
	t.Parallel()
	cachetest.ClearOfMidnight(t)
	s := cachetest.Sentinel(t)
	ks := openTest(t, s.URL(), func(s *setUp) { s.redis.ReplicaAcks = 1 })
	cachetest.Eventually(t, "the replica confirms", func() bool { return ks.db.Ping(t.Context()) == nil })
	limited := &Key{Hash: strings.Repeat("ab", 32), DailyLimit: 100}
	good, _ := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	bad, created := createKey(t, ks, Key{Owner: "ada", Scope: ScopeRead})
	spent := int64(0)
	for range 40 {
		if _, err := ks.SpendQuota(t.Context(), limited); err != nil {
			t.Fatal(err)
		}
		spent++
	}
	if _, err := ks.Revoke(t.Context(), created.Prefix); err != nil {
		t.Fatal(err)
	}
	s.Failover()
	s.Primary.Kill()
	after := openTest(t, s.URL())
	cachetest.Eventually(t, "the replica has taken over", func() bool {
		_, err := after.Find(t.Context(), good)
		return err == nil
	})
	if !refused(t, after, bad) {
		t.Error("the revoked key is good again")
	}
	cachetest.Eventually(t, "the replica takes writes", func() bool { return after.db.Ping(t.Context()) == nil })
	if spent += spendAll(t, after, limited); spent > limited.DailyLimit {
		t.Errorf("spent %d of %d", spent, limited.DailyLimit)
	}
}
