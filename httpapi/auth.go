package httpapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// Keys knows API keys and how much of their daily limits is left.
type Keys interface {
	Find(ctx context.Context, secret string) (*apikeys.Key, error)
	SpendQuota(ctx context.Context, k *apikeys.Key) (reset time.Duration, err error)
	RefundQuota(k *apikeys.Key, spent time.Time)
	// Watch reports what becomes of a key that Find returned: nil while it is good,
	// apikeys.ErrNotFound when it is not, another error when that cannot be checked.
	Watch(k *apikeys.Key, report func(error)) (stop func())
}

// Principal is who is calling, and what they may do. It is small enough to be
// handed on by value, which spares the hot route an allocation.
type Principal struct {
	Owner         string // whose executions are theirs
	Read          bool   // their own executions
	ReadAll       bool   // everybody's
	Register      bool   // POST /v1/executions
	StateMachines []string
	key           *apikeys.Key // nil for a JWT
	expires       time.Time    // of a JWT; zero: never
}

// bucket names whose requests are counted together.
func (p *Principal) bucket() string {
	if p.Owner == "" && p.key != nil {
		return p.key.Hash // a key of nobody's
	}
	return p.Owner
}

// mayRead denies what is not known to be theirs.
func (p *Principal) mayRead(r *cache.Record) bool {
	return p.ReadAll || p.Read && r.Owner != "" && r.Owner == p.Owner
}

// authenticator finds out who is calling. It is a Keys and a tokens, either of
// which may be missing.
type authenticator struct {
	keys   Keys
	tokens *tokens // nil: no JWTs
}

var errNoToken = unauthorized("a bearer token is needed: Authorization: Bearer TOKEN", refusal{reason: noToken})

// authenticate returns the principal whom the header Authorization of a request
// names. Anything but a token that is known to be good is an error.
func (a *authenticator) authenticate(ctx context.Context, values []string) (Principal, error) {
	if len(values) != 1 {
		return Principal{}, errNoToken // two would leave it to chance which one counts
	}
	token, ok := bearer(values[0])
	switch {
	case !ok:
		return Principal{}, errNoToken
	case apikeys.WellFormed(token):
		return a.apiKey(ctx, token)
	case a.tokens != nil:
		return a.tokens.verify(ctx, token)
	}
	return Principal{}, refused(malformedToken, "", "not an API key, and JWT_ISSUER is not set")
}

func bearer(header string) (token string, ok bool) {
	scheme, token, found := strings.Cut(header, " ")
	token = strings.TrimLeft(token, " ")
	return token, found && token != "" && strings.EqualFold(scheme, "Bearer")
}

// keyNameLength is of the part of an API key that it is listed by: csk_live_ and
// eight digits.
const keyNameLength = 17

func (a *authenticator) apiKey(ctx context.Context, secret string) (Principal, error) {
	if a.keys == nil {
		return Principal{}, refused(unknownKey, "", "API_KEY_PEPPER is not set, so there are none")
	}
	k, err := a.keys.Find(ctx, secret)
	switch {
	case errors.Is(err, apikeys.ErrNotFound):
		return Principal{}, refused(unknownKey, secret[:keyNameLength], "")
	case err != nil:
		return Principal{}, unavailable("the API key cannot be checked now; try again", err)
	}
	return Principal{
		Owner:         k.Owner,
		Read:          k.Scope == apikeys.ScopeRead || k.Scope == apikeys.ScopeReadAll,
		ReadAll:       k.Scope == apikeys.ScopeReadAll,
		Register:      k.Scope == apikeys.ScopeRegister,
		StateMachines: k.StateMachines,
		key:           k,
	}, nil
}

// spend counts a request against the daily limit of an API key. Where it cannot
// be counted it is refused.
func (a *authenticator) spend(ctx context.Context, p *Principal) error {
	if p.key == nil || p.key.DailyLimit == 0 {
		return nil
	}
	reset, err := a.keys.SpendQuota(ctx, p.key)
	switch {
	case errors.Is(err, apikeys.ErrLimitReached):
		return dailyLimitExceeded(reset)
	case err != nil:
		return unavailable("the daily limit cannot be checked now; try again", err)
	}
	return nil
}

// refund takes back what spend counted: an answer that says nothing new is free.
func (a *authenticator) refund(p *Principal, spent time.Time) {
	if p.key != nil && p.key.DailyLimit != 0 {
		a.keys.RefundQuota(p.key, spent)
	}
}
