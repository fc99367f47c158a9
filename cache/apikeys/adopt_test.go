package apikeys

import (
	"strings"
	"testing"

	"statuscache/cache/cachetest"
)

// TestKeysOfAnotherSystemAreTakenOver: found by their secrets, stored without them, and the same
// again changes nothing.
func TestKeysOfAnotherSystemAreTakenOver(t *testing.T) {
	t.Parallel()
	server := cachetest.Redis(t)
	ks := openTest(t, server.URL())
	foreign := []Foreign{
		{Key{Owner: "ada", Name: "CI", Scope: ScopeRead, DailyLimit: 7}, strings.Repeat("a", MinSecret)},
		{Key{Owner: "eve", Name: "all", Scope: ScopeReadAll}, "sk.live.0123456789-_~+/=!{}|" + strings.Repeat("z", 100)},
	}
	for _, f := range foreign {
		if !refused(t, ks, f.Secret) {
			t.Fatal("the control: it is known before")
		}
	}
	adopted, conflicts, err := ks.Adopt(t.Context(), foreign)
	if err != nil || len(conflicts) > 0 || len(adopted) != len(foreign) {
		t.Fatalf("%+v %+v %v", adopted, conflicts, err)
	}
	for i, f := range foreign {
		a := adopted[i]
		cachetest.Eventually(t, "it is found", func() bool { return !refused(t, ks, f.Secret) })
		if found, err := ks.Find(t.Context(), f.Secret); err != nil || found.Owner != f.Key.Owner || found.Scope != f.Key.Scope || found.DailyLimit != f.Key.DailyLimit || found.Name != f.Key.Name {
			t.Errorf("%d: %+v, %v", i, found, err)
		}
		if a.Before || !strings.HasPrefix(a.Key.Prefix, "ext_") || strings.Contains(f.Secret, a.Key.Prefix[4:]) {
			t.Errorf("%d: %+v", i, a)
		}
		if stored := server.Text("HGET " + ks.db.Names.APIKeys + " " + a.Key.Hash); strings.Contains(stored, f.Secret[:8]) {
			t.Errorf("%d: stored with its secret: %s", i, stored)
		}
	}
	again, conflicts, err := ks.Adopt(t.Context(), foreign)
	if err != nil || len(conflicts) > 0 || !again[0].Before || !again[1].Before || !again[0].Key.CreatedAt.Equal(adopted[0].Key.CreatedAt) {
		t.Errorf("again: %+v %+v %v", again, conflicts, err)
	}
	if _, err := ks.Revoke(t.Context(), adopted[1].Key.Prefix); err != nil {
		t.Fatal(err)
	}
	foreign[0].Key.Owner = "bob"
	other := Foreign{Key{Owner: "bob", Name: "new", Scope: ScopeRead}, strings.Repeat("b", MinSecret)}
	none, conflicts, err := ks.Adopt(t.Context(), append(foreign, other))
	if err != nil || none != nil || len(conflicts) != 2 || conflicts[0].Index != 0 || conflicts[1].Index != 1 || !conflicts[1].Present.Revoked() {
		t.Errorf("another owner and a revoked one: %+v %+v %v", none, conflicts, err)
	}
	if !refused(t, ks, other.Secret) {
		t.Error("one is stored although others are wrong")
	}
}

func TestFormsOfSecrets(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]bool{
		strings.Repeat("x", 19): false, strings.Repeat("x", 20): true, strings.Repeat("~", 128): true, strings.Repeat("x", 129): false,
		"csk_live_0123456789abcdef0123456789abcdef": true, "with a space in the middle": false, "with\ta\ttab\tin\tthe\tmiddle": false,
		"ümlauts are no printable ASCII": false, strings.Repeat("x", 25) + "\x7f": false, "": false, pepperMark: false,
	} {
		if got := ValidSecret(secret); got != want {
			t.Errorf("%q: %v", secret, got)
		}
	}
}
