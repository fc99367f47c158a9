package apikeys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// recentKeys is how many good keys are remembered with their HMACs.
const recentKeys = 1024

// hashes makes the HMACs by which keys are stored. A poller presents the same key each time,
// and its HMAC costs more than all other checks of a request. So those of recent keys are
// kept. They say nothing of what a key is good for: that is looked up for each request, so a
// revocation counts at once. How long it takes reveals nothing about a key that another
// caller presented: the place depends on a seed, and secrets are compared in constant time.
type hashes struct {
	pepper []byte
	macs   sync.Pool // of *mac
	seed   maphash.Seed
	recent [recentKeys]atomic.Pointer[hashed]
}

// hashed is a key that was good, and its HMAC.
type hashed struct {
	secret string
	hash   keyHash
}

func newHashes(pepper []byte) *hashes {
	h := &hashes{pepper: pepper, seed: maphash.MakeSeed()}
	h.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, h.pepper)} }
	return h
}

// recall returns the HMAC of a recent key; ok is false if the key is none.
func (h *hashes) recall(secret string) (hash keyHash, ok bool) {
	last := h.place(secret).Load()
	if last == nil || subtle.ConstantTimeCompare([]byte(last.secret), []byte(secret)) != 1 {
		return hash, false
	}
	return last.hash, true
}

// remember keeps the HMAC of a good key, in place of another one.
func (h *hashes) remember(secret string, hash keyHash) {
	h.place(secret).Store(&hashed{strings.Clone(secret), hash}) // the text is a part of a larger one
}

func (h *hashes) place(secret string) *atomic.Pointer[hashed] {
	return &h.recent[maphash.String(h.seed, secret)%recentKeys]
}

// of makes an HMAC. How long a lookup by it takes reveals nothing about the key itself.
func (h *hashes) of(secret string) (sum keyHash) {
	m := h.macs.Get().(*mac)
	defer h.macs.Put(m)
	m.Reset()
	m.Write(append(m.text[:0], secret...))
	m.Sum(m.sum[:0])
	clear(m.text[:])
	return m.sum
}

// mac makes HMACs, in memory of its own: a request would allocate it anew.
type mac struct {
	hash.Hash
	text [64]byte // longer than an API key
	sum  keyHash
}
