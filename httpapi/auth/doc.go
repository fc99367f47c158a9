// Package auth identifies the callers of the API.
//
//	authenticator.go  the Authorization header: API keys, and their daily limit
//	jwt.go            access tokens (JWT, RS256)
//	jwks.go           the signing keys of the issuer, kept fresh
//	introspection.go  tokens that another server checks (RFC 7662)
//	issuercheck.go    whether the issuer agrees with the settings, for statusctl doctor
//	link.go           links: tokens that read one execution
//	principal.go      who is calling, and what they may do
//	refusal.go        why a token is refused, for operators
//
// A token is accepted only if it is known to be valid. The response to a refused token
// does not say why it was refused; the metric and the log do.
package auth
