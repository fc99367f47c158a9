package cache

import (
	"strings"
	"testing"
	"time"

	"statuscache/cache/cachetest"
)

// lose empties a Redis, and returns what a process then says is lost.
func lose(t *testing.T, s *cachetest.Server, c *Cache) Loss {
	t.Helper()
	beats := func() int {
		n, _ := c.db.Writers.HGet(t.Context(), c.db.Names.Partitions[0].Born, "beats").Int()
		return n
	}
	before := beats()
	cachetest.Eventually(t, "the API keys are counted", func() bool { return beats() > before+2 && c.Lost() == nil })
	s.Do("FLUSHALL")
	cachetest.Eventually(t, "the loss is told to all", func() bool {
		return c.Lost() != nil && c.db.Writers.HExists(t.Context(), c.db.Names.Lost, partKeys).Val()
	})
	cachetest.Eventually(t, "the keys are named", func() bool { return c.Lost().Keys })
	return *c.Lost()
}

// TestALossIsNamedUntilItIsBackOrDismissed part by part.
func TestALossIsNamedUntilItIsBackOrDismissed(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	_, one := createKey(t, c, Key{Owner: "ada", Scope: ScopeRead})
	_, two := createKey(t, c, Key{Owner: "ada", Scope: ScopeRead})
	lost := lose(t, s, c)
	if !lost.Running || !lost.Results || !lost.Keys || lost.Missing != 2 || len(lost.Lines()) != 3 {
		t.Fatalf("lost: %+v", lost)
	}

	machine := testARN(t, "swept").StateMachine()
	sweep, err := c.ClaimSweep(t.Context(), []string{machine}, time.Hour)
	if err != nil || sweep == nil {
		t.Fatalf("%+v, %v", sweep, err)
	}
	if err := c.EndSweep(t.Context(), sweep, Audited{Swept: time.Now().Add(time.Minute), ConfirmedUntil: time.Now()}, time.Hour); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "what runs is back, and the rest is named", func() bool {
		lost := c.Lost()
		return lost != nil && !lost.Running && lost.Results && lost.Keys && strings.Contains(strings.Join(lost.Lines(), "\n"), "results from before ")
	})

	for i, keys := range [][]Key{{one}, {one, two}} {
		if _, err := c.ImportKeys(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
		if missing, err := c.KeysImported(t.Context()); missing != int64(1-i) || err != nil {
			t.Errorf("after %d keys were imported %d are missing, %v", i+1, missing, err)
		}
	}
	cachetest.Eventually(t, "the keys are back", func() bool { return c.Lost() != nil && !c.Lost().Keys && c.Lost().Results })
	if err := c.Backfilled(t.Context(), lost.At.Add(-time.Hour), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "all is back", func() bool { return c.Lost() == nil })

	lose(t, s, c)
	if dismissed, err := c.DismissLoss(t.Context()); err != nil || dismissed == nil || !dismissed.Results {
		t.Fatalf("dismissed %+v, %v", dismissed, err)
	}
	cachetest.Eventually(t, "it is dismissed", func() bool { return c.Lost() == nil })
	if dismissed, err := c.DismissLoss(t.Context()); err != nil || dismissed != nil {
		t.Errorf("dismissed again: %+v, %v", dismissed, err)
	}
}

// TestRevocationsAreStoredAgainAfterALoss by the processes that know of them, so that an
// older export does not undo them.
func TestRevocationsAreStoredAgainAfterALoss(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	c := openTest(t, s.URL())
	secret, created := createKey(t, c, Key{Owner: "ada", Scope: ScopeRead})
	if _, err := c.RevokeKey(t.Context(), created.Prefix); err != nil {
		t.Fatal(err)
	}
	cachetest.Eventually(t, "the revocation is heard", func() bool { return c.keys.revoked.get(c.keys.hash(secret)) != nil })
	s.Do("FLUSHALL")
	cachetest.Eventually(t, "it is stored again", func() bool {
		keys, err := c.ListKeys(t.Context())
		return err == nil && len(keys) == 1 && keys[0].Revoked()
	})
	if _, err := c.ImportKeys(t.Context(), []Key{created}); err != nil {
		t.Fatal(err)
	}
	if !refused(t, openIdle(t, s.URL()), secret) {
		t.Error("an older export makes the revoked key good")
	}
}
