package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"statuscache/cache/boundedmap"
	"statuscache/httpapi/internal/envelope"
)

// JWT says which access tokens are accepted.
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
	maxTokenBytes = 16 << 10
	maxKeyID      = 256 // bytes
)

// tokens verifies JWTs. It remembers verified tokens for some time, because checking a
// signature costs more than the rest of a request.
type tokens struct {
	options   JWT
	parser    *jwt.Parser
	validator *jwt.Validator
	keys      *keySet
	verified  boundedmap.ByHash[verifiedToken]
	now       func() time.Time
}

type verifiedToken struct {
	principal  Principal
	generation uint64 // of the keys it was verified with
	until      time.Time
}

func newTokens(o JWT, keys *keySet) *tokens {
	claims := []jwt.ParserOption{jwt.WithIssuer(o.Issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(tokenLeeway)}
	return &tokens{
		options:   o,
		keys:      keys,
		now:       time.Now,
		validator: jwt.NewValidator(claims...),
		parser: jwt.NewParser(append(claims,
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithStrictDecoding())...),
		verified: boundedmap.NewByHash[verifiedToken](maxVerified),
	}
}

// verify returns the principal of a token. It waits for the keys of the issuer, for a
// short time, only if the token is valid except for its unknown key.
func (t *tokens) verify(ctx context.Context, token string) (Principal, error) {
	if len(token) > maxTokenBytes {
		return Principal{}, refused(malformedToken, "", "larger than %d bytes", maxTokenBytes)
	}
	sum := sha256.Sum256([]byte(token))
	generation := t.keys.generation()
	if v, ok := t.verified.Get(sum); ok && v.generation == generation && t.now().Before(v.until) {
		return v.principal, nil
	}
	c := check{tokens: t, ctx: ctx}
	if _, err := t.parser.ParseWithClaims(token, jwt.MapClaims{}, c.key); err != nil {
		return Principal{}, c.problem(err)
	}
	until := t.now().Add(verifiedLife)
	if c.principal.Expires.Before(until) {
		until = c.principal.Expires
	}
	t.verified.Set(sum, verifiedToken{c.principal, generation, until})
	return c.principal, nil
}

// check is the verification of one token.
type check struct {
	tokens    *tokens
	ctx       context.Context
	keyID     string
	principal Principal
	looked    bool // for its key
}

// key returns the public key of a token. It checks the claims first, so that a token with
// wrong claims causes no request to the issuer.
func (c *check) key(token *jwt.Token) (any, error) {
	c.looked = true
	claims, _ := token.Claims.(jwt.MapClaims)
	c.keyID, _ = token.Header["kid"].(string)
	if err := c.tokens.valid(claims); err != nil {
		return nil, err
	}
	var err error
	if c.principal, err = c.tokens.principal(claims); err != nil {
		return nil, err
	}
	if c.keyID == "" || len(c.keyID) > maxKeyID {
		return nil, refused(noKeyID, "", "")
	}
	return c.tokens.keys.find(c.ctx, c.keyID)
}

// problem returns what is wrong with a token that could not be verified.
func (c *check) problem(err error) error {
	var known *envelope.Error
	switch {
	case errors.As(err, &known):
		if why, ok := errors.AsType[*Refusal](known.Cause); ok {
			why.Key = clip(c.keyID)
		}
		return known
	case errors.Is(err, errNoKeys), errors.Is(err, errKeysOld):
		late := envelope.Unavailable("tokens cannot be checked now; try again", err)
		late.RetryAfter = keysMinPause
		return late
	case errors.Is(err, errUnknownKey):
		return refused(unknownSigner, c.keyID, "the issuer's key set does not have it")
	case c.looked:
		return refused(badSignature, c.keyID, "")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refused(malformedToken, "", "")
	}
	return refused(wrongAlgorithm, "", "must be RS256")
}

// valid checks the claims that every access token has.
func (t *tokens) valid(claims jwt.MapClaims) error {
	if issuer, _ := claims["iss"].(string); issuer != t.options.Issuer {
		return refused(wrongIssuer, "", "iss is %q, but JWT_ISSUER is %q%s", clip(issuer), t.options.Issuer, bySlash(issuer, t.options.Issuer))
	}
	err := t.validator.Validate(claims)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refused(expiredToken, "", "exp is %v", claims["exp"])
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refused(tokenNotYet, "", "nbf is %v", claims["nbf"])
	}
	return refused(malformedToken, "", "%v", err)
}

// principal returns the principal in valid claims.
func (t *tokens) principal(claims jwt.MapClaims) (Principal, error) {
	if claims["token_use"] != "access" {
		use, _ := claims["token_use"].(string)
		return Principal{}, refused(notAccessToken, "", "token_use is %q, but must be access", clip(use))
	}
	client, _ := claims["client_id"].(string)
	if client == "" || !slices.Contains(t.options.ClientIDs, client) {
		return Principal{}, refused(wrongClient, "", "client_id %q is not in JWT_CLIENT_IDS", clip(client))
	}
	owner, _ := claims[t.options.OwnerClaim].(string)
	if !ValidOwner(owner) {
		return Principal{}, refused(noOwner, "", "no usable claim %s", t.options.OwnerClaim)
	}
	p := Principal{Owner: owner, Read: true, ReadAll: t.operator(claims)}
	if expires, err := claims.GetExpirationTime(); err == nil {
		p.Expires = expires.Time
	}
	scope, _ := claims["scope"].(string)
	p.addScopes(scope, t.options.ScopePrefix)
	return p, nil
}

// addScopes adds the permissions of the scopes of a token.
func (p *Principal) addScopes(scopes, prefix string) {
	for each := range strings.FieldsSeq(scopes) {
		switch each {
		case prefix + "/read:all":
			p.ReadAll = true
		case prefix + "/register":
			p.Register = true
		}
	}
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
