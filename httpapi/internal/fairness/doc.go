// Package fairness shares what a process has only so much of between callers.
//
//	pool.go       pools, such as places for requests or bytes for bodies: no caller takes all
//	holder.go     who takes from pools: a caller, or an address that has shown no token yet
//	ratelimit.go  how many requests a caller may send per second
package fairness
