// Package apikeys decides which API keys are valid: the keys in Redis, the file of keys
// that survives the loss of Redis, and the daily limits.
//
// # Keys
//
// A key is stored as its HMAC with a pepper, never as the secret itself (store.go). The HMACs
// of recent keys are remembered (hashes.go), because pollers send the same key again and again.
// Every process keeps the keys that it has read for a few seconds (keys.go); a change is
// announced to all processes by the change feed of Redis. A waiting request watches its key
// (watch.go); one read covers all watched keys.
//
// Keys of another system are imported with the secrets that callers use already (adopt.go).
//
// A fingerprint of the pepper is stored with the keys (pepper.go), so that a wrong pepper is
// detected and does not look like wrong keys.
//
// # Revocations
//
// A revocation is final. If two copies of a key differ, the copy that was restored more often
// wins; if both were restored equally often, the revoked one wins. So no old copy of Redis, old
// file or import makes a revoked key valid again; only an import that names it (--restore) does.
// After Redis has lost its records, Reassert stores the revocations again (revocations.go).
//
// # File
//
// A key is valid if it is in Redis or in the file, and is revoked in neither. While Redis
// does not answer, only the file decides (keysfile.go).
//
// # Daily limits
//
// A process leases a part of a daily limit from Redis and spends it without further
// requests to Redis (quota.go). All processes together never exceed the limit.
package apikeys
