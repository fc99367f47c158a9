package auth

import (
	"fmt"

	"statuscache/httpapi/internal/envelope"
)

// The reasons for refusing a token, by their names in the metric and the log. Responses
// do not contain them, because they would help an attacker who tries tokens.
const (
	noToken         = "no_token"           // none, two, or of another scheme
	unknownKey      = "unknown_api_key"    // or revoked
	malformedToken  = "malformed"          // neither an API key nor a JWT, or such tokens are not accepted
	wrongAlgorithm  = "algorithm"          // not RS256
	wrongIssuer     = "issuer"             // not JWT_ISSUER
	expiredToken    = "expired"            // or without exp
	tokenNotYet     = "not_yet_valid"      // nbf or iat is in the future
	notAccessToken  = "not_access_token"   // token_use: an ID token, for instance
	wrongClient     = "client"             // not in JWT_CLIENT_IDS
	noOwner         = "no_owner"           // JWT_OWNER_CLAIM is missing
	noKeyID         = "no_key_id"          // nothing says which key it was signed with
	unknownSigner   = "unknown_key_id"     // the issuer has no such key
	badSignature    = "signature"          // the key is known and did not make it
	badLink         = "link"               // no process with this API_KEY_PEPPER has made it
	inactive        = "inactive"           // according to the introspection endpoint
	endedWhileInUse = "revoked_or_expired" // while a request waited
)

// Reasons has all reasons of refusals, by their names in the metric.
var Reasons = []string{
	noToken, unknownKey, malformedToken, wrongAlgorithm, wrongIssuer, expiredToken, tokenNotYet, notAccessToken,
	wrongClient, noOwner, noKeyID, unknownSigner, badSignature, badLink, inactive, endedWhileInUse,
}

// Refusal is the reason for a 401, for operators. It is the cause of the error that the
// caller gets.
type Refusal struct {
	Reason string // one of Reasons
	Key    string // ID of the key, if the token names one; never the token
	Detail string // what was expected and what the token has
}

// Error implements error. The text is for the log.
func (r *Refusal) Error() string { return r.Reason }

// refused returns the error for a token that is known to be invalid.
func refused(reason, key, detail string, args ...any) *envelope.Error {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return envelope.Unauthorized("the token is not valid", envelope.InvalidTokenChallenge, &Refusal{reason, clip(key), detail})
}

// clip limits the length of a token's claims in the log.
func clip(s string) string {
	const limit = 128
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

// EndedWhileInUse returns the error for a token that stopped being valid while a
// request waited.
func EndedWhileInUse() error { return refused(endedWhileInUse, "", "") }
