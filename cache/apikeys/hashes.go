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

// recentKeys is how many valid keys are remembered with their HMACs.
const recentKeys = 1024

// hashes makes the HMACs under which keys are stored. A poller sends the same key each time,
// and computing its HMAC costs more than all other checks of a request, so the HMACs of
// recent keys are kept. They do not say whether a key is valid: that is looked up for each
// request, so a revocation takes effect at once. The time of a look-up reveals nothing about
// the key of another caller: the place depends on a seed, and secrets are compared in
// constant time.
type hashes struct {
	pepper []byte
	macs   sync.Pool // of *mac
	seed   maphash.Seed
	recent [recentKeys]atomic.Pointer[hashed]
}

// hashed is a key that was valid, and its HMAC.
type hashed struct {
	secret string
	hash   keyHash
}

func newHashes(pepper []byte) *hashes {
	h := &hashes{pepper: pepper, seed: maphash.MakeSeed()}
	h.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, h.pepper)} }
	return h
}

// recall returns the HMAC of a recent key; ok is false for other keys.
func (h *hashes) recall(secret string) (hash keyHash, ok bool) {
	last := h.place(secret).Load()
	if last == nil || subtle.ConstantTimeCompare([]byte(last.secret), []byte(secret)) != 1 {
		return hash, false
	}
	return last.hash, true
}

// remember keeps the HMAC of a valid key, in place of another one.
func (h *hashes) remember(secret string, hash keyHash) {
	h.place(secret).Store(&hashed{strings.Clone(secret), hash}) // the text is a substring of a larger text
}

func (h *hashes) place(secret string) *atomic.Pointer[hashed] {
	return &h.recent[maphash.String(h.seed, secret)%recentKeys]
}

// of makes an HMAC. The time of a look-up by HMAC reveals nothing about the key.
func (h *hashes) of(secret string) (sum keyHash) {
	m := h.macs.Get().(*mac)
	defer h.macs.Put(m)
	m.Reset()
	m.Write(append(m.text[:0], secret...))
	m.Sum(m.sum[:0])
	clear(m.text[:])
	return m.sum
}

// mac makes HMACs in reused memory, so that requests need not allocate it.
type mac struct {
	hash.Hash
	text [64]byte // longer than an API key
	sum  keyHash
}
