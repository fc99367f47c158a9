package apikeys

import (
	"bytes"
	"errors"
	"testing"

	"statuscache/cache/cachetest"
)

// TestAWrongPepperIsNoticed when it is checked and when a key is to be created, whichever
// of the two processes was there first.
func TestAWrongPepperIsNoticed(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	right, wrong := openIdle(t, url), openIdle(t, url, func(s *setUp) { s.Pepper = []byte("another pepper of ours") })
	expect := func(when string, ks *Keys, wantCompared bool, want error) {
		t.Helper()
		if compared, err := ks.CheckPepper(t.Context()); compared != wantCompared || !errors.Is(err, want) {
			t.Errorf("%s: compared %v, %v", when, compared, err)
		}
		if text, err := ks.WrongPepper(t.Context()); err != nil || (text != "") != (want != nil) {
			t.Errorf("%s: %q, %v", when, text, err)
		}
	}
	expect("without a key", wrong, false, nil)
	_, first := createKey(t, right, Key{Name: "first", Owner: "ada", Scope: ScopeRead})
	expect("with a key of another pepper", wrong, true, ErrPepper)
	if _, _, err := wrong.Create(t.Context(), Key{Name: "second", Owner: "ada", Scope: ScopeRead}); !errors.Is(err, ErrPepper) {
		t.Errorf("a key that no process accepts is created: %v", err)
	}
	expect("the control, with the right pepper", right, true, nil)
	_, third := createKey(t, right, Key{Name: "third", Owner: "ada", Scope: ScopeRead})
	for _, k := range []Key{first, third} { // so that another pepper may take its place
		if _, err := right.Revoke(t.Context(), k.Prefix); err != nil {
			t.Fatal(err)
		}
	}
	createKey(t, wrong, Key{Name: "fourth", Owner: "ada", Scope: ScopeRead})
	expect("with keys of its own only", wrong, true, nil)
}

// TestAPepperThatCannotBeComparedIsNotCalledWrong: Redis does not answer.
func TestAPepperThatCannotBeComparedIsNotCalledWrong(t *testing.T) {
	t.Parallel()
	ks := openIdle(t, "redis://127.0.0.1:1")
	if compared, err := ks.CheckPepper(t.Context()); compared || err == nil || errors.Is(err, ErrPepper) {
		t.Errorf("%v, %v", compared, err)
	}
	if text, err := ks.WrongPepper(t.Context()); text != "" || err == nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestTheFingerprintOfThePepperComesBack after Redis was emptied and the keys imported, once
// one of them was found.
func TestTheFingerprintOfThePepperComesBack(t *testing.T) {
	t.Parallel()
	s := cachetest.Redis(t)
	ks := openIdle(t, s.URL())
	secret, key := createKey(t, ks, Key{Name: "first", Owner: "ada", Scope: ScopeRead})
	s.Do("FLUSHALL")
	if _, err := ks.Import(t.Context(), []Key{key}); err != nil {
		t.Fatal(err)
	}
	for _, found := range []bool{false, true} {
		if found {
			if _, err := ks.Find(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		if wrong, err := ks.WrongPepper(t.Context()); wrong != "" || err != nil {
			t.Errorf("found %v: %q, %v", found, wrong, err)
		}
		if compared, err := ks.CheckPepper(t.Context()); compared != found || err != nil {
			t.Errorf("found %v: compared %v, %v", found, compared, err)
		}
	}
}

// TestADerivedSecretIsOfItsPurpose, of its pepper, and never the pepper or a fingerprint.
func TestADerivedSecretIsOfItsPurpose(t *testing.T) {
	t.Parallel()
	url := cachetest.Redis(t).URL()
	one, same := openIdle(t, url), openIdle(t, url)
	other, none := openIdle(t, url, func(s *setUp) { s.Pepper = []byte("another pepper of ours") }), openIdle(t, url, func(s *setUp) { s.Pepper = nil })
	secret := one.Derive("a")
	if len(secret) != 32 || !bytes.Equal(secret, same.Derive("a")) {
		t.Errorf("%x", secret)
	}
	hash := one.hash("a")
	for name, differs := range map[string][]byte{"another purpose": one.Derive("b"), "another pepper": other.Derive("a"), "an API key": hash[:], "no pepper": none.Derive("a")} {
		if bytes.Equal(secret, differs) {
			t.Errorf("%s gets the same", name)
		}
	}
	if none.Derive("a") != nil {
		t.Error("a secret of nothing")
	}
}
