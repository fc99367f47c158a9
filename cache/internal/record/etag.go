package record

import (
	"crypto/sha256"
	"encoding/hex"
)

// AppendEntityTag appends the ETag of an answer. tag is the hash of the body and, behind it, the view
// or the content coding. So the ETag changes with each state, survives a rebuild of the cache,
// and differs between the forms of an answer.
func AppendEntityTag(b []byte, v Version, tag string) []byte {
	b = append(append(b, '"'), v...)
	b = append(append(b, '-'), tag...)
	return append(b, '"')
}

// Tag returns the part of an entity tag after the version of such a record.
func Tag(v Version, hash string) string {
	if v.HasOutputState() {
		return hash[OutputStateLength:]
	}
	return hash
}

// TagOfSum returns the part of a hash that entity tags contain.
func TagOfSum(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:HashLength/2]) }
