package httpapi

import (
	"fmt"
	"log/slog"
)

// Why a token is refused, as the metric and the log call it. Callers are not told:
// it would help who tries tokens out.
const (
	noToken         = "no_token"           // none, two, or of another scheme
	unknownKey      = "unknown_api_key"    // or revoked
	malformedToken  = "malformed"          // neither an API key nor a JWT, or none are taken
	wrongAlgorithm  = "algorithm"          // not RS256
	wrongIssuer     = "issuer"             // not JWT_ISSUER
	expiredToken    = "expired"            // or without exp
	tokenNotYet     = "not_yet_valid"      // nbf or iat is to come
	notAccessToken  = "not_access_token"   // token_use: an ID token, for instance
	wrongClient     = "client"             // not in JWT_CLIENT_IDS
	noOwner         = "no_owner"           // JWT_OWNER_CLAIM is missing
	noKeyID         = "no_key_id"          // nothing says which key it was signed with
	unknownSigner   = "unknown_key_id"     // the issuer has no such key
	badSignature    = "signature"          // the key is known and did not make it
	endedWhileInUse = "revoked_or_expired" // while a request waited
)

var refusalReasons = []string{
	noToken, unknownKey, malformedToken, wrongAlgorithm, wrongIssuer, expiredToken, tokenNotYet, notAccessToken,
	wrongClient, noOwner, noKeyID, unknownSigner, badSignature, endedWhileInUse,
}

// refusal is why a request got 401, for operators.
type refusal struct {
	reason string
	key    string // id of the key, as far as the token names one; never the token
	detail string // what was expected and what came
}

// refused is the error for a token that is known to be no good.
func refused(reason, key, detail string, args ...any) *problem {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return unauthorized("the token is not valid", refusal{reason, clip(key), detail})
}

// clip bounds what the log repeats of a token's claims.
func clip(s string) string {
	const limit = 128
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

// challenge is the header WWW-Authenticate: with a reason only where there was a
// token (RFC 6750 §3.1).
func (p *problem) challenge() []string {
	if p.refused == nil || p.refused.reason == noToken {
		return bareChallenge
	}
	return invalidToken
}

var (
	bareChallenge = []string{"Bearer"}
	invalidToken  = []string{`Bearer error="invalid_token"`}
)

// tellRefusal counts and logs why a request got 401. At debug, because anybody can
// make it happen as often as they like.
func (x *exchange) tellRefusal(why *refusal) {
	x.server.metrics.unauthorized.WithLabelValues(why.reason).Inc()
	log := x.server.options.Log
	if !log.Enabled(x.r.Context(), slog.LevelDebug) {
		return
	}
	values := []any{"reason", why.reason, "request", x.id[0]}
	if why.key != "" {
		values = append(values, "key", why.key)
	}
	if why.detail != "" {
		values = append(values, "detail", why.detail)
	}
	log.Debug("token refused", values...)
}
