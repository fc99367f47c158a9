// Package cachelogin makes the passwords with which a program logs in to ElastiCache or
// MemoryDB by IAM: tokens that it signs locally, without a request to AWS. It is in ingest
// because only ingest uses AWS; cmd passes the tokens to the store. The package does not know
// Redis.
package cachelogin
