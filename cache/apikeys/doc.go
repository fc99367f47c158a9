// Package apikeys decides which API keys are valid: the keys in Redis, the file of keys
// that survives the loss of Redis, and the daily limits.
//
// # Keys
//
// A key is stored as its HMAC with a pepper, never as the secret itself (store.go).
// The HMACs of recent keys are remembered (hashes.go), since pollers present the same key again.
// Every process keeps the keys that it has read for a few seconds (keys.go); a change is
// announced to all processes by the change feed of Redis. A request that waits for long
// watches its key (watch.go); one read covers all watched keys.
//
// Keys of another system are imported with the secrets that callers use already (adopt.go).
//
// A fingerprint of the pepper is stored with the keys (pepper.go), so that a wrong pepper is
// noticed and not mistaken for wrong keys.
//
// # Revocations
//
// A revocation is final. If two copies of a key differ, the one that was restored more often wins, and
// of equal ones the revoked one. So no old copy of Redis, old file or import makes a revoked
// key valid again; only an import that names it (--restore) does.
// After Redis has lost its records, Reassert stores the revocations again (revocations.go).
//
// # File
//
// A key is valid if Redis or the file knows it, and neither says that it is revoked. While
// Redis does not answer, the file decides alone (keysfile.go).
//
// # Daily limits
//
// A process leases a part of a daily limit from Redis and spends it without asking
// again (quota.go). All processes together never exceed the limit.
package apikeys
