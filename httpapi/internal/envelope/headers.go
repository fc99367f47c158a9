package envelope

import "math/rand/v2"

// Media types that an answer can have.
const (
	JSONMedia        = "application/json"
	EventStreamMedia = "text/event-stream"
)

// Header values that never change. They are shared by all answers, so they must not
// be written to.
var (
	JSONType        = []string{JSONMedia}
	EventStreamType = []string{EventStreamMedia + "; charset=utf-8"} // without it some clients assume Latin-1
	NoSniff         = []string{"nosniff"}
	NoStore         = []string{"no-store, no-transform"}
	PrivateCache    = []string{"private, no-cache, no-transform"}
	StreamCache     = []string{"no-store, no-cache, no-transform"} // a proxy that compresses it would delay events
	PublicCache     = []string{"public, max-age=300"}
	VaryEncoding    = []string{"Accept-Encoding"}
	GzipCoding      = []string{"gzip"}
	Closing         = []string{"close"}
	NoReferrer      = []string{"no-referrer"}
	HSTS            = []string{"max-age=31536000"}
)

// The header WWW-Authenticate of an answer with 401 (RFC 6750 §3.1).
var (
	BearerChallenge       = []string{"Bearer"}                       // the request had no token
	InvalidTokenChallenge = []string{`Bearer error="invalid_token"`} // it had one
)

// CopyLimit is the size of a body up to which a copy is cheaper than a separate write, in
// bytes.
const CopyLimit = 4 << 10

// NewRequestID returns an ID for a request without one.
func NewRequestID() string {
	const digits = "0123456789abcdef"
	var id [16]byte
	n := rand.Uint64() // unique enough to find, not secret
	for i := range id {
		id[i] = digits[n>>(4*i)&15]
	}
	return string(id[:])
}
