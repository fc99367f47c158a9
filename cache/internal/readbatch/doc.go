// Package readbatch reads keys of Redis. Concurrent reads share round trips: one for each
// primary at a time, more only while that one is slow. Queues and waits are bounded. It
// knows nothing of what the keys hold.
package readbatch
