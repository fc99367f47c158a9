package httpapi

import (
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/maypok86/otter/v2"
)

// JWT says which access tokens are let in (EVENTS.md §5).
type JWT struct {
	Issuer         string
	JWKSURL        string // empty: the issuer's /.well-known/jwks.json
	ClientIDs      []string
	OwnerClaim     string
	ScopePrefix    string   // of PREFIX/read:all and PREFIX/register
	OperatorGroups []string // whose members may read everything
}

const (
	tokenLeeway   = 30 * time.Second // clocks differ
	maxVerified   = 50_000           // tokens remembered
	verifiedLife  = time.Minute      // how long one is remembered at most
	maxTokenBytes = maxHeaderBytes
)

// tokens verifies JWTs. What it verified it remembers for a while, because a
// signature costs more than a whole request.
type tokens struct {
	options  JWT
	parser   *jwt.Parser
	keys     *keySet
	verified *otter.Cache[[sha256.Size]byte, verifiedToken]
	now      func() time.Time
}

type verifiedToken struct {
	principal  Principal
	generation uint64 // of the keys it was verified with
	until      time.Time
}

func newTokens(o JWT, keys *keySet) *tokens {
	return &tokens{
		options: o,
		keys:    keys,
		now:     time.Now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(o.Issuer), jwt.WithExpirationRequired(),
			jwt.WithLeeway(tokenLeeway), jwt.WithStrictDecoding(),
		),
		verified: otter.Must(&otter.Options[[sha256.Size]byte, verifiedToken]{MaximumSize: maxVerified}),
	}
}

// verify returns whose token it is. It never waits for the keys.
func (t *tokens) verify(token string) (Principal, error) {
	if len(token) > maxTokenBytes {
		return Principal{}, errBadToken
	}
	sum := sha256.Sum256([]byte(token))
	generation := t.keys.generation()
	if v, ok := t.verified.GetIfPresent(sum); ok && v.generation == generation && t.now().Before(v.until) {
		return v.principal, nil
	}
	claims := jwt.MapClaims{}
	if _, err := t.parser.ParseWithClaims(token, claims, t.key); err != nil {
		if errors.Is(err, errNoKeys) {
			return Principal{}, unavailable("tokens cannot be checked now; try again", err)
		}
		return Principal{}, errBadToken
	}
	p, err := t.principal(claims)
	if err != nil {
		return Principal{}, errBadToken
	}
	until := t.now().Add(verifiedLife)
	if expires, err := claims.GetExpirationTime(); err == nil {
		p.expires = expires.Time
		if p.expires.Before(until) {
			until = p.expires
		}
	}
	t.verified.Set(sum, verifiedToken{p, generation, until})
	return p, nil
}

// key returns the public key that a token names.
func (t *tokens) key(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	var key *rsa.PublicKey
	var err error
	if key, err = t.keys.find(kid); err != nil {
		return nil, err
	}
	return key, nil
}

// principal makes of claims whose signature is good what they allow.
func (t *tokens) principal(claims jwt.MapClaims) (Principal, error) {
	if claims["token_use"] != "access" {
		return Principal{}, errors.New("not an access token")
	}
	client, _ := claims["client_id"].(string)
	if client == "" || !slices.Contains(t.options.ClientIDs, client) {
		return Principal{}, errors.New("not for an app client of ours")
	}
	owner, _ := claims[t.options.OwnerClaim].(string)
	if !validOwner(owner) {
		return Principal{}, fmt.Errorf("no usable claim %s", t.options.OwnerClaim)
	}
	scope, _ := claims["scope"].(string)
	scopes := strings.Fields(scope)
	return Principal{
		Owner:    owner,
		Read:     true,
		ReadAll:  slices.Contains(scopes, t.options.ScopePrefix+"/read:all") || t.operator(claims),
		Register: slices.Contains(scopes, t.options.ScopePrefix+"/register"),
	}, nil
}

func (t *tokens) operator(claims jwt.MapClaims) bool {
	groups, _ := claims["cognito:groups"].([]any)
	for _, g := range groups {
		if name, ok := g.(string); ok && slices.Contains(t.options.OperatorGroups, name) {
			return true
		}
	}
	return false
}
