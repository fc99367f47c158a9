package apikeys

import (
	"errors"
	"strings"
	"time"
)

// Errors that callers check for.
var (
	// ErrNotFound means that the API key does not exist or is revoked.
	ErrNotFound = errors.New("API key not known")
	// ErrLimitReached means that a key's daily limit is used up.
	ErrLimitReached = errors.New("daily limit reached")
)

// Key is an API key without its secret.
type Key struct {
	Hash          string    `json:"hash"`   // HMAC-SHA-256 of the key, hex
	Prefix        string    `json:"prefix"` // the name of the key: its first characters, or those of Hash for a key of another system
	Name          string    `json:"name"`
	Owner         string    `json:"owner"`
	Scope         Scope     `json:"scope"`
	StateMachines []string  `json:"stateMachines,omitempty"` // the state machines that a register key may register; empty: all
	DailyLimit    int64     `json:"dailyLimit,omitempty"`    // requests per day UTC; 0: none
	CreatedAt     time.Time `json:"createdAt"`
	RevokedAt     time.Time `json:"revokedAt,omitzero"`
	Restored      int       `json:"restored,omitempty"` // how often the key was restored after a revocation
}

// Scope is what an API key may do.
type Scope string

// The scopes of API keys.
const (
	ScopeRead     Scope = "read"     // the owner's executions
	ScopeReadAll  Scope = "read:all" // everybody's
	ScopeRegister Scope = "register" // POST /v1/executions and nothing else
)

// The form of an API key: the prefix and 32 lower-case hex digits.
const (
	keyPrefix       = "csk_live_"
	keySecretLength = 32
	keyNameLength   = len(keyPrefix) + 8 // the part that names a key in lists and for a revocation
)

// WellFormed reports whether s has the form of an API key.
func WellFormed(s string) bool {
	rest, found := strings.CutPrefix(s, keyPrefix)
	if !found || len(rest) != keySecretLength {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// The length of an imported key, in characters.
const (
	MinSecret = 20
	MaxSecret = 128
)

// ValidSecret reports whether s can be an API key. It has the form of this service, or that of
// another system: 20 to 128 printable ASCII characters without a space.
func ValidSecret(s string) bool {
	if len(s) < MinSecret || len(s) > MaxSecret {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Revoked reports whether the key is no longer valid.
func (k *Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// weigh returns the valid one of two records of a key: the one that was restored more often.
// If that is equal, it returns the revoked one, otherwise a. Either may be nil.
func weigh(a, b *Key) *Key {
	switch {
	case b == nil || a != nil && a.Restored > b.Restored:
		return a
	case a == nil || a.Restored < b.Restored || b.Revoked() && !a.Revoked():
		return b
	}
	return a
}
