package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"statuscache/cache/apikeys"
	"statuscache/httpapi/internal/envelope"
)

// Keys is the store of API keys and of their daily limits.
type Keys interface {
	Find(ctx context.Context, secret string) (*apikeys.Key, error)
	SpendQuota(ctx context.Context, k *apikeys.Key) (reset time.Duration, err error)
	RefundQuota(k *apikeys.Key, spent time.Time)
	// Watch reports the state of a key that Find returned: nil if it is valid,
	// apikeys.ErrNotFound if it is not, another error if that cannot be checked.
	Watch(k *apikeys.Key, report func(error)) (stop func())
}

// Authenticator identifies the caller by an API key, a JWT, a link or another token.
type Authenticator struct {
	keys        Keys    // nil: no API keys
	links       *links  // nil: no links
	tokens      *tokens // nil: no JWTs
	signingKeys *keySet // nil: no JWTs

	introspector *introspector // nil: other tokens are refused
}

// New returns an Authenticator. Without keys it accepts no API keys, without linkKeys no
// links, without jwt no JWTs, without introspection no other tokens.
func New(keys Keys, linkKeys LinkKeys, jwt *JWT, introspection *Introspection, log *slog.Logger) *Authenticator {
	a := &Authenticator{keys: keys, links: newLinks(linkKeys)}
	if jwt != nil {
		a.signingKeys = newKeySet(jwt.keysURL(), log)
		a.tokens = newTokens(*jwt, a.signingKeys)
	}
	if introspection != nil {
		a.introspector = newIntrospector(*introspection, log)
	}
	return a
}

// Run keeps the signing keys of the issuer fresh, and probes the introspection endpoint until
// it answers. It ends with ctx.
func (a *Authenticator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if a.signingKeys != nil {
		g.Go(func() error { return a.signingKeys.run(ctx) })
	}
	if a.introspector != nil {
		g.Go(func() error { return a.introspector.run(ctx) })
	}
	return g.Wait()
}

// Ready returns nil if the signing keys for JWTs are available.
func (a *Authenticator) Ready() error {
	if a.signingKeys == nil {
		return nil
	}
	return a.signingKeys.ready()
}

// Watch calls report with the state of the caller's API key, or of the key that made its link.
// The state is nil if the key is still valid. It is an error for which Rejected is true if the
// key is not valid, and another error if the key cannot be checked. Watch returns nil if there
// is no API key: then Authenticate can check the token at any time, without a request to Redis.
func (a *Authenticator) Watch(p *Principal, report func(error)) (stop func()) {
	if p.key == nil {
		return nil
	}
	return a.keys.Watch(p.key, report)
}

// Rejected reports whether an error says that a token is not valid.
func Rejected(err error) bool {
	var e *envelope.Error
	return errors.Is(err, apikeys.ErrNotFound) || errors.As(err, &e) && e.Status == http.StatusUnauthorized
}

var errNoToken = envelope.Unauthorized("a bearer token is needed: Authorization: Bearer TOKEN", envelope.BearerChallenge, &Refusal{Reason: noToken})

// Authenticate returns the principal in the Authorization header of a request. It returns
// an error unless the token is known to be valid.
func (a *Authenticator) Authenticate(ctx context.Context, values []string) (Principal, error) {
	if len(values) != 1 {
		return Principal{}, errNoToken // with two headers it would be unclear which one counts
	}
	token, ok := bearer(values[0])
	switch {
	case !ok:
		return Principal{}, errNoToken
	case apikeys.WellFormed(token):
		return a.apiKey(ctx, token)
	case IsLink(token):
		return a.AuthenticateLink(ctx, token)
	case a.keys != nil && IsKey(token):
		return a.foreignKey(ctx, token)
	}
	return a.other(ctx, token)
}

// foreignKey returns the principal of a token that may be an API key imported from another
// system, or a token for the introspection endpoint.
func (a *Authenticator) foreignKey(ctx context.Context, token string) (Principal, error) {
	if a.introspector != nil {
		if _, err := a.keys.Find(ctx, token); errors.Is(err, apikeys.ErrNotFound) {
			return a.introspector.verify(ctx, token)
		}
	}
	return a.apiKey(ctx, token)
}

// other returns the principal of a token that is neither an API key nor a link.
func (a *Authenticator) other(ctx context.Context, token string) (Principal, error) {
	switch {
	case a.tokens != nil && (a.introspector == nil || looksLikeJWT(token)):
		return a.tokens.verify(ctx, token)
	case a.introspector != nil:
		return a.introspector.verify(ctx, token)
	}
	return Principal{}, refused(malformedToken, "", "not an API key, and neither JWT_ISSUER nor AUTH_INTROSPECTION_URL is set")
}

func bearer(header string) (token string, ok bool) {
	scheme, token, found := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	return token, found && token != "" && strings.EqualFold(scheme, "Bearer")
}

// IsKey reports whether a token is looked up as an API key: it has the form of a key of this
// or another system, and not that of a link or a JWT.
func IsKey(token string) bool {
	return apikeys.ValidSecret(token) && !IsLink(token) && !looksLikeJWT(token)
}

// looksLikeJWT reports whether a token has three parts, and the first begins like a JSON object
// in base64: { followed by a quotation mark or white space.
func looksLikeJWT(token string) bool {
	return (strings.HasPrefix(token, "ey") || strings.HasPrefix(token, "ew")) && strings.Count(token, ".") == 2
}

// keyNameLength is the length of the part of an API key that names it in lists and logs:
// csk_live_ and eight digits.
const keyNameLength = 17

func (a *Authenticator) apiKey(ctx context.Context, secret string) (Principal, error) {
	if a.keys == nil {
		return Principal{}, refused(unknownKey, "", "API_KEY_PEPPER is not set, so no API keys exist")
	}
	k, err := a.keys.Find(ctx, secret)
	switch {
	case errors.Is(err, apikeys.ErrNotFound):
		return Principal{}, refused(unknownKey, nameOf(secret), "")
	case err != nil:
		return Principal{}, envelope.Unavailable("the API key cannot be checked now; try again", err)
	}
	return keyPrincipal(k), nil
}

// nameOf returns the name of an API key for logs, empty if that would reveal much of the key.
func nameOf(secret string) string {
	if !apikeys.WellFormed(secret) {
		return ""
	}
	return secret[:keyNameLength]
}

func keyPrincipal(k *apikeys.Key) Principal {
	return Principal{
		Owner:         k.Owner,
		Read:          k.Scope == apikeys.ScopeRead || k.Scope == apikeys.ScopeReadAll,
		ReadAll:       k.Scope == apikeys.ScopeReadAll,
		Register:      k.Scope == apikeys.ScopeRegister,
		StateMachines: k.StateMachines,
		key:           k,
	}
}

// Spend counts a request against the daily limit of an API key. If it cannot be counted,
// it is refused.
func (a *Authenticator) Spend(ctx context.Context, p *Principal) error {
	if p.key == nil || p.key.DailyLimit == 0 {
		return nil
	}
	reset, err := a.keys.SpendQuota(ctx, p.key)
	switch {
	case errors.Is(err, apikeys.ErrLimitReached):
		return envelope.DailyLimitExceeded(reset)
	case err != nil:
		return envelope.Unavailable("the daily limit cannot be checked now; try again", err)
	}
	return nil
}

// Refund takes back what Spend counted: an answer 304 is free.
func (a *Authenticator) Refund(p *Principal, spent time.Time) {
	if p.key != nil && p.key.DailyLimit != 0 {
		a.keys.RefundQuota(p.key, spent)
	}
}
