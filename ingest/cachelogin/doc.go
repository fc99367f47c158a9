// Package cachelogin makes the passwords with which a program logs in to ElastiCache or
// MemoryDB by its rights in IAM: tokens that are signed here, without a request to AWS. It
// belongs to ingest because the rest of the service does not use AWS; cmd hands the tokens to
// the store. It knows no Redis.
package cachelogin
