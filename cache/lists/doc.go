// Package lists finds and counts executions: pages of those that meet the conditions of a
// Query, and how many run and have ended. It reads the indexes in Redis, which may be out
// of date: the record of an execution decides.
package lists
