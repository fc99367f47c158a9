// Package redisdb is how Redis is reached: one node, a cluster or Sentinels, by
// REDIS_URL. It knows the names of all keys (keynames.go), has a write confirmed by as
// many replicas as it needs (primaries.go, replicas.go), hears the changes that are
// announced (feed.go), logs in with passwords that change
// (credentials.go), verifies certificates (tls.go), refuses a Redis that would lose records (check.go, acl.go) and
// says in plain words what is wrong with it (setuperrors.go, runtimeerrors.go). It does not know what the
// records hold.
package redisdb
