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

// Principal is the caller, and what it may do. It is small enough to be passed by value,
// which saves the hot route an allocation.
type Principal struct {
	Owner         string       // of the executions that belong to the caller
	Read          bool         // it may read its own executions
	ReadAll       bool         // it may read those of all owners
	Register      bool         // it may register executions
	StateMachines []string     // of the executions that it may register; empty: all
	key           *apikeys.Key // of the caller, or of the maker of its link; nil for a JWT
	link          *link        // nil: the token is not a link
	Expires       time.Time    // of a JWT or a link; zero: never
}

// Bucket is the name under which requests are counted together. All links of one maker share
// a bucket, separate from that of the maker: readers of a published link do not use up the
// maker's limit, and many links do not bypass the rate limit.
func (p *Principal) Bucket() string {
	if p.link != nil {
		return p.link.bucket
	}
	if p.Owner == "" && p.key != nil {
		return p.key.Hash // a key without an owner
	}
	return p.Owner
}

// Name is the caller's name in the access log, empty for an API key without an owner.
func (p *Principal) Name() string {
	if p.link != nil {
		return "link:" + strings.TrimPrefix(p.link.bucket, linkBucket)
	}
	return p.Owner
}

// Linked reports whether the caller has a link, which is for one execution only.
func (p *Principal) Linked() bool { return p.link != nil }

// Covers reports whether the token can be used for an execution, before its owner is
// checked. text need not be a well-formed ARN.
func (p *Principal) Covers(text string) bool {
	return p.link == nil || p.link.execution == hashExecution(text)
}

// MayRead reports whether the caller may read an execution. An execution without an owner
// is for operators only.
func (p *Principal) MayRead(r *cache.Record) bool {
	if p.link != nil {
		return p.Covers(string(r.ARN)) && p.link.mayRead(r)
	}
	return p.ReadAll || p.Read && r.Owner != "" && r.Owner == p.Owner
}

// MayRegister reports whether the caller may register an execution.
func (p *Principal) MayRegister(arn cache.ARN) bool {
	return len(p.StateMachines) == 0 || slices.ContainsFunc(p.StateMachines, arn.BelongsTo)
}

// ValidOwner reports whether a text can be the ID of an owner.
func ValidOwner(s string) bool {
	return s != "" && len(s) <= cache.MaxOwnerLength && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
