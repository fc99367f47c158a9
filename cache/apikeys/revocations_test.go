package apikeys

import (
	"errors"
	"testing"

	"statuscache/cache/cachetest"
)

// TestRevocationsAreStoredAgain by a process that knows of them, so that an older export
// does not undo them.
func TestRevocationsAreStoredAgain(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	keys := openTest(t, s.URL())
	secret, created, err := keys.Create(t.Context(), Key{Owner: "ada", Scope: ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Revoke(t.Context(), created.Prefix); err != nil {
		t.Fatal(err)
	}
	refusedBy := func(keys *Keys) bool {
		_, err := keys.Find(t.Context(), secret)
		return errors.Is(err, ErrNotFound)
	}
	cachetest.Eventually(t, "the revocation has arrived", func() bool { return refusedBy(keys) })
	s.Do("FLUSHALL")
	if err := keys.Reassert(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := keys.List(t.Context()); err != nil || len(all) != 1 || !all[0].Revoked() {
		t.Errorf("stored: %+v, %v", all, err)
	}
	if _, err := keys.Import(t.Context(), []Key{created}); err != nil {
		t.Fatal(err)
	}
	if !refusedBy(openIdle(t, s.URL())) {
		t.Error("an older export makes the revoked key good")
	}
}
