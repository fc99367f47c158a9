// Package cachelogin makes the passwords with which a program logs in to ElastiCache or
// MemoryDB by its rights in IAM: tokens that are signed here, without a request to AWS. It
// belongs to ingest because the rest of the service does not use AWS; cmd passes the tokens to
// the store. The package does not know Redis.
package cachelogin
