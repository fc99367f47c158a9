// Package redisdb connects to Redis: one node, a cluster or Sentinels, by
// REDIS_URL. It knows the names of all keys (keynames.go), has a write confirmed by as
// many replicas as it needs (primaries.go, replicas.go), receives the change
// notifications (feed.go), logs in with passwords that change (credentials.go), verifies
// certificates (tls.go), refuses a Redis that would lose records (check.go, acl.go) and turns
// errors of Redis into plain words (setuperrors.go, runtimeerrors.go). It does not know what
// the records hold.
package redisdb
