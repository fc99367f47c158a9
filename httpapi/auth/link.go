package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"statuscache/cache"
	"statuscache/cache/apikeys"
	"statuscache/httpapi/internal/envelope"
)

// How long a link is valid.
const (
	MaxLinkLife     = 24 * time.Hour
	DefaultLinkLife = time.Hour
)

// LinkKeys is the part of the API key store that links need.
type LinkKeys interface {
	// Derive returns a secret for a purpose, the same in every process of the service.
	Derive(purpose string) []byte
	// FindByHash returns the API key with an HMAC, or apikeys.ErrNotFound.
	FindByHash(ctx context.Context, hash [sha256.Size]byte) (*apikeys.Key, error)
}

// links makes and checks links. A link is a token that reads and follows one execution.
// It is not stored: the token contains its claims, and a MAC proves that a process with
// the same API_KEY_PEPPER made it. After linkPrefix, the token has these bytes in
// base64url:
//
//	 1  the kind of its maker
//	 8  when it expires, in seconds since 1970
//	32  the maker: the HMAC of an API key as it is stored, or a MAC of the owner of a JWT
//	16  a hash of the execution's ARN
//	32  HMAC-SHA-256 of all this
//
// A link never allows more than its maker may read. The API key of a link is looked up each
// time, so the link ends with the key. The user of a JWT can be trusted only until the JWT
// expires, so a link that was made with a JWT expires with it at the latest.
type links struct {
	keys    LinkKeys
	signing []byte
	naming  []byte // for MACs of owners, so that a link does not reveal one
	now     func() time.Time
}

// newLinks returns nil if there is no secret to sign with.
func newLinks(keys LinkKeys) *links {
	if keys == nil {
		return nil
	}
	l := &links{keys: keys, signing: keys.Derive("links: signature"), naming: keys.Derive("links: owner"), now: time.Now}
	if l.signing == nil || l.naming == nil {
		return nil
	}
	return l
}

// linkMaker is the kind of caller that made a link.
type linkMaker byte

const (
	madeByKey linkMaker = 1 + iota
	madeByUser
	madeByOperator // a user who may read everything
)

// linkClaims are the claims of a link.
type linkClaims struct {
	maker     linkMaker
	expires   int64 // seconds since 1970
	makerID   [sha256.Size]byte
	execution executionHash
}

type executionHash [16]byte

func hashExecution(text string) (h executionHash) {
	sum := sha256.Sum256([]byte(text))
	copy(h[:], sum[:])
	return h
}

const (
	linkPrefix     = "csl_"
	linkClaimsSize = 1 + 8 + sha256.Size + len(executionHash{})
	linkSize       = linkClaimsSize + sha256.Size
)

var linkEncoding = base64.RawURLEncoding.Strict() // one text for each link

// sign returns the token of a link.
func (l *links) sign(c linkClaims) string {
	b := append(make([]byte, 0, linkSize), byte(c.maker))
	b = binary.BigEndian.AppendUint64(b, uint64(c.expires))
	b = append(append(b, c.makerID[:]...), c.execution[:]...)
	return linkPrefix + linkEncoding.EncodeToString(append(b, mac(l.signing, b)...))
}

// read returns the claims of a token, if this service has made it.
func (l *links) read(token string) (c linkClaims, ok bool) {
	text, ok := strings.CutPrefix(token, linkPrefix)
	if !ok || len(text) != linkEncoding.EncodedLen(linkSize) {
		return c, false
	}
	b, err := linkEncoding.DecodeString(text)
	if err != nil || !hmac.Equal(b[linkClaimsSize:], mac(l.signing, b[:linkClaimsSize])) {
		return c, false
	}
	c.maker, b = linkMaker(b[0]), b[1:]
	c.expires, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	copy(c.makerID[:], b)
	copy(c.execution[:], b[sha256.Size:])
	return c, true
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// owner returns the MAC that a link contains instead of the owner of a JWT.
func (l *links) owner(owner string) (id [sha256.Size]byte) {
	copy(id[:], mac(l.naming, []byte(owner)))
	return id
}

// link is the execution that a caller with a link may read.
type link struct {
	execution executionHash
	bucket    string                   // see Principal.Bucket
	mayRead   func(*cache.Record) bool // of records of the execution
}

// IsLink reports whether a token has the form of a link. It may not be valid.
func IsLink(token string) bool { return strings.HasPrefix(token, linkPrefix) }

// AuthenticateLink returns the principal of a link. Other tokens are refused.
func (a *Authenticator) AuthenticateLink(ctx context.Context, token string) (Principal, error) {
	if a.links == nil {
		return Principal{}, refusedLink(badLink, "API_KEY_PEPPER is not set, so no links exist")
	}
	c, ok := a.links.read(token)
	switch {
	case !ok:
		return Principal{}, refusedLink(badLink, "altered, or made with another API_KEY_PEPPER")
	case a.links.now().Unix() >= c.expires:
		return Principal{}, refusedLink(expiredToken, "a link")
	}
	switch c.maker {
	case madeByKey:
		return a.links.ofKey(ctx, c)
	case madeByUser, madeByOperator:
		return a.links.ofUser(c), nil
	}
	return Principal{}, refusedLink(badLink, "of another release")
}

// ofKey returns the principal of a link that was made with an API key.
func (l *links) ofKey(ctx context.Context, c linkClaims) (Principal, error) {
	k, err := l.keys.FindByHash(ctx, c.makerID)
	switch {
	case errors.Is(err, apikeys.ErrNotFound):
		return Principal{}, refusedLink(unknownKey, "the API key of a link")
	case err != nil:
		return Principal{}, envelope.Unavailable("the API key of the link cannot be checked now; try again", err)
	}
	maker := keyPrincipal(k)
	p := c.principal(maker.Bucket(), maker.MayRead)
	p.key = k
	return p, nil
}

// ofUser returns the principal of a link that was made with a JWT.
func (l *links) ofUser(c linkClaims) Principal {
	return c.principal(hex.EncodeToString(c.makerID[:8]), func(r *cache.Record) bool {
		return c.maker == madeByOperator || r.Owner != "" && l.owner(r.Owner) == c.makerID
	})
}

func (c *linkClaims) principal(maker string, mayRead func(*cache.Record) bool) Principal {
	return Principal{
		Expires: time.Unix(c.expires, 0),
		link:    &link{execution: c.execution, bucket: linkBucket + maker, mayRead: mayRead},
	}
}

// linkBucket begins the name of a bucket of links. No owner has a control character.
const linkBucket = "link\x00"

func refusedLink(reason, detail string) *envelope.Error {
	return envelope.Unauthorized("the link is not valid; it may have expired", envelope.InvalidTokenChallenge, &Refusal{Reason: reason, Detail: detail})
}

var (
	errNoLinks = &envelope.Error{
		Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", RetryAfter: time.Minute,
		Message: "this service cannot make links: set API_KEY_PEPPER to the same secret in all its processes",
	}
	errEndless = envelope.Forbidden("a token that never expires and is not an API key cannot make links")
)

// NewLink returns a link to an execution that the caller may read, and its expiry: after
// a given time, or earlier, together with the token of the caller.
func (a *Authenticator) NewLink(p *Principal, arn cache.ARN, life time.Duration) (token string, expires time.Time, err error) {
	if a.links == nil {
		return "", expires, errNoLinks
	}
	c := linkClaims{maker: madeByKey, execution: hashExecution(string(arn))}
	expires = a.links.now().Add(life)
	switch {
	case p.key != nil:
		id, _ := hex.DecodeString(p.key.Hash) // well formed, because the key was found by it
		copy(c.makerID[:], id)
	case p.Expires.IsZero():
		return "", expires, errEndless
	default:
		if p.Expires.Before(expires) {
			expires = p.Expires
		}
		c.maker, c.makerID = madeByUser, a.links.owner(p.Owner)
		if p.ReadAll {
			c.maker = madeByOperator
		}
	}
	expires = expires.UTC().Truncate(time.Second)
	c.expires = expires.Unix()
	return a.links.sign(c), expires, nil
}
