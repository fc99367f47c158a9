// Package redisdb connects to Redis: one node, a cluster or Sentinels, by REDIS_URL. It has
// the names of all keys (keynames.go), confirms a write by as many replicas as required
// (primaries.go, replicas.go), receives the change notifications (feed.go), logs in with
// passwords that change (credentials.go), verifies certificates (tls.go), refuses a Redis
// that would lose records (check.go, acl.go) and explains errors of Redis (setuperrors.go,
// runtimeerrors.go). It does not know the contents of records.
package redisdb
