package cache

import (
	"errors"
	"strings"
	"testing"
	"time"

	"statuscache/cache/apikeys"
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
	c, keys := openWithKeys(t, s.URL())
	_, one := createKey(t, keys, apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead})
	_, two := createKey(t, keys, apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead})
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

	for i, lost := range [][]apikeys.Key{{one}, {one, two}} {
		if _, err := keys.Import(t.Context(), lost); err != nil {
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
	_, keys := openWithKeys(t, s.URL())
	secret, created := createKey(t, keys, apikeys.Key{Owner: "ada", Scope: apikeys.ScopeRead})
	if _, err := keys.Revoke(t.Context(), created.Prefix); err != nil {
		t.Fatal(err)
	}
	refused := func(keys *apikeys.Keys) bool {
		_, err := keys.Find(t.Context(), secret)
		return errors.Is(err, apikeys.ErrNotFound)
	}
	cachetest.Eventually(t, "the revocation is heard", func() bool { return refused(keys) })
	s.Do("FLUSHALL")
	cachetest.Eventually(t, "it is stored again", func() bool {
		all, err := keys.List(t.Context())
		return err == nil && len(all) == 1 && all[0].Revoked()
	})
	if _, err := keys.Import(t.Context(), []apikeys.Key{created}); err != nil {
		t.Fatal(err)
	}
	_, other := openWithKeys(t, s.URL())
	if !refused(other) {
		t.Error("an older export makes the revoked key good")
	}
}
