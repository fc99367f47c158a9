package auth

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"statuscache/cache"
	"statuscache/cache/apikeys"
)

// Principal is the caller, and what it may do. It is small enough to be passed by
// value, which spares the hot route an allocation.
type Principal struct {
	Owner         string // of the executions that belong to the caller
	Read          bool   // their own executions
	ReadAll       bool   // those of all owners
	Register      bool   // POST /v1/executions
	StateMachines []string
	key           *apikeys.Key // nil for a JWT
	Expires       time.Time    // of a JWT; zero: never
}

// Bucket names whose requests are counted together.
func (p *Principal) Bucket() string {
	if p.Owner == "" && p.key != nil {
		return p.key.Hash // a key without an owner
	}
	return p.Owner
}

// MayRead reports whether the caller may read an execution. One without an owner is for
// operators only.
func (p *Principal) MayRead(r *cache.Record) bool {
	return p.ReadAll || p.Read && r.Owner != "" && r.Owner == p.Owner
}

// MayRegister reports whether the caller may register an execution.
func (p *Principal) MayRegister(arn cache.ARN) bool {
	return len(p.StateMachines) == 0 || slices.ContainsFunc(p.StateMachines, arn.BelongsTo)
}

// ValidOwner reports whether a text can name an owner.
func ValidOwner(s string) bool {
	return s != "" && len(s) <= cache.MaxOwnerLength && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
