// Package issuertest is an identity provider for tests: it signs access tokens and
// serves its keys.
package issuertest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer is an identity provider with one signing key, whose ID is "one". Its client is
// "app".
type Issuer struct {
	*httptest.Server
	Key  *rsa.PrivateKey
	Down atomic.Bool // while true, it answers with an error
	body atomic.Pointer[string]
}

// firstKey makes the key of all issuers, because each new key takes long.
var firstKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// New starts an Issuer, until the test ends. All have the same signing key.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := firstKey()
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{Key: key}
	i.ServeKey("one", &i.Key.PublicKey)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if i.Down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprint(w, *i.body.Load())
	}))
	t.Cleanup(i.Close)
	return i
}

// NewKey returns another signing key.
func NewKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ServeKey makes a key the only key of the issuer.
func (i *Issuer) ServeKey(id string, key *rsa.PublicKey) { i.Serve(JWKS(id, key)) }

// Serve makes a text the key set of the issuer.
func (i *Issuer) Serve(body string) { i.body.Store(&body) }

// JWKS is a key set of one key.
func JWKS(id string, key *rsa.PublicKey) string {
	e := big.NewInt(int64(key.E)).Bytes()
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":%q,"n":%q,"e":%q}]}`, id,
		base64.RawURLEncoding.EncodeToString(key.N.Bytes()), base64.RawURLEncoding.EncodeToString(e))
}

// Claims are those of a valid access token of ada.
func (i *Issuer) Claims(change ...func(jwt.MapClaims)) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"sub": "ada", "username": "ada", "client_id": "app", "token_use": "access", "scope": "openid",
		"iss": i.URL, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "auth_time": now.Unix(), "jti": "1",
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// Sign returns a token with claims.
func (i *Issuer) Sign(t testing.TB, c jwt.MapClaims, change ...func(*jwt.Token)) string {
	t.Helper()
	return SignWith(t, i.Key, c, change...)
}

// SignWith returns a token that is signed with any key. Its key id is "one".
func SignWith(t testing.TB, key *rsa.PrivateKey, c jwt.MapClaims, change ...func(*jwt.Token)) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"] = "one"
	for _, f := range change {
		f(token)
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Set changes a claim, or removes it if value is nil.
func Set(name string, value any) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) {
		if value == nil {
			delete(c, name)
			return
		}
		c[name] = value
	}
}

// KeyID makes a token name a key.
func KeyID(id string) func(*jwt.Token) { return func(t *jwt.Token) { t.Header["kid"] = id } }
