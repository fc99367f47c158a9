// Package readbatch reads keys of Redis. Concurrent reads share round trips: one at a
// time for each primary, more only while that one is slow. Queues and waits are bounded.
// It does not know the contents of the keys.
package readbatch
