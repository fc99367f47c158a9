// Package fairness divides limited resources of a process between callers.
//
//	pool.go       pools, such as places for requests or bytes for bodies: no caller can take all of one
//	holder.go     who uses a pool: a caller, or an address before it has sent a token
//	ratelimit.go  how many requests a caller may send per second
package fairness
