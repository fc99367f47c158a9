package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// oneKey is a LinkKeys that knows one API key.
type oneKey struct{ key apikeys.Key }

func (oneKey) Derive(purpose string) []byte { return []byte("secret of " + purpose) }

func (k oneKey) FindByHash(_ context.Context, hash [sha256.Size]byte) (*apikeys.Key, error) {
	if hex.EncodeToString(hash[:]) != k.key.Hash {
		return nil, apikeys.ErrNotFound
	}
	return &k.key, nil
}

func linkMaking() (*Authenticator, *Principal) {
	sum := sha256.Sum256([]byte("key"))
	keys := oneKey{apikeys.Key{Hash: hex.EncodeToString(sum[:]), Owner: "ada", Scope: apikeys.ScopeRead}}
	maker := keyPrincipal(&keys.key)
	return New(nil, keys, nil, nil, nil), &maker
}

const linkedARN = cache.ARN("arn:aws:states:eu-west-1:123456789012:execution:Pipeline:mine")

// TestALinkExpiresToTheSecond and not before.
func TestALinkExpiresToTheSecond(t *testing.T) {
	t.Parallel()
	a, maker := linkMaking()
	now := time.Date(2026, 2, 10, 12, 0, 0, 700, time.UTC)
	a.links.now = func() time.Time { return now }
	token, expires, err := a.NewLink(maker, linkedARN, time.Minute)
	if err != nil || !expires.Equal(time.Date(2026, 2, 10, 12, 1, 0, 0, time.UTC)) {
		t.Fatalf("%v %v", expires, err)
	}
	now = expires.Add(-time.Nanosecond)
	p, err := a.AuthenticateLink(t.Context(), token)
	if err != nil || !p.Expires.Equal(expires) || !p.Linked() {
		t.Errorf("just before: %+v %v", p, err)
	}
	now = expires
	if _, err := a.AuthenticateLink(t.Context(), token); err == nil {
		t.Error("the link is valid after its expiry")
	}
}

// TestEveryAlteredLinkIsRefused changes each character to each other one.
func TestEveryAlteredLinkIsRefused(t *testing.T) {
	t.Parallel()
	a, maker := linkMaking()
	token, _, err := a.NewLink(maker, linkedARN, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.AuthenticateLink(t.Context(), token); err != nil {
		t.Fatalf("the control: %v", err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n"
	for i := range len(token) {
		for _, c := range alphabet {
			if byte(c) == token[i] {
				continue
			}
			altered := token[:i] + string(c) + token[i+1:]
			if _, err := a.AuthenticateLink(t.Context(), altered); !Rejected(err) {
				t.Fatalf("character %d as %q: %v", i, c, err)
			}
		}
	}
	other := New(nil, otherPepper{}, nil, nil, nil)
	if _, err := other.AuthenticateLink(t.Context(), token); !Rejected(err) {
		t.Errorf("with another pepper: %v", err)
	}
}

type otherPepper struct{ oneKey }

func (otherPepper) Derive(purpose string) []byte { return []byte("another secret of " + purpose) }

// TestATokenThatNeverExpiresMakesNoLink: nothing would end the link when its user is removed.
func TestATokenThatNeverExpiresMakesNoLink(t *testing.T) {
	t.Parallel()
	a, _ := linkMaking()
	if _, _, err := a.NewLink(&Principal{Owner: "ada", Read: true}, linkedARN, time.Hour); !errors.Is(err, errEndless) {
		t.Errorf("%v", err)
	}
}

// FuzzLinks: only a signed text is a link, and reading it returns the claims that were signed.
func FuzzLinks(f *testing.F) {
	a, maker := linkMaking()
	token, _, err := a.NewLink(maker, linkedARN, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{token, token[:40], strings.ToUpper(token), linkPrefix, "", linkPrefix + strings.Repeat("A", linkEncoding.EncodedLen(linkSize)), linkPrefix + "====", "csl_\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, ok := a.links.read(text); ok && a.links.sign(c) != text {
			t.Errorf("%q is another form of a link", text)
		} else if ok && text != token {
			t.Errorf("%q is taken for a link", text)
		}
		if _, err := a.AuthenticateLink(t.Context(), text); err != nil && !Rejected(err) {
			t.Errorf("%q: %v", text, err)
		}
		c := linkClaims{maker: linkMaker(len(text)), expires: int64(len(text)) << 20, makerID: sha256.Sum256([]byte(text)), execution: hashExecution(text)}
		if back, ok := a.links.read(a.links.sign(c)); !ok || back != c {
			t.Errorf("%+v became %+v", c, back)
		}
	})
}
