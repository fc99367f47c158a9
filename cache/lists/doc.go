// Package lists finds and counts executions: pages of the executions that match a Query,
// and the numbers of running and ended ones. It reads the indexes in Redis, which may be
// out of date, so the record of an execution decides.
package lists
